"""The pass that finds every row's largest similarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.model import Block, Float64Array
from sparse_ap.passes.contract import ColumnReduction, Columns

__all__ = ["BestRows", "RowBestPass"]


class BestRows(NamedTuple):
    """Written: each row's largest similarity, -inf where it has no edge."""

    best: Float64Array


@dataclass(frozen=True, slots=True)
class RowBestPass:
    """Find how well each point could be represented at all."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: tuple[()], rows: BestRows, columns: Columns) -> int:
        """Look at one block."""
        _row_best(block.indptr, block.data, rows.best)
        return 0


@numba.njit(nogil=True, cache=True)
def _row_best(indptr: Any, data: Any, best: Any) -> None:
    for i in range(len(best)):
        best[i] = -np.inf
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            best[i] = max(best[i], data[edge])
