"""Counts, ranges and a checksum of the edges, in all, row by row and column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import COUNT, BasePass, Columns, PlainPass

__all__ = ["BestRows", "EdgeSummaryPass", "EdgeTally", "OutDegreePass", "OutDegreeRows"]


class BestRows(NamedTuple):
    """Written: each row's largest similarity, -inf where it has no edge."""

    best: Float64Array


@dataclass(frozen=True, slots=True)
class EdgeTally:
    """How many edges there are, and how far they reach.

    Attributes
    ----------
    n_edges : int
    checksum : int
        Of 64 bits, over rows, columns and similarities; in whatever order they are read.
    smallest, largest : float
        Similarities; +inf and -inf where there is none.
    """

    n_edges: int = 0
    checksum: int = 0
    smallest: float = np.inf
    largest: float = -np.inf

    def __add__(self, other: EdgeTally) -> EdgeTally:
        """Combine with another block's."""
        return EdgeTally(
            self.n_edges + other.n_edges,
            (self.checksum + other.checksum) % 2**64,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )


@dataclass(frozen=True, slots=True)
class EdgeSummaryPass(BasePass):
    """Find how well each point could be represented at all, and by how many it could be chosen."""

    column_reductions = (COUNT,)
    writes = ("best",)
    nothing = EdgeTally()

    def __call__(self, block: Block, vectors: tuple[()], rows: BestRows, columns: Columns) -> EdgeTally:
        """Look at one block."""
        reach = _extent(*block.csr, rows.best, columns[0])
        bits = block.data.view(np.uint32 if block.data.itemsize == 4 else np.uint64)
        checksum = int(_checksum(block.rows.start, block.indptr, block.indices, bits))
        return EdgeTally(len(block.data), checksum, *reach)


@kernel
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


@kernel
def _checksum(start: int, indptr: Any, indices: Any, bits: Any) -> Any:
    """Add up a hash of every edge: the finaliser of splitmix64 (Steele, Lea & Flood 2014), halved."""
    total = np.uint64(0)
    for i in range(len(indptr) - 1):
        row = np.uint64(start + i) * np.uint64(0x9E3779B97F4A7C15)
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            x = row + np.uint64(indices[edge]) * np.uint64(0xD1342543DE82EF95) + np.uint64(bits[edge])
            x ^= x >> np.uint64(30)
            x *= np.uint64(0xBF58476D1CE4E5B9)
            total += x ^ (x >> np.uint64(27))
    return total


class OutDegreeRows(NamedTuple):
    """Written: each row's number of edges."""

    degree: Int32Array


@dataclass(frozen=True, slots=True)
class OutDegreePass(PlainPass):
    """Count edges where the store cannot tell: it may hold entries that are none."""

    writes = ("degree",)

    def __call__(self, block: Block, vectors: tuple[()], rows: OutDegreeRows, columns: Columns) -> int:
        """Count one block's."""
        rows.degree[:] = np.diff(block.indptr)
        return 0
