"""Restriction of a graph to the edges along which points may be represented."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.clustering.input import selected
from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.plans import InputGraph
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.propagation.duplicates import Duplicates, stand_ins
from sparse_ap.propagation.problem import EdgeSummary, out_degrees, summarise_edges
from sparse_ap.propagation.roles import PointsError, Roles, candidate_mask, listed
from sparse_ap.propagation.settings import Options
from sparse_ap.storage.selection import Selection

__all__ = [
    "SummarisedGraph",
    "allowed_preferences",
    "collapsed",
    "near_edges",
    "weighted",
    "with_roles",
]


class SummarisedGraph(NamedTuple):
    """A graph, the summary of its edges, and each row's largest similarity (-inf without an edge)."""

    graph: BlockedGraph
    edges: EdgeSummary
    row_best: Float64Array

    @classmethod
    def of(cls, graph: BlockedGraph) -> SummarisedGraph:
        """Read a graph once, and return its summary with it."""
        return cls(graph, *summarise_edges(graph))


def near_edges(given: InputGraph, at: SummarisedGraph, least: float, covers: bool) -> SummarisedGraph:
    """Return a graph without edges of a similarity below ``least``, rounded to the similarities' dtype.

    Parameters
    ----------
    given : InputGraph
    at : SummarisedGraph
        The same graph, canonical.
    least : float
    covers : bool
        Whether to refuse a graph that was written without such edges, and to warn if it may lack some.
    """
    with np.errstate(over="ignore"):
        narrow, floor = (float(at.graph.dtype.type(bound)) for bound in (least, at.graph.store.origin.floor))
    if covers and floor >= narrow:
        raise InvalidInputError(
            f"min_similarity={least} was given, but the graph was written without the edges of similarity "
            f"{floor:g} or less, which would cover points too. Write it with a lower min_similarity, or "
            "raise this one."
        )
    near = at
    if at.edges.smallest < narrow:
        near = SummarisedGraph.of(selected(at.graph, Selection(least=narrow)))
    if covers:
        _warn_of_missing(given, at.graph, near.graph, narrow)
    return near


def _warn_of_missing(given: InputGraph, whole: BlockedGraph, near: BlockedGraph, least: float) -> None:
    """Warn of rows that may lack edges of a similarity of ``least`` or more."""
    missing = given.missing_at_most()
    if missing is None:
        # The rows of nearest neighbours are equally long, and may go on if all of them are similar enough.
        degrees = out_degrees(whole)
        longest = degrees.max(initial=0)
        alike = 0 < longest < len(degrees) - 1 and 2 * np.count_nonzero(degrees == longest) > len(degrees)
        incomplete = (out_degrees(near) == longest) & alike
    else:
        incomplete = missing >= least
    if incomplete.any():
        warn(
            f"{np.count_nonzero(incomplete):,} of {len(incomplete):,} points may have more pairs of a "
            f"similarity of {least:g} than the graph, which then needs more exemplars than the points do. "
            "sparse_ap.graphs.radius_graph (sparse-ap radius) finds all pairs."
        )


def weighted(given: SummarisedGraph, weights: Float64Array) -> SummarisedGraph:
    """Return a graph whose similarities are multiplied by the weights, in the user's order, of their rows."""
    return SummarisedGraph.of(selected(given.graph, Selection(weight=weights[given.graph.user_id])))


def collapsed(
    given: SummarisedGraph, preference: Float64Array, weights: Float64Array | None, alike: float
) -> tuple[SummarisedGraph, Duplicates | None]:
    """Return a graph in which one of several equal points stands for all, and who stands for whom.

    Points are left alone that are always exemplars, or gain more by being one than by joining their equal.

    Parameters
    ----------
    given : SummarisedGraph
    preference : ndarray of float64, shape (n_points,)
        In the user's order, -inf for points that are no candidates.
    weights : ndarray of float64, shape (n_points,), or None
        In the user's order.
    alike : float
        The similarity of equal points to each other; rounded to the similarities' dtype.

    Returns
    -------
    SummarisedGraph
    duplicates : Duplicates or None
        None if no two points are equal.
    """
    graph, n = given.graph, given.graph.n_points
    with np.errstate(over="ignore"):
        alike = float(graph.dtype.type(alike))
    user_id = graph.user_id
    joins = preference <= alike * (np.ones(n) if weights is None else weights)
    may = (given.row_best == alike) & joins[user_id]
    in_graph = stand_ins(graph, may, alike, user_id)
    stand_in = np.empty(n, np.int64)
    stand_in[user_id] = user_id[in_graph]
    _warn_of_unequal(given, alike, int(np.count_nonzero(may & (np.bincount(in_graph, minlength=n) == 1))))
    duplicates = Duplicates.of(alike, stand_in, preference, weights)
    if not duplicates.n_collapsed:
        return given, None
    return SummarisedGraph.of(selected(graph, Selection(stand_in=in_graph))), duplicates


def _warn_of_unequal(given: SummarisedGraph, alike: float, n_alone: int) -> None:
    """Warn of a similarity that cannot be that of equal points, and of points linked by it but not equal."""
    if n_alone:
        warn(
            f"{n_alone:,} points are as similar to others as collapse_duplicates={alike:g} says of equal "
            "ones, and are not collapsed, since their rows or columns differ from those of the others. If "
            "they are equal, the search that made the graph has missed neighbours: search exactly "
            "(recall=1), or leave out the copies before the search, and give their number as weights."
        )
    elif given.edges.largest > alike:
        warn(
            f"collapse_duplicates={alike:g} is the similarity of equal points, and there are larger ones, up "
            f"to {given.edges.largest:g}: points that have such a neighbour are not collapsed. Give the "
            "largest similarity that two points can have."
        )
    elif alike > 0 >= given.edges.largest:
        warn(
            f"collapse_duplicates={alike:g} is the similarity of equal points, and no similarity is above 0: "
            "nothing is collapsed. For similarities that are negative distances give 0 or True."
        )


def allowed_preferences(preference: Float64Array, options: Options) -> Float64Array:
    """Return the preferences, in the user's order, with -inf for points that are no candidates.

    Raises
    ------
    InvalidInputError
        The candidates are none, or a point that is always an exemplar is not among them.
    """
    if options.candidates is None:
        return preference
    candidate = candidate_mask(options.candidates, len(preference))
    _require_no_contradiction(preference == np.inf, candidate)
    return preference if candidate.all() else np.where(candidate, preference, -np.inf)


def with_roles(
    given: SummarisedGraph, preference: Float64Array, options: Options, duplicates: Duplicates | None
) -> tuple[SummarisedGraph, Roles | None]:
    """Return a graph without the edges to points that are never exemplars, and the roles of the points.

    Parameters
    ----------
    given : SummarisedGraph
    preference : ndarray of float64, shape (n_points,)
        In the user's order: +inf for points that are always exemplars, -inf for those that never are.
    options : Options
    duplicates : Duplicates or None
        Points for which others stand; they count as points that nobody represents.

    Returns
    -------
    SummarisedGraph
    roles : Roles or None
        In the order of the graph; None if all points have the choice.

    Raises
    ------
    InvalidInputError
        No point may be an exemplar, or nobody can represent some points and ``options.unrepresented`` is
        "error".
    """
    n = given.graph.n_points
    copies = np.zeros(n, np.bool_) if duplicates is None else duplicates.collapsed
    barred = (preference == -np.inf) & ~copies
    pinned = preference == np.inf
    if n == 0 or not (barred.any() or pinned.any() or copies.any()):
        return given, None
    if (barred | copies).all():
        raise InvalidInputError(
            f"None of the {n} points may be an exemplar: each has a preference of -inf, or is not among the "
            "candidates. Leave at least one that may."
        )
    user_id = given.graph.user_id
    barred, pinned, copies = barred[user_id], pinned[user_id], copies[user_id]
    if barred.any():
        given = SummarisedGraph.of(selected(given.graph, Selection(candidate=~barred)))
    lost = barred & np.isneginf(given.row_best)
    if options.unrepresented == "error" and lost.any():
        points = np.sort(user_id[lost])
        if duplicates is not None:
            points = duplicates.all_of(points)
        raise _unrepresented(points, options)
    return given, Roles(pinned, barred & ~lost, lost | copies)


def _unrepresented(points: NDArray[Any], options: Options) -> PointsError:
    near = "" if options.min_similarity is None else f" of similarity {options.min_similarity:g} or more"
    label = "; with unrepresented='label' (--unrepresented label) they are labelled -1" * (not options.covers)
    return PointsError(
        points,
        f"{len(points)} of the points may not be exemplars, and have no edge{near} to any that may: "
        f"{{points}}. Allow more exemplars, give these points more edges, or leave them out{label}.",
    )


def _require_no_contradiction(pinned: BoolArray, candidate: BoolArray) -> None:
    both = np.flatnonzero(pinned & ~candidate)
    if len(both):
        raise InvalidInputError(
            f"{len(both)} of the points have a preference of inf, which makes them exemplars always, and "
            f"are not among the candidates: {listed(both)}. Make them candidates, or give them another "
            "preference."
        )
