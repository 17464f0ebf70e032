"""One run: open store and executor, propagate, refine, prove, limit, read out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sparse_ap.clustering.growth.warm_start import started
from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.n_clusters import options_for, with_n_clusters
from sparse_ap.clustering.solver import Solver, open_problem
from sparse_ap.errors import warn, warn_not_converged
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.block import Float64Array
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.readout import all_equal, degenerate_clustering
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options
from sparse_ap.search.certificate import certified
from sparse_ap.search.sizes.limited import limited, require_sizes
from sparse_ap.search.sizes.refusal import Sizes

__all__ = ["clustered", "run", "warn_of", "weighed"]


def run(similarity: Any, n_clusters: int | None, options: Options, resources: Resources) -> Clustering:
    """Return the clustering, with its bound if that is asked for."""
    if n_clusters is not None:
        options = options_for(n_clusters, options)
    with open_problem(similarity, options, resources) as (solver, problem, row_best):
        sizes = Sizes.of(options)
        if sizes is not None:
            require_sizes(problem, sizes)
        if n_clusters is not None:
            problem, clustering = with_n_clusters(solver, problem, int(n_clusters))
        else:
            problem, clustering = clustered(solver, problem, row_best, options.start)
        if options.certify:
            # Better exemplars that the proof comes across are taken where exemplars are searched for.
            improve = solver.settings.refine == "search" and n_clusters is None
            # The bound takes up to 130 readings: a small graph is fetched from a cluster first.
            clustering = certified(local_problem(problem), clustering, resources.verbose, improve)
        if sizes is not None:
            clustering = limited(problem, clustering, sizes, solver.settings.seed)
        if problem.duplicates is None:
            return clustering
        return problem.duplicates.expanded(clustering, shared_preference=n_clusters is not None)


def clustered(
    solver: Solver, problem: Problem, row_best: Float64Array, start: Clustering | None = None
) -> tuple[Problem, Clustering]:
    """Return the clustering that a run leads to, or scikit-learn's where all points are alike.

    The run is a short one if there is a clustering to begin with.

    Returns
    -------
    problem : Problem
        The same problem, with a local copy of its graph if the run made one.
    clustering : Clustering
    """
    if all_equal(problem):
        return problem, degenerate_clustering(problem)
    if start is not None:
        return started(solver, problem, row_best, start)
    return solver.clustering(problem, row_best)


def weighed(clustering: Clustering, options: Options) -> Clustering:
    """Return a clustering with the weights of its clusters where all weights given are 1, as without any."""
    if options.weights is None or clustering.weighted_sizes is not None:
        return clustering
    return replace(clustering, weighted_sizes=clustering.sizes.astype(np.float64))


def warn_of(outcome: Outcome) -> None:
    """Warn if a run did not converge, has no exemplars, or met a graph of equal points."""
    if outcome in (Outcome.MAX_ITER_REACHED, Outcome.NO_EXEMPLARS):
        warn_not_converged(outcome.value)
    elif outcome is Outcome.ALL_EQUAL:
        warn(outcome.value)
