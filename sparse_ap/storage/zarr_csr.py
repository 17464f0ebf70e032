"""Graphs on disk: a zarr group in AnnData's CSR layout, read in blocks, never written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import zarr

from sparse_ap.kernels.block import AS_GIVEN, Block, Int64Array, Origin, RowCut
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.naming import task
from sparse_ap.storage.normalising import NormalisingStore
from sparse_ap.storage.validation import as_float, as_ids, float_type
from sparse_ap.storage.zarr_reader import ConsecutiveReader
from sparse_ap.storage.zarr_rows import ZarrPlace, ZarrRows, checksum_of

if TYPE_CHECKING:
    from dask.delayed import Delayed

__all__ = ["ZarrStore"]


@dataclass(frozen=True, slots=True, eq=False)
class ZarrStore:
    """A graph in three zarr arrays; only ``indptr`` is held in memory.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    positions : zarr.Array, shape (n_points + 1,)
        The array of which ``indptr`` is a copy.
    indices, data : zarr.Array, shape (n_edges,)
        As `sparse_ap.storage.zarr_groups.open_zarr` has checked them.
    marks : tuple of int
        `sparse_ap.storage.shared.mark_of` indices and data.
    origin : Origin
    ids : zarr.Array or None, shape (n_points,)
        The user's names of the points, in the user's order.
    """

    indptr: Int64Array
    positions: zarr.Array[Any]
    indices: zarr.Array[Any]
    data: zarr.Array[Any]
    marks: tuple[int, int]
    origin: Origin = AS_GIVEN
    ids: zarr.Array[Any] | None = None

    divisions: ClassVar[None] = None
    holding: ClassVar[None] = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities."""
        return float_type(self.data.dtype)

    @property
    def chunk_edges(self) -> int:
        """Edges in a chunk."""
        return int(max(self.indices.chunks[0], self.data.chunks[0]))

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield blocks as they are read."""
        return ZarrRows(0, len(self.indptr) - 1, self.indptr, self.indices, self.data).read(cuts)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed:
        """Return how another process reads consecutive rows."""
        place = ZarrPlace(len(self.indptr) - 1, self.positions, self.indices, self.data, self.marks)
        starts = self.indptr[cuts[0].start : cuts[-1].stop + 1]
        return task("open-part", ZarrPlace.part, place, tuple(cuts), checksum_of(starts), hold)

    def normalised(self) -> NormalisingStore:
        """Return the graph as it is read, tidied block by block."""
        return NormalisingStore(self)

    def in_memory(self) -> MemoryStore:
        """Read everything."""
        n_points, n_edges = len(self.indptr) - 1, int(self.indptr[-1])
        indices = as_ids(ConsecutiveReader(self.indices).read(0, n_edges), n_points)
        return MemoryStore(
            self.indptr, indices, as_float(ConsecutiveReader(self.data).read(0, n_edges)), self.origin
        )
