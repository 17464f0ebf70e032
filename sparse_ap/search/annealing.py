"""Simulated annealing of exemplars, along lists of edges in memory.

A move opens a point, closes an exemplar, or exchanges the two. It is made if it gains, or if it loses less
than the temperature times a random number of exponential distribution (Kirkpatrick, Gelatt & Vecchi, Science
220, 1983). The gains of openings and closings are kept (Resende & Werneck, European Journal of Operational
Research 174, 2006), so that to refuse a move, as most are, takes one look at the edges to one point. All sums
are on a grid, so that a part that is added and later taken away leaves nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.kernels.hashing import hashed
from sparse_ap.search.edge_lists import EdgeLists
from sparse_ap.search.kept_gains import Standing
from sparse_ap.search.list_descent import Room, find_nearest_two, touch

__all__ = ["AnnealingState"]

# The temperature falls by a constant factor, to a fifth.
_LEVELS, _COOLING = 32, 0.95
# From the seed of the moves to that of their slack.
_APART = 1 << 19
# Moves of a point that is no exemplar: a quarter open it; a quarter exchange it for its exemplar; the others
# for an exemplar at or near the other end of one of its edges.
_OPENED, _OWN = 0.25, 0.5


class SingleGains(NamedTuple):
    """What single moves gain: for others, the opening of each point; in all, the closing of each exemplar."""

    won: Float64Array
    closing: Float64Array


class AnnealingState(NamedTuple):
    """Exemplars, and what single moves gain; all in the user's order, and changed in place."""

    lists: EdgeLists
    preference: Float64Array
    standing: Standing
    gains: SingleGains
    room: Room
    shift: float

    @classmethod
    def at(cls, lists: EdgeLists, preference: Float64Array, grid: Grid, is_open: BoolArray) -> Self:
        """Return the state with these exemplars."""
        n = len(is_open)
        standing = Standing(is_open.copy(), np.empty(n, np.int32), *np.empty((3, n)))
        room = Room(np.empty(n, np.int32), np.zeros(n, np.bool_), np.empty(2, np.int64))
        state = cls(lists, preference, standing, SingleGains(*np.zeros((2, n))), room, grid.shift)
        _begin(*state)
        return state

    def cool(self, temperature: float, n_moves: int, seed: int) -> None:
        """Try moves while the temperature falls to a fifth.

        Parameters
        ----------
        temperature : float
            The first temperature, in units of the net similarity.
        n_moves : int
            Number of moves tried; it must be 0 if no point may be an exemplar.
        seed : int
            Another one is used for the slack.
        """
        candidate = np.flatnonzero(self.lists.may).astype(np.int32)
        for level in range(_LEVELS):
            moves = np.arange(level, n_moves, _LEVELS)
            drawn = hashed(moves, seed) * len(candidate)
            place = drawn.astype(np.int32)
            slack = temperature * _exponential(hashed(moves, seed + _APART))
            self.attempt(candidate[place], drawn - place, slack)
            temperature *= _COOLING

    def attempt(self, point: Int32Array, lot: Float64Array, slack: Float64Array) -> None:
        """Make some moves in turn, each unless it loses as much as its slack.

        Parameters
        ----------
        point : ndarray of int32, shape (n_moves,)
            The exemplar to close; or the candidate to open, alone or in exchange for an exemplar.
        lot : ndarray of float64, shape (n_moves,)
            Numbers in [0, 1) that choose the exemplar closed with an opening, if any.
        slack : ndarray of float64, shape (n_moves,)
        """
        _attempt(point, lot, slack, *self)


def _exponential(lot: Float64Array) -> Float64Array:
    """Return numbers of nearly exponential distribution, of mean 1, for uniform ones.

    The logarithm is replaced by a piecewise linear function through the powers of two, which is the same on
    every processor.
    """
    part, power = np.frexp(1.0 - lot)
    return np.asarray((2.0 - 2.0 * part - power) * (2.0 / 3.0))


@kernel
def _begin(lists: Any, preference: Any, standing: Any, gains: Any, room: Any, shift: float) -> None:
    for i in range(len(room.touched)):
        find_nearest_two(i, lists, preference, standing)
        _count(i, 1.0, lists, standing, gains, shift)


@kernel
def _attempt(
    point: Any,
    lot: Any,
    slack: Any,
    lists: Any,
    preference: Any,
    standing: Any,
    gains: Any,
    room: Any,
    shift: float,
) -> None:
    changed = room.changed
    for move in range(len(point)):
        k = changed[0] = point[move]
        if standing.is_open[k]:
            if gains.closing[k] > -slack[move]:
                _carry_out(changed[:1], lists, preference, standing, gains, room, shift)
            continue
        # A point alone that no other prefers to what it has is not worth opening.
        if standing.nearest[k] < 0 and gains.won[k] == 0.0:
            continue
        j = changed[1] = _partner(k, lot[move], lists, standing)
        gain = gains.won[k] + on_grid(preference[k] - standing.value[k], shift)
        if j != k:
            gain += gains.closing[j] + _together(k, j, lists, standing, shift)
        if gain > -slack[move]:
            _carry_out(changed[: 1 if j == k else 2], lists, preference, standing, gains, room, shift)


@helper
def _partner(k: int, lot: float, lists: Any, standing: Any) -> int:
    """Return an exemplar near a point, to exchange it for; the point itself to open it alone."""
    j, first, n_edges = -1, lists.out_start[k], lists.out_start[k + 1] - lists.out_start[k]
    if lot >= _OWN and n_edges > 0:
        other = lists.out_to[first + int((lot - _OWN) / (1.0 - _OWN) * n_edges)]
        j = other if standing.is_open[other] else standing.nearest[other]
    elif lot >= _OPENED:
        j = standing.nearest[k]
    return j if j >= 0 else k


@helper
def _together(k: int, j: int, lists: Any, standing: Any, shift: float) -> float:
    """Return how much more an exchange gains than the opening and the closing do by themselves."""
    more = 0.0
    for edge in range(lists.in_start[k], lists.in_start[k + 1]):
        i = lists.in_from[edge]
        if standing.nearest[i] == j and lists.in_similarity[edge] > standing.fallback[i]:
            similarity = np.float64(lists.in_similarity[edge])
            more += on_grid(min(similarity, standing.bar[i]) - standing.fallback[i], shift)
    if standing.nearest[k] == j:
        # The closing counted the point's fallback as its value; it becomes an exemplar.
        more += on_grid(standing.value[k] - standing.fallback[k], shift)
    return more


@helper
def _carry_out(
    changed: Any, lists: Any, preference: Any, standing: Any, gains: Any, room: Any, shift: float
) -> None:
    """Open or close one point or two; count everything anew where that changes it."""
    n = 0
    for k in changed:
        n = touch(k, n, lists, standing, room)
    for t in range(n):
        _count(room.touched[t], -1.0, lists, standing, gains, shift)
    for k in changed:
        standing.is_open[k] = not standing.is_open[k]
    for t in range(n):
        i = room.touched[t]
        room.marked[i] = False
        find_nearest_two(i, lists, preference, standing)
        _count(i, 1.0, lists, standing, gains, shift)


@helper
def _count(i: int, sign: float, lists: Any, standing: Any, gains: Any, shift: float) -> None:
    """Add what a point has to do with the gains of all moves, or take it away."""
    nearest, bar = standing.nearest[i], standing.bar[i]
    if nearest >= 0:
        gains.closing[nearest] += sign * on_grid(standing.fallback[i] - standing.value[i], shift)
    for edge in range(lists.out_start[i], lists.out_start[i + 1]):
        similarity = np.float64(lists.out_similarity[edge])
        if similarity <= bar:
            break
        gains.won[lists.out_to[edge]] += sign * on_grid(similarity - bar, shift)
