"""The preferences that the messages use: extremes brought within reach, ties broken."""

from __future__ import annotations

import numpy as np

from sparse_ap.kernels.block import Float64Array, FloatArray, Int32Array
from sparse_ap.propagation.problem import Problem
from sparse_ap.seeds import hashed

__all__ = ["break_ties", "gaps", "message_preference", "within_reach"]


def message_preference(
    problem: Problem, row_best: Float64Array, seed: int, strength: float
) -> tuple[Float64Array, FloatArray]:
    """Return the preferences that the messages use: extremes brought within reach, ties broken.

    Parameters
    ----------
    problem : Problem
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity; overwritten by the preferences.
    seed, strength
        As for `break_ties`.

    Returns
    -------
    preference : ndarray of float64, shape (n_points,)
    gap : ndarray of float32, shape (n_points,)
        Each point's gap, as `gaps` returns it.
    """
    preference = within_reach(problem)
    gap = gaps(preference, row_best)
    with np.errstate(over="ignore"):
        kept = gap.astype(np.float32)
    np.minimum(kept, np.finfo(np.float32).max, out=kept)
    return break_ties(preference, gap, problem.user_id, seed, strength), kept


def within_reach(problem: Problem) -> Float64Array:
    """Return the preferences, extremes brought within reach.

    A preference so low, or so high, that the point can never, or must always, be an exemplar is brought
    to where that just holds: the one grid of exact sums would have to cover it.
    """
    preference, edges = problem.preference, problem.survey
    if not edges.n_edges:
        return preference
    typical = float(np.median(preference)) if preference.strides != (0,) else float(preference[0])
    low, high = min(typical, edges.smallest), max(typical, edges.largest)
    reach = (1 + edges.max_in_degree) * (high - low)
    return np.clip(preference, low - reach, high + reach)


def gaps(preference: Float64Array, row_best: Float64Array) -> Float64Array:
    """Return the scale of each point's choice: how far its preference is from its largest similarity.

    At least the median of these: a scale that outliers elsewhere in the graph do not change.

    Parameters
    ----------
    preference : ndarray of float64, shape (n_points,)
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity; overwritten by the result.
    """
    gap = row_best
    gap[np.isneginf(gap)] = 0.0
    gap -= preference
    np.abs(gap, out=gap)
    typical = float(np.median(gap)) if len(gap) else 0.0
    np.maximum(gap, typical or 1.0, out=gap)
    return gap


def break_ties(
    preference: Float64Array, gap: Float64Array, user_id: Int32Array, seed: int, strength: float
) -> Float64Array:
    """Lower every preference by a little of its own: p_k - strength * gap_k * h(seed, k).

    Equal candidates oscillate for ever, and k-NN graphs are full of mutual pairs. h is a hash into
    [0, 1) of the user's number of the point, so the result does not depend on order or partition.

    Parameters
    ----------
    preference : ndarray of float64, shape (n_points,)
    gap : ndarray of float64, shape (n_points,)
        As `gaps` returns it; overwritten by the result.
    user_id : ndarray of int32, shape (n_points,)
    seed : int
    strength : float
        Relative size of the change.
    """
    gap *= hashed(user_id, seed)
    gap *= -strength
    gap += preference
    return gap
