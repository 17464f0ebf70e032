"""`cover`: the fewest exemplars to which every point is similar enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.arguments import require
from sparse_ap.clustering.affinity_propagation import clustered
from sparse_ap.clustering.input import open_input
from sparse_ap.clustering.restriction import UnrepresentedError, allowed_preferences
from sparse_ap.clustering.solver import open_problem
from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.execution.plans import Resources
from sparse_ap.graphs.conversion.row_blocks import checked_canonical, cuts
from sparse_ap.kernels.block import Float64Array, FloatArray, Int64Array, starts_of
from sparse_ap.kernels.exact_sum import exact_sum
from sparse_ap.propagation.preferences import checked_preference, weights_of
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options
from sparse_ap.search.cover_bound import least_exemplars, without_choice
from sparse_ap.storage.csr import csr_graph
from sparse_ap.storage.store import Store

__all__ = ["cover"]

# Digits after the point that preferences may have.
_DIGITS = 9
# The largest span of preferences, in units, times the square of the number of points, at which the sum of an
# exemplar's preference and similarities keeps 20 bits of the similarities.
_MOST_RANKS = 1 << 33


def cover(
    similarity: Any,
    *,
    min_similarity: float,
    weights: ArrayLike | None = None,
    preference: ArrayLike | None = None,
    candidates: ArrayLike | None = None,
    certify: bool = False,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
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
    similarity : sparse matrix or array, ndarray, path, zarr group or array, or StoredGraph
        As for `affinity_propagation`. Entries below ``min_similarity`` are passed over; the others are held
        in memory. `sparse_ap.graphs.radius_graph` makes a graph that has all of them.
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
    random_state : int, RandomState, Generator or None
        Seed of the search.
    n_jobs : int, optional
        Number of threads, as for `affinity_propagation`; the result is the same for any number.
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

    Examples
    --------
    >>> import sparse_ap
    >>> from sparse_ap.graphs import radius_graph
    >>> graph = radius_graph([[0.0], [1.0], [2.0], [9.0]], -1, similarity="-d")
    >>> sparse_ap.cover(graph, min_similarity=-1).exemplars
    array([1, 3])
    """
    right = isinstance(min_similarity, Real) and bool(np.isfinite(float(min_similarity)))
    require("min_similarity", min_similarity, right, "a finite number")
    require("certify", certify, isinstance(certify, bool), "True or False")
    near = _NearEdges.of(similarity, float(min_similarity))
    near.warn_of_missing()
    n_points = near.graph.shape[0]
    given = checked_preference(0.0 if preference is None else preference, n_points)
    outweighing = _outweighing(near.graph, weights_of(weights, n_points), given)
    options = Options(
        preference=outweighing, weights=weights, candidates=candidates,
        random_state=random_state, check_finite=not near.searched, scheme="compact",
    )  # fmt: skip
    resources = Resources(n_jobs=n_jobs, memory_limit=None, client=None, verbose=verbose)
    try:
        with open_problem(near.graph, options, resources) as (solver, problem, row_best):
            found = clustered(solver, problem, row_best)[1]
    except UnrepresentedError as error:
        raise UnrepresentedError(error.points, near.least, may_stay=False) from error
    bound = None
    if certify:
        exemplar = np.zeros(len(found.labels), np.bool_)
        exemplar[found.exemplars] = True
        roles = allowed_preferences(given, options)
        bound = least_exemplars(*without_choice(near.graph.indptr, near.graph.indices, roles), exemplar)
    of_exemplars = given[found.exemplars]
    preferred = exact_sum(of_exemplars[np.isfinite(of_exemplars)])
    return replace(
        found,
        net_similarity=found.data_similarity + preferred,
        exemplar_preference=preferred,
        preference=None,
        n_clusters_bound=bound,
        optimal=found.n_clusters == bound,
    )


def _outweighing(
    graph: scipy.sparse.csr_array, weights: Float64Array | None, preference: Float64Array
) -> Float64Array:
    """Return preferences that put the number of exemplars first, then their preferences, then similarities.

    A gain in one of these sums is more than all can lose that come after it.

    Raises
    ------
    InvalidInputError
        float64 does not tell such preferences apart.
    """
    data, n = graph.data, len(preference)
    if weights is not None:
        data = data * weights.repeat(np.diff(graph.indptr))
    low, high = (float(data.min()), float(data.max())) if len(data) else (0.0, 0.0)
    loss = n * (high - low) + 2 * max(abs(low), abs(high)) or 1.0
    ranks = _in_units(preference)
    most = -float(ranks.min(initial=0, where=np.isfinite(ranks)))
    if most * n**2 > _MOST_RANKS:
        raise InvalidInputError(
            f"The preferences of {n:,} points span {most:,.0f} times their common unit; for so many points "
            f"at most {_MOST_RANKS // n**2:,} can be told apart from the similarities. Round them to fewer "
            "digits, or give no finite ones but 0."
        )
    return loss * (ranks - n * most - 1)


def _in_units(preference: Float64Array) -> Float64Array:
    """Return preferences as whole numbers of a common unit, a power of ten, 0 for the largest finite one.

    Raises
    ------
    InvalidInputError
        They have too many digits.
    """
    free = np.isfinite(preference)
    values = preference[free]
    # Powers that are written in decimals are exact, on every machine.
    for unit in (float(f"1e{digits}") for digits in range(_DIGITS + 1)):
        with np.errstate(over="ignore"):
            whole = np.rint(values * unit)
        if (np.abs(whole) < 2**53).all() and (whole / unit == values).all():
            ranks = np.array(preference)
            ranks[free] = whole - whole.max(initial=-np.inf)
            return ranks
    raise InvalidInputError(
        f"The preferences are not all whole numbers of a common unit, 1 or 0.1 and so on to 1e-{_DIGITS}, so "
        "that none may outweigh the number of exemplars. Round them to fewer digits."
    )


@dataclass(frozen=True, slots=True, eq=False)
class _NearEdges:
    """The edges of a graph that are similar enough.

    Attributes
    ----------
    graph : csr_array, shape (n_points, n_points)
        Canonical, in the user's order.
    least : float
        The threshold, rounded to the graph's dtype.
    n_incomplete : int
        Number of rows that may lack such edges.
    searched : bool
        Whether the graph is known to come from a search of this package.
    """

    graph: scipy.sparse.csr_array
    least: float
    n_incomplete: int
    searched: bool

    @classmethod
    def of(cls, similarity: Any, min_similarity: float) -> _NearEdges:
        """Read the edges of a similarity or more.

        Raises
        ------
        InvalidInputError
            The graph is invalid, or lacks edges of this similarity.
        """
        given = open_input(similarity)
        store = given.store
        least = float(store.dtype.type(min_similarity))
        if store.origin.floor >= least:
            raise InvalidInputError(
                f"min_similarity={min_similarity} was given, but the graph was written without the edges of "
                f"similarity {store.origin.floor:g} or less, which would cover points too. Write it with a "
                "lower min_similarity, or raise this one."
            )
        graph, lowest, degrees = _edges_from(store, least)
        searched = any(getattr(graph, "recall", None) is not None for graph in (similarity, store))
        missing = given.missing_at_most()
        if missing is None:
            # The rows of nearest neighbours are equally long, and may go on.
            longest = degrees.max(initial=0)
            alike = 0 < longest < len(degrees) - 1 and 2 * np.count_nonzero(degrees == longest) > len(degrees)
            incomplete = (degrees == longest) & (lowest >= least) & alike
        else:
            incomplete = missing >= least
        return cls(graph, least, int(np.count_nonzero(incomplete)), searched)

    def warn_of_missing(self) -> None:
        """Warn of rows that may lack edges."""
        if self.n_incomplete:
            warn(
                f"{self.n_incomplete:,} of {self.graph.shape[0]:,} points may have more pairs of a "
                f"similarity of {self.least:g} than the graph, which then needs more exemplars than "
                "the points do. "
                "sparse_ap.graphs.radius_graph (sparse-ap radius) finds all pairs."
            )


def _edges_from(store: Store, least: float) -> tuple[scipy.sparse.csr_array, FloatArray, Int64Array]:
    """Return the near edges in the user's order, each row's smallest similarity, and its number of edges."""
    n = len(store.indptr) - 1
    lowest, degrees = np.full(n, np.inf), np.zeros(n, np.int64)
    pieces = [(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, store.dtype))]
    for block in map(checked_canonical, store.read(cuts(store.indptr))):
        lengths = np.diff(block.indptr)
        rows = np.arange(block.rows.start, block.rows.stop).repeat(lengths)
        degrees[block.rows.start : block.rows.stop] = lengths
        np.minimum.at(lowest, rows, block.data)
        near = block.data >= least
        pieces.append((rows[near], block.indices[near], block.data[near]))
    rows, columns, data = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    order: NDArray[Any] | None = store.origin.order
    if order is not None:
        rows, columns = order[rows], order[columns]
        lowest[order], degrees[order] = lowest.copy(), degrees.copy()
    ranks = np.lexsort((columns, rows))
    indptr = starts_of(np.bincount(rows, minlength=n))
    return csr_graph(indptr, columns[ranks], data[ranks]), lowest, degrees
