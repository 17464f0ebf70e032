"""`limited`: the clusters of a run, changed until none is too large or too small."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import BoolArray, Int32Array
from sparse_ap.kernels.hashing import hashed
from sparse_ap.kernels.rows import CollectPass
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.readout import with_labels
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.roles import PointsError
from sparse_ap.search.sizes.feasible import fewest_left_out
from sparse_ap.search.sizes.moves import improve
from sparse_ap.search.sizes.refusal import Sizes, refusal
from sparse_ap.search.sizes.state import Clusters, Graph

__all__ = ["limited", "require_sizes"]

# Visits of points: at least, which take about a second, and for each edge; and how often each point is the
# centre of a disturbance, at most, and how many visits one takes, about.
_LEAST_VISITS, _VISITS_AN_EDGE = 1 << 19, 0.5
_TIMES, _VISITS_A_CENTRE = 10, 50


def require_sizes(problem: Problem, sizes: Sizes) -> None:
    """Refuse, before a run, sizes that cannot be.

    Raises
    ------
    InvalidInputError
        There are fewer points than the least size; or points that are always exemplars, and cannot be closed.
    """
    if sizes.least == 1:
        return
    n = problem.graph.n_points - problem.n_unrepresented
    if n < sizes.least and not sizes.label:
        raise InvalidInputError(
            f"min_cluster_size={sizes.least} was given for {n} points. Give a number up to that."
        )
    if problem.roles is not None and problem.roles.n_pinned:
        raise InvalidInputError(
            f"min_cluster_size={sizes.least} was given with {problem.roles.n_pinned} points that are "
            "always exemplars (a preference of inf), whose clusters may be smaller and cannot be closed. "
            "Give one of the two."
        )


def limited(problem: Problem, clustering: Clustering, sizes: Sizes, seed: int) -> Clustering:
    """Return a clustering in which all clusters keep the limits; the same one if they do.

    Parameters
    ----------
    problem : Problem
    clustering : Clustering
        Of a run without limits; its bound holds with limits all the more.
    sizes : Sizes
    seed : int
        Seed of the order in which places are disturbed.

    Raises
    ------
    PointsError
        Some points are in no such cluster, and ``sizes.label`` is False.
    """
    if (
        sizes.least <= clustering.sizes.min(initial=sizes.least)
        and clustering.sizes.max(initial=0) <= sizes.most
    ):
        return clustering
    graph, lost = _graph_of(problem)
    chosen = np.where(clustering.labels < 0, -1, clustering.exemplars[clustering.labels]).astype(np.int32)
    chosen = _improved(graph, chosen, lost, sizes, seed)
    left_out, proven = _left_out(chosen, sizes.least), False
    if (left_out & ~lost).any():
        other, proven = fewest_left_out(graph, chosen, left_out & ~lost, sizes)
        if np.count_nonzero(_left_out(other, sizes.least)) < np.count_nonzero(left_out):
            chosen = _improved(graph, other, lost, sizes, seed)
            left_out = _left_out(chosen, sizes.least)
    if (left_out & ~lost).any() and not sizes.label:
        raise _refusal(graph, left_out & ~lost, sizes, proven)
    chosen = np.where(left_out, np.int32(-1), chosen)
    exemplars = np.flatnonzero(chosen == np.arange(len(chosen)))
    labels = np.where(left_out, -1, np.searchsorted(exemplars, chosen))
    return with_labels(problem, clustering, labels, exemplars, graph.to(chosen))


def _graph_of(problem: Problem) -> tuple[Graph, BoolArray]:
    """Return the graph in this process, in the user's order, and the points that nobody can represent."""
    weighting, n = problem.weighting, problem.graph.n_points
    graph, user_id = problem.graph, problem.user_id
    weight, preference = np.ones(n), np.empty(n)
    preference[user_id] = problem.preference
    may, must, lost = np.ones(n, np.bool_), *np.zeros((2, n), np.bool_)
    if problem.roles is not None:
        roles = problem.roles
        may[user_id] = ~(roles.forbidden | roles.unrepresented)
        must[user_id], lost[user_id] = roles.pinned, roles.unrepresented
    if weighting is not None:
        graph, weight = weighting.graph, weighting.weights
        user_id = graph.user_id
    blocks = list(graph.run(CollectPass(), (), ())[1].blocks)
    return Graph.of(blocks, user_id, weight, preference, may, must), lost


def _improved(graph: Graph, chosen: Int32Array, lost: BoolArray, sizes: Sizes, seed: int) -> Int32Array:
    """Return the exemplars chosen by a search that starts from others; no more points are left out."""
    clusters = Clusters.of(graph, chosen, lost, sizes.least, sizes.most)
    n_visits = max(_LEAST_VISITS, int(_VISITS_AN_EDGE * len(graph.columns)))
    improve(graph, clusters, _centres(len(chosen), n_visits // _VISITS_A_CENTRE, seed), n_visits)
    return clusters.chosen


def _centres(n_points: int, most: int, seed: int) -> Int32Array:
    """Return all points several times, in a random order each time, or as many as there are visits for."""
    points = np.arange(n_points, dtype=np.int32)
    orders = [
        np.argsort(hashed(points, seed + time), kind="stable")
        for time in range(min(_TIMES, 1 + most // max(1, n_points)))
    ]
    return np.concatenate(orders).astype(np.int32)[:most]


def _left_out(chosen: Int32Array, least: int) -> BoolArray:
    """Return the points in no cluster, or in one that is too small."""
    size = np.bincount(chosen[chosen >= 0], minlength=len(chosen))
    left_out: BoolArray = (chosen < 0) | (size[chosen] < least)
    return left_out


def _refusal(graph: Graph, left_out: NDArray[np.bool_], sizes: Sizes, proven: bool) -> PointsError:
    component = graph.components()
    small = np.bincount(component)[component] < sizes.least
    return refusal(np.flatnonzero(left_out), sizes, int(np.count_nonzero(small & left_out)), proven)
