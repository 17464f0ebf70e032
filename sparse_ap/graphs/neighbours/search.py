"""The search for the neighbours of all points: which way is taken, and points that need none."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sparse_ap.graphs.neighbours.approximate import approximate_neighbours
from sparse_ap.graphs.neighbours.exact import exact_neighbours, ranked
from sparse_ap.graphs.neighbours.known import known_neighbours
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.recall import EXACT, Recall
from sparse_ap.graphs.neighbours.space import space_of
from sparse_ap.graphs.neighbours.sparse_search import exact_sparse_neighbours, sparse_neighbours
from sparse_ap.graphs.neighbours.sparse_space import SparseSpace
from sparse_ap.graphs.neighbours.tree_search import MINKOWSKI, tree_neighbours
from sparse_ap.graphs.neighbours.vector_space import VectorSpace

__all__ = ["nearest_neighbours", "nearest_of", "search_for"]

# Most features for a k-d tree; most points, and least points for each neighbour, for which all pairs are
# compared (docs/design/0007-knn-search.md).
_TREE_FEATURES = 8
_EXACT_POINTS = 10_000
_POINTS_A_NEIGHBOUR = 50


def search_for(X: Any, k: int, metric: str, recall: float) -> str:
    """Return the name of the search for the k neighbours of these points."""
    n, n_features = X.shape
    few = recall == 1 or n <= max(_EXACT_POINTS, _POINTS_A_NEIGHBOUR * k)
    if scipy.sparse.issparse(X):
        return "all pairs" if few or metric == "euclidean" else "inverted index"
    if metric in MINKOWSKI and n_features <= _TREE_FEATURES:
        return "k-d tree"
    return "all pairs" if few else "cells"


def nearest_neighbours(
    X: Any, k: int, metric: str, *, recall: float, seed: int, n_threads: int, verbose: bool
) -> tuple[CandidateLists, Recall]:
    """Return the k nearest neighbours of each point; the scores are minus the distances.

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
    n_threads : int
    verbose : bool
        Whether to show progress, if standard error is a terminal.
    """
    search = search_for(X, k, metric, recall)
    with _threads(n_threads) as pool:
        if search == "inverted index":
            return sparse_neighbours(SparseSpace.of(X, metric), k, recall, seed, pool, verbose=verbose)
        if scipy.sparse.issparse(X):
            rows = SparseSpace.of(X, metric)
            return exact_sparse_neighbours(rows, rows, k, np.arange(rows.n), pool), EXACT
        space = space_of(X, metric)
        searched, known = known_neighbours(space, k)
        rest = space if len(searched) == space.n else space_of(X[searched], metric)
        length = min(k, len(searched) - 1)
        if length < 1:
            lists, reached = CandidateLists.empty(len(searched), 0, np.float64), EXACT
        elif search == "k-d tree":
            assert isinstance(rest, VectorSpace)
            lists, reached = tree_neighbours(rest, length, pool), EXACT
        elif search == "all pairs" or rest.n <= _EXACT_POINTS:
            itself, reached = np.arange(rest.n), EXACT
            lists = exact_neighbours(rest, rest, length, itself, pool, verbose=verbose)
        else:
            lists, reached = approximate_neighbours(rest, length, recall, seed, pool, verbose=verbose)
        if known.shape[1]:
            candidates = np.concatenate([known, np.full((space.n, length), -1, np.int32)], axis=1)
            candidates[searched, known.shape[1] :] = searched[lists.numbers]
            lists = ranked(space, space, candidates, k, pool)
    return lists, reached


def nearest_of(
    queries: Any, X: Any, metric: str, n_threads: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each query's nearest point, of equally near ones the first, and its distance.

    Both are checked tables, or both checked sparse rows.
    """
    with _threads(n_threads) as pool:
        if scipy.sparse.issparse(X):
            rows, others = SparseSpace.of(X, metric).beside(queries)
            lists = exact_sparse_neighbours(others, rows, 1, np.full(others.n, -1), pool)
        else:
            points, asked = space_of(X, metric).beside(queries)
            lists = exact_neighbours(asked, points, 1, np.full(asked.n, -1), pool)
    return lists.numbers[:, 0].astype(np.int64), -lists.scores[:, 0]


@contextmanager
def _threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Provide threads, each of which computes matrix products alone."""
    with ThreadPoolExecutor(n_threads) as pool, threadpool_limits(1, "blas"):
        yield pool
