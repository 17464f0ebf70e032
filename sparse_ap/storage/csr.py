"""scipy's sparse matrices, in and out."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.storage.validation import as_float, require_structure, require_triplets

__all__ = ["LARGEST_INT32", "csr_graph", "csr_of", "index_type"]

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


def csr_of(matrix: Any) -> Any:
    """Return a scipy sparse matrix as CSR, duplicates and stored zeros kept.

    scipy adds duplicates up when it converts from COO; of similarities, the largest counts.

    Raises
    ------
    InvalidInputError
        The entries are not real numbers, or the index arrays do not fit together: scipy reads and writes
        beyond its arrays where they do not.
    """
    if matrix.format == "coo":
        require_triplets(matrix)
        triplets = scipy.sparse.coo_array((as_float(matrix.data), matrix.coords), shape=matrix.shape)
        triplets.has_canonical_format = True
        return triplets.tocsr()
    if matrix.format in ("csc", "bsr"):
        require_structure(matrix)
    if matrix.format in ("csc", "bsr", "dia"):
        # Not all types of entries are converted by scipy.
        matrix = copy.copy(matrix)
        matrix.data = as_float(matrix.data)
    return matrix.tocsr()
