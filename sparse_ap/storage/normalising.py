"""Rows and stores whose blocks are tidied each time they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparse_ap.kernels.block import Block, Int64Array, Origin, RowCut
from sparse_ap.kernels.rows import normalise
from sparse_ap.storage.naming import task
from sparse_ap.storage.store import Holding, Rows, Store

if TYPE_CHECKING:
    from dask.delayed import Delayed

    from sparse_ap.storage.parts import HeldPart

__all__ = ["NormalisingRows", "NormalisingStore"]


@dataclass(frozen=True, slots=True, eq=False)
class NormalisingRows:
    """Other rows, every entry an edge of its own; ``indptr`` of a block counts from 0."""

    rows: Rows

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield tidied blocks."""
        return map(normalise, self.rows.read(cuts))


@dataclass(frozen=True, slots=True, eq=False)
class NormalisingStore:
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
        return NormalisingRows(self.store).read(cuts)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed | HeldPart:
        """Return rows for another process, which tidies them there."""
        from sparse_ap.storage.parts import HeldPart, tidied

        part = self.store.part(cuts, hold)
        return part.tidied() if isinstance(part, HeldPart) else task("tidy-part", tidied, part)

    def normalised(self) -> NormalisingStore:
        """Return itself."""
        return self
