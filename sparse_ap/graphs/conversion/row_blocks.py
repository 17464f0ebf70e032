"""`RowBlocks`: a graph as an iterator of row blocks, and operations on one block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.distances import Similarity, similarities_between
from sparse_ap.graphs.edges import largest_of_rows
from sparse_ap.graphs.missing_edges import KNNGraph, largest_dropped
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.kernels.block import Block, FloatArray, Int64Array, RowCut, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.rows import canonical_block
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.masks import array_of
from sparse_ap.storage.store import Origin
from sparse_ap.storage.validation import as_float, as_ids, require_ids

__all__ = [
    "RowBlocks",
    "above",
    "checked_canonical",
    "converted",
    "cuts",
    "from_arrays",
    "from_pieces",
    "largest",
    "narrowed",
]

# Edges per block; rows are never divided.
_EDGES_AT_A_TIME = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class RowBlocks:
    """A graph on its way from a source to the disk.

    Attributes
    ----------
    n_points : int
    blocks : iterator of Block
        All rows once, in order, with the user's entries; with ``by_columns``, all columns.
    n_edges : int or None
        Number of entries, or an upper bound; None if unknown.
    by_columns : bool
        Whether the blocks are columns (CSC).
    origin : Origin
        Earlier renumbering of the points, and edges left out earlier.
    ids : iterable of arrays of str, or None
        The user's names of the points.
    recall : Recall or None
        Of the search that the graph comes from.
    missing : ndarray, shape (n_points,), or None
        The largest similarity that a missing edge of each point can have, in the user's order; raised as the
        blocks are read.
    """

    n_points: int
    blocks: Iterator[Block]
    n_edges: int | None = None
    by_columns: bool = False
    origin: Origin = field(default_factory=Origin)
    ids: Iterable[NDArray[Any]] | None = None
    recall: Recall | None = None
    missing: FloatArray | None = None

    def changed(self, change: Callable[[Block], Block]) -> RowBlocks:
        """Return the graph with some edges dropped, or its rows completed before, from canonical blocks."""
        return replace(self, blocks=self._changed(change))

    def _changed(self, change: Callable[[Block], Block]) -> Iterator[Block]:
        for block in self.blocks:
            after = change(block)
            if self.missing is not None:
                order = self.origin.order
                rows = block.rows
                points = np.arange(rows.start, rows.stop) if order is None else rows.of(order)
                dropped = largest_dropped(*block.csr, after.indptr, after.indices)
                bound = np.maximum(self.missing[points], dropped)
                bound[np.diff(after.indptr) == self.n_points - 1] = -np.inf
                self.missing[points] = bound
            yield after


def cuts(indptr: Int64Array) -> Iterator[RowCut]:
    """Yield ranges of rows with a million edges each, or up to one row more."""
    row, n_rows = 0, len(indptr) - 1
    while row < n_rows:
        end = int(np.searchsorted(indptr, indptr[row] + _EDGES_AT_A_TIME))
        # A row with more edges than a block forms a block of its own.
        end = min(max(end, row + 1), n_rows)
        yield RowCut(row, end)
        row = end


def narrowed(narrowing: Narrowing, block: Block) -> Block:
    """Return a block with similarities of the graph's dtype."""
    return replace(block, data=narrowing(block.data).astype(narrowing.dtype, copy=False))


def converted(similarity: Similarity, block: Block) -> Block:
    """Return a block with its distances converted to similarities."""
    begin = block.indptr - block.indptr[0]
    shape = (len(begin) - 1, block.n_points)
    # scipy checks only that ids fit their dtype; the conversion checks the columns.
    rows = scipy.sparse.csr_array((block.data, block.indices, begin), shape=shape)
    rows = similarities_between(rows, similarity)
    return replace(
        block, indptr=rows.indptr.astype(np.int64), indices=rows.indices.astype(np.int32), data=rows.data
    )


def checked_canonical(block: Block) -> Block:
    """Return a checked, canonical copy of a block.

    The diagonal and -inf are dropped, the largest of duplicates is kept, and columns are sorted.

    Returns
    -------
    Block
        A copy; its ``indptr`` begins at 0.

    Raises
    ------
    InvalidInputError
        A column id is not a point's, or a similarity off the diagonal is NaN or +inf.
    """
    require_ids("Column", block.indices, block.n_points)
    # Most inputs are canonical already: sorting them again would dominate the time.
    if _is_canonical(block.rows.start, *block.csr):
        begin = block.indptr - block.indptr[0]
        return replace(block, indptr=begin, indices=block.indices.copy(), data=block.data.copy())
    wrong = np.flatnonzero(~(block.data < np.inf))
    if len(wrong):
        rows = np.searchsorted(block.indptr, wrong + block.indptr[0], side="right") - 1 + block.rows.start
        _require_diagonal(rows, block.indices[wrong], block.data[wrong])
    return canonical_block(block)


@kernel
def _is_canonical(start: int, indptr: Any, indices: Any, data: Any) -> bool:
    for row in range(len(indptr) - 1):
        before = -1
        for edge in range(indptr[row] - indptr[0], indptr[row + 1] - indptr[0]):
            finite = -np.inf < data[edge] < np.inf
            if indices[edge] <= before or indices[edge] == start + row or not finite:
                return False
            before = indices[edge]
    return True


def _require_diagonal(rows: Int64Array, columns: NDArray[Any], values: FloatArray) -> None:
    off = np.flatnonzero(rows != columns)
    if len(off):
        raise InvalidInputError(
            f"{len(off)} similarities in rows {rows[0]} to {rows[-1]} are NaN or +inf; the first is "
            f"{values[off[0]]}, of row {rows[off[0]]}, column {columns[off[0]]}. Finite numbers are needed, "
            "or -inf for no edge."
        )


def above(floor: float, block: Block) -> Block:
    """Return a canonical block without the edges of similarity ``floor`` or less."""
    kept = block.data > floor
    return replace(
        block, indptr=starts_of(kept)[block.indptr], indices=block.indices[kept], data=block.data[kept]
    )


def largest(k: int, block: Block) -> Block:
    """Return a canonical block with the ``k`` largest similarities of each row."""
    indptr, indices, data = largest_of_rows(*block.csr, k)
    return replace(block, indptr=indptr, indices=indices, data=data)


def from_arrays(indptr: Int64Array, indices: Any, data: Any, n_points: int) -> Iterator[Block]:
    """Yield blocks from any arrays that can be sliced: in memory, memory-mapped, or in an HDF5 file."""
    for cut in cuts(indptr):
        begin = indptr[cut.start : cut.stop + 1]
        edges = slice(int(begin[0]), int(begin[-1]))
        yield _block(cut.start, n_points, begin, np.asarray(indices[edges]), np.asarray(data[edges]))


def _block(row: int, n_points: int, begin: Int64Array, indices: NDArray[Any], data: NDArray[Any]) -> Block:
    if len(indices) and (indices.dtype.kind not in "iu" or indices.ndim != 1):
        raise InvalidInputError(
            f"The indices of rows {row} and following have dtype {indices.dtype} and shape "
            f"{indices.shape}; whole numbers in one dimension are needed."
        )
    cut = RowCut(row, row + len(begin) - 1)
    return Block(cut, n_points, begin, as_ids(indices, n_points), as_float(data))


def from_pieces(pieces: Iterable[Any], n_points: int | None) -> RowBlocks:
    """Return row blocks from scipy sparse matrices or (degrees, indices, data), of consecutive rows.

    Raises
    ------
    InvalidInputError
        The number of points is unknown, or a piece has another type.
    """
    rest = iter(pieces)
    first = next(rest, None)
    if first is None:
        raise InvalidInputError("There are no row blocks; at least one is needed.")
    if n_points is None:
        if not scipy.sparse.issparse(first):
            raise InvalidInputError(
                "Row blocks of (degrees, indices, data) do not say how many points there are: give n_points."
            )
        n_points = first.shape[1]
    # The first piece speaks for all.
    recall = first.recall if isinstance(first, KNNGraph) else None
    return RowBlocks(n_points, _piece_by_piece(chain([first], rest), n_points), recall=recall)


def _piece_by_piece(pieces: Iterable[Any], n_points: int) -> Iterator[Block]:
    row = 0
    for number, piece in enumerate(pieces):
        begin, indices, data = _arrays_of(piece, number, n_points)
        end = row + len(begin) - 1
        if end > n_points:
            raise InvalidInputError(
                f"Row block {number} ends at row {end}, but the graph has {n_points} points."
            )
        if end > row:
            yield _block(row, n_points, begin, indices, data)
        row = end
    if row < n_points:
        raise InvalidInputError(
            f"The row blocks have {row} rows, but the graph has {n_points} points. Points without edges need "
            "rows too, of degree 0."
        )


def _arrays_of(piece: Any, number: int, n_points: int) -> tuple[Int64Array, NDArray[Any], NDArray[Any]]:
    if scipy.sparse.issparse(piece):
        if piece.shape[1] != n_points:
            raise InvalidInputError(
                f"Row block {number} has {piece.shape[1]} columns, but the graph has {n_points} points."
            )
        csr = csr_of(piece)
        return np.asarray(csr.indptr, np.int64), csr.indices[: csr.indptr[-1]], csr.data[: csr.indptr[-1]]
    try:
        degrees, indices, data = map(array_of, piece)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"Row block {number} is a {type(piece).__name__}; a scipy sparse matrix, or three arrays "
            "(degrees, indices, data), are needed."
        ) from error
    if not degrees.ndim == indices.ndim == data.ndim == 1:
        raise InvalidInputError(
            f"Row block {number} is {piece!r:.60}; three arrays (degrees, indices, data) are needed. Edges "
            "(i, k, similarity) make a matrix: i, k, s = zip(*edges); scipy.sparse.coo_array((s, (i, k)), "
            "shape=(n_points, n_points)). Too many for memory: write them to a file, one a line."
        )
    if degrees.dtype.kind not in "iu" or degrees.min(initial=0) < 0:
        raise InvalidInputError(f"The degrees of row block {number} must be whole numbers from 0.")
    if not degrees.sum() == len(indices) == len(data):
        raise InvalidInputError(
            f"In row block {number} the degrees add up to {degrees.sum()}, but there are {len(indices)} "
            f"indices and {len(data)} similarities."
        )
    # A mask on the degrees would leave it open how long a row is: as is, the numbers count.
    indptr = starts_of(np.asarray(degrees))
    masked = np.ma.getmaskarray(indices) | np.ma.getmaskarray(data)
    if not masked.any():
        return indptr, np.asarray(indices), np.asarray(data)
    return starts_of(~masked)[indptr], np.asarray(indices)[~masked], np.asarray(data)[~masked]
