"""The three arrays of a graph put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

__all__ = ["csr_graph", "index_type"]

LARGEST_INT32 = int(np.iinfo(np.int32).max)


def index_type(n_points: int, n_edges: int) -> np.dtype[Any]:
    """Return the narrowest type for a graph's ``indices`` and ``indptr``; scipy wants one for both."""
    return np.dtype(np.int32 if max(n_points, n_edges) <= LARGEST_INT32 else np.int64)


def csr_graph(indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]) -> scipy.sparse.csr_array:
    """Return the square matrix of these arrays, its index arrays as narrow as they can be."""
    n = len(indptr) - 1
    width = index_type(n, len(data))
    return scipy.sparse.csr_array(
        (data, indices.astype(width, copy=False), indptr.astype(width, copy=False)), shape=(n, n)
    )
