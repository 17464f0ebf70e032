"""The proven bound of clusterings with weights, or in which some points are always or never exemplars."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sparse_ap.propagation.problem import Problem, limits_of
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.bound import with_bound

__all__ = ["certified"]


def certified(problem: Problem, clustering: Clustering, verbose: bool) -> Clustering:
    """Return a clustering with its proven bound; show progress if ``verbose``.

    Points that are always exemplars are given a preference M so high that they are, and their sum is taken
    off the bound: whatever M is, every allowed clustering has these exemplars, so the bound holds for all. A
    low preference for points that never are exemplars allows more clusterings, so it holds all the more.
    Points that nobody represents have no edges, and a preference of 0.
    """
    roles, weighting = problem.roles, problem.weighting
    if weighting is not None:
        # The graph's similarities are weighted; so are those that the descent starts from.
        start = replace(clustering, similarities=weighting.weights * clustering.similarities)
        proven = certified(replace(problem, weighting=None), start, verbose)
        assert proven.net_similarity_bound is not None
        # Each product is rounded once, by at most half of this.
        rounding = 2.0**-52 * problem.edges.magnitude * problem.graph.n_points
        bound = float(np.nextafter(proven.net_similarity_bound + rounding, np.inf))
        return replace(clustering, net_similarity_bound=bound, bound_is_complete=proven.bound_is_complete)
    if roles is None:
        return with_bound(problem, clustering, verbose)
    highest = limits_of(problem.free_preference, problem.edges).always
    # A power of two, so that its multiples are exact.
    raised = math.ldexp(1.0, math.frexp(max(1.0, highest))[1])
    total = roles.n_pinned * raised
    preference = np.where(roles.pinned, raised, problem.preference)
    lifted = replace(
        clustering,
        similarities=np.nan_to_num(clustering.similarities, nan=0.0),
        net_similarity=clustering.net_similarity + total,
    )
    proven = with_bound(replace(problem, preference=preference, roles=None), lifted, verbose)
    assert proven.net_similarity_bound is not None
    bound = (
        float(np.nextafter(proven.net_similarity_bound - total, np.inf))
        if total
        else proven.net_similarity_bound
    )
    return replace(clustering, net_similarity_bound=bound, bound_is_complete=proven.bound_is_complete)
