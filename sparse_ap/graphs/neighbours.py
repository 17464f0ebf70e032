"""A graph from neighbour lists: (indices, distances) pairs as k-NN libraries give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError

__all__ = ["Similarity", "from_knn"]

Similarity = str | Callable[[NDArray[Any]], NDArray[Any]]

SIMILARITIES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "-d": np.negative,
    "-d**2": lambda d: -(d * d),
    "1-d": lambda d: 1 - d,
}


def from_knn(
    indices: ArrayLike, distances: ArrayLike, *, similarity: Similarity = "-d"
) -> scipy.sparse.csr_array:
    """Build a similarity graph from every point's nearest neighbours.

    Parameters
    ----------
    indices : array-like of int, shape (n_points, k)
        Row i lists the neighbours of point i. Negative ids (no neighbour found) and i itself are left
        out.
    distances : array-like of float, shape (n_points, k)
        The distances to them, zeros included.
    similarity : {"-d", "-d**2", "1-d"} or callable
        How a distance d becomes a similarity; a callable is given the array of distances.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)
        Float64 where the distances are; each row in the order of its list.

    Raises
    ------
    InvalidInputError
        The shapes differ, an id is no point, or ``similarity`` is not known.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> graph = sparse_ap.graphs.from_knn([[1], [0], [1]], [[0.5], [0.5], [2.0]])
    >>> graph.toarray()
    array([[ 0. , -0.5,  0. ],
           [-0.5,  0. ,  0. ],
           [ 0. , -2. ,  0. ]])
    """
    ids, d = np.asarray(indices), np.asarray(distances)
    _check_pair(ids, d)
    if d.dtype not in (np.float32, np.float64):
        d = d.astype(np.float32)
    n, k = ids.shape
    kept = (ids >= 0) & (ids != np.arange(n)[:, None])
    n_kept = np.count_nonzero(kept, axis=1)
    indptr = np.zeros(n + 1, np.int64 if n * k > np.iinfo(np.int32).max else np.int32)
    np.cumsum(n_kept, out=indptr[1:])
    columns = ids[kept].astype(np.int32 if indptr.dtype == np.int32 else np.int64)
    return scipy.sparse.csr_array((similarity_function(similarity)(d[kept]), columns, indptr), shape=(n, n))


def similarity_function(similarity: Similarity) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the function that turns distances into similarities.

    Raises
    ------
    InvalidInputError
        The name is not known.
    """
    if callable(similarity):
        return similarity
    if similarity not in SIMILARITIES:
        known = ", ".join(repr(name) for name in SIMILARITIES)
        raise InvalidInputError(f"similarity={similarity!r}; one of {known} is needed, or a function.")
    return SIMILARITIES[similarity]


def _check_pair(ids: NDArray[Any], distances: NDArray[Any]) -> None:
    if ids.ndim != 2 or ids.shape != distances.shape:
        raise InvalidInputError(
            f"indices have shape {ids.shape} and distances {distances.shape}; two tables of the same shape "
            "(n_points, n_neighbors) are needed."
        )
    if ids.dtype.kind not in "iu":
        raise InvalidInputError(f"indices have dtype {ids.dtype}; whole numbers are needed.")
    if ids.size and ids.max() >= len(ids):
        raise InvalidInputError(
            f"indices name point {ids.max()}, but there are only {len(ids)} rows; ids must lie in 0 to "
            f"{len(ids) - 1}, or be negative for a neighbour that was not found."
        )
