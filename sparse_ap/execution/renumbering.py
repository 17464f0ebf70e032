"""Renumbering of the points such that neighbours are near each other (docs/design/0005-reordering.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import Columns, PlainPass
from sparse_ap.kernels.sorting import ascending, room_for_rows
from sparse_ap.storage.csr import inverse

__all__ = ["ReorderingPass", "reordered"]


def reordered(graph: BlockedGraph, order: Int32Array) -> tuple[Int64Array, Int32Array, FloatArray]:
    """Return the CSR arrays of the graph with point ``order[j]`` numbered j, rows by falling similarity."""
    new_number = inverse(order)
    indptr = starts_of(np.diff(graph.store.indptr)[order])
    n_edges = indptr[-1]
    copy = ReorderingPass(new_number, indptr, np.empty(n_edges, np.int32), np.empty(n_edges, graph.dtype))
    graph.run(copy, (), ())
    return copy.indptr, copy.indices, copy.data


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
            *block.csr,
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
        # Backwards, as the sort moves nothing in rows that rise: most rows are given best first.
        order = room[ascending(data[first:last][::-1], room)]
        for place in range(last - first):
            edge = last - 1 - order[last - first - 1 - place]
            to_indices[to + place], to_data[to + place] = new_number[indices[edge]], data[edge]
