"""The pass that collects the edges which reduced costs leave over (see `exact`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import BasePass, Columns

__all__ = ["AllowedVectors", "DualRows", "LeftEdges", "ReductionPass"]


class AllowedVectors(NamedTuple):
    """Vectors: by how much a similarity to each point may fall short of u_i; below 0: by nothing."""

    allowed: Float64Array


class DualRows(NamedTuple):
    """Rows, read: the dual variable u_i of each point."""

    dual: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class LeftEdges:
    """Edges left over, as arrays of rows, columns and similarities; none if there are more than ``most``."""

    most: int
    n_edges: int = 0
    edges: tuple[tuple[Int32Array, Int32Array, Float64Array], ...] = ()

    def __add__(self, other: LeftEdges) -> LeftEdges:
        """Append the edges of another tally."""
        n_edges = self.n_edges + other.n_edges
        return LeftEdges(self.most, n_edges, self.edges + other.edges if n_edges <= self.most else ())

    def arrays(self) -> tuple[Int32Array, Int32Array, Float64Array]:
        """Return all rows, columns and similarities, in any order."""
        nothing = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0)
        row, column, similarity = map(np.concatenate, zip(nothing, *self.edges, strict=True))
        return row, column, similarity


@dataclass(frozen=True, slots=True)
class ReductionPass(BasePass):
    """Collect the edges along which a point may be represented in a better clustering."""

    most: int

    reads = ("dual",)

    @property
    def nothing(self) -> LeftEdges:
        """No edges."""
        return LeftEdges(self.most)

    def __call__(self, block: Block, vectors: AllowedVectors, rows: DualRows, columns: Columns) -> LeftEdges:
        """Copy what is left over of one block."""
        room = min(self.most, len(block.data))
        row, column, similarity = *np.empty((2, room), np.int32), np.empty(room)
        n = _copy_left(block.rows.start, *block.csr, rows.dual, *vectors, row, column, similarity)
        if n > self.most:
            return LeftEdges(self.most, n)
        return LeftEdges(self.most, n, ((row[:n].copy(), column[:n].copy(), similarity[:n].copy()),))


@kernel
def _copy_left(
    start: int, indptr: Any, indices: Any, data: Any, dual: Any, allowed: Any, row: Any, column: Any,
    similarity: Any,
) -> int:  # fmt: skip
    n = 0
    for i in range(len(dual)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k, s = indices[edge], np.float64(data[edge])
            if max(0.0, dual[i] - s) <= allowed[k]:
                if n < len(row):
                    row[n], column[n], similarity[n] = start + i, k, s
                n += 1
    return n
