"""What is proven of a clustering: with weights, and with points that are always or never exemplars, too."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sparse_ap.propagation.problem import Problem, limits_of
from sparse_ap.propagation.readout import with_exemplars
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.bound import Proof, proof_of

__all__ = ["certified"]


def certified(problem: Problem, clustering: Clustering, verbose: bool, improve: bool) -> Clustering:
    """Return a clustering with its proven bound, and whether it is optimal.

    Parameters
    ----------
    problem : Problem
    clustering : Clustering
    verbose : bool
        Whether to show progress.
    improve : bool
        Whether to return the clustering of better exemplars, if the proof comes across them.
    """
    proof = _proof(problem, clustering, verbose)
    if proof.better is not None and improve:
        clustering = with_exemplars(problem, clustering, proof.better)
    return replace(
        clustering,
        net_similarity_bound=proof.bound,
        bound_is_complete=problem.missing_at_most is not None,
        optimal=proof.optimal and (improve or proof.better is None),
    )


def _proof(problem: Problem, clustering: Clustering, verbose: bool) -> Proof:
    """Return what is proven of a clustering.

    Points that are always exemplars are given a preference M so high that they are, and their sum is taken
    off the bound: whatever M is, every allowed clustering has these exemplars, so the bound holds for all. A
    low preference for points that never are exemplars allows more clusterings, so it holds all the more.
    Points that nobody represents have no edges, and a preference of 0.
    """
    roles, weighting = problem.roles, problem.weighting
    if weighting is not None:
        # The graph's similarities are weighted; so are those that the descent starts from.
        start = replace(clustering, similarities=weighting.weights * clustering.similarities)
        proof = _proof(replace(problem, weighting=None), start, verbose)
        # Each product is rounded once, by at most half of this.
        rounding = 2.0**-52 * problem.edges.magnitude * problem.graph.n_points
        return proof._replace(bound=float(np.nextafter(proof.bound + rounding, np.inf)))
    if roles is None:
        return proof_of(problem, clustering, verbose)
    highest = limits_of(problem.free_preference, problem.edges).always
    # A power of two, so that its multiples are exact.
    raised = math.ldexp(1.0, math.frexp(max(1.0, highest))[1])
    total = roles.n_pinned * raised
    lifted = replace(
        clustering,
        similarities=np.nan_to_num(clustering.similarities, nan=0.0),
        net_similarity=clustering.net_similarity + total,
    )
    preference = np.where(roles.pinned, raised, problem.preference)
    proof = proof_of(replace(problem, preference=preference, roles=None), lifted, verbose)
    return proof._replace(bound=float(np.nextafter(proof.bound - total, np.inf))) if total else proof
