"""The pass that counts every row's edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Int32Array
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns

__all__ = ["OutDegreePass", "OutDegreeRows"]


class OutDegreeRows(NamedTuple):
    """Written: each row's number of edges."""

    degree: Int32Array


@dataclass(frozen=True, slots=True)
class OutDegreePass:
    """Count edges where the store cannot tell: it may hold entries that are none."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("degree",)
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: tuple[()], rows: OutDegreeRows, columns: Columns) -> int:
        """Count one block's."""
        rows.degree[:] = np.diff(block.indptr)
        return 0
