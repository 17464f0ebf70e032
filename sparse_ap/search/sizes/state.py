"""The edges of a graph both ways, the members of its clusters, and the one step that all moves consist of.

Everything is in the user's order, and every row of edges is ascending. So no step depends on the store that
the edges come from, on threads, or on the order in which a run has kept the points.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.search.cover_bound import parts_of

__all__ = [
    "BEGIN",
    "HEAD",
    "LEAST",
    "MOST",
    "NOBODY",
    "N_MISFITS",
    "N_NEAR",
    "N_RECORDED",
    "N_WAITING",
    "ROUNDING",
    "TOTAL",
    "Clusters",
    "Graph",
    "allowed",
    "best_other",
    "is_misfit",
    "move",
    "undo",
]

# Places in the counts and in the amounts of `Clusters`.
N_RECORDED, N_MISFITS, LEAST, MOST, BEGIN, HEAD, N_WAITING, N_NEAR = range(8)
TOTAL, NOBODY, ROUNDING = range(3)


class Graph(NamedTuple):
    """A graph and its points.

    Attributes
    ----------
    starts, columns, similarity : ndarray
        The edges from each point.
    in_starts, rows, in_similarity : ndarray
        The edges to each point.
    weight : ndarray of float64, shape (n_points,)
    preference : ndarray of float64, shape (n_points,)
    may, must : ndarray of bool, shape (n_points,)
        Whether each point may be an exemplar, and must be one.
    """

    starts: Int64Array
    columns: Int32Array
    similarity: Float64Array
    in_starts: Int64Array
    rows: Int32Array
    in_similarity: Float64Array
    weight: Float64Array
    preference: Float64Array
    may: BoolArray
    must: BoolArray

    @classmethod
    def of(cls, blocks: list[Block], user_id: Int32Array, *points: Any) -> Self:
        """Return a graph from blocks of its rows, which are released, and the user's number of each row.

        Edges are turned round until all are ascending, 24 bytes each at a time.
        """
        outgoing = _turned(_gathered(blocks, user_id))
        return cls(*outgoing, *_turned(outgoing), *points)

    def components(self) -> Int64Array:
        """Return the number of the component of each point."""
        return parts_of(self.starts, self.columns)[1]

    def to(self, chosen: Int32Array) -> Float64Array:
        """Return each point's similarity to the one chosen for it; 0 to itself, NaN where there is none."""
        similarity = np.where(chosen == np.arange(len(chosen)), 0.0, np.nan)
        edge = np.flatnonzero(self.columns == chosen.repeat(np.diff(self.starts)))
        similarity[np.searchsorted(self.starts, edge, "right") - 1] = self.similarity[edge]
        return similarity


_Edges = tuple[Int64Array, Int32Array, Float64Array]


def _gathered(blocks: list[Block], user_id: Int32Array) -> _Edges:
    """Return the edges to each point, in the user's numbers, in any order; the blocks are released."""
    degree = np.zeros(len(user_id), np.int64)
    for block in blocks:
        degree += np.bincount(block.indices, minlength=len(degree))
    by_user = np.empty_like(degree)
    by_user[user_id] = degree
    found = _room_for(by_user)
    to = found[0][:-1].copy()
    while blocks:
        block = blocks.pop()
        edges = block.indptr - block.indptr[0], block.indices, block.data.astype(np.float64)
        _turn(*edges, block.rows.of(user_id), user_id, to, *found[1:])
    return found


def _turned(edges: _Edges) -> _Edges:
    """Return the edges turned round, ascending."""
    starts, columns, similarity = edges
    numbers = np.arange(len(starts) - 1, dtype=np.int32)
    found = _room_for(np.bincount(columns, minlength=len(numbers)))
    _turn(starts, columns, similarity, numbers, numbers, found[0][:-1].copy(), *found[1:])
    return found


def _room_for(degree: Int64Array) -> _Edges:
    starts = starts_of(degree)
    return starts, np.empty(starts[-1], np.int32), np.empty(starts[-1])


@kernel
def _turn(
    starts: Any, columns: Any, similarity: Any, row: Any, number: Any, to: Any, rows: Any, turned: Any
) -> None:
    """Append each edge to those of its column; ``row`` and ``number`` are the numbers of rows and columns."""
    for i in range(len(row)):
        for edge in range(starts[i], starts[i + 1]):
            k = number[columns[edge]]
            rows[to[k]], turned[to[k]] = row[i], similarity[edge]
            to[k] += 1


class Clusters(NamedTuple):
    """Who represents whom, as lists of members that change one by one; and a record of the changes.

    Attributes
    ----------
    chosen : ndarray of int32, shape (n_points,)
        The exemplar of each point; -1: nobody represents it.
    value : ndarray of float64, shape (n_points,)
        What each point adds to the net similarity.
    other : ndarray of float64, shape (n_points,)
        What the members of a cluster would add elsewhere, for the one that is looked at.
    size : ndarray of int32, shape (n_points,)
        Members of each exemplar's cluster, itself counted; 0 for other points.
    first, after, before : ndarray of int32, shape (n_points,)
        The lists of members.
    waiting : ndarray of bool, shape (n_points,)
        Points near a change, whose moves are to be tried.
    point, was, worth : ndarray
        The record: which point moved, from which exemplar, and its value there.
    queue : ndarray of int32, shape (n_points,)
        The points that wait, as a ring.
    counts : ndarray of int64, shape (8,)
        Length of the record; misfits: points in clusters that are too small, and in none; fewest and most
        members of a cluster; where in the record the present change begins; the place of the next point in
        the queue, and how many wait; misfits with an edge to the point that is looked at.
    amounts : ndarray of float64, shape (3,)
        The net similarity; the value of points that nobody represents; and gains that may be rounding errors.
    keys, room : ndarray
        Memory in which the edges to any point, or the members of a cluster, can be sorted.
    """

    chosen: Int32Array
    value: Float64Array
    other: Float64Array
    size: Int32Array
    first: Int32Array
    after: Int32Array
    before: Int32Array
    waiting: BoolArray
    queue: Int32Array
    point: Int32Array
    was: Int32Array
    worth: Float64Array
    counts: Int64Array
    amounts: Float64Array
    keys: Float64Array
    room: Int64Array

    @classmethod
    def of(cls, graph: Graph, chosen: Int32Array, lost: BoolArray, least: int, most: int) -> Self:
        """Return the clusters in which each point has the exemplar chosen for it.

        Points that are lost have no edges, and are no misfits.
        """
        n = len(chosen)
        value = np.where(chosen == np.arange(n), graph.preference, graph.weight * graph.to(chosen))
        ends = np.r_[graph.preference[graph.may], value[chosen >= 0]]
        floor = float(
            min(ends.min(initial=0.0), (graph.weight.max(initial=1.0)) * graph.similarity.min(initial=0.0))
        )
        span = float(max(abs(ends).max(initial=0.0), abs(floor)))
        value[chosen < 0] = floor - span
        size = np.bincount(chosen[chosen >= 0], minlength=n).astype(np.int32)
        n_misfits = int(size[(size < least)].sum()) + int(np.count_nonzero((chosen < 0) & ~lost))
        longest = max(int(np.diff(graph.in_starts).max(initial=0)), int(size.max(initial=0))) + 1
        first, after, before = _lists(chosen)
        counts = np.array([0, n_misfits, least, most, 0, 0, n, 0], np.int64)
        amounts = np.array([0.0, floor - span, 1e-12 * span])
        # Half of it is left at the begin of a visit, which makes at most 4 n + 55 moves.
        points, room = np.arange(n, dtype=np.int32), 8 * n + 256
        return cls(
            chosen, value, np.empty(n), size, first, after, before, np.ones(n, np.bool_), points,
            np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room), counts, amounts,
            np.empty(longest), np.empty((2, longest), np.int64),
        )  # fmt: skip


def _lists(chosen: Int32Array) -> tuple[Int32Array, Int32Array, Int32Array]:
    """Return the first member of each cluster, and the members after and before each point; -1: none."""
    n = len(chosen)
    first, after, before = np.full((3, n), -1, np.int32)
    order = np.argsort(chosen, kind="stable").astype(np.int32)
    order = order[np.count_nonzero(chosen < 0) :]
    new = np.diff(chosen[order], prepend=-1) != 0
    first[chosen[order[new]]] = order[new]
    inner = np.flatnonzero(~new)
    before[order[inner]], after[order[inner - 1]] = order[inner - 1], order[inner]
    return first, after, before


@helper
def is_misfit(clusters: Any, i: int) -> bool:
    """Whether a point is in a cluster that is too small, or in none."""
    k = clusters.chosen[i]
    return bool(k < 0 or clusters.size[k] < clusters.counts[LEAST])


@helper
def misfits(size: int, least: int) -> int:
    """Return how many points a cluster of this size leaves without one that is large enough."""
    return size if size < least else 0


@helper
def move(clusters: Any, i: int, k: int, value: float) -> None:
    """Give point i another exemplar, or itself, or none (-1); record where it was."""
    counts, size, old = clusters.counts, clusters.size, clusters.chosen[i]
    least, at = counts[LEAST], counts[N_RECORDED]
    clusters.point[at], clusters.was[at], clusters.worth[at] = i, old, clusters.value[i]
    counts[N_RECORDED] += 1
    if old < 0:
        counts[N_MISFITS] -= 1
    else:
        counts[N_MISFITS] -= misfits(size[old], least)
        size[old] -= 1
        counts[N_MISFITS] += misfits(size[old], least)
        after, before = clusters.after[i], clusters.before[i]
        if before < 0:
            clusters.first[old] = after
        else:
            clusters.after[before] = after
        if after >= 0:
            clusters.before[after] = before
    if k < 0:
        counts[N_MISFITS] += 1
    else:
        counts[N_MISFITS] -= misfits(size[k], least)
        size[k] += 1
        counts[N_MISFITS] += misfits(size[k], least)
        after = clusters.first[k]
        clusters.after[i], clusters.before[i], clusters.first[k] = after, -1, i
        if after >= 0:
            clusters.before[after] = i
    clusters.amounts[TOTAL] += value - clusters.value[i]
    clusters.chosen[i], clusters.value[i] = k, value


@helper
def undo(clusters: Any, mark: int, total: float) -> None:
    """Take back all moves since the record had the length ``mark``."""
    for at in range(clusters.counts[N_RECORDED] - 1, mark - 1, -1):
        move(clusters, clusters.point[at], clusters.was[at], clusters.worth[at])
        clusters.counts[N_RECORDED] = at
    clusters.amounts[TOTAL] = total


@helper
def allowed(clusters: Any, i: int) -> bool:
    """Whether point i can leave its cluster without making it too small."""
    k, least = clusters.chosen[i], clusters.counts[LEAST]
    return bool(k < 0 or least == 1 or clusters.size[k] != least)


@helper
def best_other(graph: Any, clusters: Any, i: int, without: int, most: int) -> Any:
    """Return the best exemplar for a point, but for one, with fewer than ``most`` members, and the value.

    Clusters that are, or become, large enough come first; the point itself is one of the choices.
    """
    least = clusters.counts[LEAST]
    best, value, fits = -1, clusters.amounts[NOBODY], False
    if graph.may[i] and i != without and clusters.size[i] < most:
        best, value, fits = i, graph.preference[i], clusters.size[i] + 1 >= least
    for edge in range(graph.starts[i], graph.starts[i + 1]):
        k = graph.columns[edge]
        if clusters.chosen[k] != k or k == without or clusters.size[k] >= most:
            continue
        fits_there, there = clusters.size[k] + 1 >= least, graph.weight[i] * graph.similarity[edge]
        if fits_there > fits or (fits_there == fits and there > value):
            best, value, fits = k, there, fits_there
    return best, value
