"""Blocks shared out among the threads of a pool: the kernels run without Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from types import TracebackType
from typing import Self

from sparse_ap.model import RowCut
from sparse_ap.passes.contract import Columns, Pass
from sparse_ap.runners import RowsT, TallyT, VectorsT, new_columns, read_blocks
from sparse_ap.stores import Store

__all__ = ["ThreadsRunner"]


class ThreadsRunner:
    """A pool of threads, each with its own share of the columns; use it as a context manager.

    Parameters
    ----------
    n_threads : int
        At least 1. Each holds a share of the columns: 8 bytes a point in a sweep.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="sparse_ap")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Return the combined columns and tally; ``rows`` are updated in place."""
        waiting = deque(cuts)
        # From this thread: memory that threads allocate lies scattered over their own heaps.
        shares = [new_columns(pass_, store) for _ in range(self.n_threads)]
        futures = [
            self._pool.submit(read_blocks, pass_, store, _taken_from(waiting), vectors, rows, share)
            for share in shares
        ]
        try:
            tallies = [future.result() for future in futures]
        finally:
            # After an error or Ctrl-C the threads stop at the end of their block.
            waiting.clear()
        return _combined(pass_, shares), reduce(add, tallies)


def _taken_from(waiting: deque[RowCut]) -> Iterator[RowCut]:
    """Take cuts from a queue that other threads take from too."""
    while True:
        try:
            yield waiting.popleft()
        except IndexError:
            return


def _combined(pass_: Pass[VectorsT, RowsT, TallyT], shares: Sequence[Columns]) -> Columns:
    first, *others = shares
    for share in others:
        for reduction, into, values in zip(pass_.column_reductions, first, share, strict=True):
            reduction.combine(into, values, out=into)
    return first
