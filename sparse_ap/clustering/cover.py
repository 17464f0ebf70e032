"""`cover`: the fewest exemplars to which every point is similar enough."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.arguments import require
from sparse_ap.clustering.input import fetched_rows, held_rows
from sparse_ap.clustering.run import clustered, weighed
from sparse_ap.clustering.solver import open_problem
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.budget import require_bound_fits
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.exact_sum import exact_sum
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options
from sparse_ap.search.cover_bound import least_exemplars, without_choice

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["cover"]

# Digits after the point that preferences may have.
_DIGITS = 9
# The largest span of preferences, in units, times the square of the number of points, at which the sum of an
# exemplar's preference and similarities keeps 20 bits of the similarities.
_MOST_RANKS = 1 << 33


@showing_compilation
def cover(
    similarity: Any,
    *,
    min_similarity: float,
    weights: ArrayLike | None = None,
    preference: ArrayLike | None = None,
    candidates: ArrayLike | None = None,
    certify: bool = False,
    missing: Literal["nan"] | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    memory_limit: int | str | None = None,
    client: Client | None = None,
    verbose: bool = False,
) -> Clustering:
    """Find few exemplars such that every point is one, or is similar enough to one.

    Fewest exemplars come first, then the largest sum of their preferences, then the largest sum of the
    similarities of the points to their exemplars, as often as the points weigh; each point goes to its most
    similar exemplar. Affinity propagation and its local search look for them, at preferences so low that no
    similarity outweighs an exemplar. What they find is good, and need not be the best; ``certify`` says how
    good it is.

    Parameters
    ----------
    similarity : sparse matrix or array, ndarray, path, zarr group or array, StoredGraph, or dask collection
        As for `affinity_propagation`. Entries below ``min_similarity`` are passed over.
        `sparse_ap.graphs.radius_graph` makes a graph that has all others.
    min_similarity : float
        The least similarity of a point to its exemplar. It is rounded to the dtype of the graph; an entry
        that is equal to it stays.
    weights : array-like of float, shape (n_points,), optional
        How often each point's similarity to its exemplar counts, above 0. The number of exemplars comes first
        all the same.
    preference : array-like of float, shape (n_points,), optional
        Which points to choose rather than others where as many do: the larger, the rather. inf: always an
        exemplar; -inf: never one. The numbers need a common unit, such as 0.01, of which they span at most
        2**33 / n_points**2: 85 for 10,000 points, and no two finite numbers for more than 92,681.
    candidates : array-like of bool, shape (n_points,), or of int, optional
        Points that may be exemplars, as for `affinity_propagation`.
    certify : bool
        Also compute ``n_clusters_bound``: no set of fewer exemplars covers all points along the entries.
        ``optimal`` then says whether there are proven to be as few as possible; of the sum nothing is proven.
        The positions of the entries of ``min_similarity`` or more must fit into this process's memory.
    random_state : int, RandomState, Generator or None
        Seed of the search.
    missing, n_jobs, memory_limit, client
        As for `affinity_propagation`; the result is the same to the bit.
    verbose : bool
        Show progress on standard error, where that is a terminal.

    Returns
    -------
    Clustering
        ``data_similarity`` is the sum of the similarities, ``exemplar_preference`` that of the exemplars'
        finite preferences, 0 without any; ``net_similarity`` is the sum of both.

    Warns
    -----
    UserWarning
        Rows of the graph may lack pairs of this similarity: those of nearest neighbours that are all as
        similar, or those for which ``missing_at_most`` says so.

    Raises
    ------
    InvalidInputError
        ``min_similarity`` is no number, or not above the one with which the graph was written; the graph, the
        weights, the preferences or the candidates are invalid; or points that may not be exemplars have no
        edge to any that may.
    MemoryLimitError
        The run, or what ``certify`` reads, does not fit into the allowed memory; raised before the search.
    DamagedGraphError, ClusterError
        As by `affinity_propagation`.

    Examples
    --------
    >>> import sparse_ap
    >>> from sparse_ap.graphs import radius_graph
    >>> graph = radius_graph([[0.0], [1.0], [2.0], [9.0]], -1, similarity="-d")
    >>> sparse_ap.cover(graph, min_similarity=-1).exemplars
    array([1, 3])
    """
    require("min_similarity", min_similarity, min_similarity is not None, "a finite number")
    require("certify", certify, isinstance(certify, bool), "True or False")
    options = Options(
        preference=0.0 if preference is None else preference, weights=weights, candidates=candidates,
        min_similarity=min_similarity, missing=missing, random_state=random_state, scheme="compact",
        covers=True,
    )  # fmt: skip
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    with open_problem(similarity, options, resources) as (solver, problem, row_best):
        if certify:
            held, pinned = held_rows(problem.graph) is not None, _n_pinned(problem) > 0
            n_points, n_edges = problem.graph.n_points, problem.edges.n_edges
            require_bound_fits(n_points, n_edges, held, pinned, resources.limit())
        preferred = problem.preference
        problem, found = clustered(solver, problem.under(_outweighing(problem)), row_best)
        gained = exact_sum(preferred[np.isin(problem.user_id, found.exemplars)])
        bound = _bound(problem, found) if certify else None
    return replace(
        weighed(found, options),
        net_similarity=found.data_similarity + gained,
        exemplar_preference=gained,
        preference=None,
        n_clusters_bound=bound,
        optimal=found.n_clusters == bound,
    )


def _n_pinned(problem: Problem) -> int:
    return 0 if problem.roles is None else problem.roles.n_pinned


def _bound(problem: Problem, found: Clustering) -> int:
    """Return a number that no cover can go below."""
    rows: tuple[NDArray[Any], NDArray[Any]] = fetched_rows(problem.graph)
    if problem.roles is not None and problem.roles.n_pinned:
        rows = without_choice(*rows, problem.roles.pinned)
    return least_exemplars(*rows, np.isin(problem.user_id, found.exemplars), problem.user_id)


def _outweighing(problem: Problem) -> Float64Array:
    """Return preferences that put the number of exemplars first, then their preferences, then similarities.

    A gain in one of these sums is more than all can lose that come after it.

    Raises
    ------
    InvalidInputError
        float64 does not tell such preferences apart.
    """
    n, edges = problem.graph.n_points, problem.edges
    loss = n * (edges.largest - edges.smallest) + 2 * edges.magnitude if edges.n_edges else 1.0
    free = np.ones(n, np.bool_) if problem.roles is None else ~problem.roles.fixed
    ranks = np.zeros(n)
    ranks[free] = _in_units(problem.free_preference)
    most = -float(ranks.min(initial=0))
    if most * n**2 > _MOST_RANKS:
        raise InvalidInputError(
            f"The preferences of {n:,} points span {most:,.0f} times their common unit; for so many points "
            f"at most {_MOST_RANKS // n**2:,} can be told apart from the similarities. Round them to fewer "
            "digits, or give no finite ones but 0."
        )
    return (loss or 1.0) * (ranks - n * most - 1)


def _in_units(preference: Float64Array) -> Float64Array:
    """Return preferences as whole numbers of a common unit, a power of ten, 0 for the largest.

    Raises
    ------
    InvalidInputError
        They have too many digits.
    """
    # Powers that are written in decimals are exact, on every machine.
    for unit in (float(f"1e{digits}") for digits in range(_DIGITS + 1)):
        with np.errstate(over="ignore"):
            whole = np.rint(preference * unit)
        if (np.abs(whole) < 2**53).all() and (whole / unit == preference).all():
            return np.asarray(whole - whole.max(initial=-np.inf))
    raise InvalidInputError(
        f"The preferences are not all whole numbers of a common unit, 1 or 0.1 and so on to 1e-{_DIGITS}, so "
        "that none may outweigh the number of exemplars. Round them to fewer digits."
    )
