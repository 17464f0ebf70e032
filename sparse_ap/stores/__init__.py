"""Where the blocks of a graph live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from sparse_ap.model import Block, Int64Array, Origin, RowCut

__all__ = ["Store", "block_of"]


class Store(Protocol):
    """A graph that can be read in blocks of rows."""

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

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield one block after the other, as cuts are taken from ``cuts``.

        A block may be overwritten as soon as the thread that was given it asks for another.
        """
        ...

    def normalised(self) -> Store:
        """Return the same graph, every stored entry an edge of its own."""
        ...


def block_of(store: Store, rows: RowCut) -> Block:
    """Return some consecutive rows."""
    return next(store.read([rows]))
