"""A store whose blocks are tidied each time they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparse_ap.model import Block, Int64Array, Origin, RowCut
from sparse_ap.passes.normalise import normalise
from sparse_ap.stores import Store

__all__ = ["NormalisingStore"]


@dataclass(frozen=True, slots=True, eq=False)
class NormalisingStore:
    """Another store's graph, every entry an edge of its own.

    ``indptr`` still says what is stored, which is what rows are cut by; that of a block counts from 0.
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

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield tidied blocks."""
        return map(normalise, self.store.read(cuts))

    def normalised(self) -> NormalisingStore:
        """Return itself."""
        return self
