"""Passes for counts, ranges and a checksum of the edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import COUNT, BasePass, Columns, PlainPass

__all__ = ["BestRows", "EdgeSummaryPass", "EdgeTally", "OutDegreePass", "OutDegreeRows"]


class BestRows(NamedTuple):
    """Rows, written: each row's largest similarity, -inf without an edge."""

    best: Float64Array


@dataclass(frozen=True, slots=True)
class EdgeTally:
    """Number, range and checksum of the edges; the tally of `EdgeSummaryPass`.

    Attributes
    ----------
    n_edges : int
    checksum : int
        64-bit sum of hashes of rows, columns and similarities, independent of their order.
    smallest, largest : float
        Extremes of the similarities; +inf and -inf without edges.
    """

    n_edges: int = 0
    checksum: int = 0
    smallest: float = np.inf
    largest: float = -np.inf

    def __add__(self, other: EdgeTally) -> EdgeTally:
        """Combine with another block's tally."""
        return EdgeTally(
            self.n_edges + other.n_edges,
            # A sum of hashes, unlike a running checksum, is the same in any order.
            (self.checksum + other.checksum) % 2**64,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )


@dataclass(frozen=True, slots=True)
class EdgeSummaryPass(BasePass):
    """Find each point's largest similarity and in-degree, and a summary of all edges."""

    column_reductions = (COUNT,)
    writes = ("best",)
    nothing = EdgeTally()

    def __call__(self, block: Block, vectors: tuple[()], rows: BestRows, columns: Columns) -> EdgeTally:
        """Summarise the edges of one block."""
        reach = _summarise(*block.csr, rows.best, columns[0])
        # The bits are hashed, so the checksum sees every change of a similarity.
        bits = block.data.view(np.uint32 if block.data.itemsize == 4 else np.uint64)
        checksum = int(_checksum(block.rows.start, block.indptr, block.indices, bits))
        return EdgeTally(len(block.data), checksum, *reach)


@kernel
def _summarise(indptr: Any, indices: Any, data: Any, best: Any, in_degree: Any) -> tuple[float, float]:
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
    """Return the sum of hashes of all edges: splitmix64's finaliser (Steele, Lea & Flood 2014), halved."""
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
    """Rows, written: each row's number of edges."""

    degree: Int32Array


@dataclass(frozen=True, slots=True)
class OutDegreePass(PlainPass):
    """Count the edges of each row, for stores whose ``indptr`` counts entries that are no edges too."""

    writes = ("degree",)

    def __call__(self, block: Block, vectors: tuple[()], rows: OutDegreeRows, columns: Columns) -> int:
        """Count the edges of one block's rows."""
        rows.degree[:] = np.diff(block.indptr)
        return 0
