"""`ZarrDenseStore`: a dense matrix on disk, whose entries are read as edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, Int64Array, RowCut, starts_of
from sparse_ap.storage.parts import StreamedPart, task
from sparse_ap.storage.store import AS_GIVEN, HeldPart, Origin
from sparse_ap.storage.validation import as_float, float_dtype
from sparse_ap.storage.zarr_reader import read_all, require_present, require_same

if TYPE_CHECKING:
    import zarr
    from dask.delayed import Delayed

__all__ = ["ZarrDenseStore", "dense_block"]


def dense_block(
    values: NDArray[Any], rows: RowCut, threshold: float | None = None, top_k: int | None = None
) -> Block:
    """Return the edges among the entries of some rows.

    Parameters
    ----------
    values : ndarray of numbers, shape (rows, n_points)
        Similarities; NaN and -inf are no edges.
    rows : RowCut
    threshold, top_k
        As for `sparse_ap.graphs.open_graph`.
    """
    values = as_float(values)
    kept = _edges(values, rows, threshold, top_k)
    indptr = starts_of(kept.sum(axis=1))
    columns = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
    return Block(rows, values.shape[1], indptr, columns[kept], values[kept])


def _edges(
    values: NDArray[Any], rows: RowCut, threshold: float | None, top_k: int | None
) -> NDArray[np.bool_]:
    """Return which entries of some rows are edges, as an array of bool."""
    kept = values > -np.inf
    if threshold is not None:
        kept &= values >= threshold
    # The diagonal holds no edges.
    kept[np.arange(len(values)), np.arange(rows.start, rows.stop)] = False
    if top_k is not None and top_k < values.shape[1]:
        candidates = np.where(kept, values, -np.inf)
        # Stable, so that among equal entries those of lower columns are kept.
        best = np.argsort(-candidates, axis=1, kind="stable")[:, :top_k]
        strongest = np.zeros_like(kept)
        np.put_along_axis(strongest, best, True, axis=1)
        kept &= strongest
    return kept


@dataclass(frozen=True, eq=False)
class ZarrDenseStore:
    """A square zarr array in which every finite entry off the diagonal is an edge.

    Attributes
    ----------
    array : zarr.Array, shape (n_points, n_points)
        Similarities; NaN and -inf are no edges.
    fingerprint : int
        Fingerprint of the array, by `sparse_ap.storage.zarr_reader.fingerprint_of`.
    threshold : float or None
        Entries below are no edges.
    top_k : int or None
        Largest number of edges per row, the largest entries; among equals those of lower columns.
    origin : Origin
    """

    array: zarr.Array[Any]
    fingerprint: int
    threshold: float | None = None
    top_k: int | None = None
    origin: Origin = AS_GIVEN

    divisions: ClassVar[None] = None
    holding: ClassVar[None] = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the similarities."""
        return float_dtype(self.array.dtype)

    @cached_property
    def indptr(self) -> Int64Array:
        """Start of each row's entries, the diagonal and absent edges included."""
        n = int(self.array.shape[0])
        return np.arange(n + 1, dtype=np.int64) * n

    @property
    def chunk_edges(self) -> int:
        """Number of entries in the rows of one chunk."""
        return int(self.array.chunks[0] * self.array.shape[0])

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield blocks of the entries that are edges."""
        for rows in cuts:
            values = read_all(self.array, slice(rows.start, rows.stop))
            yield dense_block(values, rows, self.threshold, self.top_k)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed:
        """Return a delayed call by which another process opens consecutive rows."""
        # A new object, without the cached indptr: it would be sent along.
        place = ZarrDenseStore(self.array, self.fingerprint, self.threshold, self.top_k)
        return task("open-part", _part, place, tuple(cuts), hold)

    def canonical(self) -> ZarrDenseStore:
        """Return the store itself: its blocks are canonical."""
        return self


def _part(store: ZarrDenseStore, cuts: tuple[RowCut, ...], hold: bool) -> HeldPart | StreamedPart:
    """Open some rows in this process."""
    require_present(store.array)
    require_same(store.array, store.fingerprint)
    part = StreamedPart(store, cuts)
    return part.held() if hold else part
