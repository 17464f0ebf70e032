"""`hierarchy`: cluster a graph, coarsen it along its clusters, and cluster again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse

from sparse_ap.arguments import require, require_count
from sparse_ap.clustering.cluster_graph import LinkedGraph, overlap_similarity
from sparse_ap.clustering.input import held_rows, local_problem
from sparse_ap.clustering.natural.free_groups import FreeGroups
from sparse_ap.clustering.natural.levels import levels_above
from sparse_ap.clustering.natural.link_graph import Workshop
from sparse_ap.clustering.natural.represented import NumberedPoints, Represented, represented
from sparse_ap.clustering.run import clustered, warn_of
from sparse_ap.clustering.solver import open_links, open_problem
from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.plans import Resources
from sparse_ap.execution.room import pairs_counted
from sparse_ap.kernels.block import Int32Array
from sparse_ap.kernels.coarsening import weights
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options
from sparse_ap.storage.csr import csr_graph

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
    """Cluster a graph, then its clusters, then find natural groups of these: a tree of exemplars.

    No cluster of a graph can be larger than its exemplar's neighbourhood, so a graph of a million points
    has tens of thousands of clusters at least. These are clustered in turn; above, groups are found that
    have more links inside than chance would give them, from many small ones to a few.

    Parameters
    ----------
    similarity
        As for `affinity_propagation`.
    clustering : Clustering, optional
        A clustering of this graph, used as the first level. None: `affinity_propagation` with default
        parameters.
    links : graph, optional
        Weights of links between points, whole numbers from 0 to 2**24, from which all further levels are
        built: a graph of any form that ``similarity`` may have. Weights of both directions are added up.
        Default: every edge weighs 1 for level 1, and every linked pair 1 for the groups above, whether one
        end stores it or both.
    level_preference : float, > 0
        Preference of the clusters at level 1, in units of the median of their similarities: larger means
        fewer clusters. It does not act on the groups above.
    max_levels : int, optional
        Largest number of levels, counted from the finest. Default: all.
    missing, random_state, n_jobs, memory_limit, client, verbose
        As for `affinity_propagation`. With ``memory_limit``, what does not fit is kept in the folder for
        temporary files (``TMPDIR``) while the call runs: links, up to 16 bytes for each edge, and pairs that
        are counted, up to 32. What is of all points stays in memory, 150 bytes a point beside some .5 GB, and
        a limit below that is refused.

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
    Level 0 is the clustering given, unchanged. Level 1 is affinity propagation on the clusters of level 0.
    P(a, c) is the share of the edges with an end in cluster a whose other end is in c; only the 15 largest
    shares of each cluster count. The similarity is s(a, b) = log Σ_c √(P(a, c) P(b, c)), kept for the 15 most
    similar b.

    The levels above are groups at a resolution γ, 1 for the natural ones. Points, parts of groups and whole
    clusters move to the group c with the largest W(i, c) − γ v_i v_c / 2m, where W is the weight of the links
    there and v a sum of weights. Clusters move at γ = 1/4; points at γ = 1/2 inside the groups of 1/4, at γ =
    1 inside those of 1/2, and once more freely at γ = 1; the groups before become unions of these
    (`Hierarchy.free`). Then each cluster of level 0 goes whole to the group that has most of it, and clusters
    move on. At smaller γ whole groups are merged, at larger γ clusters of level 0 are moved inside the
    groups; clusters of level 1 are cut where the groups cut them. A level is kept if it has at most half as
    many groups as the one below. Exemplars are elected for all levels together: those whose links spread
    widely over their group, such that they nest. `Hierarchy.net_similarity` of level 1 is that of affinity
    propagation, before it was cut and exemplars were elected; of the levels above it is the share of links
    inside, less γ times that expected by chance.

    Weights are whole numbers with exact sums, and a quarter of the nodes moves at once, with all groups as
    they are, so the tree is the same in every way of running. Parts of the graph that no edge links are never
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
        opened = open_problem(similarity, options, resources, levels=True)
        solver, problem, row_best = held.enter_context(opened)
        # The graph is read once for each level: a small graph is fetched from the cluster first.
        problem = local_problem(problem)
        given = clustering is not None
        if clustering is None:
            problem, clustering = clustered(solver, problem, row_best)
            warn_of(clustering.outcome)
        n_points = problem.graph.n_points
        remedy = "Give the clustering of this graph, or leave it out."
        _require_same_number("clustering is of", len(clustering.labels), n_points, remedy)
        user_id = problem.user_id if solver.renumbered else problem.graph.store.origin.order
        graph = _linked(problem.graph, user_id, links, resources, held)
        # Released, as what else is not needed: the levels above take most memory.
        del problem, row_best
        first = graph.shares(clustering.labels, clustering.n_clusters)
        overlap = overlap_similarity(first.roots)
        n_inner, n_edges = first.n_inner, first.n_edges
        del first
        above: list[Represented] = []
        free = None
        if max_levels != 1 and clustering.n_clusters > 1:
            # The option concerns the user's graph; similarities of clusters are never NaN.
            second = _clustered_again(
                overlap, level_preference, replace(options, missing=None), replace(resources, client=None)
            )
            workshop = held.enter_context(Workshop.open(resources, n_points, n_edges))
            points = NumberedPoints.of(clustering, second, graph, workshop)
            exemplars = clustering.exemplars
            back = _put_away(clustering, overlap, given, workshop, graph.graph)
            del clustering, overlap
            found, groups = levels_above(points.links, points.clusters, second.labels)
            free = FreeGroups.of(points.links, groups, points.number)
            del groups
            others = None if max_levels is None else max_levels - 1
            above = list(islice(represented(exemplars, second, back, graph, points, found), others))
            clustering, overlap = back()
        levels = [Represented(clustering, overlap, n_inner, np.nan), *above]
        clusterings, graphs, inner, resolutions = zip(*levels, strict=True)
    return Hierarchy(clusterings, graphs, np.array(inner, np.int64), n_edges, np.array(resolutions), free)


def _linked(
    graph: BlockedGraph, user_id: Int32Array | None, links: Any, resources: Resources, held: ExitStack
) -> LinkedGraph:
    """Return the graph whose links count: the user's own, or given ones, held open."""
    most_pairs = partial(pairs_counted, resources.memory_limit)
    if links is None:
        return LinkedGraph(graph, user_id, most_pairs)
    blocked = held.enter_context(open_links(links, resources))
    remedy = "Give weights of links between the same points, or leave them out."
    _require_same_number("links are between", blocked.n_points, graph.n_points, remedy)
    return LinkedGraph(blocked, blocked.store.origin.order, most_pairs, weights)


def _put_away(
    clustering: Clustering,
    overlap: scipy.sparse.csr_array,
    given: bool,
    workshop: Workshop,
    graph: BlockedGraph,
) -> Callable[[], tuple[Clustering, scipy.sparse.csr_array]]:
    """Keep what the search for groups does not need in a folder; return what reads it again.

    Where the graph is in memory, this stays there too; and so does a clustering that the caller holds.
    """
    if held_rows(graph) is not None:
        return lambda: (clustering, overlap)
    own = [] if given else [clustering.labels, clustering.similarities]
    read = workshop.put_away(overlap.indptr, overlap.indices, overlap.data, *own)
    rest = clustering
    if not given:
        rest = replace(clustering, labels=np.empty(0, np.int64), similarities=np.empty(0, np.float32))

    def back() -> tuple[Clustering, scipy.sparse.csr_array]:
        indptr, indices, data, *own = read()
        return rest if given else replace(rest, labels=own[0], similarities=own[1]), csr_graph(
            indptr, indices, data
        )

    return back


def _clustered_again(
    overlap: scipy.sparse.csr_array, level_preference: float, options: Options, resources: Resources
) -> Clustering:
    """Cluster the clusters by affinity propagation."""
    with open_problem(overlap, options, replace(resources, memory_limit=None)) as (solver, problem, row_best):
        preference = level_preference * (problem.common_preference or 0.0)
        return clustered(solver, problem.at(preference), row_best)[1]


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
