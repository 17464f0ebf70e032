"""From the exemplars of the messages to the user's `Clustering`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.exact_sum import exact_sum
from sparse_ap.propagation.assignment import Assignment, Refinement, assign
from sparse_ap.propagation.loop import Propagation
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering

__all__ = [
    "all_equal",
    "better_than_rounding",
    "clustering_of",
    "degenerate_clustering",
    "read_out",
    "refined",
    "with_exemplars",
    "with_labels",
]

# Differences of the net similarity up to this share of its terms' sizes are rounding errors of the input,
# such as s(i,k) and s(k,i) computed in two ways.
_ROUNDING = 1e-12


def read_out(problem: Problem, propagation: Propagation, refine: Refinement | None) -> Clustering:
    """Repair and refine the exemplars, and return the clustering in the user's numbering.

    Parameters
    ----------
    problem : Problem
    propagation : Propagation
    refine : callable, optional
        Function from a problem and an assignment to a better assignment.
    """
    assignment, n_promoted = repair(problem, propagation.exemplar)
    if refine:
        assignment = refined(problem, assignment, refine)
    return clustering_of(problem, propagation, assignment, n_promoted)


def refined(problem: Problem, assignment: Assignment, refine: Refinement) -> Assignment:
    """Return a refined assignment in which every point has an exemplar; the one given if that is better."""
    found = refine(problem, assignment)
    if problem.roles is not None:
        # A search that ended too early can leave a forbidden point on its own.
        found, _ = repair(problem, found.exemplar)
    # Of equals the refined one, which does not depend on how ties were broken.
    return max((found, assignment), key=lambda a: sum(_value(problem, a)))


def clustering_of(
    problem: Problem, propagation: Propagation, assignment: Assignment, n_promoted: int
) -> Clustering:
    """Return an assignment as a clustering in the user's numbering."""
    history = propagation.history
    return Clustering(
        **_of_assignment(problem, assignment),
        n_iter=len(history),
        converged=propagation.converged,
        outcome=_outcome(problem, propagation),
        n_unsettled=history[-1].n_unsettled if history else 0,
        n_promoted=n_promoted,
        history=history,
        preference=problem.common_preference,
        min_similarity=problem.min_similarity,
    )


def with_exemplars(problem: Problem, clustering: Clustering, exemplar: BoolArray) -> Clustering:
    """Return a clustering with other exemplars, in the order of the graph, unless they are no better."""
    assignment = assign(problem, problem.allowed(exemplar))
    better = sum(_value(problem, assignment)) > clustering.net_similarity
    return replace(clustering, **_of_assignment(problem, assignment)) if better else clustering


def with_labels(
    problem: Problem, clustering: Clustering, labels: Int64Array, exemplars: Int64Array, similarities: Any
) -> Clustering:
    """Return a clustering with other labels, in the user's order, of which nothing is proven."""
    similarities = similarities.astype(clustering.similarities.dtype)
    return replace(clustering, **_of_labels(problem, labels, exemplars, similarities), optimal=False)


def _of_assignment(problem: Problem, assignment: Assignment) -> dict[str, Any]:
    """Return the attributes of a clustering that follow from its exemplars."""
    return _of_labels(problem, *_in_user_order(problem, assignment))


def _of_labels(
    problem: Problem, labels: Int64Array, exemplars: Int64Array, similarities: FloatArray
) -> dict[str, Any]:
    """Return the attributes of a clustering that follow from its labels, in the user's order."""
    there, preference = labels >= 0, np.empty(len(labels))
    weight = np.float32(1) if problem.weighting is None else problem.weighting.weights[there]
    preference[problem.user_id] = problem.preference
    data_similarity = exact_sum(weight * similarities[there])
    exemplar_preference = exact_sum(preference[exemplars])
    return {
        "labels": labels,
        "exemplars": exemplars,
        "similarities": similarities,
        "net_similarity": data_similarity + exemplar_preference,
        "data_similarity": data_similarity,
        "exemplar_preference": exemplar_preference,
        "weighted_sizes": _weighted_sizes(problem, labels, len(exemplars)),
    }


def _weighted_sizes(problem: Problem, labels: Int64Array, n_clusters: int) -> Float64Array | None:
    """Return the weight of each cluster; None without weights. Sums are in the order of the points."""
    if problem.weighting is None:
        return None
    there = labels >= 0
    sizes = np.bincount(labels[there], weights=problem.weighting.weights[there], minlength=n_clusters)
    return sizes.astype(np.float64, copy=False)


def _outcome(problem: Problem, propagation: Propagation) -> Outcome:
    if propagation.converged:
        return Outcome.CONVERGED
    n_exemplars = np.count_nonzero(propagation.exemplar) - problem.n_unrepresented
    return Outcome.MAX_ITER_REACHED if n_exemplars > 0 else Outcome.NO_EXEMPLARS


def all_equal(problem: Problem) -> bool:
    """Whether every pair of points is an edge, and all similarities and all preferences are equal."""
    n, preference = problem.graph.n_points, problem.preference
    return (
        n > 1
        and problem.roles is None
        and problem.weighting is None
        and problem.edges.n_edges == n * (n - 1)
        and problem.edges.smallest == problem.edges.largest
        and bool((preference == preference[0]).all())
    )


def degenerate_clustering(problem: Problem) -> Clustering:
    """Return scikit-learn's answer for points that are all alike: every point alone, or one cluster."""
    n, p, s = problem.graph.n_points, float(problem.preference[0]), problem.edges.largest
    n_clusters = n if p > s else 1
    return Clustering(
        labels=np.arange(n) if n_clusters == n else np.zeros(n, np.int64),
        exemplars=np.arange(n_clusters),
        similarities=np.where(np.arange(n) < n_clusters, 0, s).astype(problem.graph.dtype),
        net_similarity=n_clusters * p + (n - n_clusters) * s,
        data_similarity=(n - n_clusters) * s,
        exemplar_preference=n_clusters * p,
        n_iter=0,
        converged=True,
        outcome=Outcome.ALL_EQUAL,
        n_unsettled=0,
        n_promoted=0,
        history=(),
        preference=p,
        min_similarity=problem.min_similarity,
    )


def better_than_rounding(problem: Problem, found: Assignment, old: Assignment) -> bool:
    """Whether an assignment has a larger net similarity than another one, by more than rounding errors."""
    sizes = exact_sum(np.abs(old.similarity)) + exact_sum(np.abs(problem.preference[old.exemplar]))
    return sum(_value(problem, found)) - sum(_value(problem, old)) > _ROUNDING * sizes


def _value(problem: Problem, assignment: Assignment) -> tuple[float, float]:
    """Return the data similarity and the sum of the exemplars' preferences."""
    return exact_sum(assignment.similarity), exact_sum(problem.preference[assignment.exemplar])


def _in_user_order(problem: Problem, assignment: Assignment) -> tuple[Int64Array, Int64Array, FloatArray]:
    """Return labels, exemplars (ascending) and similarities in the user's numbering."""
    lost = None if problem.roles is None else problem.roles.unrepresented
    chosen = assignment.exemplar if lost is None else assignment.exemplar & ~lost
    exemplars = np.sort(problem.user_id[chosen]).astype(np.int64)
    given, user_id = _as_given(problem, assignment)
    labels = np.empty(len(given.chosen), np.int64)
    labels[user_id] = np.searchsorted(exemplars, user_id[given.chosen])
    similarities = np.empty_like(given.similarity)
    similarities[user_id] = given.similarity
    if lost is not None:
        labels[problem.user_id[lost]], similarities[problem.user_id[lost]] = -1, np.nan
    return labels, exemplars, similarities


def _as_given(problem: Problem, assignment: Assignment) -> tuple[Assignment, Int32Array]:
    """Return the assignment in the similarities that were given, and the user's numbers of its points."""
    if problem.weighting is None:
        return assignment, problem.user_id
    graph = problem.weighting.graph
    user_id = graph.user_id
    exemplar = np.empty(graph.n_points, np.bool_)
    exemplar[problem.user_id] = assignment.exemplar
    return assign(replace(problem, graph=graph, user_id=user_id), exemplar[user_id]), user_id
