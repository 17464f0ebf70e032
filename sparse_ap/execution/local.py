"""The executors in this process: serial, or with a pool of threads that share the blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from threading import Lock
from types import TracebackType
from typing import Self

from sparse_ap.execution.executor import RowsT, TallyT, VectorsT, new_columns, read_blocks
from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.storage.store import Store

__all__ = ["SerialExecutor", "ThreadsExecutor"]


class SerialExecutor:
    """An executor that reads one block after the other: the specification of every executor."""

    n_threads = 1

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Run a pass; return its columns and tally, and write its ``rows`` in place."""
        columns = new_columns(pass_, len(store.indptr) - 1)
        return columns, read_blocks(pass_, store.read(cuts), vectors, rows, columns)


class ThreadsExecutor:
    """An executor with a pool of threads, each with its own share of the columns; a context manager.

    Parameters
    ----------
    n_threads : int
        At least 1. Each thread holds a share of the columns: 8 bytes per point in a sweep.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="sparse_ap")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Waits for the threads: none may write to rows after the run has ended.
        self._pool.shutdown()

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Run a pass; return its combined columns and tally, and write its ``rows`` in place."""
        blocks = _Shared(store.read(cuts))
        # Allocated by this thread: memory that the threads allocate would be scattered over their own heaps.
        n_points = len(store.indptr) - 1
        shares = [new_columns(pass_, n_points) for _ in range(self.n_threads)]
        futures = [self._pool.submit(read_blocks, pass_, blocks, vectors, rows, share) for share in shares]
        try:
            tallies = [future.result() for future in futures]
        finally:
            # After an error or Ctrl-C, the threads stop at the end of their current block.
            blocks.close()
        return _combined(pass_, shares), reduce(add, tallies)


class _Shared:
    """An iterator of blocks for several threads: one thread reads at a time, while the others compute."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._turn = Lock()
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Block:
        with self._turn:
            if self._closed:
                raise StopIteration
            return next(self._blocks)

    def close(self) -> None:
        """End the iteration for all threads."""
        self._closed = True


def _combined(pass_: Pass[VectorsT, RowsT, TallyT], shares: Sequence[Columns]) -> Columns:
    # In any order: the reductions are exact, so the result does not depend on which thread read which block.
    first, *others = shares
    for share in others:
        for reduction, into, values in zip(pass_.column_reductions, first, share, strict=True):
            reduction.combine(into, values, out=into)
    return first
