"""The protocol of stores, and parts of a graph in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sparse_ap.kernels.block import Block, Int32Array, Int64Array, RowCut

if TYPE_CHECKING:
    from dask.delayed import Delayed

__all__ = ["AS_GIVEN", "HeldPart", "Holding", "Origin", "Rows", "Store", "block_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Changes to the user's graph before it was stored.

    Attributes
    ----------
    order : ndarray of int32, shape (n_points,), or None
        The user's number of each row, if points were renumbered.
    floor : float
        Edges with this similarity or a smaller one were left out; -inf: no edge was.
    """

    order: Int32Array | None = None
    floor: float = -np.inf


AS_GIVEN = Origin()


@dataclass(frozen=True, slots=True, eq=False)
class HeldPart:
    """Consecutive rows in this process's memory."""

    blocks: tuple[Block, ...]

    @property
    def rows(self) -> RowCut:
        """The rows of the graph in this part."""
        return RowCut(self.blocks[0].rows.start, self.blocks[-1].rows.stop)

    def __sizeof__(self) -> int:
        """Return the bytes of the blocks, which dask uses to estimate memory."""
        return sum(map(getsizeof, self.blocks))

    def read(self) -> Iterator[Block]:
        """Yield the blocks."""
        return iter(self.blocks)


class Rows(Protocol):
    """Rows of a graph that can be read in blocks."""

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield a block for each of the ``cuts``, one after the other.

        A block may be overwritten as soon as the thread that received it requests another.
        """
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """Conditions of a graph that can be nowhere but in the memory of a cluster's workers.

    Attributes
    ----------
    copies : int
        Number of copies of the edges in that memory.
    reason : str
        Reason for it, in the form of a relative clause.
    remedy : str
        Advice to the user if the edges do not fit.
    """

    copies: int
    reason: str
    remedy: str


class Store(Rows, Protocol):
    """A graph: its structure, and ways to read its edges."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the similarities: float32 or float64."""
        ...

    @property
    def indptr(self) -> Int64Array:
        """Start of each row's edges, and the end, shape (n_points + 1,)."""
        ...

    @property
    def origin(self) -> Origin:
        """Changes to the user's graph before it was stored."""
        ...

    @property
    def chunk_edges(self) -> int | None:
        """Number of edges in a chunk, which is read as a whole; None if edges can be read one by one."""
        ...

    @property
    def divisions(self) -> Sequence[RowCut] | None:
        """Blocks that the graph consists of; None if it can be cut anywhere."""
        ...

    @property
    def holding(self) -> Holding | None:
        """Conditions for holding the edges in workers' memory; None if they can be read in each pass."""
        ...

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed | HeldPart:
        """Return consecutive rows for another process: a delayed call that returns a part, or the part.

        With ``hold`` that process keeps them in memory; otherwise it may read them in each pass.
        """
        ...

    def canonical(self) -> Store:
        """Return the same graph, every stored entry an edge of its own."""
        ...


def block_of(store: Store, rows: RowCut) -> Block:
    """Return consecutive rows as one block."""
    return next(store.read([rows]))
