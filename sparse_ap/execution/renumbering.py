"""Renumbering the points so that neighbours lie near each other in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import reverse_cuthill_mckee

from sparse_ap.execution.blocking import Execution
from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.reordering import ReorderingPass

__all__ = ["locality_order", "matrix_of", "reordered"]


def locality_order(graph: Block) -> Int32Array:
    """Return the points in reverse Cuthill-McKee order: entry j is the point that comes j-th.

    ``graph`` is one block of every row. It is taken as if it were symmetric: directed k-NN graphs are
    ordered as well by that as by symmetrising them, at a fifteenth of the memory.
    """
    if not graph.n_points:
        return np.empty(0, np.int32)  # which scipy refuses
    return np.asarray(reverse_cuthill_mckee(matrix_of(graph), symmetric_mode=True), np.int32)


def matrix_of(graph: Block) -> scipy.sparse.csr_array:
    """Return a block of every row as a scipy matrix, its edges not copied."""
    indptr: NDArray[Any] = graph.indptr
    # scipy widens both index arrays, by a copy, where their types differ.
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    n = graph.n_points
    return scipy.sparse.csr_array((graph.data, graph.indices, indptr), shape=(n, n))


def reordered(execution: Execution, order: Int32Array) -> tuple[Int64Array, Int32Array, FloatArray]:
    """Return the arrays of the graph with point ``order[j]`` numbered j, rows by falling similarity."""
    new_number = np.empty_like(order)
    new_number[order] = np.arange(len(order), dtype=np.int32)
    indptr = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.diff(execution.store.indptr)[order], out=indptr[1:])
    copy = ReorderingPass(
        new_number,
        indptr,
        np.empty(indptr[-1], np.int32),
        np.empty(indptr[-1], execution.dtype),
    )
    execution.run(copy, (), ())
    return copy.indptr, copy.indices, copy.data
