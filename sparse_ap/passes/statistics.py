"""The pass that looks at the edges before anything is computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np

from sparse_ap.model import Block
from sparse_ap.passes.contract import COUNT, ColumnReduction, Columns

__all__ = ["EdgeStatistics", "StatisticsPass"]

_NOWHERE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class EdgeStatistics:
    """What the stored entries of a graph are.

    Attributes
    ----------
    n_entries, n_diagonal, n_duplicate, n_nan, n_plus_inf, n_minus_inf, n_outside : int
        Stored entries: all; on the diagonal; further entries of a pair stored already; and off the
        diagonal not a number; +inf; -inf (no edge); with a column id that is not a point's.
    first_wrong : int
        Position, in the order stored, of the first entry counted in ``n_nan``, ``n_plus_inf`` or
        ``n_outside``.
    smallest, largest : float
        Of the finite similarities off the diagonal; +inf and -inf where there is none.
    """

    n_entries: int = 0
    n_diagonal: int = 0
    n_duplicate: int = 0
    n_nan: int = 0
    n_plus_inf: int = 0
    n_minus_inf: int = 0
    n_outside: int = 0
    first_wrong: int = _NOWHERE
    smallest: float = np.inf
    largest: float = -np.inf

    def __add__(self, other: EdgeStatistics) -> EdgeStatistics:
        """Combine with another block's."""
        return EdgeStatistics(
            self.n_entries + other.n_entries,
            self.n_diagonal + other.n_diagonal,
            self.n_duplicate + other.n_duplicate,
            self.n_nan + other.n_nan,
            self.n_plus_inf + other.n_plus_inf,
            self.n_minus_inf + other.n_minus_inf,
            self.n_outside + other.n_outside,
            min(self.first_wrong, other.first_wrong),
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )

    @property
    def canonical(self) -> bool:
        """Whether every stored entry is an edge of its own."""
        return not (self.n_diagonal or self.n_duplicate or self.n_minus_inf)


@dataclass(frozen=True, slots=True)
class StatisticsPass:
    """Count what is stored, and every column's entries (the in-degrees)."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = (COUNT,)

    @property
    def nothing(self) -> EdgeStatistics:
        """The statistics of no edges."""
        return EdgeStatistics()

    def __call__(self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns) -> EdgeStatistics:
        """Look at one block."""
        counts, smallest, largest = _look(
            block.rows.start, block.n_points, block.indptr, block.indices, block.data, columns[0]
        )
        diagonal, duplicate, nan, plus_inf, minus_inf, outside, first = (int(c) for c in counts)
        first = _NOWHERE if first == _NOWHERE else first + int(block.indptr[0])
        return EdgeStatistics(
            len(block.data), diagonal, duplicate, nan, plus_inf, minus_inf, outside, first, smallest, largest
        )


@numba.njit(nogil=True, cache=True)
def _look(
    start: int, n_points: int, indptr: Any, indices: Any, data: Any, in_degree: Any
) -> tuple[Any, float, float]:
    counts = np.zeros(7, np.int64)
    counts[6] = _NOWHERE
    smallest, largest = np.inf, -np.inf
    for row in range(len(indptr) - 1):
        first, last = indptr[row] - indptr[0], indptr[row + 1] - indptr[0]
        counts[1] += _repeated(indices[first:last])
        for edge in range(first, last):
            column, s = indices[edge], data[edge]
            if column == start + row:
                counts[0] += 1
            elif column < 0 or column >= n_points:
                counts[5] += 1
                counts[6] = min(counts[6], edge)
            elif np.isfinite(s):
                in_degree[column] += 1
                smallest, largest = min(smallest, s), max(largest, s)
            elif s == -np.inf:
                counts[4] += 1
            else:
                counts[2 if np.isnan(s) else 3] += 1
                counts[6] = min(counts[6], edge)
    return counts, smallest, largest


@numba.njit(nogil=True, cache=True)
def _repeated(columns: Any) -> int:
    """Count the entries of a row whose column has occurred in it before."""
    ascending = True
    for edge in range(1, len(columns)):
        ascending &= columns[edge - 1] < columns[edge]
    if ascending:
        return 0
    repeated = 0
    columns = np.sort(columns)
    for edge in range(1, len(columns)):
        repeated += columns[edge - 1] == columns[edge]
    return repeated
