"""The search for the neighbours of all points: which way is taken, and points that need none."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sparse_ap.graphs.neighbours.approximate import approximate_neighbours
from sparse_ap.graphs.neighbours.exact import exact_neighbours, ranked
from sparse_ap.graphs.neighbours.known import known_neighbours
from sparse_ap.graphs.neighbours.lists import CandidateLists, NeighbourLists
from sparse_ap.graphs.neighbours.points import Space
from sparse_ap.graphs.neighbours.recall import EXACT, Recall
from sparse_ap.graphs.neighbours.space import laid_out, space_of
from sparse_ap.graphs.neighbours.sparse_search import exact_sparse_neighbours, sparse_neighbours
from sparse_ap.graphs.neighbours.sparse_space import SparseSpace
from sparse_ap.graphs.neighbours.stages import Stages
from sparse_ap.graphs.neighbours.tree_search import suits_tree, tree_neighbours
from sparse_ap.graphs.neighbours.vector_space import VectorSpace
from sparse_ap.storage.mapped_arrays import gathered

__all__ = ["Neighbours", "nearest_neighbours", "nearest_of", "search_for", "threads"]

# Most points, and least points for each neighbour, for which all pairs are compared
# (docs/design/0007-knn-search.md).
_EXACT_POINTS = 10_000
_POINTS_A_NEIGHBOUR = 50


def search_for(X: Any, k: int, metric: str, recall: float) -> str:
    """Return the name of the search for the k neighbours of these points."""
    n, n_features = X.shape
    few = recall == 1 or n <= max(_EXACT_POINTS, _POINTS_A_NEIGHBOUR * k)
    if scipy.sparse.issparse(X):
        return "inverted index" if metric == "cosine" and not few else "all pairs"
    if suits_tree(metric, n_features):
        return "k-d tree"
    return "all pairs" if few else "cells"


def nearest_neighbours(
    X: Any, k: int, metric: str, *, recall: float, seed: int, stages: Stages
) -> tuple[Neighbours, Recall]:
    """Return the k nearest neighbours of each point, and the share of them that was found.

    Parameters
    ----------
    X : ndarray or csr_array, shape (n, n_features)
        Checked points.
    k : int
        From 1 to n - 1.
    metric : str
    recall : float
        The share of neighbours wanted from an approximate search; 1 for an exact one.
    seed : int
    stages : Stages
    """
    search = search_for(X, k, metric, recall)
    if search == "inverted index":
        lists, reached = sparse_neighbours(SparseSpace.of(X, metric), k, recall, seed, stages)
        return NeighbourLists.of(lists), reached
    if scipy.sparse.issparse(X):
        rows = SparseSpace.of(X, metric)
        lists = exact_sparse_neighbours(rows, rows, k, np.arange(rows.n), stages.pool)
        return NeighbourLists.of(lists), EXACT
    space = laid_out(X, metric, "all", stages)
    searched, known, places = known_neighbours(space, k)
    if len(searched) == space.n:
        return _searched(space, k, search, recall, seed, stages)
    rest = stages.filled("searched", partial(_rows_of, X, searched), len(searched)).X
    length = min(k, len(searched) - 1)
    found, reached = _searched(
        laid_out(rest, metric, "searched", stages), length, search, recall, seed, stages
    )
    return _WithKnown(space, searched, known, places, found, k, stages.pool), reached


def _searched(
    space: Space, k: int, search: str, recall: float, seed: int, stages: Stages
) -> tuple[NeighbourLists, Recall]:
    """Return the neighbours of points of which none is known beforehand."""
    if k < 1:
        return NeighbourLists.of(CandidateLists.empty(space.n, 0, np.float64)), EXACT
    if search == "cells" and space.n > _EXACT_POINTS:
        return approximate_neighbours(space, k, recall, seed, stages)
    if search == "k-d tree":
        assert isinstance(space, VectorSpace)
        return NeighbourLists.of(tree_neighbours(space, k, stages.pool)), EXACT
    itself = np.arange(space.n)
    lists = exact_neighbours(space, space, k, itself, stages.pool, verbose=stages.verbose)
    return NeighbourLists.of(lists), EXACT


@dataclass(frozen=True, slots=True, eq=False)
class _WithKnown:
    """Neighbours that were searched among some points, and those that are known beforehand.

    Attributes
    ----------
    space : Space
        All points.
    searched : ndarray of int64, shape (m,)
    known : ndarray of int32, shape (n, n_known)
    places : ndarray of int64, shape (n,)
        Of the lists that the points take, among those found; -1 for none.
    found : NeighbourLists
        Of the points that were searched, in numbers among these.
    k : int
    pool : ThreadPoolExecutor
    """

    space: Space
    searched: NDArray[np.int64]
    known: NDArray[np.int32]
    places: NDArray[np.int64]
    found: NeighbourLists
    k: int
    pool: ThreadPoolExecutor

    @property
    def shape(self) -> tuple[int, int]:
        """Number of points, and of neighbours of each."""
        return self.space.n, self.k

    def rows(self, part: slice) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the neighbours of some points and their distances, shape (n_rows, k)."""
        known, places = self.known[part], self.places[part]
        candidates = np.full((len(known), known.shape[1] + self.found.shape[1]), -1, np.int32)
        candidates[:, : known.shape[1]] = known
        listed = places >= 0
        candidates[listed, known.shape[1] :] = self.searched[self.found.rows(places[listed])[0]]
        lists = ranked(self.space.taken(part), self.space, candidates, self.k, self.pool)
        return lists.numbers, -lists.scores


# The neighbours of all points, nearest first.
Neighbours = NeighbourLists | _WithKnown


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Rows of a table."""

    ROWS: ClassVar[tuple[str, ...]] = ("X",)
    X: NDArray[Any]


def _rows_of(X: NDArray[Any], numbers: NDArray[np.int64], rows: slice) -> _Table:
    return _Table(gathered(X, numbers[rows]))


def nearest_of(
    queries: Any, X: Any, metric: str, n_threads: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each query's nearest point, of equally near ones the first, and its distance.

    Both are checked tables, or both checked sparse rows.
    """
    with threads(n_threads) as pool:
        if scipy.sparse.issparse(X):
            rows, others = SparseSpace.of(X, metric).beside(queries)
            lists = exact_sparse_neighbours(others, rows, 1, np.full(others.n, -1), pool)
        else:
            points, asked = space_of(X, metric).beside(queries)
            lists = exact_neighbours(asked, points, 1, np.full(asked.n, -1), pool)
    return lists.numbers[:, 0].astype(np.int64), -lists.scores[:, 0]


@contextmanager
def threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Provide threads, each of which computes matrix products alone."""
    with ThreadPoolExecutor(n_threads) as pool, threadpool_limits(1, "blas"):
        yield pool
