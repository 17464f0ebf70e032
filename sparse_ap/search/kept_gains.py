"""What moves gain along lists of edges: the records, and the arithmetic of one point and of one candidate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import helper
from sparse_ap.kernels.exact_sum import on_grid

__all__ = ["ABREAST", "Gains", "Standing", "closed_with", "count", "gain_of"]

#: Number of sums handled at a time; numbers of places are multiples of it.
ABREAST = 4


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


@helper
def gain_of(k: int, n_free: int, preference: Any, standing: Any, gains: Any, shift: float) -> float:
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
    for i in range(0, len(closing), ABREAST):
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
def closed_with(k: int, standing: Any, gains: Any, shift: float) -> int:
    """Return the exemplar that is closed in a point's best move; -1: none."""
    best, closed = 0.0, -1
    if standing.is_open[k]:
        return closed
    for c in range(len(gains.at)):
        if gains.closing[c] + gains.spared[k, c] > best:
            best, closed = gains.closing[c] + gains.spared[k, c], gains.at[c]
    return standing.nearest[k] if _own_closing(k, standing, gains, shift) > best else closed


@helper
def count(i: int, sign: float, lists: Any, standing: Any, gains: Any, shift: float) -> Any:
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
