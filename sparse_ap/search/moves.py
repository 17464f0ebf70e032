"""The passes of the local search: gains of moves, and conflicts between moves.

There are three moves: **open** a point, **close** an exemplar, and **swap** an exemplar for a member of its
cluster, which closes the one and opens the other. Their gains follow from two sums for each point (as in
Resende & Werneck, European Journal of Operational Research 174, 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.assignment import RankedVectors
from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import COUNT, EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid

__all__ = [
    "ConflictPass",
    "ConflictRows",
    "ConflictVectors",
    "GainPass",
    "GainRows",
    "NearestTwoPass",
    "NearestTwoRows",
    "NearestVectors",
]


class NearestVectors(NamedTuple):
    """Vectors: the exemplar of each point; an exemplar's own number."""

    nearest: Int32Array


class GainRows(NamedTuple):
    """Rows, read: the value of each point, and its value if its exemplar were closed."""

    value: Float64Array
    fallback: Float64Array


@dataclass(frozen=True, slots=True)
class GainPass(PlainPass):
    """Add up the changes that moves would make to the values of other points.

    The first column holds, for an exemplar, the loss of its members by its closing; for any other point, the
    gain of the points with an edge to it by its opening. The second column holds the additional gain of its
    fellow members if their common exemplar were closed at the same time.
    """

    grid: Grid

    column_reductions = (EXACT_SUM, EXACT_SUM)
    reads = ("value", "fallback")

    def __call__(self, block: Block, vectors: NearestVectors, rows: GainRows, columns: Columns) -> int:
        """Add the changes along one block's edges."""
        _add_gains(
            block.rows.start, *block.csr, vectors.nearest, rows, self.grid.shift, columns[0], columns[1]
        )
        return 0


class ConflictVectors(NamedTuple):
    """Vectors: the moves proposed.

    Attributes
    ----------
    nearest : ndarray of int32, shape (n_points,)
        The exemplar of each point.
    rank : ndarray of int32, shape (n_points,)
        Rank of the best move that would open or close the point; larger is better; 0: none.
    swap : ndarray of bool, shape (n_points,)
        Whether the point's opening would close its exemplar.
    """

    nearest: Int32Array
    rank: Int32Array
    swap: BoolArray


class ConflictRows(NamedTuple):
    """Rows, read: each point's value, its value without its exemplar, and its second best exemplar."""

    value: Float64Array
    fallback: Float64Array
    second: Int32Array


@dataclass(frozen=True, slots=True)
class ConflictPass(PlainPass):
    """For each move, count the points that it touches and a better move touches too.

    A move touches the points whose exemplar or fallback it would change. Moves without conflicts touch no
    point in common, so their gains add up.
    """

    column_reductions = (COUNT,)
    reads = ("value", "fallback", "second")

    def __call__(self, block: Block, vectors: ConflictVectors, rows: ConflictRows, columns: Columns) -> int:
        """Count the conflicts at one block's points."""
        _count_conflicts(block.rows.start, *block.csr, vectors, rows, columns[0])
        return 0


@kernel
def _add_gains(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    nearest: Any,
    rows: Any,
    shift: float,
    gain: Any,
    beyond: Any,
) -> None:
    for i in range(len(rows.value)):
        own, value, fallback = nearest[start + i], rows.value[i], rows.fallback[i]
        if own == start + i:
            value = np.inf  # an exemplar stays one, whichever point opens
        else:
            gain[own] += on_grid(value - fallback, shift)
        # Edges up to the smaller of both values change nothing: most edges are skipped here.
        least = min(value, fallback)
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            s = np.float64(data[edge])
            if s <= least:
                continue
            k = indices[edge]
            if nearest[k] == k or k == start + i:
                continue
            if s > value:
                gain[k] += on_grid(s - value, shift)
            if nearest[k] == own and s > fallback:
                beyond[k] += on_grid(min(s, value) - fallback, shift)


@kernel
def _count_conflicts(
    start: int, indptr: Any, indices: Any, data: Any, moves: Any, rows: Any, n_conflicts: Any
) -> None:
    nearest, rank, swap = moves.nearest, moves.rank, moves.swap
    for i in range(len(rows.value)):
        own, second = nearest[start + i], rows.second[i]
        opening = np.inf if own == start + i else rows.value[i]
        least = min(opening, rows.fallback[i])
        # First reading of the row: the best of all moves that touch point i.
        best = max(rank[start + i], rank[own])
        if second >= 0:
            best = max(best, rank[second])
        first_edge, last_edge = indptr[i] - indptr[0], indptr[i + 1] - indptr[0]
        for edge in range(first_edge, last_edge):
            s, k = data[edge], indices[edge]
            if s > least and rank[k] > best and _touches(k, s, own, opening, nearest, swap):
                best = rank[k]
        if best == 0:
            continue
        # Second reading of the row: every other move that touches i has a conflict here.
        for k in (np.int64(start + i), np.int64(own), np.int64(second)):
            if k >= 0 and 0 < rank[k] < best:
                n_conflicts[k] += 1
        for edge in range(first_edge, last_edge):
            s, k = data[edge], indices[edge]
            if s > least and 0 < rank[k] < best and _touches(k, s, own, opening, nearest, swap):
                n_conflicts[k] += 1


@helper
def _touches(k: int, s: float, own: int, opening: float, nearest: Any, swap: Any) -> bool:
    """Whether the opening of k touches a point whose edge to k is above its fallback."""
    return nearest[k] != k and (s > opening or (swap[k] and nearest[k] == own))


class NearestTwoRows(NamedTuple):
    """Rows: the preference of each point (read), its nearest two exemplars and both values (written).

    Attributes
    ----------
    preference : ndarray of float64
        Read; all others are written.
    nearest : ndarray of int32
        The point's exemplar; an exemplar's own number.
    value : ndarray of float64
        The similarity to that exemplar, or the exemplar's own preference.
    second : ndarray of int32
        The second best exemplar; -1: the point has an edge to no other.
    fallback : ndarray of float64
        Value of the point if ``nearest`` were closed.
    """

    preference: Float64Array
    nearest: Int32Array
    value: Float64Array
    second: Int32Array
    fallback: Float64Array


@dataclass(frozen=True, slots=True)
class NearestTwoPass(PlainPass):
    """Assign every point to its best exemplar, among equals to the user's first, and find the second best.

    A point that no exemplar reaches, or that is better off alone, is made an exemplar.

    Attributes
    ----------
    lowest : float
        Value assigned to an exemplar that no other exemplar can represent: a lower bound of all similarities
        and preferences.
    """

    lowest: float

    reads = ("preference",)
    writes = ("nearest", "value", "second", "fallback")

    def __call__(self, block: Block, vectors: RankedVectors, rows: NearestTwoRows, columns: Columns) -> int:
        """Write the nearest two exemplars of one block's points."""
        _find_nearest_two(block.rows.start, *block.csr, *vectors, rows, self.lowest)
        return 0


@kernel
def _find_nearest_two(
    start: int, indptr: Any, indices: Any, data: Any, exemplar: Any, user_id: Any, rows: Any, lowest: float
) -> None:
    for i in range(len(rows.nearest)):
        nearest, second = np.int32(-1), np.int32(-1)
        value, fallback = -np.inf, -np.inf
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if not exemplar[k] or k == start + i:
                continue
            s = np.float64(data[edge])
            # Ties by the user's numbers: the nearest two do not depend on the order of points and edges.
            if s > value or (s == value and user_id[k] < user_id[nearest]):
                nearest, value, second, fallback = k, s, nearest, value
            elif s > fallback or (s == fallback and user_id[k] < user_id[second]):
                second, fallback = k, s
        alone = rows.preference[i]
        if exemplar[start + i] or value < alone:
            nearest, value, second, fallback = np.int32(start + i), alone, nearest, max(value, lowest)
        else:
            fallback = max(fallback, alone)
        rows.nearest[i], rows.value[i], rows.second[i], rows.fallback[i] = nearest, value, second, fallback
