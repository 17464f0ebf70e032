"""The pass that brings a graph to whoever runs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns

__all__ = ["CollectPass", "Collected"]


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Blocks, in whatever order they were read."""

    blocks: tuple[Block, ...] = ()

    def __add__(self, other: Collected) -> Collected:
        """Add those of another."""
        return Collected(self.blocks + other.blocks)

    def csr(self, dtype: np.dtype[Any]) -> tuple[Int64Array, Int32Array, FloatArray]:
        """Return where rows begin, the columns and the similarities of the whole graph."""
        blocks = sorted(self.blocks, key=lambda block: block.rows.start)
        # A block may count from 0, and the store may count what is no edge.
        lengths = _joined((np.diff(block.indptr) for block in blocks), np.int64)
        return (
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            _joined((block.indices for block in blocks), np.int32),
            _joined((block.data for block in blocks), dtype),
        )


@dataclass(frozen=True, slots=True)
class CollectPass:
    """Return copies of the blocks themselves."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[Collected] = Collected()

    def __call__(self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns) -> Collected:
        """Copy one block, which its reader may overwrite."""
        arrays = {name: getattr(block, name).copy() for name in ("indptr", "indices", "data")}
        return Collected((replace(block, **arrays),))


def _joined(arrays: Iterable[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *arrays])
