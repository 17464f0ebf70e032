"""Opening dask's collections as graphs: arrays of similarities, sparse or dense, and tables of edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import dask.array
import numpy as np
import scipy.sparse
from dask.delayed import Delayed, delayed
from distributed import Client
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.model import Block, Int64Array, RowCut
from sparse_ap.stores.chunked import ChunkedStore, starts_of
from sparse_ap.stores.dense import dense_block
from sparse_ap.stores.memory import csr_of
from sparse_ap.stores.structure import (
    as_float,
    as_ids,
    float_type,
    require_ids_fit,
    require_square,
    require_structure,
)

__all__ = ["open_collection"]

# Edges of a block that a table is divided into.
_BLOCK_EDGES = 16_000_000


def open_collection(collection: Any, client: Client) -> ChunkedStore:
    """Compute a dask collection on a cluster, and keep it there as blocks.

    Parameters
    ----------
    collection : dask.array.Array or dask.dataframe.DataFrame
        As for `sparse_ap.affinity_propagation`.
    client : distributed.Client

    Raises
    ------
    InvalidInputError
        It is no graph.
    """
    if isinstance(collection, dask.array.Array):
        return _from_array(collection, client)
    if hasattr(collection, "map_partitions") and hasattr(collection, "columns"):
        return _from_table(collection, client)
    raise InvalidInputError(
        f"The similarities are a {type(collection).__name__}; of dask's collections an array of shape "
        "(n_points, n_points) is needed, its chunks sparse CSR or dense, or a dataframe of edges."
    )


def _from_array(array: dask.array.Array, client: Client) -> ChunkedStore:
    """Take each chunk of rows as a block."""
    if any(np.isnan(size) for size in (*array.shape, *(n for sizes in array.chunks for n in sizes))):
        raise InvalidInputError(
            f"The dask array has chunks of unknown size (shape {array.shape}). Call its "
            "compute_chunk_sizes() first."
        )
    require_square(array.shape)
    n_points = int(array.shape[0])
    require_ids_fit(n_points)
    dtype = float_type(array.dtype)
    array = array.rechunk({1: -1}) if array.numblocks[1] > 1 else array
    bounds = np.cumsum([0, *array.chunks[0]]).tolist()
    divisions = [RowCut(start, stop) for start, stop in pairwise(bounds) if stop > start]
    chunks = [chunk for chunk, size in zip(array.to_delayed()[:, 0], array.chunks[0], strict=True) if size]
    blocks = [
        delayed(_block_of_chunk, pure=False)(chunk, rows, n_points, dtype)
        for chunk, rows in zip(chunks, divisions, strict=True)
    ]
    return _computed(blocks, divisions, dtype, client)


def _from_table(table: Any, client: Client) -> ChunkedStore:
    """Bring the edges of each row together: the table's own sorting by divisions."""
    if len(table.columns) < 3:
        raise InvalidInputError(
            f"The table of edges has the columns {', '.join(map(str, table.columns))}; three are needed: the "
            "row, the column and the similarity."
        )
    table = table[list(table.columns[:3])]
    row, column, similarity = table.columns
    for name in (row, column):
        if table.dtypes[name].kind not in "iu":
            raise InvalidInputError(
                f"The column {name!r} of the table of edges has dtype {table.dtypes[name]}; points must be "
                "numbered from 0. Edges between named points: sparse-ap convert numbers them."
            )
    dtype = float_type(np.dtype(table.dtypes[similarity]))
    degrees = _degrees(table, client)
    n_points = len(degrees)
    indptr = starts_of([degrees])
    bounds = _bounds(indptr, max(sum(client.nthreads().values()), -(-int(indptr[-1]) // _BLOCK_EDGES)))
    divisions = [RowCut(start, stop) for start, stop in pairwise(bounds)]
    # The last of dask's divisions is within its partition.
    sorted_table = table.set_index(row, divisions=[*bounds[:-1], n_points - 1] if n_points > 1 else [0, 0])
    blocks = [
        delayed(_block_of_edges, pure=False)(part, rows, n_points, dtype)
        for part, rows in zip(sorted_table.to_delayed(), divisions, strict=True)
    ]
    return _computed(blocks, divisions, dtype, client)


def _degrees(table: Any, client: Client) -> Int64Array:
    """Count the edges of every row; as many as the largest id needs."""
    parts = table.to_delayed()
    lowest, highest = np.array(
        client.gather(client.compute([delayed(_range_of, pure=False)(part) for part in parts]))
    ).T
    if lowest.min(initial=0) < 0:
        raise InvalidInputError(f"The table of edges has the id {lowest.min()}; points are numbered from 0.")
    n_points = int(highest.max(initial=-1)) + 1
    if n_points == 0:
        raise InvalidInputError(
            "The table of edges is empty, so that nobody knows how many points there are."
        )
    require_ids_fit(n_points)
    counts = [delayed(_counts_of, pure=False)(part, n_points) for part in parts]
    while len(counts) > 1:
        counts = [delayed(_sum, pure=False)(*counts[i : i + 2]) for i in range(0, len(counts), 2)]
    degrees: Int64Array = client.compute(counts[0]).result()
    return degrees


def _bounds(indptr: Int64Array, n_blocks: int) -> list[int]:
    """Return the first rows of blocks of about the same number of edges, and the end."""
    n_points = len(indptr) - 1
    targets = np.linspace(0, indptr[-1], n_blocks + 1)[1:-1]
    bounds: list[int] = np.unique([0, *np.searchsorted(indptr, targets), n_points]).tolist()
    return bounds


def _computed(
    blocks: Sequence[Delayed], divisions: Sequence[RowCut], dtype: np.dtype[Any], client: Client
) -> ChunkedStore:
    futures = client.compute(list(blocks))
    counts = client.gather([client.submit(_row_lengths, block, pure=False) for block in futures])
    return ChunkedStore(client, tuple(futures), tuple(divisions), starts_of(counts), dtype)


def _block_of_chunk(chunk: Any, rows: RowCut, n_points: int, dtype: np.dtype[Any]) -> Block:
    if chunk.shape != (rows.stop - rows.start, n_points):
        raise InvalidInputError(
            f"A chunk of the dask array has shape {chunk.shape}, and {(rows.stop - rows.start, n_points)} "
            "was announced. Build the array with the shapes of its chunks."
        )
    if not scipy.sparse.issparse(chunk):
        block = dense_block(np.asarray(chunk), rows)
        return Block(rows, n_points, block.indptr, block.indices, block.data.astype(dtype, copy=False))
    csr = csr_of(chunk)
    require_structure(csr)
    n_entries = int(csr.indptr[-1])
    return Block(
        rows,
        n_points,
        np.asarray(csr.indptr, np.int64),
        np.asarray(csr.indices[:n_entries], np.int32),
        as_float(csr.data[:n_entries]).astype(dtype, copy=False),
    )


def _block_of_edges(table: Any, rows: RowCut, n_points: int, dtype: np.dtype[Any]) -> Block:
    """Sort a part of a table, whose index are the rows: the same in whatever order the edges came."""
    row = table.index.to_numpy()
    column, similarity = (table[name].to_numpy() for name in table.columns)
    order = np.lexsort((similarity, column, row))
    indptr = np.searchsorted(row[order], np.arange(rows.start, rows.stop + 1)).astype(np.int64)
    indices = as_ids(column[order], n_points)
    return Block(rows, n_points, indptr, indices, as_float(similarity[order]).astype(dtype, copy=False))


def _range_of(table: Any) -> tuple[int, int]:
    ids = [table[name].to_numpy() for name in table.columns[:2]]
    return (
        (int(min(each.min() for each in ids)), int(max(each.max() for each in ids)))
        if len(table)
        else (0, -1)
    )


def _counts_of(table: Any, n_points: int) -> NDArray[Any]:
    return np.bincount(table[table.columns[0]].to_numpy(), minlength=n_points)


def _sum(*counts: NDArray[Any]) -> Any:
    return np.sum(counts, axis=0)


def _row_lengths(block: Block) -> Int64Array:
    return np.diff(block.indptr)
