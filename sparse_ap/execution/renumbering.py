"""Renumbering of the points such that neighbours are near each other (docs/design/0005-reordering.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.edge_pass import Columns, PlainPass
from sparse_ap.storage.csr import inverse

__all__ = ["ReorderingPass", "reordered"]


def reordered(graph: BlockedGraph, order: Int32Array) -> tuple[Int64Array, Int32Array, FloatArray]:
    """Return the CSR arrays of the graph with point ``order[j]`` numbered j, rows by falling similarity."""
    new_number = inverse(order)
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


# Longest row for insertion sort, which moves nothing in rows that are sorted already, as k-NN libraries
# return them; in longer rows its quadratic worst case would show.
_SHORT_ROW = 64


@dataclass(frozen=True, slots=True, eq=False)
class ReorderingPass(PlainPass):
    """Write every row to its new place, its columns renumbered and its edges sorted by falling similarity.

    In a sorted row the positive responsibilities come first. The sweep's branch on their sign then changes
    once per row, and is predicted well.

    Attributes
    ----------
    new_number : ndarray of int32, shape (n_points,)
        The new number of each point.
    indptr, indices, data : ndarray
        The arrays of the new graph; ``indptr`` is filled in, the other two are written.
    """

    new_number: Int32Array
    indptr: Int64Array
    indices: Int32Array
    data: FloatArray

    def __call__(self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns) -> int:
        """Copy one block's rows."""
        _copy_rows(
            *block.csr, block.rows.of(self.new_number), self.new_number, self.indptr, self.indices, self.data
        )
        return 0


@numba.njit(nogil=True, cache=True)
def _copy_rows(
    indptr: Any,
    indices: Any,
    data: Any,
    rows: Any,
    new_number: Any,
    to_indptr: Any,
    to_indices: Any,
    to_data: Any,
) -> None:
    for i in range(len(rows)):
        first, last = indptr[i] - indptr[0], indptr[i + 1] - indptr[0]
        to = to_indptr[rows[i]]
        if last - first <= _SHORT_ROW:
            _insert_sorted(indices[first:last], data[first:last], new_number, to_indices[to:], to_data[to:])
            continue
        for place, edge in enumerate(np.argsort(-data[first:last])):
            to_indices[to + place] = new_number[indices[first + edge]]
            to_data[to + place] = data[first + edge]


@numba.njit(nogil=True, cache=True)
def _insert_sorted(indices: Any, data: Any, new_number: Any, to_indices: Any, to_data: Any) -> None:
    for edge in range(len(data)):
        place = edge
        while place > 0 and to_data[place - 1] < data[edge]:
            to_data[place], to_indices[place] = to_data[place - 1], to_indices[place - 1]
            place -= 1
        to_data[place], to_indices[place] = data[edge], new_number[indices[edge]]
