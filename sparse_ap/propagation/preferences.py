"""The preferences: given or taken from the similarities, clipped, and with their ties broken."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import real_numbers
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.hashing import hashed
from sparse_ap.kernels.quantiles import HistogramPass, quantiles
from sparse_ap.propagation.problem import Problem, limits_of, require_summable
from sparse_ap.storage.store import Origin

__all__ = [
    "break_ties",
    "checked_preference",
    "clipped_preferences",
    "gaps",
    "message_preference",
    "require_kept_edges",
    "resolve_preference",
    "similarity_quantiles",
    "weights_of",
]


def resolve_preference(
    preference: ArrayLike | None, quantile: float | None, graph: BlockedGraph, n_edges: int
) -> Float64Array:
    """Return the preference of every point.

    Parameters
    ----------
    preference : number, array-like of shape (n_points,), or None
        None: the ``quantile`` of the stored similarities, by default their median; 0 for a graph without
        edges, in which preferences make no difference.
    quantile : float in [0, 1] or None
    graph : BlockedGraph
        A graph without NaN, its diagonal left out.
    n_edges : int
        Number of edges of that graph.

    Returns
    -------
    ndarray of float64, shape (n_points,)
        A read-only view of one number if all preferences are the same. +inf: the point is always an
        exemplar; -inf: it never is.

    Raises
    ------
    InvalidInputError
        Both ``preference`` and ``quantile`` are given, the shape is wrong, or a preference is NaN or too
        large.
    """
    if preference is not None and quantile is not None:
        raise InvalidInputError(
            f"Both preference and preference_quantile={quantile} were given; they say the same thing in "
            "two ways. Give one of them."
        )
    if quantile is not None and not (isinstance(quantile, Real) and 0 <= quantile <= 1):
        raise InvalidInputError(
            f"preference_quantile={quantile}, but a quantile lies in 0 to 1: 0 is the smallest similarity "
            "(few clusters), 1 the largest (many)."
        )
    n = graph.n_points
    if preference is None:
        at = 0.5 if quantile is None else float(quantile)
        preference = similarity_quantiles(graph, n_edges, [at])[0]
    given = checked_preference(preference, n)
    finite = given[np.isfinite(given)]
    require_summable(float(np.abs(finite).max(initial=0)), graph.dtype)
    return given


def checked_preference(preference: ArrayLike, n: int) -> Float64Array:
    """Return the preference of every one of n points, as `resolve_preference`.

    Raises
    ------
    InvalidInputError
        The shape is wrong, a preference is NaN, or all are infinite by one number.
    """
    given = _numbers(preference)
    if given.shape not in {(), (1,), (n,)}:
        raise InvalidInputError(
            f"preference has shape {given.shape}; one number is needed, or one for each of the {n} points."
        )
    wrong = np.flatnonzero(np.isnan(np.atleast_1d(given)))
    if len(wrong):
        plural = "s" if len(wrong) > 1 else ""
        raise InvalidInputError(
            f"preference is NaN at {len(wrong)} position{plural}, the first being {wrong[0]}. Every point "
            "needs a number; inf for a point that is always an exemplar, -inf for one that never is."
        )
    if given.shape != (n,) and np.isinf(given).any():
        raise InvalidInputError(
            f"preference={float(given.ravel()[0])} was given for all points. inf is for points that are "
            "always exemplars, -inf for those that never are: give one number for each point."
        )
    return np.broadcast_to(given, (n,))


def require_kept_edges(preference: Float64Array, origin: Origin, weights: Float64Array | None = None) -> None:
    """Refuse preferences at which edges matter that were left out when the graph was written.

    At preference p, a point of weight w gains by joining another one only along an edge of similarity above
    p / w. So edges below the lowest of these may be missing, and no others.

    Raises
    ------
    InvalidInputError
        A preference, divided by the weight of its point, is below the graph's ``min_similarity``.
    """
    if weights is not None:
        preference = preference / weights
    lowest = float(preference.min(initial=np.inf, where=preference > -np.inf))
    if lowest < origin.floor:
        by_weight = "" if weights is None else " divided by the weight"
        raise InvalidInputError(
            f"The preference{by_weight} is as low as {lowest:g}, but the graph was written without edges of "
            f"similarity {origin.floor:g} or less (min_similarity), which may matter at preferences below "
            "that. Write the graph again with a lower min_similarity, or raise the preference."
        )


def _numbers(preference: ArrayLike) -> Float64Array:
    try:
        return real_numbers(preference)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"preference={preference!r}; real numbers are needed, or None for the median similarity."
        ) from error


def weights_of(weights: ArrayLike | None, n_points: int) -> Float64Array | None:
    """Return the weights of the points; None if all are 1, which changes nothing.

    Raises
    ------
    InvalidInputError
        There is not one for each point, or one is not finite, or not above 0.
    """
    if weights is None:
        return None
    try:
        given = real_numbers(weights)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"weights={weights!r}; a number for each point is needed.") from error
    if given.shape != (n_points,):
        raise InvalidInputError(
            f"weights has shape {given.shape}; one number for each of the {n_points} points is needed."
        )
    wrong = np.flatnonzero(~((given > 0) & (given < np.inf)))
    if len(wrong):
        raise InvalidInputError(
            f"weights is zero or less, or not finite, at {len(wrong)} of {n_points} points, the first being "
            f"{wrong[0]}: {given[wrong[0]]}. Leave out points that have no weight."
        )
    return None if (given == 1).all() else given


def similarity_quantiles(graph: BlockedGraph, n_edges: int, at: list[float]) -> Float64Array:
    """Return quantiles of the similarities; zeros for a graph without edges."""
    if n_edges == 0:
        return np.zeros(len(at))

    def count(histogram: HistogramPass) -> Int64Array:
        return graph.run(histogram, (), ())[1]

    return quantiles(count, graph.dtype, n_edges, at)


def message_preference(
    problem: Problem, row_best: Float64Array, seed: int, strength: float
) -> tuple[Float64Array, FloatArray]:
    """Return the preferences that the messages use: extreme values clipped, ties broken.

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
    gap : ndarray of float32 or float64, shape (n_points,)
        Each point's gap, as `gaps` returns it; rounded to float32 unless most gaps are out of its range.
    """
    preference = clipped_preferences(problem)
    fixed = None if problem.roles is None else problem.roles.fixed
    gap = gaps(preference, row_best, fixed)
    kept = _kept(gap)
    return break_ties(preference, gap, problem.user_id, seed, strength), kept


# Typical gaps for which float32 will do: far from its smallest and largest numbers.
_LEAST_GAP, _MOST_GAP = 1e-30, 1e30


def _kept(gap: Float64Array) -> FloatArray:
    """Return a copy in float32, or in float64 where float32 has no such numbers.

    float32 saves 4 bytes per point; the limit of a bias, which the gap decides, needs no more digits.
    """
    # The smallest gap is the typical one.
    if len(gap) and not _LEAST_GAP <= gap.min() <= _MOST_GAP:
        return gap.copy()
    with np.errstate(over="ignore"):
        kept = gap.astype(np.float32)
    return np.minimum(kept, np.finfo(np.float32).max, out=kept)


def clipped_preferences(problem: Problem) -> Float64Array:
    """Return the preferences, with extreme values clipped, and such that pinned points are exemplars.

    A point with a preference below (above) some limit is never (always) an exemplar, whatever the value.
    Values beyond are clipped to that limit: the grid of exact sums would otherwise have to cover them, and be
    too coarse for all other points.
    """
    preference, edges, roles = problem.preference, problem.edges, problem.roles
    if not edges.n_edges:
        return preference
    limits = limits_of(problem.free_preference, edges)
    clipped = np.clip(preference, limits.low, limits.high)
    return clipped if roles is None else roles.preferences(clipped, limits.always, limits.never)


def gaps(preference: Float64Array, row_best: Float64Array, fixed: BoolArray | None = None) -> Float64Array:
    """Return each point's gap, the scale of its choice: |largest similarity - preference|.

    The gap is at least the median of all gaps, a scale that outliers elsewhere in the graph do not change.

    Parameters
    ----------
    preference : ndarray of float64, shape (n_points,)
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity; overwritten by the result.
    fixed : ndarray of bool, shape (n_points,), optional
        Points without a choice, which have no gap: neither bias nor ties may give them one.
    """
    gap = row_best
    gap[np.isneginf(gap)] = 0.0
    gap -= preference
    np.abs(gap, out=gap)
    choosing = gap if fixed is None else gap[~fixed]
    typical = float(np.median(choosing)) if len(choosing) else 0.0
    # If most gaps are 0 any scale will do, but ties must still be broken.
    np.maximum(gap, typical or 1.0, out=gap)
    if fixed is not None:
        gap[fixed] = 0.0
    return gap


def break_ties(
    preference: Float64Array, gap: Float64Array, user_id: Int32Array, seed: int, strength: float
) -> Float64Array:
    """Lower every preference by a little of its own: p_k - strength * gap_k * h(seed, k).

    Equal candidates oscillate for ever, and k-NN graphs are full of mutual pairs. h is a hash into
    [0, 1) of the user's point number, so the result depends neither on the order nor on the partition.

    Parameters
    ----------
    preference : ndarray of float64, shape (n_points,)
    gap : ndarray of float64, shape (n_points,)
        As `gaps` returns it; overwritten by the result.
    user_id : ndarray of int32, shape (n_points,)
    seed : int
    strength : float
        Largest change, in units of the gap.
    """
    gap *= hashed(user_id, seed)
    gap *= -strength
    gap += preference
    return gap
