"""`Executor`: the protocol of objects that run a pass over the blocks of a graph.

The serial executor is the specification. Every other executor gives the same bits, because the shares of
columns and the tallies combine exactly, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass, Tally
from sparse_ap.storage.store import Store

__all__ = ["Executor", "RowsT", "TallyT", "VectorsT", "new_columns", "read_blocks"]

VectorsT = TypeVar("VectorsT", bound=tuple[Any, ...])
RowsT = TypeVar("RowsT", bound=tuple[Any, ...])
TallyT = TypeVar("TallyT", bound=Tally)


class Executor(Protocol):
    """An object that runs passes over all blocks of a graph."""

    @property
    def n_threads(self) -> int:
        """Number of blocks read at the same time."""
        ...

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Run a pass; return its combined columns and tally, and write its ``rows`` in place."""
        ...


def read_blocks(
    pass_: Pass[VectorsT, RowsT, TallyT],
    blocks: Iterator[Block],
    vectors: VectorsT,
    rows: RowsT,
    columns: Columns,
    first_row: int = 0,
) -> TallyT:
    """Run a pass over some blocks, one after the other, in one thread.

    Parameters
    ----------
    pass_ : Pass
    blocks : iterator of Block
    vectors : tuple of ndarray
    rows : tuple of ndarray
        The rows of all blocks; written in place.
    columns : tuple of ndarray
        The thread's own share of the columns; set to zero first.
    first_row : int
        Row of the graph that ``rows`` begin with.
    """
    for share in columns:
        share.fill(0)
    tally = pass_.nothing
    for block in blocks:
        tally = tally + pass_(block, vectors, _cut(rows, block.rows, first_row), columns)
    return tally


def new_columns(pass_: Pass[VectorsT, RowsT, TallyT], n_points: int) -> Columns:
    """Return uninitialised arrays for one thread's share of every column."""
    return tuple(r.new_share(n_points) for r in pass_.column_reductions)


def _cut(rows: RowsT, cut: RowCut, first_row: int) -> RowsT:
    local = RowCut(cut.start - first_row, cut.stop - first_row)
    return type(rows)(*(local.of(values) for values in rows)) if rows else rows
