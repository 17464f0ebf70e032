"""Streamed parts of a graph, and rows that are changed as they are read: made canonical, or selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from sparse_ap.kernels.block import Block, Int64Array, RowCut
from sparse_ap.kernels.rows import canonical_block
from sparse_ap.storage.store import HeldPart, Holding, Origin, Rows, Store

if TYPE_CHECKING:
    from dask.delayed import Delayed

__all__ = ["Change", "ChangedRows", "ChangedStore", "StreamedPart", "changed", "task"]

Change = Callable[[Block], Block]


@dataclass(frozen=True, slots=True, eq=False)
class StreamedPart:
    """Consecutive rows that are read anew in each pass.

    Attributes
    ----------
    source : Rows
        The rows to read from.
    cuts : tuple of RowCut
        The blocks of this part.
    """

    source: Rows
    cuts: tuple[RowCut, ...]

    @property
    def rows(self) -> RowCut:
        """The rows of the graph in this part."""
        return RowCut(self.cuts[0].start, self.cuts[-1].stop)

    def read(self) -> Iterator[Block]:
        """Yield the blocks as they are read."""
        return self.source.read(self.cuts)

    def held(self) -> HeldPart:
        """Return a copy of the part in memory."""
        return HeldPart(tuple(map(_copied, self.read())))


def changed(change: Change, part: HeldPart | StreamedPart) -> HeldPart | StreamedPart:
    """Return a part with every block changed: a copy, or changed at each reading."""
    if isinstance(part, HeldPart):
        return HeldPart(tuple(map(change, part.blocks)))
    return StreamedPart(ChangedRows(part.source, change), part.cuts)


def _copied(block: Block) -> Block:
    return replace(block, indices=block.indices.copy(), data=block.data.copy())


@dataclass(frozen=True, slots=True, eq=False)
class ChangedRows:
    """Rows whose blocks are changed as they are read; ``indptr`` of each block begins at 0."""

    rows: Rows
    change: Change

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield the blocks, changed."""
        return map(self.change, self.rows.read(cuts))


@dataclass(frozen=True, slots=True, eq=False)
class ChangedStore:
    """The graph of another store, its blocks changed as they are read.

    ``indptr`` still counts all stored entries, since rows are cut by it.

    Attributes
    ----------
    store : Store
    change : callable
        Function from a block to a changed copy, whose every entry is an edge of its own.
    precision : dtype or None
        Dtype of the similarities after the change; None: that of the store.
    """

    store: Store
    change: Change = canonical_block
    precision: np.dtype[Any] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the similarities."""
        return self.store.dtype if self.precision is None else self.precision

    @property
    def indptr(self) -> Int64Array:
        """Start of each row's entries in the store."""
        return self.store.indptr

    @property
    def origin(self) -> Origin:
        """Changes between the user's graph and the store."""
        return self.store.origin

    @property
    def chunk_edges(self) -> int | None:
        """Number of edges in a chunk on disk; None if edges can be read one by one."""
        return self.store.chunk_edges

    @property
    def divisions(self) -> Sequence[RowCut] | None:
        """Blocks that the store consists of; None if it can be cut anywhere."""
        return self.store.divisions

    @property
    def holding(self) -> Holding | None:
        """Conditions for holding the edges in workers' memory; None if that is not required."""
        return self.store.holding

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield the blocks, changed."""
        return ChangedRows(self.store, self.change).read(cuts)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed | HeldPart:
        """Return consecutive rows for another process, which changes them there."""
        part = self.store.part(cuts, hold)
        if isinstance(part, HeldPart):
            return HeldPart(tuple(map(self.change, part.blocks)))
        return task("changed-part", changed, self.change, part)

    def canonical(self) -> ChangedStore:
        """Return the store itself."""
        return self


def task(name: str, work: Callable[..., Any], *args: Any) -> Delayed:
    """Return a delayed call for another process; ``name`` describes the task on dask's dashboard."""
    from dask.delayed import delayed

    # Named here, since dask would otherwise hash all arguments to find a name.
    call: Delayed = delayed(work, pure=False)(*args, dask_key_name=f"{name}-{uuid4().hex}")
    return call
