"""The preferences that the messages use: extremes brought within reach, ties broken."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.model import Float64Array, Int32Array
from sparse_ap.similarity import Problem

__all__ = ["break_ties", "message_preference"]


def message_preference(problem: Problem, row_best: Float64Array, seed: int, strength: float) -> Float64Array:
    """Return the preferences that the messages use: extremes brought within reach, ties broken.

    A preference so low, or so high, that the point can never, or must always, be an exemplar is brought
    to where that just holds: the one grid of the exact sums would have to cover it.

    Parameters
    ----------
    problem : Problem
    row_best, seed, strength
        As for `break_ties`.

    Returns
    -------
    ndarray of float64, shape (n_points,)
        In the memory of ``row_best``.
    """
    preference = problem.preference
    edges = problem.survey
    if edges.n_edges:
        typical = float(np.median(preference)) if preference.strides != (0,) else float(preference[0])
        low, high = min(typical, edges.smallest), max(typical, edges.largest)
        reach = (1 + edges.max_in_degree) * (high - low)
        preference = np.clip(preference, low - reach, high + reach)
    return break_ties(preference, row_best, problem.user_id, seed, strength)


def break_ties(
    preference: Float64Array, row_best: Float64Array, user_id: Int32Array, seed: int, strength: float
) -> Float64Array:
    """Lower every preference by a little of its own: p_k - strength * gap_k * h(seed, k).

    Equal candidates oscillate for ever, and k-NN graphs are full of mutual pairs. h is a hash into
    [0, 1) of the user's number of the point, so the result does not depend on order or partition.

    Parameters
    ----------
    preference : ndarray of float64, shape (n_points,)
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity; overwritten by the result. The gap is its distance from the
        preference, or the median gap where that is larger: a scale that outliers elsewhere in the graph
        do not change.
    user_id : ndarray of int32, shape (n_points,)
    seed : int
    strength : float
        Relative size of the change.
    """
    gap = row_best
    gap[np.isneginf(gap)] = 0.0
    gap -= preference
    np.abs(gap, out=gap)
    typical = float(np.median(gap)) if len(gap) else 0.0
    np.maximum(gap, typical or 1.0, out=gap)
    gap *= _hash01(user_id, seed)
    gap *= -strength
    gap += preference
    return gap


def _hash01(ids: NDArray[Any], seed: int) -> Float64Array:
    """Hash integers into [0, 1): the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64)
        x += np.uint64(1)
        x *= np.uint64(0x9E3779B97F4A7C15)
        x ^= np.uint64((seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    x >>= np.uint64(11)
    return np.asarray(x * 2.0**-53)
