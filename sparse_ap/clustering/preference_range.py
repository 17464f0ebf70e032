"""`preference_range`: the preferences between which the number of clusters changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sparse_ap.clustering.continuation import Solution, with_fewest
from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.solver import open_problem
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.exact_sum import exact_sum
from sparse_ap.propagation.problem import Problem, best_of_rows
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.settings import Options
from sparse_ap.search.bound import upper_bound

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["PreferenceRange", "preference_range"]


@dataclass(frozen=True, slots=True)
class PreferenceRange:
    """The preferences between which the number of clusters changes, and the fewest clusters.

    Attributes
    ----------
    lowest : float
        At this preference or below, no clustering with more than ``least_clusters`` clusters is better
        than the one found with that many.
    highest : float
        The largest similarity: at this preference or above, no clustering is better than every point on
        its own.
    least_clusters : int
        The fewest clusters found. A smaller number may exist.
    least_clusters_bound : int
        A proven lower bound on the number of clusters.
    """

    __module__ = "sparse_ap"  # where pickles look for it, wherever it is defined

    lowest: float
    highest: float
    least_clusters: int
    least_clusters_bound: int


@showing_compilation
def preference_range(
    similarity: Any,
    *,
    missing: Literal["nan"] | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    memory_limit: int | str | None = None,
    client: Client | None = None,
    verbose: bool = False,
) -> PreferenceRange:
    """Find between which preferences the number of clusters of a graph is decided.

    Parameters
    ----------
    similarity, missing, random_state, n_jobs, memory_limit, client, verbose
        As for `affinity_propagation`.

    Returns
    -------
    PreferenceRange

    Raises
    ------
    InvalidInputError, MemoryLimitError, DamagedGraphError, ClusterError
        As by `affinity_propagation`.

    Notes
    -----
    An absent edge is a similarity of minus infinity, so a clustering with one cluster may not exist. The
    fewest clusters are found by runs at two low preferences, local searches, and closing exemplars while
    every point keeps an edge to one; this takes about as long as four clusterings. Where all pairs are
    edges, ``lowest`` is the lower end that R's apcluster gives with ``exact=FALSE`` (Bodenhofer et al.,
    Bioinformatics 27, 2011); on sparse graphs R's lower end can lie above its upper end.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> import sparse_ap
    >>> points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> similarity = -(points[:, None] - points) ** 2
    >>> sparse_ap.preference_range(scipy.sparse.csr_array(similarity))
    PreferenceRange(lowest=-246.0, highest=-1.0, least_clusters=1, least_clusters_bound=1)
    """
    options = Options(scheme="compact", missing=missing, random_state=random_state)
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    with open_problem(similarity, options, resources) as (solver, problem, _):
        problem = local_problem(problem)
        if not problem.edges.n_edges:
            n = problem.graph.n_points
            return PreferenceRange(0.0, 0.0, n, n)
        found = with_fewest(solver, problem)
        bound = _proven_least(problem, found)
        return PreferenceRange(_lowest(found), problem.edges.largest, found.n_clusters, bound)


def _lowest(found: Solution) -> float:
    """Return the preference up to which more clusters than found are never better.

    Let D be the data similarity of the solution with K clusters, and U(m) the largest that K + m clusters
    can have: the points' best similarities without the K + m smallest (points without edges come first, and
    add nothing). Fewer clusters win against K + m if D + K p >= U(m) + (K + m) p. For m = 1 that is
    p <= D - U(1), which is returned. It implies the rest: D <= U(0) makes this p at most the best similarity
    that U(1) leaves out, hence at most each one that U(m) leaves out beyond, so U(m) + m p <= U(1) + p.
    """
    clustering = found.clustering()
    best = best_of_rows(found.problem.graph)
    others = np.sort(best[best > -np.inf])
    n_more = found.n_clusters + 1 - (len(best) - len(others))
    if n_more > len(others):
        return found.problem.edges.largest
    return clustering.data_similarity - exact_sum(others[n_more:])


def _proven_least(problem: Problem, found: Solution) -> int:
    """Return a proven lower bound on the number of clusters.

    K clusters at preference p have a net similarity of at least (n - K) * smallest + K * p, and at most the
    dual bound B. Hence K >= (n * smallest - B) / (smallest - p). The lower p, the less the similarities
    matter for B, and the tighter the bound on K.
    """
    edges, n = problem.edges, problem.graph.n_points
    # The net similarities of clusterings with equally many clusters differ by less than n * span: one cluster
    # more then costs four times as much.
    lowest = problem.at(edges.smallest - 4.0 * n * edges.span)
    bound = upper_bound(lowest, found._replace(problem=lowest).clustering(), lambda: None)
    per_cluster = edges.smallest - float(lowest.preference[0])
    least = (n * edges.smallest - bound.value) / per_cluster
    # The division is rounded to nearest, unlike B: the margin keeps its error from raising the result.
    return max(1, math.ceil(least - 1e-9 * n))
