"""scipy's sparse matrices, in and out."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import reverse_cuthill_mckee

from sparse_ap.kernels.block import Int32Array, Int64Array
from sparse_ap.storage.validation import as_float, require_structure, require_triplets

__all__ = ["LARGEST_INT32", "csr_graph", "csr_of", "index_type", "inverse", "locality_order"]

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


def locality_order(indptr: Int64Array, indices: Int32Array) -> Int32Array:
    """Return the points of a graph in reverse Cuthill-McKee order: entry j is the point that comes j-th.

    The graph is taken as if it were symmetric: directed k-NN graphs are ordered as well by that as by
    symmetrising them, at a fifteenth of the memory.
    """
    if len(indptr) == 1:
        return np.empty(0, np.int32)  # which scipy refuses
    # What is never read of these zeros takes no memory.
    matrix = csr_graph(indptr, indices, np.zeros(len(indices), np.int8))
    return np.asarray(reverse_cuthill_mckee(matrix, symmetric_mode=True), np.int32)


def inverse(order: Int32Array) -> Int32Array:
    """Return the place of each point in an order."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order), dtype=order.dtype)
    return places


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
