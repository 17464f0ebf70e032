"""Sequential reading of zarr arrays, every chunk once; and checks that an array is the one meant.

zarr is imported where it is used, so that users without a graph on disk need not wait for it.
"""

from __future__ import annotations

import asyncio
import platform
import zlib
from threading import local
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import DamagedGraphError

if TYPE_CHECKING:
    import zarr

__all__ = [
    "SequentialReader",
    "fingerprint_of",
    "name_of",
    "not_shared",
    "read_all",
    "require_present",
    "require_same",
]


class SequentialReader:
    """A reader of consecutive ranges of a one-dimensional array, which decodes each chunk once.

    Chunks are read whole: entries beyond the end of a range are kept for the next range. `read` returns
    memory that belongs to the thread and is overwritten when the same thread reads again, since fresh
    memory for each range would take as long as the reading itself.

    Parameters
    ----------
    array : zarr.Array
        One-dimensional. A chunk that holds nothing but a nonzero fill value counts as missing.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._chunk = int(array.chunks[0])
        self._memory = local()
        self._ahead = np.empty(0, array.dtype)
        self._ahead_from = 0

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the entries from ``start`` to ``stop`` (exclusive).

        Raises
        ------
        DamagedGraphError
            A chunk is missing or cannot be decoded; the message names its entries.
        """
        # To the end of the last chunk touched: it is decoded anyway, and the next range begins in it.
        end = min(-(-stop // self._chunk) * self._chunk, int(self._array.shape[0]))
        ahead = self._read_ahead(start)
        values = self._room(end - start)
        known = min(len(ahead), end - start)
        values[:known] = ahead[:known]
        if known < end - start:
            self._fill(values[known:], start + known)
        # A copy: the thread's memory is overwritten by its next range.
        self._ahead, self._ahead_from = values[stop - start :].copy(), stop
        return values[: stop - start]

    def _read_ahead(self, start: int) -> NDArray[Any]:
        """Return the entries from ``start`` on that are kept from the range before."""
        offset = start - self._ahead_from
        return self._ahead[offset if offset >= 0 else len(self._ahead) :]

    def _room(self, n_entries: int) -> NDArray[Any]:
        """Return memory of this thread for some entries."""
        room: NDArray[Any] | None = getattr(self._memory, "room", None)
        if room is None or len(room) < n_entries:
            # Grown, never shrunk: ranges have about equal lengths.
            room = self._memory.room = np.empty(n_entries, self._array.dtype)
        return room[:n_entries]

    def _fill(self, values: NDArray[Any], start: int) -> None:
        from zarr.buffer import cpu

        selection = slice(start, start + len(values))
        try:
            self._array.get_basic_selection(selection, out=cpu.NDBuffer.from_numpy_array(values))
        except Exception as error:
            # Codecs raise exceptions of any class; all mean that these entries cannot be read.
            self._report(selection, error)
        for chunk in range(-(-start // self._chunk) * self._chunk, selection.stop, self._chunk):
            self._require_there(values[chunk - start : chunk - start + self._chunk], chunk)

    def _require_there(self, values: NDArray[Any], start: int) -> None:
        """Refuse a chunk that is missing, so that zarr has filled it in."""
        # The first entry decides for nearly all chunks, at no cost.
        if not _is_fill(values[:1], self._array.fill_value) or not _is_fill(values, self._array.fill_value):
            return
        raise DamagedGraphError.of(
            f"{_range(start, start + len(values))} of {name_of(self._array)} are missing",
            " (If zarr has left them out because they are all zero: open_graph(..., missing_chunks='zero').)",
        )

    def _report(self, selection: slice, error: Exception) -> NoReturn:
        """Find the chunk that cannot be read, and raise an error that names its entries."""
        for start in range(selection.start, selection.stop, self._chunk):
            stop = min(start + self._chunk, selection.stop)
            try:
                self._array.get_basic_selection(slice(start, stop))
            except Exception as first:
                fault = f"{_range(start, stop)} of {name_of(self._array)} cannot be read: {first}"
                raise DamagedGraphError.of(fault) from first
        raise DamagedGraphError(
            f"{_range(selection.start, selection.stop)} of {name_of(self._array)} could not be read at "
            f"first, and then could: {error}. Look after the disk or the network, and run it again."
        ) from error


def read_all(array: zarr.Array[Any], rows: slice = slice(None)) -> NDArray[Any]:
    """Read an array, or some of its rows, at once.

    Raises
    ------
    DamagedGraphError
        The array cannot be read; the message names it.
    """
    try:
        return np.asarray(array[rows])
    except Exception as error:
        raise DamagedGraphError.of(f"{name_of(array)} cannot be read: {error}") from error


def name_of(node: zarr.Group | zarr.Array[Any]) -> str:
    """Return the location of a group or an array."""
    return str(node.store_path).removeprefix("file://")


def _is_fill(values: NDArray[Any], fill: Any) -> bool:
    if fill == 0:
        return False
    return bool((values == fill).all() if fill == fill else np.isnan(values).all())


def _range(start: int, stop: int) -> str:
    return f"Entries {start:,} to {stop - 1:,}"


# Bytes of a chunk that enter the fingerprint.
_BYTES = 1 << 16


def fingerprint_of(array: zarr.Array[Any]) -> int:
    """Return a checksum of the first bytes stored in an array's first, middle and last chunk.

    Raises
    ------
    DamagedGraphError
        The array cannot be read.
    """
    from zarr.core.sync import sync

    try:
        return zlib.crc32(b"".join(sync(_samples(array))))
    except OSError as error:
        raise DamagedGraphError.of(f"{name_of(array)} cannot be read: {error}") from error


def require_present(array: zarr.Array[Any]) -> None:
    """Refuse an array opened by another process, if this process finds none of its shape and dtype.

    Raises
    ------
    DamagedGraphError
    """
    import zarr

    try:
        here = zarr.open_array(array.store_path, mode="r")
        same = here.shape == array.shape and here.dtype == array.dtype
    except (OSError, ValueError):
        same = False
    if not same:
        raise not_shared(array)


def require_same(array: zarr.Array[Any], fingerprint: int) -> None:
    """Refuse an array opened by another process, if its content differs here.

    Parameters
    ----------
    array : zarr.Array
    fingerprint : int
        Fingerprint of the array in that process.

    Raises
    ------
    DamagedGraphError
    """
    if fingerprint_of(array) != fingerprint:
        raise not_shared(array)


def not_shared(array: zarr.Array[Any]) -> DamagedGraphError:
    """Return the error for an array that this process does not share with the others."""
    return DamagedGraphError(
        f"{name_of(array)} is not there, or is not the same, on {platform.node()}. All workers must open the "
        "same graph: put it on a file system or in an object store that they share, under the same name."
    )


async def _samples(array: zarr.Array[Any]) -> list[bytes]:
    if array.size == 0:
        return []
    sizes = array.shards or array.chunks
    # First, middle and last chunk along every axis: cheap for a graph of any size.
    shares = [(0, (n - 1) // size // 2, (n - 1) // size) for n, size in zip(array.shape, sizes, strict=True)]
    keys = [array.metadata.encode_chunk_key(place) for place in zip(*shares, strict=True)]
    return await asyncio.gather(*(_first_bytes(array, key) for key in dict.fromkeys(keys)))


async def _first_bytes(array: zarr.Array[Any], key: str) -> bytes:
    from zarr.abc.store import RangeByteRequest
    from zarr.buffer import default_buffer_prototype

    found = await (array.store_path / key).get(default_buffer_prototype(), RangeByteRequest(0, _BYTES))
    return b"" if found is None else found.to_bytes()
