"""A proven bound on the number of exemplars that cover a graph.

Every point is an exemplar or has an edge to one. Let y_i ≥ 0 be shares of the points such that no point k,
and those with an edge to it, hold more than 1 together. Then each exemplar covers at most 1 of Σ y, so there
are at least Σ y exemplars: this is the dual of the linear relaxation, a fractional packing. The number is
whole in each component of the graph, so each component's sum is rounded up.

The shares come from the primal-dual hybrid gradient method (Chambolle and Pock, 2011; steps as in Pock and
Chambolle, 2011), restarted from its averages. They are whole numbers, in units of 2^-30, so that no sum
depends on the order of the points or of the edges. For the proof they are scaled down until no point holds
too much, and then raised where there is room.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import BoolArray, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.equal_rows import components

__all__ = ["least_exemplars", "packed", "parts_of", "without_choice"]

# Shares are multiples of 1 / _WHOLE. Sums over 2^31 edges stay below 2^63.
_WHOLE = 1 << 30
# Steps between two restarts, restarts at most, and restarts without a higher bound after which to stop.
_STEPS, _RESTARTS, _FRUITLESS = 50, 40, 4


def packed(indptr: NDArray[Any], indices: NDArray[Any]) -> int:
    """Return a rough bound of the same kind in one reading: each point's share is as large as all allow.

    If no point that could represent i can represent more than m points, i's share is 1 / m.

    Parameters
    ----------
    indptr, indices : ndarray
        Edges of a graph, without its diagonal.
    """
    held = np.bincount(indices, minlength=len(indptr) - 1) + 1
    most = held.copy()
    rows = np.flatnonzero(np.diff(indptr))
    if len(rows):
        most[rows] = np.maximum(held[rows], np.maximum.reduceat(held[indices], indptr[rows]))
    # The margin is for the rounding of the sum.
    return int(np.ceil((1.0 / most).sum() - 1e-9 * len(most)))


def parts_of(indptr: NDArray[Any], indices: NDArray[Any]) -> tuple[int, Int64Array]:
    """Return the number of parts of a graph that no edge links, and the part of each point."""
    points: Int32Array = np.arange(len(indptr) - 1, dtype=np.int32)
    part = components(len(points), points.repeat(np.diff(indptr)), indices)
    return int(part.max(initial=-1)) + 1, part


def without_choice(
    indptr: NDArray[Any], indices: NDArray[Any], pinned: BoolArray
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a graph that the same exemplars cover, for some points are always exemplars.

    What these cover needs no other exemplar, so its edges to others are dropped.

    Parameters
    ----------
    indptr, indices : ndarray
        Edges of a graph, without its diagonal.
    pinned : ndarray of bool, shape (n_points,)
        Points that are always exemplars.
    """
    lengths = np.diff(indptr)
    to_pinned = pinned[indices]
    covered = pinned.copy()
    covered[np.repeat(np.arange(len(pinned)), lengths)[to_pinned]] = True
    kept = (to_pinned | np.repeat(~covered, lengths)) & np.repeat(~pinned, lengths)
    return starts_of(kept)[indptr], indices[kept]


def least_exemplars(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    exemplar: BoolArray,
    user_id: Int32Array,
    most_restarts: int = _RESTARTS,
) -> int:
    """Return a number that no exemplar set can go below in which each point has an edge to one, or is one.

    Parameters
    ----------
    indptr, indices : ndarray
        Edges of a graph, without its diagonal.
    exemplar : ndarray of bool, shape (n_points,)
        A set that covers the graph; the search stops when the bound is its size.
    user_id : ndarray, shape (n_points,)
        The user's number of each point: the bound is the same in any order of the points.
    most_restarts : int
        Restarts at most.
    """
    n = len(indptr) - 1
    if not n:
        return 0
    n_parts, part = parts_of(indptr, indices)
    edges, turns = (np.asarray(indptr, np.int64), indices), np.argsort(user_id)
    least = np.ones(n_parts, np.int64)
    best, n_fruitless, state = n_parts, 0, _Shares(*edges, exemplar)
    for _ in range(most_restarts):
        if best == np.count_nonzero(exemplar) or n_fruitless == _FRUITLESS:
            break
        state.advance(_STEPS)
        # Both bounds hold, so the larger one of each part does.
        for proven in _proven(*edges, state.shares, turns, part, n_parts):
            np.maximum(least, proven, out=least)
        n_fruitless = 0 if int(least.sum()) > best else n_fruitless + 1
        best = int(least.sum())
    return best


class _Shares:
    """The state of the gradient method: the shares of the points, and how much each covers as an exemplar."""

    def __init__(self, indptr: Int64Array, indices: NDArray[Any], exemplar: BoolArray) -> None:
        self._edges = indptr, indices
        # Steps are the inverse of these.
        self._width = np.diff(indptr) + 1
        self._reach = np.bincount(indices, minlength=len(exemplar)) + 1
        self.shares: Int64Array = _WHOLE // self._width
        self._cover = exemplar * _WHOLE

    def advance(self, n_steps: int) -> None:
        """Make some steps, and go to the average of what they passed through."""
        y, x, load = self.shares.copy(), self._cover, np.zeros_like(self._cover)
        y_sum, x_sum = np.zeros_like(y), np.zeros_like(x)
        _add_shares(*self._edges, y, load)
        for _ in range(n_steps):
            before = x
            x = np.clip(x - (_WHOLE - load) // self._reach, 0, _WHOLE)
            load[:] = 0
            _step(*self._edges, 2 * x - before, self._width, y, load)
            y_sum += y
            x_sum += x
        self.shares, self._cover = y_sum // n_steps, x_sum // n_steps


def _proven(
    indptr: Int64Array,
    indices: NDArray[Any],
    shares: Int64Array,
    turns: Int64Array,
    part: Int64Array,
    n_parts: int,
) -> tuple[Int64Array, Int64Array]:
    """Return two bounds on the exemplars of each part, from any shares."""
    whole = np.minimum(shares, _WHOLE)
    load = np.zeros_like(whole)
    _add_shares(indptr, indices, whole, load)
    # What a point holds too much is taken off the sum; ...
    taken = whole - np.maximum(load - _WHOLE, 0)
    # ... or no point holds too much.
    _scale_down(indptr, indices, load, whole)
    load[:] = 0
    _add_shares(indptr, indices, whole, load)
    _raise(indptr, indices, turns, load, whole)
    return _rounded_up(taken, part, n_parts), _rounded_up(whole, part, n_parts)


def _rounded_up(values: Int64Array, part: Int64Array, n_parts: int) -> Int64Array:
    totals = np.zeros(n_parts, np.int64)
    np.add.at(totals, part, values)
    return -(-totals // _WHOLE)


@kernel
def _add_shares(indptr: Any, indices: Any, shares: Any, load: Any) -> None:
    for i in range(len(shares)):
        load[i] += shares[i]
        for edge in range(indptr[i], indptr[i + 1]):
            load[indices[edge]] += shares[i]


@kernel
def _step(indptr: Any, indices: Any, cover: Any, width: Any, shares: Any, load: Any) -> None:
    """Raise the shares of points that are covered too little, lower the others, and add them up anew."""
    for i in range(len(shares)):
        covered = cover[i]
        for edge in range(indptr[i], indptr[i + 1]):
            covered += cover[indices[edge]]
        shares[i] = max(0, shares[i] + (_WHOLE - covered) // width[i])
        load[i] += shares[i]
        for edge in range(indptr[i], indptr[i + 1]):
            load[indices[edge]] += shares[i]


@kernel
def _scale_down(indptr: Any, indices: Any, load: Any, shares: Any) -> None:
    for i in range(len(shares)):
        most = max(_WHOLE, load[i])
        for edge in range(indptr[i], indptr[i + 1]):
            most = max(most, load[indices[edge]])
        # Below 2^60: shares are at most 2^30.
        shares[i] = shares[i] * _WHOLE // most


@kernel
def _raise(indptr: Any, indices: Any, turns: Any, load: Any, shares: Any) -> None:
    for i in turns:
        room = _WHOLE - load[i]
        for edge in range(indptr[i], indptr[i + 1]):
            room = min(room, _WHOLE - load[indices[edge]])
        if room > 0:
            shares[i] += room
            load[i] += room
            for edge in range(indptr[i], indptr[i + 1]):
                load[indices[edge]] += room
