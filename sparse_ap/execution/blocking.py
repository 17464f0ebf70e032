"""How the rows are cut, and the run that the cuts belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sparse_ap.execution.executor import Executor, RowsT, TallyT, VectorsT
from sparse_ap.kernels.block import Int64Array, RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.storage.store import Store

__all__ = ["BlockedGraph", "cut_rows", "most_blocks", "streamed_edges"]

# Blocks a thread takes in one pass: enough to even out rows that differ. Handing one out takes some 50
# microseconds, so that a block should take ten times that at least.
_BLOCKS_A_THREAD = 16
_LEAST_EDGES = 1 << 17
# What is read from disk at a time: 16 MB with float32 similarities.
_STREAMED_EDGES = 1 << 21


def cut_rows(indptr: Int64Array, n_threads: int, chunk_edges: int | None = None) -> tuple[RowCut, ...]:
    """Cut the rows into blocks of about the same number of edges.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    n_threads : int
        How many threads will share the blocks.
    chunk_edges : int, optional
        Edges that are read at once: cuts are made just before the ends of such chunks, so that hardly
        anything is read before its turn. Not where there would then be too few blocks for all threads.

    Returns
    -------
    tuple of RowCut
        They cover every row once, in order; no cut is empty. The result of a run does not depend on
        them.
    """
    n_points, n_edges = len(indptr) - 1, int(indptr[-1])
    if n_points == 0:
        return ()
    if chunk_edges is not None and n_edges > n_threads * streamed_edges(chunk_edges):
        block = streamed_edges(chunk_edges)
        ends = np.arange(block, n_edges, block)
        inner = np.searchsorted(indptr, ends, side="right") - 1
    else:
        n_blocks = min(n_threads * _BLOCKS_A_THREAD, most_blocks(n_points, n_edges))
        targets = np.linspace(0, _work(n_points, n_edges), n_blocks + 1)[1:-1]
        inner = np.searchsorted(indptr + np.arange(n_points + 1), targets)
    bounds = np.unique(np.concatenate([[0], inner, [n_points]])).tolist()
    return tuple(RowCut(start, stop) for start, stop in pairwise(bounds))


def most_blocks(n_points: int, n_edges: int) -> int:
    """Return into how many blocks a graph is worth cutting: no more threads find something to do."""
    return max(1, _work(n_points, n_edges) // _LEAST_EDGES)


def _work(n_points: int, n_edges: int) -> int:
    """Return what a pass costs, in edges."""
    # A row costs about as much as an edge, so that empty rows count too.
    return n_edges + n_points


def streamed_edges(chunk_edges: int) -> int:
    """Return how many edges a block has that is read in chunks: whole chunks, about two million edges."""
    return chunk_edges * max(1, _STREAMED_EDGES // chunk_edges)


@dataclass(frozen=True, slots=True, eq=False)
class BlockedGraph:
    """A graph, how its rows are cut, and who reads them: runs any pass."""

    store: Store
    cuts: Sequence[RowCut]
    executor: Executor

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.store.indptr) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities."""
        return self.store.dtype

    def run(
        self, pass_: Pass[VectorsT, RowsT, TallyT], vectors: VectorsT, rows: RowsT
    ) -> tuple[Columns, TallyT]:
        """Read every edge once; return the columns and the tally, update ``rows`` in place."""
        return self.executor.run(pass_, self.store, self.cuts, vectors, rows)
