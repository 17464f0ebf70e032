"""Division of the rows into blocks, and `BlockedGraph`, a divided graph with its executor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sparse_ap.execution.executor import Executor, RowsT, TallyT, VectorsT
from sparse_ap.kernels.block import Int32Array, Int64Array, RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.storage.store import Store

__all__ = ["BlockedGraph", "cut_rows", "most_blocks", "streamed_edges"]

# Blocks per thread in one pass: enough to even out rows of unequal length. Handing out a block takes some 50
# microseconds, so a block should take at least ten times as long: that is the least number of edges.
_BLOCKS_A_THREAD = 16
_LEAST_EDGES = 1 << 17
# Edges read from disk at a time: 16 MB with float32 similarities.
_STREAMED_EDGES = 1 << 21


def cut_rows(indptr: Int64Array, n_threads: int, chunk_edges: int | None = None) -> tuple[RowCut, ...]:
    """Cut the rows into blocks of about the same number of edges.

    Parameters
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    n_threads : int
        Number of threads that share the blocks.
    chunk_edges : int, optional
        Number of edges in a chunk on disk. Cuts are made just before the ends of chunks, so that hardly any
        chunk is decoded for two blocks; unless there would be too few blocks for all threads.

    Returns
    -------
    Blocks that cover every row once, in order; no block is empty. The result of a run does not depend
    on the cuts.
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
    """Return the largest useful number of blocks, and so of threads, for a graph."""
    return max(1, _work(n_points, n_edges) // _LEAST_EDGES)


def _work(n_points: int, n_edges: int) -> int:
    """Return the cost of a pass, in units of one edge."""
    # A row costs about as much as an edge, so empty rows count too.
    return n_edges + n_points


def streamed_edges(chunk_edges: int) -> int:
    """Return the number of edges in a streamed block: whole chunks, about two million edges."""
    return chunk_edges * max(1, _STREAMED_EDGES // chunk_edges)


@dataclass(frozen=True, slots=True, eq=False)
class BlockedGraph:
    """A graph divided into blocks of rows, with the executor that runs passes over them.

    Attributes
    ----------
    store : Store
    cuts : sequence of RowCut
        The blocks, in order; they cover every row once.
    executor : Executor
    """

    store: Store
    cuts: Sequence[RowCut]
    executor: Executor

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.store.indptr) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the similarities."""
        return self.store.dtype

    @property
    def user_id(self) -> Int32Array:
        """The user's number of each row, shape (n_points,)."""
        order = self.store.origin.order
        return np.arange(self.n_points, dtype=np.int32) if order is None else order

    def run(
        self, pass_: Pass[VectorsT, RowsT, TallyT], vectors: VectorsT, rows: RowsT
    ) -> tuple[Columns, TallyT]:
        """Run a pass, which reads every edge once; return its columns and tally, and write its ``rows``."""
        return self.executor.run(pass_, self.store, self.cuts, vectors, rows)
