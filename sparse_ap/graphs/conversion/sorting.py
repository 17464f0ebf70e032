"""Edges in any order put into rows: in memory, or on disk by duckdb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.graphs.conversion.database import Database
from sparse_ap.graphs.conversion.row_blocks import from_arrays
from sparse_ap.kernels.block import Block, FloatArray, Int32Array, RowCut

__all__ = [
    "DiskSorter",
    "MemorySorter",
    "Sorter",
    "Triplets",
    "mirrored",
    "renumbered",
    "transposed",
    "triplets",
]


class Triplets(NamedTuple):
    """Some edges, in any order."""

    rows: Int32Array
    columns: Int32Array
    similarities: FloatArray


def triplets(blocks: Iterable[Block]) -> Iterator[Triplets]:
    """Write out the row of every edge."""
    for block in blocks:
        points = np.arange(block.rows.start, block.rows.stop, dtype=np.int32)
        yield Triplets(
            np.repeat(points, np.diff(block.indptr)), block.indices.astype(np.int32, copy=False), block.data
        )


def transposed(edges: Iterable[Triplets]) -> Iterator[Triplets]:
    """Turn every edge around."""
    return (Triplets(columns, rows, s) for rows, columns, s in edges)


def mirrored(edges: Iterable[Triplets]) -> Iterator[Triplets]:
    """Give every edge in both directions."""
    for rows, columns, s in edges:
        yield Triplets(rows, columns, s)
        yield Triplets(columns, rows, s)


def renumbered(new_number: Int32Array, edges: Iterable[Triplets]) -> Iterator[Triplets]:
    """Give points other numbers."""
    return (Triplets(new_number[rows], new_number[columns], s) for rows, columns, s in edges)


class Sorter(Protocol):
    """Puts edges into rows; duplicates stay, and the order within a row is any.

    Arrays that were given are not written to, and must not be by anybody else.
    """

    def __call__(self, edges: Iterable[Triplets], n_points: int) -> Iterator[Block]:
        """Yield all rows in order."""
        ...


class MemorySorter:
    """Sorts in memory."""

    def __call__(self, edges: Iterable[Triplets], n_points: int) -> Iterator[Block]:
        """Yield all rows in order."""
        pieces = list(edges)
        if not pieces:
            return from_arrays(np.zeros(n_points + 1, np.int64), np.empty(0, np.int32), np.empty(0), n_points)
        rows, columns, s = map(np.concatenate, zip(*pieces, strict=True))
        del pieces
        coo = scipy.sparse.coo_array((s, (rows, columns)), shape=(n_points, n_points))
        # Otherwise scipy would add duplicates up.
        coo.has_canonical_format = True
        csr = coo.tocsr()
        return from_arrays(np.asarray(csr.indptr, np.int64), csr.indices, csr.data, n_points)


@dataclass(frozen=True, slots=True, eq=False)
class DiskSorter:
    """Sorts on disk.

    Attributes
    ----------
    database : Database
    dtype : dtype
        Of the similarities.
    """

    database: Database
    dtype: np.dtype[Any]

    def __call__(self, edges: Iterable[Triplets], n_points: int) -> Iterator[Block]:
        """Yield all rows in order."""
        table = self.database.store(("r", "c", "s"), edges, (np.int32, np.int32, self.dtype))
        return rows_of(self.database.arrays(f"SELECT r, c, s FROM {table} ORDER BY r"), n_points)


def rows_of(batches: Iterable[list[NDArray[Any]]], n_points: int) -> Iterator[Block]:
    """Make row blocks of edges that come by ascending row, in batches that may end within a row."""
    row = 0
    rest = [np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)]
    for batch in batches:
        edges = [np.concatenate(pair) if len(pair[0]) else pair[1] for pair in zip(rest, batch, strict=True)]
        last = int(edges[0][-1])
        whole = int(np.searchsorted(edges[0], last))
        if last > row:
            yield _rows(row, last, n_points, [part[:whole] for part in edges])
        row, rest = last, [part[whole:].copy() for part in edges]
    if row < n_points:
        yield _rows(row, n_points, n_points, rest)


def _rows(start: int, stop: int, n_points: int, edges: list[NDArray[Any]]) -> Block:
    rows, columns, s = edges
    if (rows[1:] < rows[:-1]).any() or (len(rows) and not start <= rows[0] <= rows[-1] < stop):
        raise RuntimeError(
            "The database did not keep to the order it was asked for; its version may be at fault."
        )
    indptr = np.zeros(stop - start + 1, np.int64)
    np.cumsum(np.bincount(rows - start, minlength=stop - start), out=indptr[1:])
    return Block(RowCut(start, stop), n_points, indptr, columns, s)
