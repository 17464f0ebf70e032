"""From the user's input to a problem ready for the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from sparse_ap.arguments import real_numbers
from sparse_ap.clustering.input import blocked_graph, renumbered
from sparse_ap.clustering.restriction import (
    SummarisedGraph,
    allowed_preferences,
    collapsed,
    near_edges,
    weighted,
    with_roles,
)
from sparse_ap.errors import InvalidInputError, warn_of_positive_similarities
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.plans import InputGraph
from sparse_ap.kernels.block import Float64Array, RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.kernels.entry_statistics import EntryStatistics, ExaminingPass, StatisticsPass
from sparse_ap.propagation.preferences import require_kept_edges, resolve_preference, weights_of
from sparse_ap.propagation.problem import Problem, Weighting
from sparse_ap.propagation.roles import Roles
from sparse_ap.propagation.settings import Options
from sparse_ap.storage.csr import locality_order
from sparse_ap.storage.store import block_of
from sparse_ap.storage.validation import as_float

__all__ = ["examined", "examined_by", "prepared"]


def prepared(
    given: InputGraph, graph: BlockedGraph, options: Options, renumber: bool
) -> tuple[Problem, Float64Array]:
    """Check the input, resolve the preferences, and renumber the points if asked to.

    Parameters
    ----------
    given : InputGraph
    graph : BlockedGraph
        The edges as they are stored.
    options : Options
    renumber : bool
        Whether to work on a copy in which neighbours have nearby numbers.

    Returns
    -------
    problem : Problem
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity.
    """
    graph, no_distances = _checked(given, graph, options)
    at = SummarisedGraph.of(graph)
    if 0 <= at.edges.smallest < at.edges.largest and not no_distances:
        warn_of_positive_similarities(at.edges.largest)
    least, n_edges = options.min_similarity, at.edges.n_edges
    if least is not None:
        at = near_edges(given, at, least, options.covers)
    preferences = _preferences(given, at, options)
    weights = weights_of(options.weights, graph.n_points)
    # Edges weaker than the user wants do not matter.
    if least is None or least <= graph.store.origin.floor:
        require_kept_edges(preferences, graph.store.origin, weights)
    # Released: what follows may be on a copy.
    del graph
    preferences, duplicates = allowed_preferences(preferences, options), None
    if options.collapses:
        at, duplicates = collapsed(at, preferences, weights, options.alike)
    if duplicates is not None:
        preferences, weights = duplicates.joint_preference, duplicates.joint_weights
    at, roles = with_roles(at, preferences, options, duplicates)
    weighting = None
    if weights is not None:
        weighting = Weighting(weights, at.graph)
        at = weighted(at, weights)
    problem, row_best = _problem(at, preferences, roles, renumber)
    alike = options.alike if options.collapses else None
    problem = replace(
        problem, min_similarity=least, weighting=weighting, duplicates=duplicates, alike=alike
    )  # fmt: skip
    if options.complete:
        missing = _missing_at_most(given, options, n_edges)
        problem = replace(problem, missing_at_most=_of_missing(missing, weights, roles)[problem.user_id])
    return problem, row_best


def _preferences(given: InputGraph, at: SummarisedGraph, options: Options) -> Float64Array:
    preference, quantile = options.preference, options.preference_quantile
    if preference is None and quantile is None and given.dense is not None and not options.drops_edges:
        # The median with the diagonal is scikit-learn's default, so that results agree.
        preference = _dense_median(given.dense)
    return resolve_preference(preference, quantile, at.graph, at.edges.n_edges)


def _problem(
    at: SummarisedGraph,
    preferences: Float64Array,
    roles: Roles | None,
    renumber: bool,
) -> tuple[Problem, Float64Array]:
    """Return the problem, renumbered if asked to; preferences are in the user's order."""
    graph, edges, row_best = at
    user_id = graph.store.origin.order
    if renumber:
        order = locality_order(*block_of(graph.store, RowCut(0, graph.n_points)).csr[:2])
        graph = renumbered(graph, order)
        row_best = row_best[order]
        user_id = order if user_id is None else user_id[order]
        roles = None if roles is None else roles.renumbered(order)
    if user_id is None:
        user_id = np.arange(graph.n_points, dtype=np.int32)
    # A stride of 0 means one number for all points, which needs no reordering.
    elif preferences.strides != (0,):
        preferences = preferences[user_id]
    problem = Problem(graph, user_id, preferences, edges, roles)
    return (problem if roles is None else problem.under(preferences)), row_best


def _missing_at_most(given: InputGraph, options: Options, n_edges: int) -> Float64Array:
    """Return the largest similarity that a missing edge of each point can have, in the user's order.

    Raises
    ------
    InvalidInputError
        It is not known, or what was given are no such numbers.
    """
    n_points = len(given.store.indptr) - 1
    known = given.missing_at_most() if options.missing_at_most is None else options.missing_at_most
    if known is None and n_edges == n_points * (n_points - 1):
        known = -np.inf
    if known is None:
        raise InvalidInputError(
            "certify='complete' (--certify-complete) bounds the clusterings of all pairs of points, and "
            "nothing is known of the pairs that are not edges of this graph. Graphs from an exact "
            "sparse_ap.graphs.knn_graph know the most that their similarity can be, and keep it through "
            "symmetrise, top_k and write_graph; or give missing_at_most, one number a row that no missing "
            "similarity exceeds (which is not the smallest stored one). Or give certify=True (--certify) for "
            "the clusterings of this graph."
        )
    return _numbers_a_row(known, n_points)


def _of_missing(missing: Float64Array, weights: Any, roles: Roles | None) -> Float64Array:
    """Return what a missing edge can be, weighted as the others are.

    Raises
    ------
    InvalidInputError
        Nobody represents some points, which a missing edge might.
    """
    if roles is not None and roles.n_unrepresented:
        raise InvalidInputError(
            f"certify='complete' (--certify-complete) was given, but {roles.n_unrepresented:,} points are "
            "left without an exemplar, and may have one in the complete graph. Give certify=True (--certify)."
        )
    if weights is None:
        return missing
    weighted_ones = np.asarray(missing * weights)
    return np.where(np.isfinite(missing), np.nextafter(weighted_ones, np.inf), missing)


def _numbers_a_row(known: Any, n_points: int) -> Float64Array:
    needed = f"a number below infinity, or {n_points:,} of them, one a row,"
    try:
        missing = real_numbers(known)
    except (TypeError, ValueError) as error:
        kind = type(known).__name__
        raise InvalidInputError(f"missing_at_most is a {kind} of no numbers; {needed} is needed.") from error
    if missing.shape not in ((), (n_points,)):
        raise InvalidInputError(f"missing_at_most has the shape {missing.shape}; {needed} is needed.")
    if not (missing < np.inf).all():
        raise InvalidInputError(f"missing_at_most has NaN or +inf in it; {needed} is needed.")
    return np.broadcast_to(missing, n_points)


def _checked(given: InputGraph, graph: BlockedGraph, options: Options) -> tuple[BlockedGraph, bool]:
    """Return the canonical graph, and whether there is evidence that its entries are not distances.

    Rows sorted with the largest entry first, a positive diagonal, or a search of ours are such evidence.
    """
    if not options.check_finite:
        return graph, True
    graph, statistics = examined(graph, options.missing)
    if given.searched:
        return graph, True
    # A majority of the rows, since single rows can be sorted by chance.
    best_first = 2 * statistics.n_best_first > graph.n_points
    alike_itself = statistics.n_alike_itself > 0 or (
        given.dense is not None and bool((np.diagonal(given.dense) > 0).any())
    )
    return graph, best_first or alike_itself


def _dense_median(matrix: Any) -> float | None:
    """Return scikit-learn's default preference: the median of all entries, the diagonal included."""
    # In half precision the mean of the two middle numbers would be rounded.
    # Of the two middle numbers one can be inf, the other -inf; or their sum leaves the range of float64.
    with np.errstate(invalid="ignore", over="ignore"):
        median = float(np.median(as_float(matrix))) if matrix.size else 0.0
    return median if np.isfinite(median) else None


def examined(graph: BlockedGraph, missing: str | None) -> tuple[BlockedGraph, EntryStatistics]:
    """Check every entry, and return the canonical graph.

    Returns
    -------
    graph : BlockedGraph
        The same graph with every stored entry an edge of its own.
    statistics : EntryStatistics
        Statistics of the entries as they were stored.

    Raises
    ------
    InvalidInputError
        Entries are invalid, as `_canonical` says.
    """
    statistics = graph.run(StatisticsPass(), (), ())[1]
    return _canonical(graph, statistics, missing), statistics


def examined_by(
    graph: BlockedGraph, missing: str | None, pass_: Pass[Any, Any, Any], vectors: Any, rows: Any
) -> tuple[Columns, Any]:
    """Check every entry, and run a pass over the canonical graph: in the same reading, if it is canonical.

    Returns
    -------
    columns, tally
        Of the pass.

    Raises
    ------
    InvalidInputError
        Entries are invalid, as `_canonical` says.
    """
    columns, found = graph.run(ExaminingPass(pass_), vectors, rows)
    canonical = _canonical(graph, found.statistics, missing)
    return (columns, found.tally) if canonical is graph else canonical.run(pass_, vectors, rows)


def _canonical(graph: BlockedGraph, statistics: EntryStatistics, missing: str | None) -> BlockedGraph:
    """Return the canonical graph, the same one if it is that; refuse graphs with invalid entries.

    Parameters
    ----------
    graph : BlockedGraph
    statistics : EntryStatistics
        Of every stored entry.
    missing : {"nan"} or None
        Whether NaN stands for an absent edge.

    Raises
    ------
    InvalidInputError
        There is NaN, +inf, or a column id that is not a point's, or the rows look like lists of distances;
        the message counts the entries and shows the first one.
    """
    if statistics.n_nan and missing is None:
        remedy = "Give missing='nan' to take them as absent edges, or remove them (an absent edge is -inf)"
        first = _first(graph, statistics.first_nan, lambda column, s: np.isnan(s))
        _refuse(f"{_are(statistics.n_nan)} NaN", first, remedy)
    if statistics.n_outside:
        outside = f"{_has(statistics.n_outside)} a column id outside 0 to {graph.n_points - 1}"
        n = graph.n_points
        first = _first(graph, statistics.first_outside, lambda column, s: (column < 0) | (column >= n))
        _refuse(outside, first, "Rebuild the graph")
    if statistics.n_plus_inf:
        remedy = "Give them a finite value"
        first = _first(graph, statistics.first_infinite, lambda column, s: s == np.inf)
        _refuse(f"{_are(statistics.n_plus_inf)} +inf", first, remedy)
    # scikit-learn's graphs of distances store each point as its own neighbour, at distance 0.
    if 2 * min(statistics.n_nearest_first, statistics.n_diagonal) > graph.n_points:
        raise InvalidInputError(
            "The graph holds distances, as sklearn.neighbors.KNeighborsTransformer writes them: rows begin "
            "with 0, the distance of a point from itself, and rise. Similarities are needed, larger meaning "
            "more alike. Convert them with sparse_ap.graphs.from_distances, or use "
            "AffinityPropagation(affinity='precomputed_nearest_neighbors')."
        )
    return graph if statistics.canonical else blocked_graph(graph.store.canonical(), graph.executor)


def _refuse(what: str, first: str, remedy: str) -> NoReturn:
    raise InvalidInputError(
        f"Of the graph's entries {what}; the first wrong entry is {first}. Finite numbers are needed, or "
        f"-inf for no edge. {remedy}."
    )


def _has(count: int) -> str:
    return f"{count} {'has' if count == 1 else 'have'}"


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _first(graph: BlockedGraph, row: int, wrong: Callable[[Any, Any], Any]) -> str:
    """Describe the first entry of a row, off the diagonal, for which ``wrong(column, similarity)`` holds."""
    block = block_of(graph.store, RowCut(row, row + 1))
    column, s = block.indices, block.data
    edge = np.flatnonzero(wrong(column, s) & (column != row))[0]
    return f"({row}, {column[edge]}) = {s[edge]}"
