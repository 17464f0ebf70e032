"""Canonical rows, in which every stored entry is an edge of its own; and the pass that copies all rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import BasePass, Columns
from sparse_ap.kernels.sorting import ascending, room_for_rows

__all__ = ["CollectPass", "Collected", "canonical_block"]


def canonical_block(block: Block) -> Block:
    """Drop the diagonal, -inf and NaN, keep the largest of duplicates, sort each row by column.

    Parameters
    ----------
    block : Block
        Its column ids must be in range.

    Returns
    -------
    Block
        A copy; its ``indptr`` begins at 0, since the number of edges in the blocks before is unknown.
    """
    indptr = np.zeros(len(block.indptr), np.int64)
    indices = np.empty_like(block.indices)
    data = np.empty_like(block.data)
    _copy_canonical(block.rows.start, *block.csr, room_for_rows(block.indptr), indptr, indices, data)
    kept = indptr[-1]
    return replace(block, indptr=indptr, indices=indices[:kept], data=data[:kept])


@kernel
def _copy_canonical(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    room: Any,
    to_indptr: Any,
    to_indices: Any,
    to_data: Any,
) -> None:
    to = 0
    for row in range(len(indptr) - 1):
        first, last = indptr[row] - indptr[0], indptr[row + 1] - indptr[0]
        begin = to
        order = room[ascending(indices[first:last], room)]
        for place in range(last - first):
            column, s = indices[first + order[place]], data[first + order[place]]
            # This drops NaN too, for which no comparison holds.
            if column == start + row or not s > -np.inf:
                continue
            if to > begin and to_indices[to - 1] == column:
                to_data[to - 1] = max(to_data[to - 1], s)
                continue
            to_indices[to], to_data[to] = column, s
            to += 1
        to_indptr[row + 1] = to


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Copies of blocks, in the order in which they were read; the tally of `CollectPass`."""

    blocks: tuple[Block, ...] = ()

    def __add__(self, other: Collected) -> Collected:
        """Append the blocks of another tally."""
        return Collected(self.blocks + other.blocks)

    def csr(self, dtype: np.dtype[Any]) -> tuple[Int64Array, Int32Array, FloatArray]:
        """Return the CSR arrays (indptr, indices, data) of the whole graph."""
        blocks = sorted(self.blocks, key=lambda block: block.rows.start)
        # From row lengths: the indptr of a canonical block begins at 0, and the store's counts other entries
        # too.
        lengths = _joined((np.diff(block.indptr) for block in blocks), np.int64)
        return (
            starts_of(lengths),
            _joined((block.indices for block in blocks), np.int32),
            _joined((block.data for block in blocks), dtype),
        )


@dataclass(frozen=True, slots=True)
class CollectPass(BasePass):
    """Collect copies of all blocks, with or without their similarities."""

    similarities: bool = True
    nothing = Collected()

    def __call__(self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns) -> Collected:
        """Copy one block, since its reader may overwrite it."""
        if not self.similarities:
            block = replace(block, data=block.data[:0])
        arrays = {name: getattr(block, name).copy() for name in ("indptr", "indices", "data")}
        return Collected((replace(block, **arrays),))


def _joined(arrays: Iterable[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *arrays])
