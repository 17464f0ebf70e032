"""The squared Euclidean distances of all pairs of points, the same bits on every processor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.sparse_space import SparseSpace
from sparse_ap.graphs.neighbours.vector_space import VectorSpace

__all__ = ["squared_distances"]

# Pairs that a thread compares at a time.
_PAIRS = 1 << 20


def squared_distances(X: Any, n_threads: int) -> NDArray[Any]:
    """Return the squared distances between all points.

    Every sum is in float64 and in a fixed order, without contraction, so the matrix is exactly symmetric and
    the same for any number of threads.

    Parameters
    ----------
    X : ndarray or csr_array of float32 or float64, shape (n, n_features)
        Checked points.
    n_threads : int

    Returns
    -------
    ndarray of float32 or float64, shape (n, n)
        In the precision of ``X``; inf where a square leaves its range.
    """
    of = SparseSpace.of if scipy.sparse.issparse(X) else VectorSpace.of
    points: Any = of(X, "euclidean")
    n, everybody = points.n, np.arange(points.n, dtype=np.int32)
    squares = np.empty((n, n), X.dtype)
    at_a_time = max(1, _PAIRS // max(1, n))

    def compare(first: int) -> None:
        n_rows = min(at_a_time, n - first)
        values = points.squares(points, first, np.tile(everybody, n_rows), n * np.arange(n_rows + 1))
        with np.errstate(over="ignore"):
            squares[first : first + n_rows] = values.reshape(n_rows, n)

    with ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(compare, range(0, n, at_a_time)):
            pass
    return squares
