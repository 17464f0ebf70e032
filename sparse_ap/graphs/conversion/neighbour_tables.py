"""Row blocks from neighbour lists that need not fit into memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.row_blocks import Source
from sparse_ap.graphs.neighbour_lists import (
    ROWS_LOOKED_AT,
    check_pair,
    edges_of_rows,
    require_no_inner_products,
    slabs,
    table,
)
from sparse_ap.graphs.similarities import Similarity, float_type, similarities_of, similarity_function
from sparse_ap.kernels.block import Block, BoolArray, FloatArray, Int64Array, RowCut

__all__ = ["from_tables"]


def from_tables(indices: Any, distances: Any, similarity: Similarity) -> Source:
    """Take neighbour lists as `from_knn` does, some rows at a time.

    Raises
    ------
    InvalidInputError
        As for `from_knn`.
    """
    ids, d = table(indices, "indices"), table(distances, "distances")
    check_pair(ids, d)
    similarity_function(similarity)
    if not callable(similarity):
        _look_at_some_rows(ids, d)
    read = partial(_blocks, ids, d, similarity, [indices, distances])
    return Source(len(ids), read(), n_edges=ids.size)


def _blocks(
    ids: NDArray[Any], distances: NDArray[Any], similarity: Similarity, mapped: list[Any]
) -> Iterator[Block]:
    n, k = ids.shape
    for slab in slabs(n, k):
        rows = np.arange(slab.start, min(slab.stop, n))
        indptr, columns, values = _edges_of(ids, distances, rows)
        cut = RowCut(slab.start, slab.start + len(rows))
        yield Block(cut, n, indptr, columns, similarities_of(values, similarity))
        for array in mapped:
            _forget(array)


def _edges_of(
    ids: NDArray[Any], distances: NDArray[Any], rows: Int64Array
) -> tuple[Int64Array, NDArray[np.int32], FloatArray]:
    """Return indptr, columns and distances of some rows, without what says "not found" or is infinite."""
    some, values = ids[rows], distances[rows]
    kept = edges_of_rows(some, values, rows, len(ids))
    _require_numbers(some, values, kept, rows)
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.count_nonzero(kept, axis=1), out=indptr[1:])
    return indptr, some[kept].astype(np.int32), values[kept].astype(float_type(distances.dtype))


def _require_numbers(ids: NDArray[Any], values: NDArray[Any], kept: BoolArray, rows: Int64Array) -> None:
    wrong = kept & ~(values > -np.inf)
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"Among the distances are {np.count_nonzero(wrong)} that are NaN or -inf in rows {rows[0]} to "
            f"{rows[-1]}; the first is {values[row, position]}, in row {rows[row]} at position {position}, "
            f"for the id {ids[row, position]}. Where no neighbour was found give the id -1."
        )


def _look_at_some_rows(ids: NDArray[Any], distances: NDArray[Any]) -> None:
    rows = np.unique(np.linspace(0, max(0, len(ids) - 1), min(len(ids), ROWS_LOOKED_AT)).astype(np.int64))
    indptr, _, values = _edges_of(ids, distances, rows)
    require_no_inner_products(values, indptr)


def _forget(table: Any) -> None:
    """Give back the pages of a memory-mapped file: they count as memory of this process."""
    if isinstance(table, np.memmap) and table.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        table._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
