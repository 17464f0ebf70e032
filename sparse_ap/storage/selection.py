"""The edges of a graph along which points may be represented: to candidates, similar enough, weighted.

Where one of several equal points stands for all, edges lead to it, and the others have none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.rows import canonical_block

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A change of blocks that drops edges, or weighs them.

    Attributes
    ----------
    candidate : ndarray of bool, shape (n_points,), or None
        Points that may be exemplars, in the order of the graph; edges to others are dropped.
    least : float
        Smallest similarity of an edge, in the precision of the similarities; -inf: no edge is too weak.
    weight : ndarray of float64, shape (n_points,), or None
        Factors of the similarities of each row, in the order of the graph; products are float64.
    stand_in : ndarray of int32, shape (n_points,), or None
        The point that stands for each one, in the order of the graph: edges lead to it,
        several to one are one edge, the largest, and other points have none.
    """

    candidate: BoolArray | None = None
    least: float = -np.inf
    weight: Float64Array | None = None
    stand_in: Int32Array | None = None

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of the similarities after the change."""
        return dtype if self.weight is None else np.dtype(np.float64)

    def __call__(self, block: Block) -> Block:
        """Return a changed copy of a block."""
        if self.stand_in is not None:
            block = _joined(block, self.stand_in)
        if self.candidate is not None or self.least > -np.inf:
            block = self._kept(block)
        if self.weight is None:
            return block
        data = np.empty(len(block.data), np.float64)
        _weigh(block.indptr, block.data, block.rows.of(self.weight), data)
        return replace(block, data=data)

    def _kept(self, block: Block) -> Block:
        """Return a copy of a block without the edges dropped; its ``indptr`` begins at 0."""
        indptr = np.zeros(len(block.indptr), np.int64)
        indices, data = np.empty_like(block.indices), np.empty_like(block.data)
        least = block.data.dtype.type(self.least)
        candidate = np.empty(0, np.bool_) if self.candidate is None else self.candidate
        _copy_kept(*block.csr, candidate, least, indptr, indices, data)
        kept = indptr[-1]
        return replace(block, indptr=indptr, indices=indices[:kept], data=data[:kept])


def _joined(block: Block, stand_in: Int32Array) -> Block:
    """Return a copy of a block in which one point stands for each group of equal ones."""
    stands = block.rows.of(stand_in) == np.arange(*block.rows)
    lengths = np.diff(block.indptr)
    kept = np.repeat(stands, lengths)
    joined = replace(
        block,
        indptr=starts_of(np.where(stands, lengths, 0)),
        indices=stand_in[block.indices[kept]],
        data=block.data[kept],
    )
    # Which drops edges of a point to itself.
    return canonical_block(joined)


@kernel
def _copy_kept(
    indptr: Any, indices: Any, data: Any, candidate: Any, least: Any, to_indptr: Any, to_indices: Any,
    to_data: Any,
) -> None:  # fmt: skip
    """Copy the edges that are similar enough, to candidates; without an element, all points are."""
    everybody, to = len(candidate) == 0, 0
    for row in range(len(indptr) - 1):
        for edge in range(indptr[row] - indptr[0], indptr[row + 1] - indptr[0]):
            if data[edge] >= least and (everybody or candidate[indices[edge]]):
                to_indices[to], to_data[to] = indices[edge], data[edge]
                to += 1
        to_indptr[row + 1] = to


@kernel
def _weigh(indptr: Any, data: Any, weight: Any, to_data: Any) -> None:
    for row in range(len(indptr) - 1):
        for edge in range(indptr[row] - indptr[0], indptr[row + 1] - indptr[0]):
            to_data[edge] = weight[row] * np.float64(data[edge])
