"""The pass that bounds the column totals of all sweeps, to which the grid of exact sums is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid

__all__ = ["PreferenceRows", "SupportBoundPass"]

# Relative margin for the rounding of responsibilities, which float32 graphs compute in float32.
_SLACK = 2.0**-20


class PreferenceRows(NamedTuple):
    """Rows, read: the preference of each row's point."""

    preference: Float64Array


@dataclass(frozen=True, slots=True)
class SupportBoundPass(PlainPass):
    """Bound the total of every column, in whatever sweep.

    Off the diagonal r(i,k) <= s(i,k) - p_i in an undamped sweep, because i itself is always a rival of k,
    with a(i,i) + p_i >= p_i. A damped mean of such values stays below their maximum, and a correction that
    the compact scheme has dropped only lowers r. So Σ_i max(0, s(i,k) - p_i) bounds T_k.
    """

    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("preference",)

    @classmethod
    def of(cls, largest: float, least_preference: float, max_in_degree: int) -> SupportBoundPass:
        """Return the pass, with a grid for the largest sum that a column can have."""
        return cls(Grid.for_totals(max_in_degree * _most_positive(largest, least_preference)))

    def __call__(self, block: Block, vectors: tuple[()], rows: PreferenceRows, columns: Columns) -> int:
        """Add the bounds along one block's edges."""
        _bound(*block.csr, rows.preference, self.grid.shift, columns[0])
        return 0


@kernel
def _bound(indptr: Any, indices: Any, data: Any, preference: Any, shift: float, totals: Any) -> None:
    for row in range(len(preference)):
        p = preference[row]
        for edge in range(indptr[row] - indptr[0], indptr[row + 1] - indptr[0]):
            totals[indices[edge]] += on_grid(_most_positive(np.float64(data[edge]), p), shift)


@helper
def _most_positive(s: float, p: float) -> float:
    """Return an upper bound on max(0, r), rounding included; it rises with s and falls with p."""
    return max(0.0, s - p + _SLACK * (abs(s) + abs(p)))
