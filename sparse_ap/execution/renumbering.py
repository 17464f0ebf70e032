"""Renumbering the points so that neighbours lie near each other in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import reverse_cuthill_mckee

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns
from sparse_ap.kernels.sorting import ascending, room_for_rows

__all__ = ["ReorderingPass", "locality_order", "matrix_of", "reordered"]


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


def reordered(graph: BlockedGraph, order: Int32Array) -> tuple[Int64Array, Int32Array, FloatArray]:
    """Return the arrays of the graph with point ``order[j]`` numbered j, rows by falling similarity."""
    new_number = np.empty_like(order)
    new_number[order] = np.arange(len(order), dtype=np.int32)
    indptr = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.diff(graph.store.indptr)[order], out=indptr[1:])
    copy = ReorderingPass(
        new_number,
        indptr,
        np.empty(indptr[-1], np.int32),
        np.empty(indptr[-1], graph.dtype),
    )
    graph.run(copy, (), ())
    return copy.indptr, copy.indices, copy.data


@dataclass(frozen=True, slots=True, eq=False)
class ReorderingPass:
    """Write every row to its new place, its columns renumbered, its edges by falling similarity.

    Falling similarity puts the responsibilities that are positive first, so that the branch on their
    sign is taken and then not taken, once a row, instead of at random.

    Attributes
    ----------
    new_number : ndarray of int32, shape (n_points,)
        The new number of each point.
    indptr, indices, data : ndarray
        The arrays of the new graph; ``indptr`` filled, the other two to be written.
    """

    new_number: Int32Array
    indptr: Int64Array
    indices: Int32Array
    data: FloatArray

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns) -> int:
        """Copy one block's rows."""
        _copy_rows(
            block.indptr,
            block.indices,
            block.data,
            block.rows.of(self.new_number),
            self.new_number,
            room_for_rows(block.indptr),
            self.indptr,
            self.indices,
            self.data,
        )
        return 0


@kernel
def _copy_rows(
    indptr: Any,
    indices: Any,
    data: Any,
    rows: Any,
    new_number: Any,
    room: Any,
    to_indptr: Any,
    to_indices: Any,
    to_data: Any,
) -> None:
    for i in range(len(rows)):
        first, last = indptr[i] - indptr[0], indptr[i + 1] - indptr[0]
        to = to_indptr[rows[i]]
        order = room[ascending(data[first:last], room)]
        for place in range(last - first):
            edge = first + order[last - first - 1 - place]
            to_indices[to + place], to_data[to + place] = new_number[indices[edge]], data[edge]
