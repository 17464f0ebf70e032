"""The pass that finds each cluster's medoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.kernels.block import Block, Int32Array
from sparse_ap.kernels.edge_pass import COUNT, EXACT_SUM, ColumnReduction, Columns
from sparse_ap.kernels.exact_sum import Grid, on_grid

__all__ = ["ChosenVectors", "MedoidPass"]


class ChosenVectors(NamedTuple):
    """The exemplar of each point."""

    chosen: Int32Array


@dataclass(frozen=True, slots=True)
class MedoidPass:
    """For each point k, add up s(i,k) over the members i of its cluster that have an edge to it.

    The second column counts those members: only a point that all others can reach may represent them.

    Attributes
    ----------
    grid : Grid
    floor : float
        Similarities below it count as it: one so low rules a point out, and must not coarsen the grid.
    """

    grid: Grid
    floor: float

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = (EXACT_SUM, COUNT)
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: ChosenVectors, rows: tuple[()], columns: Columns) -> int:
        """Add one block's edges."""
        _add(
            block.rows.start,
            block.indptr,
            block.indices,
            block.data,
            vectors.chosen,
            self.floor,
            self.grid.shift,
            columns[0],
            columns[1],
        )
        return 0


@numba.njit(nogil=True, cache=True)
def _add(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    chosen: Any,
    floor: float,
    shift: float,
    similarity: Any,
    members: Any,
) -> None:
    for i in range(len(indptr) - 1):
        cluster = chosen[start + i]
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if chosen[k] == cluster:
                similarity[k] += on_grid(max(np.float64(data[edge]), floor), shift)
                members[k] += 1
