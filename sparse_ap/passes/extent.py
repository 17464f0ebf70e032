"""The pass that finds how far similarities reach, in all and row by row, and counts those of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.model import Block, Float64Array
from sparse_ap.passes.contract import COUNT, ColumnReduction, Columns

__all__ = ["BestRows", "Extent", "ExtentPass"]


class BestRows(NamedTuple):
    """Written: each row's largest similarity, -inf where it has no edge."""

    best: Float64Array


@dataclass(frozen=True, slots=True)
class Extent:
    """Number of edges, the smallest and the largest similarity; +inf and -inf where there is none."""

    n_edges: int = 0
    smallest: float = np.inf
    largest: float = -np.inf

    def __add__(self, other: Extent) -> Extent:
        """Combine with another block's."""
        return Extent(
            self.n_edges + other.n_edges,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )


@dataclass(frozen=True, slots=True)
class ExtentPass:
    """Find how well each point could be represented at all, and by how many it could be chosen."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = (COUNT,)
    nothing: ClassVar[Extent] = Extent()

    def __call__(self, block: Block, vectors: tuple[()], rows: BestRows, columns: Columns) -> Extent:
        """Look at one block."""
        reach = _extent(block.indptr, block.indices, block.data, rows.best, columns[0])
        return Extent(len(block.data), *reach)


@numba.njit(nogil=True, cache=True)
def _extent(indptr: Any, indices: Any, data: Any, best: Any, in_degree: Any) -> tuple[float, float]:
    smallest, largest = np.inf, -np.inf
    for i in range(len(best)):
        row_best = -np.inf
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            s = data[edge]
            in_degree[indices[edge]] += 1
            row_best = max(row_best, s)
            smallest = min(smallest, s)
        best[i] = row_best
        largest = max(largest, row_best)
    return smallest, largest
