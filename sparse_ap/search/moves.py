"""Passes of the local search: what moves would gain, and which may go together.

Three moves are known (Resende & Werneck, Eur. J. Oper. Res. 174, 2006, keep the same sums): **open** a
point, **close** an exemplar, and **swap** an exemplar for a member of its cluster, which closes the one and
opens the other.
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
    """The exemplar of each point; its own number where it is one."""

    nearest: Int32Array


class GainRows(NamedTuple):
    """Read: what each point has, and would have without its exemplar."""

    value: Float64Array
    fallback: Float64Array


@dataclass(frozen=True, slots=True)
class GainPass(PlainPass):
    """Add up what moves would change for the points they reach.

    The first column is, for an exemplar, what its members would lose by its closing; for any other point
    what the points with an edge to it would gain by its opening. The second is what they would gain beyond
    that if their common exemplar were closed at the same time.
    """

    grid: Grid

    column_reductions = (EXACT_SUM, EXACT_SUM)
    reads = ("value", "fallback")

    def __call__(self, block: Block, vectors: NearestVectors, rows: GainRows, columns: Columns) -> int:
        """Add one block's edges."""
        _add_gains(
            block.rows.start, *block.csr, vectors.nearest, rows, self.grid.shift, columns[0], columns[1]
        )
        return 0


class ConflictVectors(NamedTuple):
    """The moves proposed.

    Attributes
    ----------
    nearest : ndarray of int32, shape (n_points,)
        The exemplar of each point.
    rank : ndarray of int32, shape (n_points,)
        Of the best move that would open or close the point; the largest is the best move of all; 0: none.
    swap : ndarray of bool, shape (n_points,)
        Whether the point's opening would close its exemplar.
    """

    nearest: Int32Array
    rank: Int32Array
    swap: BoolArray


class ConflictRows(NamedTuple):
    """Read: what each point has, and would have without its exemplar; and its second best exemplar."""

    value: Float64Array
    fallback: Float64Array
    second: Int32Array


@dataclass(frozen=True, slots=True)
class ConflictPass(PlainPass):
    """For each move, count the points it touches that a better move touches too.

    A move touches the points whose exemplar, or whose fallback, it would change. Moves without conflicts
    touch no point in common, so that their gains add up.
    """

    column_reductions = (COUNT,)
    reads = ("value", "fallback", "second")

    def __call__(self, block: Block, vectors: ConflictVectors, rows: ConflictRows, columns: Columns) -> int:
        """Count one block's points."""
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
            value = np.inf  # stays an exemplar, whoever opens
        else:
            gain[own] += on_grid(value - fallback, shift)
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
        for k in (np.int64(start + i), np.int64(own), np.int64(second)):
            if k >= 0 and 0 < rank[k] < best:
                n_conflicts[k] += 1
        for edge in range(first_edge, last_edge):
            s, k = data[edge], indices[edge]
            if s > least and 0 < rank[k] < best and _touches(k, s, own, opening, nearest, swap):
                n_conflicts[k] += 1


@helper
def _touches(k: int, s: float, own: int, opening: float, nearest: Any, swap: Any) -> bool:
    """Whether a point with an edge to k, above its fallback, is touched by the opening of k."""
    return nearest[k] != k and (s > opening or (swap[k] and nearest[k] == own))


class NearestTwoRows(NamedTuple):
    """What each point has.

    Attributes
    ----------
    preference : ndarray of float64
        Read.
    nearest : ndarray of int32
        Its exemplar; itself where it is one.
    value : ndarray of float64
        The similarity to that, or its own preference.
    second : ndarray of int32
        The next best exemplar, -1: it has an edge to no other.
    fallback : ndarray of float64
        What it would have without ``nearest``: at least that.
    """

    preference: Float64Array
    nearest: Int32Array
    value: Float64Array
    second: Int32Array
    fallback: Float64Array


@dataclass(frozen=True, slots=True)
class NearestTwoPass(PlainPass):
    """Give every point to its best exemplar, among equals to the user's first, and note the second best.

    A point that no exemplar reaches, or that is better off alone, is made an exemplar.

    Attributes
    ----------
    lowest : float
        What an exemplar falls back on that has an edge to no other: no similarity and no preference is
        below it.
    """

    lowest: float

    reads = ("preference",)
    writes = ("nearest", "value", "second", "fallback")

    def __call__(self, block: Block, vectors: RankedVectors, rows: NearestTwoRows, columns: Columns) -> int:
        """Do so for one block's points."""
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
