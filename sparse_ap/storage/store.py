"""Where the edges of a graph live: the protocol of stores, and of the parts that other processes read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sparse_ap.kernels.block import Block, Int32Array, Int64Array, RowCut

if TYPE_CHECKING:
    from dask.delayed import Delayed

__all__ = ["AS_GIVEN", "HeldPart", "Holding", "Origin", "Part", "Rows", "Store", "block_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What became of the user's graph before it was stored.

    Attributes
    ----------
    order : ndarray of int32, shape (n_points,), or None
        The user's number of each row, where points were renumbered.
    floor : float
        Edges with this similarity or a smaller one were left out; -inf: none.
    """

    order: Int32Array | None = None
    floor: float = -np.inf


AS_GIVEN = Origin()


class Part(Protocol):
    """Consecutive rows."""

    @property
    def rows(self) -> RowCut:
        """Which rows of the graph these are."""
        ...

    def read(self) -> Iterator[Block]:
        """Yield the blocks; each may be overwritten when the next is asked for."""
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


class Rows(Protocol):
    """Some rows of a graph, which can be read in blocks."""

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield one block after the other, as cuts are taken from ``cuts``.

        A block may be overwritten as soon as the thread that was given it asks for another.
        """
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """What it takes to have edges in the memory of a cluster's workers, if they can be nowhere else.

    Attributes
    ----------
    copies : int
        How often they are there.
    reason : str
        Why, as the end of a clause.
    remedy : str
        What to do where they do not fit.
    """

    copies: int
    reason: str
    remedy: str


class Store(Rows, Protocol):
    """A graph."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities: float32 or float64."""
        ...

    @property
    def indptr(self) -> Int64Array:
        """Where each row's edges begin, shape (n_points + 1,)."""
        ...

    @property
    def origin(self) -> Origin:
        """What became of the user's graph before it was stored."""
        ...

    @property
    def chunk_edges(self) -> int | None:
        """Edges that cannot be read apart; None: any can."""
        ...

    @property
    def divisions(self) -> Sequence[RowCut] | None:
        """Blocks that the graph consists of already, if it cannot be cut anywhere."""
        ...

    @property
    def holding(self) -> Holding | None:
        """What it takes to have its edges in workers' memory; None: they can be read in each pass as well."""
        ...

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed | HeldPart:
        """Return consecutive rows for another process: how to get them there, or the rows themselves.

        With ``hold`` they are to be in that process's memory; otherwise it may read them in each pass.
        """
        ...

    def canonical(self) -> Store:
        """Return the same graph, every stored entry an edge of its own."""
        ...


def block_of(store: Store, rows: RowCut) -> Block:
    """Return some consecutive rows."""
    return next(store.read([rows]))
