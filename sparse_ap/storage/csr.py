"""Conversions from and to scipy's sparse matrices."""

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
    """Return the narrowest dtype for both index arrays of a graph, which scipy requires to be equal."""
    return np.dtype(np.int32 if max(n_points, n_edges) <= LARGEST_INT32 else np.int64)


def csr_graph(indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]) -> scipy.sparse.csr_array:
    """Return the square CSR matrix of these arrays, with index arrays as narrow as possible."""
    # scipy copies and widens index arrays of different dtypes, so both get the same one.
    n = len(indptr) - 1
    width = index_type(n, len(data))
    return scipy.sparse.csr_array(
        (data, indices.astype(width, copy=False), indptr.astype(width, copy=False)), shape=(n, n)
    )


def csr_of(matrix: Any) -> Any:
    """Return a scipy sparse matrix as CSR, with duplicates and stored zeros.

    scipy would add up duplicates when it converts from COO; of duplicate similarities the largest counts.

    Raises
    ------
    InvalidInputError
        The entries are not real numbers, or the index arrays are inconsistent, in which case scipy would
        read and write beyond its arrays.
    """
    if matrix.format == "coo":
        require_triplets(matrix)
        triplets = scipy.sparse.coo_array((as_float(matrix.data), matrix.coords), shape=matrix.shape)
        # Pretended, so that scipy leaves duplicates alone.
        triplets.has_canonical_format = True
        return triplets.tocsr()
    if matrix.format in ("csc", "bsr"):
        require_structure(matrix)
    if matrix.format in ("csc", "bsr", "dia"):
        # scipy does not convert all dtypes of entries, so they are converted first.
        matrix = copy.copy(matrix)
        matrix.data = as_float(matrix.data)
    return matrix.tocsr()
