"""Parts of a graph that are read anew each time, and rows made canonical as they are read."""

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

__all__ = ["CanonicalRows", "CanonicalStore", "StreamedPart", "canonical", "task"]


@dataclass(frozen=True, slots=True, eq=False)
class StreamedPart:
    """Rows that are read anew each time."""

    source: Rows
    cuts: tuple[RowCut, ...]

    @property
    def rows(self) -> RowCut:
        """Which rows of the graph these are."""
        return RowCut(self.cuts[0].start, self.cuts[-1].stop)

    def read(self) -> Iterator[Block]:
        """Yield the blocks as they are read."""
        return self.source.read(self.cuts)

    def held(self) -> HeldPart:
        """Read everything."""
        return HeldPart(tuple(map(_copied, self.read())))


def canonical(part: HeldPart | StreamedPart) -> HeldPart | StreamedPart:
    """Return the same rows, every stored entry an edge of its own: a copy, or tidied at each reading."""
    if isinstance(part, HeldPart):
        return _canonical_copy(part)
    return StreamedPart(CanonicalRows(part.source), part.cuts)


def _canonical_copy(part: HeldPart) -> HeldPart:
    return HeldPart(tuple(map(canonical_block, part.blocks)))


def _copied(block: Block) -> Block:
    return replace(block, indices=block.indices.copy(), data=block.data.copy())


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalRows:
    """Other rows, every entry an edge of its own; ``indptr`` of a block counts from 0."""

    rows: Rows

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield tidied blocks."""
        return map(canonical_block, self.rows.read(cuts))


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalStore:
    """Another store's graph, every entry an edge of its own.

    ``indptr`` still says what is stored, which is what rows are cut by.
    """

    store: Store

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities."""
        return self.store.dtype

    @property
    def indptr(self) -> Int64Array:
        """Where each row's entries begin in the store."""
        return self.store.indptr

    @property
    def origin(self) -> Origin:
        """What became of the user's graph."""
        return self.store.origin

    @property
    def chunk_edges(self) -> int | None:
        """Edges that are read at once."""
        return self.store.chunk_edges

    @property
    def divisions(self) -> Sequence[RowCut] | None:
        """Blocks that the graph consists of."""
        return self.store.divisions

    @property
    def holding(self) -> Holding | None:
        """Whether its edges must be in the memory of a cluster's workers."""
        return self.store.holding

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield tidied blocks."""
        return CanonicalRows(self.store).read(cuts)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed | HeldPart:
        """Return rows for another process, which tidies them there."""
        part = self.store.part(cuts, hold)
        return (
            _canonical_copy(part) if isinstance(part, HeldPart) else task("canonical-part", canonical, part)
        )

    def canonical(self) -> CanonicalStore:
        """Return itself."""
        return self


def task(name: str, work: Callable[..., Any], *args: Any) -> Delayed:
    """Return a call that another process is to make, under a name that says what for."""
    from dask.delayed import delayed

    call: Delayed = delayed(work, pure=False)(*args, dask_key_name=f"{name}-{uuid4().hex}")
    return call
