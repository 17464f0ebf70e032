"""`knn_graph`: the graph from each point to its nearest neighbours."""

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
from sparse_ap.graphs.metrics import Neighbours, checked_metric, checked_points
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbour_lists import from_knn
from sparse_ap.kernels.block import FloatArray

__all__ = ["knn_graph", "search_for"]

# Most features for a k-d tree, and most points for all pairs; docs/design/0007-knn-search.md has the
# measurements.
_TREE_FEATURES = 8
_EXACT_POINTS = 10_000

_OTHERWISE = (
    "Divide the points by one number; or give distances of float64, as neighbour lists, to "
    "sparse_ap.graphs.from_knn."
)


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

    The search is exact for up to 10,000 points, and by a k-d tree for up to 8 features (except "cosine",
    "correlation" and "tanimoto"). Otherwise it is approximate (not available for "manhattan" and
    "chebyshev"). The approximate search and "tanimoto" need usearch: ``pip install 'sparse-ap[knn]'``.

    Parameters
    ----------
    X : array-like, shape (n_points, n_features)
        The points, finite real numbers. For "tanimoto", bits: bool, or uint8 from
        ``numpy.packbits(X, axis=1)``.
    n_neighbors : int
        Number of neighbours of each point, not counting itself: from 1 to n_points - 1.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto"}
        The distance. "cosine" and "correlation" are 1 minus the cosine or correlation, from 0 to 2; a row
        without direction (all zeros or, for "correlation", all equal) has distance 1 from every other row.
        "tanimoto" is 1 minus the share of common bits; 0 between two rows without bits.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        Conversion of a distance to a similarity; None: "-d**2" for "euclidean", "-d" for the others. A
        callable receives all distances, in float64.
    n_jobs : int, optional
        Number of threads; None or -1: one per processor, and never more. The graph does not depend on it.
        scikit-learn's search, for up to 10,000 points with many features, always uses one thread, since its
        choice among equally near points depends on the number.
    random_state : int, RandomState, Generator or None
        Seed of the approximate search: the order in which points enter its index.
    verbose : bool
        Whether to show the progress of the approximate search, if standard error is a terminal.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)
        Rows of ``n_neighbors`` edges, nearest first; the approximate search may find fewer.

    Raises
    ------
    InvalidInputError
        ``X`` is invalid, ``n_neighbors`` is out of range, a name is unknown, the approximate search lacks
        the metric, or the distances leave the range of float32.
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
    return _graph_of(found, chosen)


def _default_similarity(metric: str) -> str:
    """Return the default conversion of distances: negative squares for Euclidean ones, as in the paper."""
    return "-d**2" if metric == "euclidean" else "-d"


def search_for(points: NDArray[Any], metric: str) -> str:
    """Return the name of the search for these points."""
    n, n_features = points.shape
    if metric in MINKOWSKI and n_features <= _TREE_FEATURES:
        return "k-d tree"
    return "all pairs" if n <= _EXACT_POINTS else "approximate"


def _graph_of(found: Neighbours, similarity: Similarity) -> scipy.sparse.csr_array:
    """Return the graph of neighbour lists, with similarities of float32."""
    if not callable(similarity) and similarity != "1-d":
        return from_knn(found.indices, _as_float32(found.distances), similarity=similarity)
    # Other functions can map distances that are equal in float32 to different similarities.
    graph = from_knn(found.indices, found.distances.astype(np.float64, copy=False), similarity=similarity)
    graph.data = Narrowing(np.dtype(np.float32), _OTHERWISE)(graph.data)
    return graph


def _as_float32(distances: FloatArray) -> NDArray[np.float32]:
    largest = distances.max(initial=0, where=~np.isnan(distances))
    if largest > np.finfo(np.float32).max:
        raise InvalidInputError(
            f"The distances reach {largest:g}, which leaves the range of float32. Divide the points by one "
            "number."
        )
    return distances.astype(np.float32)
