"""`Problem`: a checked graph with its preferences; bounds on similarities, and the grid of exact sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int32Array
from sparse_ap.kernels.edge_summary import BestRows, EdgeSummaryPass, OutDegreePass, OutDegreeRows
from sparse_ap.kernels.exact_sum import Grid, grid_sum
from sparse_ap.kernels.support_bound import PreferenceRows, SupportBoundPass
from sparse_ap.propagation.duplicates import Duplicates
from sparse_ap.propagation.roles import Roles

__all__ = [
    "EdgeSummary",
    "Limits",
    "Problem",
    "Weighting",
    "best_of_rows",
    "limits_of",
    "out_degrees",
    "require_summable",
    "summarise_edges",
    "support_grid",
    "trivial_bound",
]


@dataclass(frozen=True, slots=True)
class EdgeSummary:
    """The number of edges, their checksum, and the bounds that a run needs.

    Attributes
    ----------
    n_edges : int
    checksum : int
    smallest, largest : float
        Extremes of the similarities; +inf and -inf for a graph without edges.
    max_in_degree : int
        The largest number of edges that end at one point.
    """

    n_edges: int
    checksum: int
    smallest: float
    largest: float
    max_in_degree: int

    @property
    def largest_or_zero(self) -> float:
        """The largest similarity; 0 for a graph without edges."""
        return self.largest if self.n_edges else 0.0

    @property
    def magnitude(self) -> float:
        """The largest absolute value of a similarity."""
        return max(abs(self.smallest), abs(self.largest)) if self.n_edges else 0.0

    @property
    def span(self) -> float:
        """Difference of the extreme similarities; if they are equal, their magnitude; always positive."""
        return (self.largest - self.smallest if self.n_edges else 0.0) or self.magnitude or 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Weighting:
    """The weights of the points, and the graph before its similarities were multiplied by them.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_points,)
        In the user's order; above 0.
    graph : BlockedGraph
        As it was given: not renumbered.
    """

    weights: Float64Array
    graph: BlockedGraph


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A graph and its preferences, ready for the loop; its points may be renumbered.

    Attributes
    ----------
    graph : BlockedGraph
        The graph, cut for the executor that reads it.
    user_id : ndarray of int32, shape (n_points,)
        The user's number of each point.
    preference : ndarray of float64, shape (n_points,)
        p_k in the order of the graph; may be a read-only view of one number. Finite: 0 for points that are
        always exemplars, and less than all else for those that never are.
    edges : EdgeSummary
    roles : Roles or None
        Points that are always or never exemplars; None: there are none.
    min_similarity : float or None
        The smallest similarity of an edge that the user allowed; the graph has no others.
    weighting : Weighting or None
        The graph's similarities are multiplied by these weights, row by row; None: they are as given.
    duplicates : Duplicates or None
        Equal points, of which the graph has only one; the others are among those that nobody represents.
    alike : float or None
        The similarity of equal points, if these are collapsed; None: they are not.
    missing_at_most : ndarray of float64, shape (n_points,), or None
        The largest similarity that a missing edge of each point can have, in the order of the graph, if the
        complete graph is to be bounded.
    """

    graph: BlockedGraph
    user_id: Int32Array
    preference: Float64Array
    edges: EdgeSummary
    roles: Roles | None = None
    min_similarity: float | None = None
    weighting: Weighting | None = None
    missing_at_most: Float64Array | None = None
    duplicates: Duplicates | None = None
    alike: float | None = None

    def at(self, preference: float) -> Problem:
        """Return the problem with one preference for all points that are not always or never exemplars."""
        return self.under(np.broadcast_to(np.float64(preference), self.preference.shape))

    def under(self, preference: Float64Array) -> Problem:
        """Return the problem with other preferences of the points that are not always or never exemplars."""
        if self.roles is None:
            return replace(self, preference=preference)
        lowest = limits_of(preference[~self.roles.fixed], self.edges).never
        return replace(self, preference=self.roles.preferences(preference, 0.0, lowest))

    @property
    def free_preference(self) -> Float64Array:
        """The preferences of the points that are not always or never exemplars."""
        return self.preference if self.roles is None else self.preference[~self.roles.fixed]

    @property
    def common_preference(self) -> float | None:
        """The preference that all these points share; None if they differ, or there is none."""
        given = self.free_preference
        return float(given[0]) if len(given) and (given == given[0]).all() else None

    @property
    def n_unrepresented(self) -> int:
        """Number of points that nobody can represent."""
        return 0 if self.roles is None else self.roles.n_unrepresented

    def allowed(self, exemplar: BoolArray) -> BoolArray:
        """Return a set of exemplars with those that must be in it, without those that must not."""
        return exemplar if self.roles is None else self.roles.applied(exemplar)

    @property
    def magnitude(self) -> float:
        """The largest absolute value among similarities and preferences."""
        lowest, highest = self.preference.min(initial=0), self.preference.max(initial=0)
        return max(self.edges.magnitude, abs(float(lowest)), abs(float(highest)))


class Limits(NamedTuple):
    """Preferences that decide about a point whatever the others do.

    Attributes
    ----------
    low, high : float
        A preference below (above) these makes a point never (always) an exemplar, other points' preferences
        being like most of them.
    never, always : float
        The same, even where other preferences are clipped to ``low`` and ``high``.
    """

    low: float
    high: float
    never: float
    always: float


def limits_of(preference: Float64Array, edges: EdgeSummary) -> Limits:
    """Return the limits of preferences in a graph; ``preference`` are those of the points with a choice."""
    if len(preference) and preference.strides != (0,):
        typical = float(np.median(preference))
    else:
        typical = float(preference[0]) if len(preference) else edges.smallest
    low, high = min(typical, edges.smallest), max(typical, edges.largest)
    # One exemplar changes the similarity of at most max_in_degree other points and its own point, each by at
    # most high - low.
    scale = (high - low) or edges.span
    reach = (1 + edges.max_in_degree) * scale
    # A swap of two exemplars whose preferences are at the limits gains less than four times the reach.
    margin = 8.0 * reach
    return Limits(low - reach, high + reach, low - margin, high + margin)


def summarise_edges(graph: BlockedGraph) -> tuple[EdgeSummary, Float64Array]:
    """Return the summary of the edges, and each row's largest similarity (-inf without an edge).

    Raises
    ------
    InvalidInputError
        The similarities are too large to be added up.
    """
    row_best = np.empty(graph.n_points)
    (in_degree,), tally = graph.run(EdgeSummaryPass(), (), BestRows(row_best))
    found = EdgeSummary(
        tally.n_edges, tally.checksum, tally.smallest, tally.largest, int(in_degree.max(initial=0))
    )
    require_summable(found.magnitude, graph.dtype)
    return found, row_best


def trivial_bound(graph: BlockedGraph, preference: Float64Array) -> float:
    """Return an upper bound, but for rounding, on the net similarity.

    Every point contributes its largest similarity, or its preference if that is larger.
    """
    best = best_of_rows(graph)
    return grid_sum(np.maximum(best, preference, out=best))


def best_of_rows(graph: BlockedGraph) -> Float64Array:
    """Return each point's largest similarity, -inf for points without an edge."""
    best = np.empty(graph.n_points)
    graph.run(EdgeSummaryPass(), (), BestRows(best))
    return best


def out_degrees(graph: BlockedGraph) -> Int32Array:
    """Return the number of each point's edges: the store's ``indptr`` may count other entries too."""
    degrees = OutDegreeRows(np.empty(graph.n_points, np.int32))
    graph.run(OutDegreePass(), (), degrees)
    return degrees.degree


def support_grid(problem: Problem, preference: Float64Array, bias: FloatArray) -> Grid:
    """Return the finest grid on which no column total can overflow, in any sweep.

    Parameters
    ----------
    problem : Problem
    preference : ndarray of float64, shape (n_points,)
        The preferences that the messages use.
    bias : ndarray, shape (n_points,)
        The largest amount by which the messages may lower each of them.
    """
    edges = problem.edges
    if edges.n_edges == 0:
        return Grid.for_totals(max(problem.magnitude, 1.0))
    # Lower preferences mean larger responsibilities, so the largest bias decides the grid.
    lowered = preference - bias
    bound = SupportBoundPass.of(edges.largest, float(lowered.min()), edges.max_in_degree)
    (totals,), _ = problem.graph.run(bound, (), PreferenceRows(lowered))
    return Grid.for_totals(float(totals.max()))


# Far below the largest numbers, so that sums over 2**31 edges, and their differences, stay finite.
_LARGEST_SUMMABLE = {"float32": 1e30, "float64": 1e100}


def require_summable(magnitude: float, dtype: np.dtype[Any]) -> None:
    """Refuse magnitudes whose sums could leave the range of the dtype or of float64."""
    most = _LARGEST_SUMMABLE[dtype.name]
    if magnitude > most:
        raise InvalidInputError(
            f"The similarities and preferences reach {magnitude:g} in absolute value; with similarities of "
            f"{dtype} at most {most:g} can be added up safely. Divide them all by one number: the clustering "
            "stays the same."
        )
