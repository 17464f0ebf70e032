"""Parts of a graph: consecutive rows that one process of a cluster reads in each pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.kernels.rows import normalise
from sparse_ap.storage.normalising import NormalisingRows
from sparse_ap.storage.store import Rows

__all__ = ["HeldPart", "Part", "StreamedPart", "tidied"]


class Part(Protocol):
    """Consecutive rows."""

    @property
    def rows(self) -> RowCut:
        """Which rows of the graph these are."""
        ...

    def read(self) -> Iterator[Block]:
        """Yield the blocks; each may be overwritten when the next is asked for."""
        ...

    def tidied(self) -> Part:
        """Return the same rows, every stored entry an edge of its own."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeldPart:
    """Rows in this process's memory."""

    blocks: tuple[Block, ...]

    @property
    def rows(self) -> RowCut:
        """Which rows of the graph these are."""
        return RowCut(self.blocks[0].rows.start, self.blocks[-1].rows.stop)

    @property
    def nbytes(self) -> int:
        """Memory of the blocks."""
        return sum(block.nbytes for block in self.blocks)

    def __sizeof__(self) -> int:
        """Return the memory of the blocks, which is what dask reckons with."""
        return self.nbytes

    def read(self) -> Iterator[Block]:
        """Yield the blocks."""
        return iter(self.blocks)

    def tidied(self) -> HeldPart:
        """Return a copy."""
        return HeldPart(tuple(map(normalise, self.blocks)))


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

    def tidied(self) -> StreamedPart:
        """Return rows that are tidied each time they are read."""
        return StreamedPart(NormalisingRows(self.source), self.cuts)

    def held(self) -> HeldPart:
        """Read everything."""
        return HeldPart(tuple(map(_copied, self.read())))


def tidied(part: Part) -> Part:
    """Return the same rows, every stored entry an edge of its own."""
    return part.tidied()


def _copied(block: Block) -> Block:
    return replace(block, indices=block.indices.copy(), data=block.data.copy())
