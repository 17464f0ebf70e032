"""`hierarchy`: cluster a graph, coarsen it along its clusters, and cluster again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse

from sparse_ap.arguments import require, require_count
from sparse_ap.clustering.affinity_propagation import clustered, warn_of
from sparse_ap.clustering.cluster_graph import LinkedGraph, overlap_similarity
from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.solver import open_links, open_problem
from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.budget import pairs_counted
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.coarsening import weights
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["hierarchy"]


@showing_compilation
def hierarchy(
    similarity: Any,
    *,
    clustering: Clustering | None = None,
    links: Any = None,
    level_preference: float = 2.0,
    max_levels: int | None = None,
    missing: Literal["nan"] | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    memory_limit: int | str | None = None,
    client: Client | None = None,
    verbose: bool = False,
) -> Hierarchy:
    """Cluster a graph, then its clusters, and so on: a tree of exemplars.

    No cluster of a graph can be larger than its exemplar's neighbourhood, so a graph of a million points
    has tens of thousands of clusters at least. These are clustered in turn: two clusters belong together
    if their edges lead to the same clusters.

    Parameters
    ----------
    similarity
        As for `affinity_propagation`.
    clustering : Clustering, optional
        A clustering of this graph, used as the first level. None: `affinity_propagation` with default
        parameters.
    links : graph, optional
        Weights of links between points, whole numbers from 0 to 2**24, from which all further levels are
        built: a graph of any form that ``similarity`` may have. Default: every edge weighs 1.
    level_preference : float, > 0
        Preference of the clusters at all further levels, in units of the median of the level's similarities:
        larger means fewer clusters a level, and fewer levels.
    max_levels : int, optional
        Largest number of levels. Default: until no two clusters are merged any more.
    missing, random_state, n_jobs, memory_limit, client, verbose
        As for `affinity_propagation`. The levels above the first stay in this process's memory: some 500
        bytes for each cluster of the first. With ``memory_limit``, edges are counted for as many clusters in
        one reading as fit, which can take several readings.

    Returns
    -------
    Hierarchy

    Raises
    ------
    InvalidInputError
        ``clustering`` or ``links`` have other points than the graph, weights are no whole numbers, an option
        is out of range, or `affinity_propagation` refuses the graph.
    MemoryLimitError, DamagedGraphError, ClusterError
        As by `affinity_propagation`.

    Notes
    -----
    P(a, c) is the share of the edges with an end in cluster a whose other end is in c; P(a, a) is the share
    inside a. Only the 15 largest shares of each cluster count. The similarity of the next level is
    s(a, b) = log Σ_c √(P(a, c) P(b, c)), kept for the 15 most similar b. Edge counts are integers with exact
    sums, so the tree is the same in every way of running. Parts of the graph that no edge links are never
    merged.

    Examples
    --------
    >>> import numpy as np
    >>> import sparse_ap
    >>> from sparse_ap.graphs import knn_graph
    >>> centres = np.array([[0, 0], [9, 0], [0, 9]])
    >>> points = np.concatenate([c + np.random.default_rng(0).normal(size=(200, 2)) for c in centres])
    >>> tree = sparse_ap.hierarchy(knn_graph(points, 10))
    >>> tree.cut(3).sizes
    array([200, 200, 200])
    """
    _check_levels(level_preference, max_levels)
    _require_clustering(clustering)
    options = Options(scheme="compact", missing=missing, random_state=random_state)
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    with ExitStack() as held:
        solver, problem, row_best = held.enter_context(open_problem(similarity, options, resources))
        # The graph is read once for each level: a small graph is fetched from the cluster first.
        problem = local_problem(problem)
        if clustering is None:
            problem, clustering = clustered(solver, problem, row_best)
            warn_of(clustering.outcome)
        n_points = problem.graph.n_points
        remedy = "Give the clustering of this graph, or leave it out."
        _require_same_number("clustering is of", len(clustering.labels), n_points, remedy)
        graph = LinkedGraph(problem.graph, problem.user_id, partial(pairs_counted, memory_limit))
        if links is not None:
            blocked = held.enter_context(open_links(links, resources))
            remedy = "Give weights of links between the same points, or leave them out."
            _require_same_number("links are between", blocked.n_points, n_points, remedy)
            graph = LinkedGraph(blocked, blocked.store.origin.order, graph.most_pairs, weights)
        # The option concerns the user's graph; similarities of clusters are never NaN.
        level_options = replace(options, missing=None)
        levels = _levels(
            clustering, graph, level_preference, level_options, Resources(n_jobs=n_jobs, verbose=verbose)
        )
        clusterings, graphs, n_inner, n_edges = zip(*islice(levels, max_levels), strict=True)
    return Hierarchy(clusterings, graphs, np.array(n_inner, np.int64), n_edges[0])


def _levels(
    clustering: Clustering,
    links: LinkedGraph,
    level_preference: float,
    options: Options,
    resources: Resources,
) -> Iterator[tuple[Clustering, scipy.sparse.csr_array, int, int]]:
    """Yield each level's clustering, the graph of its clusters, the edges inside them, and all edges."""
    labels = clustering.labels
    while True:
        shares = links.shares(labels, clustering.n_clusters)
        graph = overlap_similarity(shares.roots)
        n_inner, n_edges = shares.n_inner, shares.n_edges
        # Release the shares: they are not needed while the level is clustered.
        del shares
        yield clustering, graph, n_inner, n_edges
        with open_problem(graph, options, resources) as (solver, problem, row_best):
            preference = level_preference * (problem.common_preference or 0.0)
            _, clustering = clustered(solver, problem.at(preference), row_best)
        # Nothing was merged, so a further level would be the same.
        if clustering.n_clusters == len(clustering.labels):
            return
        labels = clustering.labels[labels]


def _check_levels(level_preference: object, max_levels: object) -> None:
    positive = isinstance(level_preference, Real) and 0 < float(level_preference) < np.inf
    require("level_preference", level_preference, positive, "a number above 0: a multiple of the median")
    require_count("max_levels", max_levels, or_none=True)


def _require_clustering(clustering: object) -> None:
    if clustering is not None and not isinstance(clustering, Clustering):
        raise InvalidInputError(
            f"clustering is a {type(clustering).__name__}; a Clustering is needed, as affinity_propagation "
            "returns it and Clustering.load reads it."
        )
    if clustering is not None and clustering.n_unrepresented:
        raise InvalidInputError(
            f"clustering has the label -1 for {clustering.n_unrepresented} points, which nobody represents; "
            "a hierarchy needs a cluster for each point. Cluster the graph without these points."
        )


def _require_same_number(given: str, n_given: int, n_points: int, remedy: str) -> None:
    if n_given != n_points:
        raise InvalidInputError(f"{given} {n_given} points, and the graph has {n_points}. {remedy}")
