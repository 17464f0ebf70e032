"""The pass that copies a graph with its points renumbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np

from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns

__all__ = ["ReorderingPass"]

# Insertion sort moves nothing in rows that are sorted already, as k-NN libraries give them; beyond this
# many edges its quadratic worst case would show.
_SHORT_ROW = 64


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
            self.indptr,
            self.indices,
            self.data,
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
