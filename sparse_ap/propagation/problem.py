"""The input made ready: checked, preferences resolved, ties broken, the grid of exact sums fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import Execution
from sparse_ap.kernels.block import Float64Array, FloatArray, Int32Array, RowCut
from sparse_ap.kernels.entry_statistics import EdgeStatistics, StatisticsPass
from sparse_ap.kernels.exact_sum import Grid, grid_sum
from sparse_ap.kernels.extent import BestRows, ExtentPass
from sparse_ap.kernels.support_bound import PreferenceRows, SupportBoundPass
from sparse_ap.propagation.preferences import require_summable
from sparse_ap.storage.store import block_of

__all__ = ["Problem", "Survey", "best_of_rows", "ceiling", "examine", "support_grid", "survey"]


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

    @property
    def span(self) -> float:
        """How far similarities lie apart; where they do not, their size; always positive."""
        return (self.largest - self.smallest if self.n_edges else 0.0) or self.magnitude or 1.0


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

    def at(self, preference: float) -> Problem:
        """Return the problem with another preference, for all points."""
        return replace(self, preference=np.broadcast_to(np.float64(preference), self.preference.shape))

    @property
    def common_preference(self) -> float | None:
        """That of every point; None where they are not all equal, or there is no point."""
        given = self.preference
        return float(given[0]) if len(given) and (given == given[0]).all() else None

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
    require_summable(found.magnitude, execution.dtype)
    return found, row_best


def ceiling(execution: Execution, preference: Float64Array) -> float:
    """Return the net similarity, nearly, if every point had its best edge, or its preference if more."""
    best = best_of_rows(execution)
    return grid_sum(np.maximum(best, preference, out=best))


def best_of_rows(execution: Execution) -> Float64Array:
    """Return each point's largest similarity, -inf where it has no edge."""
    best = np.empty(execution.n_points)
    execution.run(ExtentPass(), (), BestRows(best))
    return best


def support_grid(problem: Problem, preference: Float64Array, tilt: FloatArray) -> Grid:
    """Return the finest grid on which no column total can overflow, whatever the sweeps bring.

    Parameters
    ----------
    problem : Problem
    preference : ndarray of float64, shape (n_points,)
        Those that the messages use.
    tilt : ndarray, shape (n_points,)
        How far the messages may lower them at most.
    """
    edges = problem.survey
    if edges.n_edges == 0:
        return Grid.for_totals(max(problem.magnitude, 1.0))
    lowered = preference - tilt
    bound = SupportBoundPass.of(edges.largest, float(lowered.min()), edges.max_in_degree)
    (totals,), _ = problem.execution.run(bound, (), PreferenceRows(lowered))
    return Grid.for_totals(float(totals.max()))
