"""Who reads the blocks.

The serial executor is the specification; every other executor gives the same bits, because column shares
and tallies combine exactly.
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
    """Runs a pass over every block of a graph."""

    @property
    def n_threads(self) -> int:
        """How many blocks are read at the same time."""
        ...

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Return the combined columns and tally; ``rows`` are updated in place."""
        ...


def read_blocks(
    pass_: Pass[VectorsT, RowsT, TallyT],
    blocks: Iterator[Block],
    vectors: VectorsT,
    rows: RowsT,
    columns: Columns,
    first_row: int = 0,
) -> TallyT:
    """Read some blocks one after the other: what every thread of every executor does.

    ``columns`` is the thread's own share, whatever it holds; it is set to zero first. ``rows`` begin with row
    ``first_row`` of the graph.
    """
    for share in columns:
        share.fill(0)
    tally = pass_.nothing
    for block in blocks:
        tally = tally + pass_(block, vectors, _cut(rows, block.rows, first_row), columns)
    return tally


def new_columns(pass_: Pass[VectorsT, RowsT, TallyT], n_points: int) -> Columns:
    """Return room for one thread's share of every column reduction."""
    return tuple(r.new_share(n_points) for r in pass_.column_reductions)


def _cut(rows: RowsT, cut: RowCut, first_row: int) -> RowsT:
    local = RowCut(cut.start - first_row, cut.stop - first_row)
    return type(rows)(*(local.of(values) for values in rows)) if rows else rows
