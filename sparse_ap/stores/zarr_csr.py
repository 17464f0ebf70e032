"""Graphs on disk: a zarr group in AnnData's CSR layout, read in blocks, never written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from sparse_ap.model import AS_GIVEN, Block, Int64Array, Origin, RowCut
from sparse_ap.stores.consecutive import ConsecutiveReader
from sparse_ap.stores.memory import MemoryStore
from sparse_ap.stores.normalising import NormalisingStore
from sparse_ap.stores.structure import as_float, as_ids, float_type

__all__ = ["ZarrStore"]


@dataclass(frozen=True, slots=True, eq=False)
class ZarrStore:
    """A graph in three zarr arrays; only ``indptr`` is held in memory.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    indices, data : zarr.Array, shape (n_edges,)
        As `sparse_ap.stores.zarr_opening.open_zarr` has checked them.
    origin : Origin
    ids : zarr.Array or None, shape (n_points,)
        The user's names of the points, in the user's order.
    """

    indptr: Int64Array
    indices: zarr.Array[Any]
    data: zarr.Array[Any]
    origin: Origin = AS_GIVEN
    ids: zarr.Array[Any] | None = None

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
        n_points = len(self.indptr) - 1
        indices, data = ConsecutiveReader(self.indices), ConsecutiveReader(self.data)
        for rows in cuts:
            indptr = self.indptr[rows.start : rows.stop + 1]
            edges = int(indptr[0]), int(indptr[-1])
            yield Block(
                rows, n_points, indptr, as_ids(indices.read(*edges), n_points), as_float(data.read(*edges))
            )

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
