"""The input made ready: checked, preferences resolved, ties broken, the grid of exact sums fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.model import Float64Array, Int32Array, Int64Array, Origin, RowCut
from sparse_ap.passes.extent import BestRows, ExtentPass
from sparse_ap.passes.grid import Grid
from sparse_ap.passes.order_statistics import HistogramPass, quantiles
from sparse_ap.passes.statistics import EdgeStatistics, StatisticsPass
from sparse_ap.passes.support_bound import PreferenceRows, SupportBoundPass
from sparse_ap.plan import Execution
from sparse_ap.stores import block_of

__all__ = [
    "Problem",
    "Survey",
    "break_ties",
    "examine",
    "message_preference",
    "require_kept_edges",
    "resolve_preference",
    "similarity_quantiles",
    "support_grid",
    "survey",
]


_LARGEST_SUMMABLE = {"float32": 1e30, "float64": 1e100}


@dataclass(frozen=True, slots=True)
class Survey:
    """What a run needs to know of the edges as a whole.

    Attributes
    ----------
    n_edges : int
    checksum : int
    smallest, largest : float
        Similarities; +inf and -inf where there is none.
    max_in_degree : int
        The most edges that end at one point.
    """

    n_edges: int
    checksum: int
    smallest: float
    largest: float
    max_in_degree: int

    @property
    def largest_or_zero(self) -> float:
        """The largest similarity; 0 where there is none."""
        return self.largest if self.n_edges else 0.0

    @property
    def magnitude(self) -> float:
        """The largest absolute value of a similarity."""
        return max(abs(self.smallest), abs(self.largest)) if self.n_edges else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A graph ready for the loop, its points perhaps renumbered.

    Attributes
    ----------
    execution : Execution
        The graph and who reads it.
    user_id : ndarray of int32, shape (n_points,)
        The user's number of each point.
    preference : ndarray of float64, shape (n_points,)
        p as given, in the order of the graph; may be a read-only view of one number.
    survey : Survey
    """

    execution: Execution
    user_id: Int32Array
    preference: Float64Array
    survey: Survey

    @property
    def magnitude(self) -> float:
        """The largest absolute value among similarities and preferences."""
        lowest, highest = self.preference.min(initial=0), self.preference.max(initial=0)
        return max(self.survey.magnitude, abs(float(lowest)), abs(float(highest)))


def examine(execution: Execution, missing: str | None) -> EdgeStatistics:
    """Look at every stored entry, and refuse graphs with entries that mean nothing.

    Parameters
    ----------
    execution : Execution
    missing : {"nan"} or None
        Whether NaN is an absent edge.

    Raises
    ------
    InvalidInputError
        NaN, +inf, a column id that is not a point's, or rows as lists of distances have them; the message
        counts them and shows the first.
    """
    statistics = execution.run(StatisticsPass(), (), ())[1]
    if statistics.n_nan and missing is None:
        remedy = "Give missing='nan' to take them as absent edges, or remove them (an absent edge is -inf)"
        first = _first(execution, statistics.first_nan, lambda column, s: np.isnan(s))
        _refuse(f"{_are(statistics.n_nan)} NaN", first, remedy)
    if statistics.n_outside:
        outside = f"{_has(statistics.n_outside)} a column id outside 0 to {execution.n_points - 1}"
        n = execution.n_points
        first = _first(execution, statistics.first_outside, lambda column, s: (column < 0) | (column >= n))
        _refuse(outside, first, "Rebuild the graph")
    if statistics.n_plus_inf:
        remedy = "Give them a finite value"
        first = _first(execution, statistics.first_infinite, lambda column, s: s == np.inf)
        _refuse(f"{_are(statistics.n_plus_inf)} +inf", first, remedy)
    if 2 * min(statistics.n_nearest_first, statistics.n_diagonal) > execution.n_points:
        raise InvalidInputError(
            "The graph holds distances, as sklearn.neighbors.KNeighborsTransformer writes them: rows begin "
            "with 0, the distance of a point from itself, and rise. Similarities are needed, larger meaning "
            "more alike. Convert them with sparse_ap.graphs.from_distances, or use "
            "AffinityPropagation(affinity='precomputed_nearest_neighbors')."
        )
    return statistics


def _refuse(what: str, first: str, remedy: str) -> NoReturn:
    raise InvalidInputError(
        f"Of the graph's entries {what}; the first wrong entry is {first}. Finite numbers are needed, or "
        f"-inf for no edge. {remedy}."
    )


def _has(count: int) -> str:
    return f"{count} {'has' if count == 1 else 'have'}"


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _first(execution: Execution, row: int, wrong: Callable[[Any, Any], Any]) -> str:
    """Show the first entry of a row, off the diagonal, that is wrong by its column or similarity."""
    block = block_of(execution.store, RowCut(row, row + 1))
    column, s = block.indices, block.data
    edge = np.flatnonzero(wrong(column, s) & (column != row))[0]
    return f"({row}, {column[edge]}) = {s[edge]}"


def resolve_preference(
    preference: ArrayLike | None, quantile: float | None, execution: Execution, n_edges: int
) -> Float64Array:
    """Return every point's preference.

    Parameters
    ----------
    preference : number, array-like of shape (n_points,), or None
        None: the ``quantile`` of the stored similarities, by default their median; 0 where there is
        no edge at all, which then makes no difference.
    quantile : float in [0, 1] or None
    execution : Execution
        A graph without NaN, its diagonal left out.
    n_edges : int
        Of that graph.

    Returns
    -------
    ndarray of float64, shape (n_points,)
        Perhaps a read-only view of one number.

    Raises
    ------
    InvalidInputError
        Both were given, the length is wrong, or a preference is not finite or too large.
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
    n = execution.n_points
    if preference is None:
        at = 0.5 if quantile is None else float(quantile)
        preference = similarity_quantiles(execution, n_edges, [at])[0]
    given = _numbers(preference)
    if given.shape not in {(), (1,), (n,)}:
        raise InvalidInputError(
            f"preference has shape {given.shape}; one number is needed, or one for each of the {n} points."
        )
    wrong = np.flatnonzero(~np.isfinite(np.atleast_1d(given)))
    if len(wrong):
        plural = "s" if len(wrong) > 1 else ""
        raise InvalidInputError(
            f"preference is not finite at {len(wrong)} position{plural}, the first being {wrong[0]}: "
            f"{np.atleast_1d(given)[wrong[0]]}. Every point needs a finite preference; to keep a point "
            "from becoming an exemplar give it a very low one."
        )
    _require_summable(float(np.abs(given).max(initial=0)), execution.dtype)
    return np.broadcast_to(given, (n,))


def require_kept_edges(preference: Float64Array, origin: Origin) -> None:
    """Refuse preferences for which a graph lacks edges that were left out when it was written.

    Where the preference is p, a point loses by joining another along an edge of similarity p or less; at a
    lower preference it may gain.

    Raises
    ------
    InvalidInputError
    """
    lowest = float(preference.min(initial=np.inf))
    if lowest < origin.floor:
        raise InvalidInputError(
            f"The preference is as low as {lowest:g}, but the graph was written without edges of similarity "
            f"{origin.floor:g} or less (min_similarity), which may matter at preferences below that. Write "
            "the graph again with a lower min_similarity, or raise the preference."
        )


def _numbers(preference: ArrayLike) -> Float64Array:
    try:
        if np.asarray(preference).dtype.kind != "c":
            return np.asarray(preference, np.float64)
        reason = None
    except (TypeError, ValueError, OverflowError) as error:
        reason = error
    raise InvalidInputError(
        f"preference={preference!r}; real numbers are needed, or None for the median similarity."
    ) from reason


def _require_summable(magnitude: float, dtype: np.dtype[Any]) -> None:
    """Refuse magnitudes whose sums would leave the range of float64."""
    most = _LARGEST_SUMMABLE[dtype.name]
    if magnitude > most:
        raise InvalidInputError(
            f"The similarities and preferences reach {magnitude:g} in absolute value; with similarities of "
            f"{dtype} at most {most:g} can be added up safely. Divide them all by one number: the clustering "
            "stays the same."
        )


def similarity_quantiles(execution: Execution, n_edges: int, at: list[float]) -> Float64Array:
    """Return quantiles of the ``n_edges`` similarities; zeros where there are none."""
    if n_edges == 0:
        return np.zeros(len(at))

    def count(histogram: HistogramPass) -> Int64Array:
        return execution.run(histogram, (), ())[1]

    return quantiles(count, execution.dtype, n_edges, at)


def survey(execution: Execution) -> tuple[Survey, Float64Array]:
    """Survey the edges; return each row's largest similarity too, -inf where it has no edge.

    Raises
    ------
    InvalidInputError
        The similarities are too large to be added up.
    """
    row_best = np.empty(execution.n_points)
    (in_degree,), extent = execution.run(ExtentPass(), (), BestRows(row_best))
    found = Survey(
        extent.n_edges, extent.checksum, extent.smallest, extent.largest, int(in_degree.max(initial=0))
    )
    _require_summable(found.magnitude, execution.dtype)
    return found, row_best


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


def support_grid(problem: Problem, preference: Float64Array) -> Grid:
    """Return the finest grid on which no column total can overflow, whatever the sweeps bring.

    Parameters
    ----------
    problem : Problem
    preference : ndarray of float64, shape (n_points,)
        Those that the messages use.
    """
    edges = problem.survey
    if edges.n_edges == 0:
        return Grid.for_totals(max(problem.magnitude, 1.0))
    bound = SupportBoundPass.of(edges.largest, float(preference.min()), edges.max_in_degree)
    (totals,), _ = problem.execution.run(bound, (), PreferenceRows(preference))
    return Grid.for_totals(float(totals.max()))
