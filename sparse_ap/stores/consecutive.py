"""Reading a zarr array from one end to the other, every chunk once."""

from __future__ import annotations

from threading import local
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.buffer import cpu

__all__ = ["ConsecutiveReader"]


class ConsecutiveReader:
    """Reads ranges of a one-dimensional array that follow each other, each chunk once.

    Chunks are read whole: what lies beyond the end of a range is kept for the next one. What `read` returns
    lies in memory that belongs to the thread, and is overwritten when the same thread reads again: pages
    that are new each time would cost as much as the reading.

    Parameters
    ----------
    array : zarr.Array
        One-dimensional.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._memory = local()
        self._ahead = np.empty(0, array.dtype)
        self._ahead_from = 0

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the entries from ``start`` to ``stop`` (exclusive)."""
        end = min(-(-stop // self._array.chunks[0]) * self._array.chunks[0], self._array.shape[0])
        ahead = self._read_ahead(start)
        values = self._room(end - start)
        known = min(len(ahead), end - start)
        values[:known] = ahead[:known]
        if known < end - start:
            self._array.get_basic_selection(
                slice(start + known, end), out=cpu.NDBuffer.from_numpy_array(values[known:])
            )
        self._ahead, self._ahead_from = values[stop - start :].copy(), stop
        return values[: stop - start]

    def _read_ahead(self, start: int) -> NDArray[Any]:
        """Return what is known already of the entries from ``start`` on."""
        offset = start - self._ahead_from
        return self._ahead[offset if offset >= 0 else len(self._ahead) :]

    def _room(self, n_entries: int) -> NDArray[Any]:
        """Return memory of this thread."""
        room: NDArray[Any] | None = getattr(self._memory, "room", None)
        if room is None or len(room) < n_entries:
            room = self._memory.room = np.empty(n_entries, self._array.dtype)
        return room[:n_entries]
