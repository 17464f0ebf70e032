"""Restriction of a graph to the edges along which points may be represented."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.clustering.input import selected
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.propagation.problem import EdgeSummary, summarise_edges
from sparse_ap.propagation.roles import Roles, candidate_mask, listed
from sparse_ap.propagation.settings import Options
from sparse_ap.storage.selection import Selection

__all__ = ["SummarisedGraph", "UnrepresentedError", "similar_enough", "weighted", "with_roles"]


class UnrepresentedError(InvalidInputError):
    """Some points may not be exemplars, and nobody can represent them.

    Attributes
    ----------
    points : ndarray of int, shape (n_unrepresented,)
        Their numbers, ascending.
    min_similarity : float or None
        The least similarity that was asked for.
    """

    def __init__(self, points: NDArray[Any], min_similarity: float | None, names: Any = None) -> None:
        self.points, self.min_similarity = points, min_similarity
        near = "" if min_similarity is None else f" of similarity {min_similarity:g} or more"
        super().__init__(
            f"{len(points)} of the points may not be exemplars, and have no edge{near} to any that may: "
            f"{listed(points if names is None else names[points])}. Allow more exemplars, give these points "
            "more edges, or leave them out; with unrepresented='label' (--unrepresented label) they are "
            "labelled -1."
        )

    def named(self, names: NDArray[Any]) -> UnrepresentedError:
        """Return the error with the names of the points instead of their numbers."""
        return UnrepresentedError(self.points, self.min_similarity, names)

    def __reduce__(self) -> Any:
        """Return how the error is made again from a pickle."""
        return type(self), (self.points, self.min_similarity)


class SummarisedGraph(NamedTuple):
    """A graph, the summary of its edges, and each row's largest similarity (-inf without an edge)."""

    graph: BlockedGraph
    edges: EdgeSummary
    row_best: Float64Array

    @classmethod
    def of(cls, graph: BlockedGraph) -> SummarisedGraph:
        """Read a graph once, and return its summary with it."""
        return cls(graph, *summarise_edges(graph))


def similar_enough(given: SummarisedGraph, least: float) -> SummarisedGraph:
    """Return a graph without edges of a similarity below ``least``, rounded to the similarities' dtype."""
    with np.errstate(over="ignore"):
        narrow = float(given.graph.dtype.type(least))
    return SummarisedGraph.of(selected(given.graph, Selection(least=narrow)))


def weighted(given: SummarisedGraph, weights: Float64Array) -> SummarisedGraph:
    """Return a graph whose similarities are multiplied by the weights, in the user's order, of their rows."""
    order = given.graph.store.origin.order
    weight = weights if order is None else weights[order]
    return SummarisedGraph.of(selected(given.graph, Selection(weight=weight)))


def with_roles(
    given: SummarisedGraph, preference: Float64Array, options: Options
) -> tuple[SummarisedGraph, Roles | None]:
    """Return a graph without the edges to points that are never exemplars, and the roles of the points.

    Parameters
    ----------
    given : SummarisedGraph
    preference : ndarray of float64, shape (n_points,)
        In the user's order: +inf for points that are always exemplars, -inf for those that never are.
    options : Options

    Returns
    -------
    SummarisedGraph
    roles : Roles or None
        In the order of the graph; None if all points have the choice.

    Raises
    ------
    InvalidInputError
        What is given contradicts itself, no point may be an exemplar, or nobody can represent some points and
        ``options.unrepresented`` is "error".
    """
    n = given.graph.n_points
    barred = preference == -np.inf
    pinned = preference == np.inf
    if options.candidates is not None:
        candidate = candidate_mask(options.candidates, n)
        _require_no_contradiction(pinned, candidate)
        barred |= ~candidate
    if n == 0 or not (barred.any() or pinned.any()):
        return given, None
    if barred.all():
        raise InvalidInputError(
            f"None of the {n} points may be an exemplar: each has a preference of -inf, or is not among the "
            "candidates. Leave at least one that may."
        )
    order = given.graph.store.origin.order
    if order is not None:
        barred, pinned = barred[order], pinned[order]
    if barred.any():
        given = SummarisedGraph.of(selected(given.graph, Selection(candidate=~barred)))
    lost = barred & np.isneginf(given.row_best)
    if options.unrepresented == "error" and lost.any():
        points = np.flatnonzero(lost) if order is None else np.sort(order[lost])
        raise UnrepresentedError(points, options.min_similarity)
    return given, Roles(pinned, barred & ~lost, lost)


def _require_no_contradiction(pinned: BoolArray, candidate: BoolArray) -> None:
    both = np.flatnonzero(pinned & ~candidate)
    if len(both):
        raise InvalidInputError(
            f"{len(both)} of the points have a preference of inf, which makes them exemplars always, and "
            f"are not among the candidates: {listed(both)}. Make them candidates, or give them another "
            "preference."
        )
