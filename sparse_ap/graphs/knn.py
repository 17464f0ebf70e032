"""A graph from points: each with its nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.arguments import is_positive_integer, require, seed_of, usable_threads
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.approximate_search import approximate, require_index
from sparse_ap.graphs.distances import Similarity, similarity_function
from sparse_ap.graphs.exact_search import MINKOWSKI, all_pairs, by_tree
from sparse_ap.graphs.metrics import checked_metric, checked_points
from sparse_ap.graphs.neighbour_lists import from_knn
from sparse_ap.kernels.block import FloatArray

__all__ = ["knn_graph", "search_for"]

# Measured: docs/design/0007-knn-search.md
_TREE_FEATURES = 8
_EXACT_POINTS = 10_000


def knn_graph(
    X: ArrayLike,
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    similarity: Similarity | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    verbose: bool = False,
) -> scipy.sparse.csr_array:
    """Build the directed graph from each point to its nearest neighbours.

    Exact for up to 10,000 points, and for up to 8 features by a k-d tree (not for "cosine", "correlation" and
    "tanimoto"). Otherwise approximate (not for "manhattan" and "chebyshev"). The approximate search and
    "tanimoto" need usearch: ``pip install 'sparse-ap[knn]'``.

    Parameters
    ----------
    X : array-like, shape (n_points, n_features)
        The points, finite real numbers. For "tanimoto" bits: bool, or uint8 as ``numpy.packbits(X, axis=1)``
        makes it.
    n_neighbors : int
        Neighbours of each point, itself not counted: from 1 to n_points - 1.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto"}
        The distance. "cosine" and "correlation" are 1 minus the cosine or the correlation, from 0 to 2; a row
        without direction (all zeros, for "correlation" all equal) is at 1 from all others, those like it
        included. "tanimoto" is 1 minus the share of common bits, 0 between two rows without any bit.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        How a distance becomes a similarity; None: "-d**2" for "euclidean", "-d" for the others.
    n_jobs : int, optional
        Threads; None or -1: one for each processor, and never more. The graph does not depend on it.
        scikit-learn's search, of up to 10,000 points of many features, runs on one thread, since which of two
        equally near points it takes depends on the number.
    random_state : int, RandomState, Generator or None
        Seed of the approximate search: the order in which points enter its index.
    verbose : bool
        Show the progress of the approximate search, where standard error is a terminal.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)
        Rows of ``n_neighbors`` edges, nearest first; the approximate search may find fewer.

    Raises
    ------
    InvalidInputError
        ``X`` is not such a table, ``n_neighbors`` is out of range, a name is not known, the approximate
        search does not have the metric, or the distances leave the range of float32.
    MissingDependencyError
        The search needs usearch, which is not installed.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> sparse_ap.graphs.knn_graph([[0.0], [1.0], [3.0]], 1).toarray()
    array([[ 0., -1.,  0.],
           [-1.,  0.,  0.],
           [ 0., -4.,  0.]], dtype=float32)
    """
    points = checked_points(X, checked_metric(metric))
    n, right = len(points), is_positive_integer(n_neighbors) and n_neighbors < len(points)
    needed = f"a whole number from 1 to {n - 1} for {n} points: a point is not its own neighbour"
    require("n_neighbors", n_neighbors, right, needed)
    chosen = _default_similarity(metric) if similarity is None else similarity
    similarity_function(chosen)
    n_threads, seed = usable_threads(n_jobs), seed_of(random_state)
    search = search_for(points, metric)
    if search == "k-d tree":
        found = by_tree(points, n_neighbors, metric, n_threads)
    elif search == "all pairs":
        found = all_pairs(points, n_neighbors, metric, n_threads)
    else:
        require_index(metric)
        found = approximate(points, n_neighbors, metric, n_threads, seed, verbose=verbose)
    return from_knn(found.indices, _as_float32(found.distances), similarity=chosen)


def _default_similarity(metric: str) -> str:
    """Return how distances become similarities unless told: as in the paper for Euclidean ones."""
    return "-d**2" if metric == "euclidean" else "-d"


def search_for(points: NDArray[Any], metric: str) -> str:
    """Return the name of the search that suits these points."""
    n, n_features = points.shape
    if metric in MINKOWSKI and n_features <= _TREE_FEATURES:
        return "k-d tree"
    return "all pairs" if n <= _EXACT_POINTS else "approximate"


def _as_float32(distances: FloatArray) -> NDArray[np.float32]:
    largest = distances.max(initial=0, where=~np.isnan(distances))
    if largest > np.finfo(np.float32).max:
        raise InvalidInputError(
            f"The distances reach {largest:g}, which leaves the range of float32. Divide the points by one "
            "number."
        )
    return distances.astype(np.float32)
