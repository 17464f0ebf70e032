"""A dense zarr array of similarities, read as a graph in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from sparse_ap.model import AS_GIVEN, Block, Int64Array, Origin, RowCut
from sparse_ap.stores.consecutive import whole
from sparse_ap.stores.structure import as_float, float_type

__all__ = ["ZarrDenseStore"]


@dataclass(frozen=True, eq=False)
class ZarrDenseStore:
    """A square zarr array, of which every finite entry off the diagonal is an edge.

    Attributes
    ----------
    array : zarr.Array, shape (n_points, n_points)
        NaN and -inf: no edge.
    threshold : float or None
        Entries below it are no edges.
    top_k : int or None
        Only so many of the largest of each row are edges; of equal ones those of lower columns.
    """

    array: zarr.Array[Any]
    threshold: float | None = None
    top_k: int | None = None
    origin: Origin = AS_GIVEN

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities."""
        return float_type(self.array.dtype)

    @cached_property
    def indptr(self) -> Int64Array:
        """Where each row's edges would begin, were there no gaps."""
        n = int(self.array.shape[0])
        return np.arange(n + 1, dtype=np.int64) * n

    @property
    def chunk_edges(self) -> int:
        """Entries in as many rows as a chunk has."""
        return int(self.array.chunks[0] * self.array.shape[0])

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield blocks of the entries that are edges."""
        for rows in cuts:
            values = as_float(whole(self.array, slice(rows.start, rows.stop)))
            kept = self._edges(values, rows)
            indptr = np.zeros(len(values) + 1, np.int64)
            np.cumsum(kept.sum(axis=1), out=indptr[1:])
            columns = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
            yield Block(rows, values.shape[1], indptr, columns[kept], values[kept])

    def _edges(self, values: NDArray[Any], rows: RowCut) -> NDArray[np.bool_]:
        """Say which entries of some rows are edges."""
        kept = values > -np.inf
        if self.threshold is not None:
            kept &= values >= self.threshold
        kept[np.arange(len(values)), np.arange(rows.start, rows.stop)] = False
        if self.top_k is not None and self.top_k < values.shape[1]:
            candidates = np.where(kept, values, -np.inf)
            best = np.argsort(-candidates, axis=1, kind="stable")[:, : self.top_k]
            strongest = np.zeros_like(kept)
            np.put_along_axis(strongest, best, True, axis=1)
            kept &= strongest
        return kept

    def normalised(self) -> ZarrDenseStore:
        """Return itself."""
        return self
