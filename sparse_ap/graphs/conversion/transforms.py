"""Transforms of a graph while it is written: fewer edges, symmetric edges, another order of points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import is_finite, require, require_count
from sparse_ap.errors import InvalidInputError, MemoryLimitError
from sparse_ap.graphs.conversion.database import IN_FLIGHT, Database
from sparse_ap.graphs.conversion.row_blocks import (
    RowBlocks,
    above,
    checked_canonical,
    cuts,
    from_arrays,
    largest,
)
from sparse_ap.kernels.block import Block, FloatArray, Int32Array, RowCut, starts_of
from sparse_ap.storage.csr import inverse, locality_order
from sparse_ap.storage.store import Origin
from sparse_ap.storage.zarr_groups import open_sparse
from sparse_ap.storage.zarr_writer import write_csr

__all__ = [
    "Scratch",
    "TransformOptions",
    "Triplets",
    "mirrored",
    "reshaped",
    "rows_of",
    "sorted_graph",
    "transposed",
    "triplets",
]

# Bytes per edge: triplets, their concatenation, and the sorted copy, in float64.
_BYTES_AN_EDGE_SORTED = 64


@dataclass(frozen=True, slots=True, eq=False)
class TransformOptions:
    """The transforms of a graph: options of `write_graph`, whose ``min_similarity`` is ``floor`` here."""

    floor: float | None
    symmetrise: bool
    top_k: int | None
    order: Any

    def __post_init__(self) -> None:
        finite = self.floor is None or is_finite(self.floor)
        require("min_similarity", self.floor, finite, "a finite number, or None")
        require_count("top_k", self.top_k, or_none=True)
        known = not isinstance(self.order, str) or self.order == "rcm"
        require("order", self.order, known, "'rcm', or an array of point numbers")


class Scratch:
    """The memory and the disk space for temporary data."""

    def __init__(self, memory_limit: int, dtype: np.dtype[Any]) -> None:
        self.memory_limit, self.dtype = memory_limit, dtype
        self._database: Database | None = None

    def use(self, scratch: Path, held: ExitStack) -> None:
        """Set the folder for temporary files, and the stack that closes them."""
        self.scratch, self.held = scratch, held

    def database(self) -> Database:
        """Return the database, which is opened when it is first needed."""
        if self._database is None:
            self._database = self.held.enter_context(Database(self.scratch, self.memory_limit))
        return self._database

    def sorted(self, edges: Iterable[Triplets], n_points: int, n_edges: int | None) -> Iterator[Block]:
        """Return edges as blocks of all rows, in order; sorted in memory if that fits into the limit.

        Duplicates stay, in any order within a row. The arrays of the edges must not change until all rows are
        yielded.

        Parameters
        ----------
        edges : iterable of Triplets
        n_points : int
        n_edges : int or None
            An upper bound, if there is one.
        """
        if n_edges is not None and self._database is None and self.fits(n_edges):
            return _sorted_in_memory(edges, n_points)
        database = self.database()
        table = database.store(("r", "c", "s"), edges, (np.int32, np.int32, self.dtype))
        return rows_of(database.arrays(f"SELECT r, c, s FROM {table} ORDER BY r"), n_points)

    def fits(self, n_edges: int) -> bool:
        """Return whether so many edges can be sorted in memory."""
        return self.left() >= n_edges * _BYTES_AN_EDGE_SORTED

    def left(self) -> int:
        """Return the bytes that the process may still allocate."""
        return self.memory_limit - int(psutil.Process().memory_info().rss) - IN_FLIGHT


def reshaped(graph: RowBlocks, options: TransformOptions, scratch: Scratch) -> RowBlocks:
    """Apply the transforms to a graph in canonical blocks."""
    # The documented order of the options: top_k counts the edges after symmetrisation.
    if options.floor is not None:
        graph = _without_low(graph, options.floor)
    if options.symmetrise:
        n_edges = None if graph.n_edges is None else 2 * graph.n_edges
        graph = sorted_graph(graph, mirrored(triplets(graph.blocks)), n_edges, scratch)
        # Rows may be full now.
        graph = graph.changed(lambda block: block)
    if options.top_k is not None:
        k = int(options.top_k)
        n_edges = graph.n_points * k if graph.n_edges is None else min(graph.n_edges, graph.n_points * k)
        graph = replace(graph.changed(partial(largest, k)), n_edges=n_edges)
    if options.order is not None:
        graph = _reordered(graph, options.order, scratch)
    return graph


def _without_low(graph: RowBlocks, floor: float) -> RowBlocks:
    origin = replace(graph.origin, floor=max(graph.origin.floor, float(floor)))
    return replace(graph.changed(partial(above, floor)), origin=origin)


def sorted_graph(
    graph: RowBlocks, edges: Iterable[Triplets], n_edges: int | None, scratch: Scratch
) -> RowBlocks:
    """Return a graph with the given edges, sorted into rows."""
    blocks = scratch.sorted(edges, graph.n_points, n_edges)
    return replace(graph, blocks=map(checked_canonical, blocks), n_edges=n_edges, by_columns=False)


def _reordered(graph: RowBlocks, order: Any, scratch: Scratch) -> RowBlocks:
    """Return the graph with its rows in another order; ``order`` is in the user's numbers."""
    before = graph.origin.order
    # Stored orders compose: the source may be renumbered already.
    if isinstance(order, str):
        graph, rows = _ordered_for_locality(graph, scratch)
        order = rows if before is None else before[rows]
    else:
        order = _permutation(order, graph.n_points)
        rows = order if before is None else inverse(before)[order]
    edges = _relabelled(inverse(rows), triplets(graph.blocks))
    graph = sorted_graph(graph, edges, graph.n_edges, scratch)
    return replace(graph, origin=replace(graph.origin, order=order))


def _permutation(order: Any, n_points: int) -> Int32Array:
    given = np.asarray(order)
    if given.dtype.kind not in "iu" or given.shape != (n_points,):
        raise InvalidInputError(
            f"order has dtype {given.dtype} and shape {given.shape}; the number of every point, once, is "
            f"needed: whole numbers of shape ({n_points},)."
        )
    if not np.array_equal(np.sort(given), np.arange(n_points)):
        raise InvalidInputError(
            f"order does not name each of the {n_points} points once; a permutation of 0 to {n_points - 1} "
            "is needed."
        )
    return given.astype(np.int32)


def _ordered_for_locality(graph: RowBlocks, scratch: Scratch) -> tuple[RowBlocks, Int32Array]:
    """Store the graph in scratch; return it from there, with reverse Cuthill-McKee's order."""
    folder = scratch.scratch / "unordered"
    written = write_csr(folder, graph.blocks, scratch.dtype, Origin(), n_edges=graph.n_edges)
    _require_fits(written.n_edges, written.n_points, scratch)
    store = open_sparse(folder, None).store
    again = replace(
        graph, blocks=map(checked_canonical, store.read(cuts(store.indptr))), n_edges=written.n_edges
    )
    return again, locality_order(store.indptr, np.asarray(store.indices[:]))


def _require_fits(n_edges: int, n_points: int, scratch: Scratch) -> None:
    needed = n_edges * 4 + n_points * 40
    if n_edges > np.iinfo(np.int32).max:
        raise InvalidInputError(
            f"order='rcm' takes at most {np.iinfo(np.int32).max:,} edges; the graph has {n_edges:,}. Give an "
            "order of your own, or none."
        )
    if needed > scratch.left():
        raise MemoryLimitError(
            f"order='rcm' needs {needed / 1e9:.2f} GB for the column ids of {n_edges:,} edges, but "
            f"{max(0, scratch.left()) / 1e9:.2f} GB of memory_limit are left. Raise it, give an order of "
            "your own, or none."
        )


class Triplets(NamedTuple):
    """Edges as parallel arrays, in any order."""

    rows: Int32Array
    columns: Int32Array
    similarities: FloatArray


def triplets(blocks: Iterable[Block]) -> Iterator[Triplets]:
    """Yield the edges of blocks as triplets."""
    for block in blocks:
        points = np.arange(block.rows.start, block.rows.stop, dtype=np.int32)
        yield Triplets(
            np.repeat(points, np.diff(block.indptr)), block.indices.astype(np.int32, copy=False), block.data
        )


def transposed(edges: Iterable[Triplets]) -> Iterator[Triplets]:
    """Yield triplets with rows and columns exchanged."""
    return (Triplets(columns, rows, s) for rows, columns, s in edges)


def mirrored(edges: Iterable[Triplets]) -> Iterator[Triplets]:
    """Yield every edge in both directions."""
    for rows, columns, s in edges:
        yield Triplets(rows, columns, s)
        yield Triplets(columns, rows, s)


def _relabelled(new_number: Int32Array, edges: Iterable[Triplets]) -> Iterator[Triplets]:
    """Yield triplets with new point numbers."""
    return (Triplets(new_number[rows], new_number[columns], s) for rows, columns, s in edges)


def _sorted_in_memory(edges: Iterable[Triplets], n_points: int) -> Iterator[Block]:
    pieces = list(edges)
    if not pieces:
        return from_arrays(np.zeros(n_points + 1, np.int64), np.empty(0, np.int32), np.empty(0), n_points)
    rows, columns, s = map(np.concatenate, zip(*pieces, strict=True))
    # The pieces would double the memory of the sort.
    del pieces
    coo = scipy.sparse.coo_array((s, (rows, columns)), shape=(n_points, n_points))
    # Pretended, so that scipy leaves duplicates alone instead of adding them up.
    coo.has_canonical_format = True
    csr = coo.tocsr()
    return from_arrays(np.asarray(csr.indptr, np.int64), csr.indices, csr.data, n_points)


def rows_of(batches: Iterable[list[NDArray[Any]]], n_points: int) -> Iterator[Block]:
    """Yield row blocks of edges sorted by row, which come in batches that may end within a row."""
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
    indptr = starts_of(np.bincount(rows - start, minlength=stop - start))
    return Block(RowCut(start, stop), n_points, indptr, columns, s)
