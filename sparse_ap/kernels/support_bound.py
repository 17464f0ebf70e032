"""How large the column totals can become: what the grid of exact sums is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid

__all__ = ["PreferenceRows", "SupportBoundPass"]

# Responsibilities of float32 graphs are computed in float32: room for their rounding.
_SLACK = 2.0**-20


class PreferenceRows(NamedTuple):
    """Each row's own preference."""

    preference: Float64Array


@dataclass(frozen=True, slots=True)
class SupportBoundPass(PlainPass):
    """Bound every column's total, whatever the sweeps bring.

    Off the diagonal r(i,k) <= s(i,k) - p_i in a plain sweep, because i itself is always a rival of k
    with a(i,i) + p_i >= p_i. A damped mean of such stays under the largest of them, and a correction
    that compact has dropped only lowers r. So the sum over i of max(0, s(i,k) - p_i) bounds T_k.
    """

    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("preference",)

    @classmethod
    def of(cls, largest: float, least_preference: float, max_in_degree: int) -> SupportBoundPass:
        """Fit the pass's own grid to what any column can add up to."""
        return cls(Grid.for_totals(max_in_degree * _most_positive(largest, least_preference)))

    def __call__(self, block: Block, vectors: tuple[()], rows: PreferenceRows, columns: Columns) -> int:
        """Add one block's edges."""
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
    """Return the most that max(0, r) can be, rounding included; it rises with s and falls with p."""
    return max(0.0, s - p + _SLACK * (abs(s) + abs(p)))
