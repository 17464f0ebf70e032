"""Descent by single moves along lists of edges: open a candidate, close an exemplar, or exchange the two.

What each move would gain is kept, and changed only where a point gets other exemplars (Resende & Werneck,
European Journal of Operational Research 174, 2006). All sums are on a grid, so that what is added and later
taken away leaves nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array, Int64Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.exact_sum import Grid, grid_sum, on_grid
from sparse_ap.search.edge_lists import EdgeLists

__all__ = ["DescentState", "places"]

#: Number of sums that the search for the best exemplar to close handles at a time.
_ABREAST = 4


def places(n_exemplars: int) -> int:
    """Return the number of exemplars for which there is to be room, a multiple of `_ABREAST`."""
    return (n_exemplars + n_exemplars // 4 + 16 + _ABREAST - 1) // _ABREAST * _ABREAST


class Standing(NamedTuple):
    """The nearest two exemplars of each point, and the values of both.

    Attributes
    ----------
    is_open : ndarray of bool
        Whether a point is an exemplar of others.
    nearest : ndarray of int32
        The point's exemplar; -1: the point is better off alone.
    value : ndarray of float64
        The similarity to that exemplar, or the point's preference.
    bar : ndarray of float64
        Similarity that another exemplar must exceed to win the point: ``value``; +inf for an exemplar.
    fallback : ndarray of float64
        Value of the point if ``nearest`` were closed.
    """

    is_open: BoolArray
    nearest: Int32Array
    value: Float64Array
    bar: Float64Array
    fallback: Float64Array


class Gains(NamedTuple):
    """What moves would gain.

    Attributes
    ----------
    won : ndarray of float64, shape (n_points,)
        What others gain where a point is opened.
    spared : ndarray of float64, shape (n_points, n_places)
        What the closing of each exemplar loses less where a point is opened at the same time.
    closing : ndarray of float64, shape (n_places,)
        Gain by closing each exemplar; -inf for a place without one.
    place : ndarray of int32, shape (n_points,)
        Place of each exemplar.
    at : ndarray of int32, shape (n_places,)
        Exemplar at each place; -1: none.
    doubted : ndarray of bool, shape (n_points,)
        Whose best move may have changed.
    best : ndarray of float64, shape (n_points,)
        Gain of the best move of each point, unless doubted.
    """

    won: Float64Array
    spared: Float64Array
    closing: Float64Array
    place: Int32Array
    at: Int32Array
    doubted: BoolArray
    best: Float64Array


class Room(NamedTuple):
    """Room for the points whose exemplars change, for a mark on each, and for the candidates of a move."""

    touched: Int32Array
    marked: BoolArray
    changed: Int64Array


class DescentState(NamedTuple):
    """Exemplars among the candidates, with all that their moves gain; changed in place."""

    lists: EdgeLists
    preference: Float64Array
    grid: Grid
    standing: Standing
    gains: Gains
    room: Room

    @classmethod
    def at(cls, lists: EdgeLists, preference: Float64Array, grid: Grid, is_open: BoolArray) -> Self:
        """Return the state with these exemplars."""
        n, n_places = len(is_open), places(int(np.count_nonzero(is_open)))
        place, at = np.full(n, -1, np.int32), np.full(n_places, -1, np.int32)
        opened = np.flatnonzero(is_open)
        place[opened], at[: len(opened)] = np.arange(len(opened)), opened
        closing = np.where(at >= 0, 0.0, -np.inf)
        standing = Standing(is_open.copy(), np.empty(n, np.int32), *np.empty((3, n)))
        gains = Gains(np.zeros(n), np.zeros((n, n_places)), closing, place, at, lists.may.copy(), np.zeros(n))
        room = Room(np.empty(n, np.int32), np.zeros(n, np.bool_), np.empty(2, np.int64))
        _begin(lists, preference, standing, gains, grid.shift)
        return cls(lists, preference, grid, standing, gains, room)

    @property
    def value(self) -> float:
        """The net similarity."""
        return grid_sum(self.standing.value)

    @property
    def n_free(self) -> int:
        """The number of exemplars for which there still is room."""
        return int(np.count_nonzero(self.gains.at < 0))

    def flip(self, changed: Int64Array) -> int:
        """Open or close some candidates; return the number of edges and sums seen."""
        return int(_flip(changed, *self._arrays, self.room, self.grid.shift))

    def descend(self) -> int:
        """Make the best move until none gains; return the number of edges and sums seen."""
        return int(_descend(*self._arrays, self.room, self.grid.shift, self.grid.least_gain))

    def doubt(self, everything: bool) -> None:
        """Let all moves be looked at again, or none, where none is known to gain."""
        self.gains.doubted[:] = self.lists.may if everything else False
        self.gains.best[:] = 0.0

    @property
    def _arrays(self) -> tuple[EdgeLists, Float64Array, Standing, Gains]:
        return self.lists, self.preference, self.standing, self.gains


@kernel
def _begin(lists: Any, preference: Any, standing: Any, gains: Any, shift: float) -> None:
    for i in range(len(preference)):
        _find_nearest_two(i, lists, preference, standing)
        _count(i, 1.0, lists, standing, gains, shift)


@kernel
def _flip(
    changed: Any, lists: Any, preference: Any, standing: Any, gains: Any, room: Any, shift: float
) -> Any:
    return _carry_out(changed, lists, preference, standing, gains, room, shift)


@kernel
def _descend(
    lists: Any, preference: Any, standing: Any, gains: Any, room: Any, shift: float, least: float
) -> int:
    n_seen, changed = 0, room.changed
    while True:
        most, k, n_free = least, -1, 0
        for c in range(len(gains.at)):
            n_free += gains.at[c] < 0
        for c in range(len(preference)):
            if gains.doubted[c]:
                gains.doubted[c] = False
                gains.best[c] = _gain(c, n_free, preference, standing, gains, shift)
                n_seen += len(gains.closing)
            if gains.best[c] > most:
                most, k = gains.best[c], c
        if k < 0:
            return n_seen
        # What another exemplar loses may have changed, although this point is not concerned by its members.
        gains.best[k] = _gain(k, n_free, preference, standing, gains, shift)
        if gains.best[k] == most:
            changed[0], changed[1] = k, _closed_with(k, standing, gains, shift)
            both = changed[: 2 if changed[1] >= 0 else 1]
            n_seen += _carry_out(both, lists, preference, standing, gains, room, shift)


@helper
def _gain(k: int, n_free: int, preference: Any, standing: Any, gains: Any, shift: float) -> float:
    """Return the gain of a point's best move.

    The last exemplar is never closed alone, and none opened alone without room for one more.
    """
    if standing.is_open[k]:
        return 0.0 if n_free == len(gains.at) - 1 else float(gains.closing[gains.place[k]])
    with_closing = max(_best_closing(gains.closing, gains.spared[k]), _own_closing(k, standing, gains, shift))
    if with_closing <= 0.0 and n_free < 2:
        return 0.0
    alone = gains.won[k] + on_grid(preference[k] - standing.value[k], shift)
    return float(alone + max(0.0, with_closing))


@helper
def _best_closing(closing: Any, spared: Any) -> float:
    """Return the largest gain by closing an exemplar with a point open."""
    a = b = c = d = -np.inf
    # Four at a time: none waits for the one before it.
    for i in range(0, len(closing), _ABREAST):
        a, b = max(a, closing[i] + spared[i]), max(b, closing[i + 1] + spared[i + 1])
        c, d = max(c, closing[i + 2] + spared[i + 2]), max(d, closing[i + 3] + spared[i + 3])
    return max(max(a, b), max(c, d))


@helper
def _own_closing(k: int, standing: Any, gains: Any, shift: float) -> float:
    """Return the gain by closing a point's exemplar with the point open; -inf: it has none.

    The closing gain counted the point's fallback as its value; it becomes an exemplar: the difference is
    added back.
    """
    if standing.nearest[k] < 0:
        return -np.inf
    c = gains.place[standing.nearest[k]]
    back = on_grid(standing.value[k] - standing.fallback[k], shift)
    return float(gains.closing[c] + gains.spared[k, c] + back)


@helper
def _closed_with(k: int, standing: Any, gains: Any, shift: float) -> int:
    """Return the exemplar that is closed in a point's best move; -1: none."""
    best, closed = 0.0, -1
    if standing.is_open[k]:
        return closed
    for c in range(len(gains.at)):
        if gains.closing[c] + gains.spared[k, c] > best:
            best, closed = gains.closing[c] + gains.spared[k, c], gains.at[c]
    return standing.nearest[k] if _own_closing(k, standing, gains, shift) > best else closed


@helper
def _carry_out(
    changed: Any, lists: Any, preference: Any, standing: Any, gains: Any, room: Any, shift: float
) -> int:
    """Open or close candidates, those to be opened first; count everything anew where that changes it."""
    touched, marked, n, n_seen = room.touched, room.marked, 0, 0
    for k in changed:
        if not standing.is_open[k]:
            c = 0
            while gains.at[c] >= 0:
                c += 1
            gains.place[k], gains.at[c], gains.closing[c] = c, k, 0.0
        if not marked[k]:
            marked[k] = True
            touched[n] = k
            n += 1
        for edge in range(lists.in_start[k], lists.in_start[k + 1]):
            i = lists.in_from[edge]
            if not marked[i] and lists.in_similarity[edge] >= standing.fallback[i]:
                marked[i] = True
                touched[n] = i
                n += 1
        n_seen += lists.in_start[k + 1] - lists.in_start[k]
    for t in range(n):
        n_seen += _count(touched[t], -1.0, lists, standing, gains, shift)
    for k in changed:
        standing.is_open[k] = not standing.is_open[k]
    for t in range(n):
        i = touched[t]
        marked[i] = False
        gains.doubted[i] = lists.may[i]
        _find_nearest_two(i, lists, preference, standing)
        n_seen += _count(i, 1.0, lists, standing, gains, shift)
    for k in changed:
        if not standing.is_open[k]:
            c = gains.place[k]
            gains.place[k], gains.at[c], gains.closing[c] = -1, -1, -np.inf
    return n_seen


@helper
def _find_nearest_two(i: int, lists: Any, preference: Any, standing: Any) -> None:
    alone = preference[i]
    nearest, value, fallback = -1, alone, alone
    edge, stop = lists.out_start[i], lists.out_start[i + 1]
    while edge < stop and lists.out_similarity[edge] > alone:
        k = lists.out_to[edge]
        if standing.is_open[k] and nearest >= 0:
            fallback = np.float64(lists.out_similarity[edge])
            break
        if standing.is_open[k]:
            nearest, value = k, np.float64(lists.out_similarity[edge])
        edge += 1
    if standing.is_open[i]:
        standing.nearest[i], standing.value[i] = i, alone
        standing.bar[i], standing.fallback[i] = np.inf, value
    else:
        standing.nearest[i], standing.value[i] = nearest, value
        standing.bar[i], standing.fallback[i] = value, fallback


@helper
def _count(i: int, sign: float, lists: Any, standing: Any, gains: Any, shift: float) -> Any:
    """Add what a point has to do with the gains of all moves, or take it away; doubt the moves concerned."""
    nearest, bar, fallback = standing.nearest[i], standing.bar[i], standing.fallback[i]
    c = -1
    if nearest >= 0:
        c = gains.place[nearest]
        gains.closing[c] += sign * on_grid(fallback - standing.value[i], shift)
        gains.doubted[nearest] = True
    to, similarity, spared = lists.out_to, lists.out_similarity, gains.spared
    edge, stop = lists.out_start[i], lists.out_start[i + 1]
    both = sign * on_grid(bar - fallback, shift)
    while edge < stop and similarity[edge] > bar:
        k = np.uint32(to[edge])
        gains.won[k] += sign * on_grid(np.float64(similarity[edge]) - bar, shift)
        if c >= 0:
            spared[k, c] += both
        gains.doubted[k] = True
        edge += 1
    # Without an exemplar that could be closed, the fallback is what the point has.
    while edge < stop and similarity[edge] > fallback:
        k = np.uint32(to[edge])
        spared[k, c] += sign * on_grid(np.float64(similarity[edge]) - fallback, shift)
        gains.doubted[k] = True
        edge += 1
    return edge - lists.out_start[i]
