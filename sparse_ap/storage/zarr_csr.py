"""`ZarrStore`: a graph on disk in a zarr group with AnnData's CSR layout, read in blocks, never written."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparse_ap.kernels.block import Block, Int64Array, RowCut
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.parts import ChangedStore, StreamedPart, task
from sparse_ap.storage.store import AS_GIVEN, HeldPart, Origin
from sparse_ap.storage.validation import as_float, as_ids, float_dtype
from sparse_ap.storage.zarr_reader import SequentialReader, not_shared, read_all, require_same

if TYPE_CHECKING:
    import zarr
    from dask.delayed import Delayed

__all__ = ["ZarrPlace", "ZarrRows", "ZarrStore"]


@dataclass(frozen=True, slots=True, eq=False)
class ZarrStore:
    """A graph in three zarr arrays, of which only ``indptr`` is held in memory.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    positions : zarr.Array, shape (n_points + 1,)
        The array that ``indptr`` was read from.
    indices, data : zarr.Array, shape (n_edges,)
        The arrays, checked by `sparse_ap.storage.zarr_groups.open_zarr`.
    fingerprints : tuple of int
        Fingerprints of indices and data, by `sparse_ap.storage.zarr_reader.fingerprint_of`.
    origin : Origin
    ids : zarr.Array or None, shape (n_points,)
        The user's names of the points, in the user's order.
    recall : tuple of (float, float, int), or None
        Of the search that the graph comes from: the value, the half width, and the number of rows.
    missing : zarr.Array or None, shape (n_points,)
        The largest similarity that an edge of each point which is not stored can have, in the user's order.
    """

    indptr: Int64Array
    positions: zarr.Array[Any]
    indices: zarr.Array[Any]
    data: zarr.Array[Any]
    fingerprints: tuple[int, int]
    origin: Origin = AS_GIVEN
    ids: zarr.Array[Any] | None = None
    recall: tuple[float, float, int] | None = None
    missing: zarr.Array[Any] | None = None

    divisions: ClassVar[None] = None
    holding: ClassVar[None] = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the similarities."""
        return float_dtype(self.data.dtype)

    @property
    def chunk_edges(self) -> int:
        """Number of edges in a chunk."""
        return int(max(self.indices.chunks[0], self.data.chunks[0]))

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield the blocks as they are read."""
        return ZarrRows(0, len(self.indptr) - 1, self.indptr, self.indices, self.data).read(cuts)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed:
        """Return a delayed call by which another process opens consecutive rows."""
        place = ZarrPlace(len(self.indptr) - 1, self.positions, self.indices, self.data, self.fingerprints)
        starts = self.indptr[cuts[0].start : cuts[-1].stop + 1]
        return task("open-part", ZarrPlace.part, place, tuple(cuts), _checksum_of(starts), hold)

    def canonical(self) -> ChangedStore:
        """Return the graph with its blocks made canonical as they are read."""
        return ChangedStore(self)

    def in_memory(self) -> MemoryStore:
        """Read the whole graph into memory."""
        n_points, n_edges = len(self.indptr) - 1, int(self.indptr[-1])
        # One array after the other, so that only one is decoded at a time.
        indices = as_ids(SequentialReader(self.indices).read(0, n_edges), n_points)
        return MemoryStore(
            self.indptr, indices, as_float(SequentialReader(self.data).read(0, n_edges)), self.origin
        )


@dataclass(frozen=True, slots=True, eq=False)
class ZarrRows:
    """Consecutive rows of a graph whose edges are in two zarr arrays.

    Attributes
    ----------
    first_row, n_points : int
        The first of these rows, and the number of points of the whole graph.
    indptr : ndarray of int64, shape (rows + 1,)
        Start of each row's edges in the arrays.
    indices, data : zarr.Array, shape (n_edges,)
    """

    first_row: int
    n_points: int
    indptr: Int64Array
    indices: zarr.Array[Any]
    data: zarr.Array[Any]

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield the blocks as they are read."""
        indices, data = SequentialReader(self.indices), SequentialReader(self.data)
        for rows in cuts:
            indptr = self.indptr[rows.start - self.first_row : rows.stop - self.first_row + 1]
            edges = int(indptr[0]), int(indptr[-1])
            yield Block(
                rows,
                self.n_points,
                indptr,
                as_ids(indices.read(*edges), self.n_points),
                as_float(data.read(*edges)),
            )


@dataclass(frozen=True, slots=True, eq=False)
class ZarrPlace:
    """The location of a graph, in a few hundred bytes, from which another process reads rows.

    Attributes
    ----------
    n_points : int
    indptr, indices, data : zarr.Array
    fingerprints : tuple of int
        Fingerprints of indices and data, where the graph was opened first.
    """

    n_points: int
    indptr: zarr.Array[Any]
    indices: zarr.Array[Any]
    data: zarr.Array[Any]
    fingerprints: tuple[int, int]

    def part(self, cuts: tuple[RowCut, ...], checksum: int, hold: bool) -> HeldPart | StreamedPart:
        """Open some rows in this process.

        Parameters
        ----------
        cuts : tuple of RowCut
            Consecutive blocks.
        checksum : int
            `_checksum_of` these rows' indptr, where the graph was opened first.
        hold : bool
            Whether to read the edges now, and keep them in memory.

        Raises
        ------
        DamagedGraphError
            The graph is not accessible here, or is another one.
        """
        first, last = cuts[0].start, cuts[-1].stop
        indptr = read_all(self.indptr, slice(first, last + 1)).astype(np.int64, copy=False)
        if _checksum_of(indptr) != checksum:
            raise not_shared(self.indptr)
        # Indptr alone does not identify a graph: with equal numbers of edges per point it is always the same.
        for array, fingerprint in zip((self.indices, self.data), self.fingerprints, strict=True):
            require_same(array, fingerprint)
        part = StreamedPart(ZarrRows(first, self.n_points, indptr, self.indices, self.data), cuts)
        return part.held() if hold else part


def _checksum_of(indptr: Int64Array) -> int:
    """Return a checksum of an indptr."""
    return zlib.crc32(np.ascontiguousarray(indptr).data)
