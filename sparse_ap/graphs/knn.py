"""A graph from points: each with its nearest neighbours."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.neighbours import Similarity, from_knn
from sparse_ap.model import Float64Array

__all__ = ["knn_graph"]


def knn_graph(
    X: ArrayLike, n_neighbors: int, *, similarity: Similarity = "-d**2", n_jobs: int | None = None
) -> scipy.sparse.csr_array:
    """Build the directed graph from each point to its nearest neighbours, by a k-d tree.

    Exact, and fast up to about 10 dimensions; beyond that build neighbour lists with an approximate
    search and give them to `from_knn`.

    Parameters
    ----------
    X : array-like of float, shape (n_points, n_features)
        The points; distances are Euclidean.
    n_neighbors : int
        Neighbours of each point, itself not counted: from 1 to n_points - 1.
    similarity : {"-d", "-d**2", "1-d"} or callable
        How a distance becomes a similarity.
    n_jobs : int, optional
        Threads; None: all processors.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)

    Raises
    ------
    InvalidInputError
        ``X`` is not a table, or ``n_neighbors`` is out of range.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> sparse_ap.graphs.knn_graph([[0.0], [1.0], [3.0]], 1).toarray()
    array([[ 0., -1.,  0.],
           [-1.,  0.,  0.],
           [ 0., -4.,  0.]], dtype=float32)
    """
    points = _checked_points(X)
    n = len(points)
    if not isinstance(n_neighbors, Integral) or not 1 <= n_neighbors < n:
        raise InvalidInputError(
            f"n_neighbors={n_neighbors} for {n} points; it must be a whole number from 1 to {n - 1}, since a "
            "point is not its own neighbour."
        )
    if n_jobs is not None and n_jobs < 1 and n_jobs != -1:
        raise InvalidInputError(f"n_jobs={n_jobs}; a positive number of threads is needed, or -1 for all.")
    # One more than wanted: a point finds itself, though among duplicates not always first, or at all.
    distances, indices = cKDTree(points).query(points, n_neighbors + 1, workers=n_jobs or -1)
    itself = indices == np.arange(n)[:, None]
    itself[~itself.any(axis=1), -1] = True
    shape = (n, n_neighbors)
    return from_knn(
        indices[~itself].astype(np.int32).reshape(shape),
        distances[~itself].astype(np.float32).reshape(shape),
        similarity=similarity,
    )


def _checked_points(X: ArrayLike) -> Float64Array:
    if scipy.sparse.issparse(X):
        raise InvalidInputError(
            "X is a sparse matrix; a k-d tree needs a dense table. Build neighbour lists with "
            "sklearn.neighbors.NearestNeighbors and give them to from_knn."
        )
    points = np.asarray(X, np.float64)
    if points.ndim != 2:
        raise InvalidInputError(
            f"X has shape {points.shape}; a table is needed, one row a point, one column a feature."
        )
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(wrong):
        raise InvalidInputError(
            f"X has {len(wrong)} rows with NaN or infinite entries, the first being row {wrong[0]}; finite "
            "coordinates are needed. Drop these rows, or fill them in."
        )
    return points
