"""Rows of a graph on disk, read in blocks by whoever can open its arrays."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from sparse_ap.kernels.block import Block, Int64Array, RowCut
from sparse_ap.storage.parts import HeldPart, StreamedPart
from sparse_ap.storage.shared import not_shared, require_same
from sparse_ap.storage.validation import as_float, as_ids
from sparse_ap.storage.zarr_reader import ConsecutiveReader, whole

__all__ = ["ZarrPlace", "ZarrRows", "checksum_of"]


@dataclass(frozen=True, slots=True, eq=False)
class ZarrRows:
    """Consecutive rows whose edges are in two zarr arrays.

    Attributes
    ----------
    first_row, n_points : int
        The first of these rows, and how many there are in the whole graph.
    indptr : ndarray of int64, shape (rows + 1,)
        Where each row's edges begin in the arrays.
    indices, data : zarr.Array, shape (n_edges,)
    """

    first_row: int
    n_points: int
    indptr: Int64Array
    indices: zarr.Array[Any]
    data: zarr.Array[Any]

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield blocks as they are read."""
        indices, data = ConsecutiveReader(self.indices), ConsecutiveReader(self.data)
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
    """Where a graph is: a few hundred bytes, from which another process reads rows.

    Attributes
    ----------
    n_points : int
    indptr, indices, data : zarr.Array
    marks : tuple of int
        `sparse_ap.storage.shared.mark_of` indices and data, where the graph was opened first.
    """

    n_points: int
    indptr: zarr.Array[Any]
    indices: zarr.Array[Any]
    data: zarr.Array[Any]
    marks: tuple[int, int]

    def part(self, cuts: tuple[RowCut, ...], checksum: int, hold: bool) -> HeldPart | StreamedPart:
        """Open some rows in this process.

        Parameters
        ----------
        cuts : tuple of RowCut
            Consecutive.
        checksum : int
            `checksum_of` their part of indptr, as it is known to be.
        hold : bool
            Whether to read their edges now, and keep them.

        Raises
        ------
        DamagedGraphError
            The graph is not here, or is another one.
        """
        first, last = cuts[0].start, cuts[-1].stop
        indptr = whole(self.indptr, slice(first, last + 1)).astype(np.int64, copy=False)
        if checksum_of(indptr) != checksum:
            raise not_shared(self.indptr)
        # Where all points have as many edges, every graph has the same indptr.
        for array, mark in zip((self.indices, self.data), self.marks, strict=True):
            require_same(array, mark)
        part = StreamedPart(ZarrRows(first, self.n_points, indptr, self.indices, self.data), cuts)
        return part.held() if hold else part


def checksum_of(indptr: Int64Array) -> int:
    """Return a checksum of where rows begin."""
    return zlib.crc32(np.ascontiguousarray(indptr).data)
