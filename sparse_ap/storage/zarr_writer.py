"""Graphs written to disk, row by row, in constant memory; docs/explanation/disk-format.md has the layout."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

from sparse_ap.kernels.block import Block
from sparse_ap.storage.store import Origin

__all__ = ["FORMAT_VERSION", "MISSING", "RECALL", "WrittenEdges", "write_csr"]

FORMAT_VERSION = 1
# The array of what edges that are not stored can be, and the parts of the note on the search.
MISSING = "missing_at_most"
RECALL = {"value": float, "half_width": float, "n_rows": int}

# Entries in a chunk: 4 MB of float32. Larger chunks cost more to read, smaller ones more to look up.
_CHUNK = 2**20
_IDS_IN_A_CHUNK = 2**16


@dataclass(slots=True)
class WrittenEdges:
    """Counts and ranges of the edges of a graph, gathered while it is written.

    Attributes
    ----------
    n_points, n_edges : int
    smallest, largest : float or None
        Extremes of the similarities; None without edges.
    longest_row : int
        Largest number of edges of a point.
    n_without_edges : int
        Number of points without edges.
    """

    n_points: int = 0
    n_edges: int = 0
    smallest: float | None = None
    largest: float | None = None
    longest_row: int = 0
    n_without_edges: int = 0

    def add(self, degrees: NDArray[Any], data: NDArray[Any]) -> None:
        """Include more rows."""
        self.n_points += len(degrees)
        self.n_edges += len(data)
        self.longest_row = max(self.longest_row, int(degrees.max(initial=0)))
        self.n_without_edges += len(degrees) - int(np.count_nonzero(degrees))
        if len(data):
            low, high = float(data.min()), float(data.max())
            self.smallest = low if self.smallest is None else min(self.smallest, low)
            self.largest = high if self.largest is None else max(self.largest, high)


def write_csr(
    folder: Path,
    blocks: Iterable[Block],
    dtype: Any,
    origin: Origin,
    *,
    ids: Iterable[NDArray[Any]] | None = None,
    recall: tuple[float, float, int] | None = None,
    missing: NDArray[Any] | None = None,
    n_edges: int | None = None,
) -> WrittenEdges:
    """Write a graph as a new zarr group.

    Parameters
    ----------
    folder : Path
        Folder to create; it must not exist.
    blocks : iterable of Block
        All rows, in order, canonical; blocks may have any size.
    dtype : float32 or float64
    origin : Origin
        Renumbering of the points, and the edges left out.
    ids : iterable of arrays of str, optional
        The user's names of the points, in the user's order, in pieces of any size.
    recall : tuple of (float, float, int), optional
        Of the search that the graph comes from: the value, the half width, and the number of rows.
    missing : ndarray of ``dtype``, shape (n_points,), optional
        The largest similarity that an edge of each point which is not stored can have, in the user's order;
        it may change until the last block has been read.
    n_edges : int, optional
        Upper bound on the number of edges, for messages.

    Raises
    ------
    OSError
        The system refuses to write, for example on a full disk; the message says how much was written.
    """
    written = WrittenEdges()
    try:
        group = zarr.create_group(folder, zarr_format=3)
        _write_edges(group, blocks, dtype, written)
        if origin.order is not None:
            _write(group, "order", "<i4", [origin.order])
        if ids is not None:
            _write_ids(group, ids)
        if missing is not None:
            _write(group, MISSING, np.dtype(dtype), [missing])
        group.attrs.update(_attributes(written, origin, ids is not None, recall))
    except OSError as error:
        # Other errors have messages of their own that say enough.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OSError(error.errno, _failure(error, written, dtype, n_edges)) from error
    return written


def _write_edges(group: zarr.Group, blocks: Iterable[Block], dtype: Any, written: WrittenEdges) -> None:
    indptr = _GrowingArray(group, "indptr", np.dtype("<i8"))
    indices = _GrowingArray(group, "indices", np.dtype("<i4"))
    data = _GrowingArray(group, "data", np.dtype(dtype))
    indptr.append(np.zeros(1, np.int64))
    for block in blocks:
        degrees = np.diff(block.indptr)
        indptr.append(written.n_edges + np.cumsum(degrees))
        indices.append(block.indices)
        data.append(block.data)
        written.add(degrees, block.data)
    for array in (indptr, indices, data):
        array.finish()


def _write(group: zarr.Group, name: str, dtype: Any, pieces: Iterable[NDArray[Any]]) -> None:
    array = _GrowingArray(group, name, np.dtype(dtype))
    for piece in pieces:
        array.append(piece)
    array.finish()


class _GrowingArray:
    """A one-dimensional zarr array written from beginning to end, in whole chunks."""

    def __init__(self, group: zarr.Group, name: str, dtype: np.dtype[Any], chunk: int = _CHUNK) -> None:
        text = dtype.kind == "O"
        self._array = group.create_array(
            name,
            shape=(0,),
            chunks=(chunk,),
            dtype=str if text else dtype,
            # Checksums without compression: .2 s of processor time per GB read (docs/design/0009-disk.md).
            compressors=[Crc32cCodec()],
            fill_value="" if text else 0,
            # Empty chunks are written too, so that a missing chunk always means damage.
            config={"write_empty_chunks": True},
        )
        self._room = np.empty(chunk, dtype)
        self._filled = 0

    def append(self, values: NDArray[Any]) -> None:
        """Append entries; write each chunk as soon as it is full."""
        while len(values):
            some = values[: len(self._room) - self._filled]
            self._room[self._filled : self._filled + len(some)] = some
            self._filled += len(some)
            values = values[len(some) :]
            if self._filled == len(self._room):
                self.finish()

    def finish(self) -> None:
        """Write the entries of the last, partly filled chunk."""
        if self._filled:
            start = self._array.shape[0]
            self._array.resize((start + self._filled,))
            self._array[start:] = self._room[: self._filled]
            self._filled = 0

    def note(self, **attributes: Any) -> None:
        """Set attributes of the array."""
        self._array.attrs.update(attributes)


def _write_ids(group: zarr.Group, pieces: Iterable[NDArray[Any]]) -> None:
    array = _GrowingArray(group, "ids", np.dtype("O"), _IDS_IN_A_CHUNK)
    for piece in pieces:
        array.append(piece)
    array.finish()
    array.note(**{"encoding-type": "string-array", "encoding-version": "0.2.0"})


def _attributes(
    written: WrittenEdges, origin: Origin, has_ids: bool, recall: tuple[float, float, int] | None
) -> dict[str, Any]:
    searched = {} if recall is None else {"recall": dict(zip(RECALL, recall, strict=True))}
    floor = None if origin.floor == -np.inf else origin.floor
    return {
        "encoding-type": "csr_matrix",
        "encoding-version": "0.1.0",
        "shape": [written.n_points, written.n_points],
        "sparse_ap": {
            "version": FORMAT_VERSION,
            "canonical": True,
            "n_edges": written.n_edges,
            "smallest": written.smallest,
            "largest": written.largest,
            "longest_row": written.longest_row,
            "n_without_edges": written.n_without_edges,
            "min_similarity": floor,
            "reordered": origin.order is not None,
            "has_ids": has_ids,
            **searched,
        },
    }


def _failure(error: OSError, written: WrittenEdges, dtype: Any, n_edges: int | None) -> str:
    an_edge = 4 + np.dtype(dtype).itemsize
    needed = "" if n_edges is None else f", of {n_edges * an_edge / 1e9:.3f} GB at most,"
    return (
        f"{error.strerror}, after {written.n_edges * an_edge / 1e9:.3f} GB of edges{needed} had been "
        f"written. A graph takes {an_edge} bytes an edge and 8 a point. Nothing was kept: make room, or "
        "write elsewhere."
    )
