"""Descent by single moves in a table of similarities to some candidates.

Any candidate may be opened, any exemplar closed, or replaced by any candidate. A move is made as soon as it
is found to gain. After a few changes only those candidates are tried that matter to a point of which
something has changed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array, Int64Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.exact_sum import Grid, grid_sum, on_grid

__all__ = ["Room", "TableState", "descended"]

# Number of exemplars from which on few points are concerned by any candidate.
_FEW = 12


class Rows(NamedTuple):
    """The nearest two exemplars of each point among the candidates, and the values of both.

    Attributes
    ----------
    nearest : ndarray of int32
        Place of the point's exemplar in the table; -1: the point is better off alone.
    value : ndarray of float64
        The similarity to that exemplar, or the point's preference.
    bar : ndarray of float64
        Similarity that another exemplar must exceed to win the point: ``value``; +inf for an exemplar.
    fallback : ndarray of float64
        Value of the point if ``nearest`` were closed.
    """

    nearest: Int32Array
    value: Float64Array
    bar: Float64Array
    fallback: Float64Array


class Room(NamedTuple):
    """Room for lists and sums; the last place of sums collects the points that are alone.

    Attributes
    ----------
    opened : ndarray of int64
        Places of the exemplars, ascending.
    closing : ndarray of float64
        Gain by closing each exemplar.
    with_closing : ndarray of float64
        The same gain when some point is opened at the same time.
    touched : ndarray of int64
        Points whose nearest two exemplars were found anew.
    low : ndarray of float64
        For each of these, the similarity above which a candidate matters to it, or did before.
    changed : ndarray of int64, shape (2,)
        The candidates of a move.
    """

    opened: Int64Array
    closing: Float64Array
    with_closing: Float64Array
    touched: Int64Array
    low: Float64Array
    changed: Int64Array

    @classmethod
    def of(cls, n_candidates: int, n_points: int) -> Room:
        """Return room for a table of this size."""
        closing, with_closing = np.zeros((2, n_candidates + 1))
        return cls(
            opened=np.empty(n_candidates, np.int64),
            closing=closing,
            with_closing=with_closing,
            touched=np.empty(n_points, np.int64),
            low=np.empty(n_points),
            changed=np.empty(2, np.int64),
        )


class TableState(NamedTuple):
    """Which candidates are exemplars, what the points have, and which candidates' moves may gain."""

    is_open: BoolArray
    rows: Rows
    doubted: BoolArray

    def copy(self) -> TableState:
        """Return a copy that can be changed."""
        rows: Any = (row.copy() for row in self.rows)
        return TableState(self.is_open.copy(), Rows(*rows), self.doubted.copy())

    @classmethod
    def of(cls, is_open: BoolArray, n_points: int) -> TableState:
        """Return the state before any point has been looked at."""
        rows = Rows(np.empty(n_points, np.int32), *np.empty((3, n_points)))
        return cls(is_open, rows, np.ones(len(is_open), np.bool_))

    @property
    def value(self) -> float:
        """The net similarity."""
        return grid_sum(self.rows.value)


def descended(table: Any, state: TableState, flipped: Int64Array, room: Room, grid: Grid) -> int:
    """Open or close some candidates, then make moves until none gains.

    Parameters
    ----------
    table : tuple of ndarray
        The similarity of each point to each candidate, shape (n_candidates, n_points); the candidates; and
        the preferences of the points.
    state : TableState
        Changed in place.
    flipped : ndarray of int64
        Places of the candidates to open or to close; with none, all points are looked at first.
    room : Room
    grid : Grid
        For the sums of gains.

    Returns
    -------
    Number of similarities seen.
    """
    return int(_carry_out(*table, *state, flipped, room, grid.shift, grid.least_gain))


@kernel
def _carry_out(
    similarity: Any, candidate: Any, preference: Any, is_open: Any, rows: Any, doubted: Any, flipped: Any,
    room: Any, shift: float, least: float,
) -> Any:  # fmt: skip
    """Flip some candidates; then try those in doubt in turn, and make each move that gains.

    With none to flip, all points are looked at first. Returns the number of similarities seen.
    """
    n_points, closing = len(preference), room.closing
    for k in flipped:
        is_open[k] = not is_open[k]
    opened = room.opened[: _listed(is_open, room.opened)]
    if len(flipped):
        n_seen = _renew(flipped, similarity, candidate, preference, opened, rows, doubted, room)
    else:
        for i in range(n_points):
            _find_nearest_two(i, similarity, candidate, preference, opened, rows)
        n_seen = n_points * len(opened)
    _sum_closing(rows, shift, closing)
    since, k = 0, -1
    changed = room.changed
    while since < len(candidate):
        k, since = (k + 1) % len(candidate), since + 1
        if not doubted[k]:
            continue
        doubted[k] = False
        gain, closed = closing[k], k
        if not is_open[k]:
            n_seen += n_points
            gain, closed = _best_opening(
                similarity[k], candidate[k], preference, opened, rows, closing, shift, room.with_closing
            )
        # The last exemplar is never closed.
        if gain > least and (closed != k or len(opened) > 1):
            since = 0
            is_open[k] = not is_open[k]
            if closed >= 0:
                is_open[closed] = False
            opened = room.opened[: _listed(is_open, room.opened)]
            changed[0], changed[1] = k, (closed if closed >= 0 else k)
            n_seen += _renew(changed, similarity, candidate, preference, opened, rows, doubted, room)
            _sum_closing(rows, shift, closing)
    return n_seen


@helper
def _renew(
    changed: Any, similarity: Any, candidate: Any, preference: Any, opened: Any, rows: Any, doubted: Any,
    room: Any,
) -> Any:  # fmt: skip
    """Find the nearest two exemplars of the points that changes touch; doubt the candidates concerned."""
    touched, low, n = room.touched, room.low, 0
    for i in range(len(preference)):
        before, touches = rows.fallback[i], False
        for k in changed:
            touches = touches or similarity[k, i] >= before or candidate[k] == i
        if touches:
            _find_nearest_two(i, similarity, candidate, preference, opened, rows)
            touched[n], low[n] = i, min(before, rows.fallback[i])
            n += 1
    n_seen = len(preference) * len(changed) + n * len(opened)
    for k in range(len(candidate)):
        t = 0
        while not doubted[k] and t < n:
            doubted[k] = similarity[k, touched[t]] > low[t] or candidate[k] == touched[t]
            t += 1
        n_seen += t
    for k in opened:
        doubted[k] = True
    return n_seen


@helper
def _listed(is_open: Any, opened: Any) -> int:
    """Write the places of the exemplars into ``opened``; return their number."""
    n = 0
    for k in range(len(is_open)):
        if is_open[k]:
            opened[n] = k
            n += 1
    return n


@helper
def _find_nearest_two(
    i: int, similarity: Any, candidate: Any, preference: Any, opened: Any, rows: Any
) -> None:
    alone = preference[i]
    nearest, own, value, fallback = -1, -1, alone, alone
    for k in opened:
        s = np.float64(similarity[k, i])
        if candidate[k] == i:
            own = k
        elif s > value:
            nearest, value, fallback = k, s, value
        elif s > fallback:
            fallback = s
    if own >= 0:
        rows.nearest[i], rows.value[i], rows.bar[i], rows.fallback[i] = own, alone, np.inf, value
    else:
        rows.nearest[i], rows.value[i], rows.bar[i], rows.fallback[i] = nearest, value, value, fallback


@helper
def _sum_closing(rows: Any, shift: float, closing: Any) -> None:
    for k in range(len(closing)):
        closing[k] = 0.0
    for i in range(len(rows.nearest)):
        closing[rows.nearest[i]] += on_grid(rows.fallback[i] - rows.value[i], shift)


@helper
def _best_opening(
    similarity: Any,
    k: int,
    preference: Any,
    opened: Any,
    rows: Any,
    closing: Any,
    shift: float,
    with_closing: Any,
) -> tuple[float, int]:
    """Return the gain by opening k, and the place of the exemplar best closed with it; -1: none."""
    nearest, value, bar, fallback = rows.nearest, rows.value, rows.bar, rows.fallback
    for m in opened:
        with_closing[m] = closing[m]
    gain = on_grid(preference[k] - value[k], shift)
    # The closing gain counted k's fallback as its value; k becomes an exemplar, so the difference is added
    # back.
    with_closing[nearest[k]] += on_grid(value[k] - fallback[k], shift)
    if len(opened) < _FEW:
        # Without branches: with few exemplars they would be mispredicted for every other point.
        for i in range(len(similarity)):
            s = np.float64(similarity[i])
            gain += on_grid(max(s - bar[i], 0.0), shift)
            with_closing[nearest[i]] += on_grid(max(min(s, bar[i]) - fallback[i], 0.0), shift)
    else:
        for i in range(len(similarity)):
            s = np.float64(similarity[i])
            if s > fallback[i]:
                gain += on_grid(max(s - bar[i], 0.0), shift)
                with_closing[nearest[i]] += on_grid(min(s, bar[i]) - fallback[i], shift)
    best, closed = 0.0, -1
    for m in opened:
        if with_closing[m] > best:
            best, closed = with_closing[m], m
    return gain + best, closed
