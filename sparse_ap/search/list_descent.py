"""Descent by single moves along lists of edges: open a candidate, close an exemplar, or exchange the two.

What each move would gain is kept, and changed only where a point gets other exemplars (Resende & Werneck,
European Journal of Operational Research 174, 2006). All sums are on a grid, so that what is added and later
taken away leaves nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array, Int64Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.exact_sum import Grid, grid_sum
from sparse_ap.search.edge_lists import EdgeLists
from sparse_ap.search.kept_gains import ABREAST, Gains, Standing, closed_with, count, gain_of

__all__ = ["DescentState", "Mark", "Room", "find_nearest_two", "places", "touch"]

# Copies are cheap where the cube of the places is at most so many times the number of points.
_COPIED = 128


def places(n_exemplars: int) -> int:
    """Return the number of exemplars for which there is to be room, a multiple of `ABREAST`."""
    return (n_exemplars + n_exemplars // 4 + 16 + ABREAST - 1) // ABREAST * ABREAST


class Room(NamedTuple):
    """Room for the points whose exemplars change, for a mark on each, and for the candidates of a move."""

    touched: Int32Array
    marked: BoolArray
    changed: Int64Array


class Mark(NamedTuple):
    """Exemplars to come back to, with a copy of all that their moves gain where that is cheap."""

    is_open: BoolArray
    kept: tuple[NDArray[Any], ...]


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

    @property
    def loss(self) -> float:
        """What the closing of an exemplar loses: the median."""
        return -float(np.median(self.gains.closing[self.gains.at >= 0]))

    def mark(self) -> Mark:
        """Return what `return_to` needs to come back to these exemplars, where no move is known to gain."""
        # With few exemplars a move concerns nearly all points, and a copy is cheaper than moving back.
        few = len(self.gains.at) ** 3 < _COPIED * len(self.preference)
        kept = tuple(array.copy() for array in self._changing) if few else ()
        return Mark(self.standing.is_open.copy(), kept)

    def return_to(self, mark: Mark) -> int:
        """Return to the exemplars of a mark; return the number of edges and sums seen."""
        if mark.kept:
            for here, there in zip(self._changing, mark.kept, strict=True):
                here[...] = there
            return 0
        back = np.flatnonzero(mark.is_open != self.standing.is_open)
        n_seen = self.flip(back[np.argsort(~mark.is_open[back], kind="stable")])
        self.doubt(everything=False)
        return n_seen

    def doubt(self, everything: bool) -> None:
        """Let all moves be looked at again, or none, where none is known to gain."""
        self.gains.doubted[:] = self.lists.may if everything else False
        self.gains.best[:] = 0.0

    @property
    def _changing(self) -> tuple[NDArray[Any], ...]:
        return *self.standing, *self.gains

    @property
    def _arrays(self) -> tuple[EdgeLists, Float64Array, Standing, Gains]:
        return self.lists, self.preference, self.standing, self.gains


@kernel
def _begin(lists: Any, preference: Any, standing: Any, gains: Any, shift: float) -> None:
    for i in range(len(preference)):
        find_nearest_two(i, lists, preference, standing)
        count(i, 1.0, lists, standing, gains, shift)


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
                gains.best[c] = gain_of(c, n_free, preference, standing, gains, shift)
                n_seen += len(gains.closing)
            if gains.best[c] > most:
                most, k = gains.best[c], c
        if k < 0:
            return n_seen
        # What another exemplar loses may have changed, although this point is not concerned by its members.
        gains.best[k] = gain_of(k, n_free, preference, standing, gains, shift)
        if gains.best[k] == most:
            changed[0], changed[1] = k, closed_with(k, standing, gains, shift)
            both = changed[: 2 if changed[1] >= 0 else 1]
            n_seen += _carry_out(both, lists, preference, standing, gains, room, shift)


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
        n = touch(k, n, lists, standing, room)
        n_seen += lists.in_start[k + 1] - lists.in_start[k]
    for t in range(n):
        n_seen += count(touched[t], -1.0, lists, standing, gains, shift)
    for k in changed:
        standing.is_open[k] = not standing.is_open[k]
    for t in range(n):
        i = touched[t]
        marked[i] = False
        gains.doubted[i] = lists.may[i]
        find_nearest_two(i, lists, preference, standing)
        n_seen += count(i, 1.0, lists, standing, gains, shift)
    for k in changed:
        if not standing.is_open[k]:
            c = gains.place[k]
            gains.place[k], gains.at[c], gains.closing[c] = -1, -1, -np.inf
    return n_seen


@helper
def touch(k: int, n: int, lists: Any, standing: Any, room: Any) -> int:
    """Add to the touched points a point and those that it may concern; return how many these are now."""
    if not room.marked[k]:
        room.marked[k] = True
        room.touched[n] = k
        n += 1
    for edge in range(lists.in_start[k], lists.in_start[k + 1]):
        i = lists.in_from[edge]
        if not room.marked[i] and lists.in_similarity[edge] >= standing.fallback[i]:
            room.marked[i] = True
            room.touched[n] = i
            n += 1
    return n


@helper
def find_nearest_two(i: int, lists: Any, preference: Any, standing: Any) -> None:
    """Find a point's nearest two exemplars, anew."""
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
