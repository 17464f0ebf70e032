"""Arrays in files that are mapped into memory, and pages of them that are given back in time.

What is read of a mapped file stays in a process's memory until the system needs it, and counts as its own. A
process that has a limit gives these pages back when it comes near to it: their content stays in the file.
"""

from __future__ import annotations

import math
import mmap
import os
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import psutil
from numpy.typing import NDArray

from sparse_ap.storage.atomic_files import replacing

__all__ = [
    "MappedArray",
    "created_array",
    "flush_mapped",
    "gathered",
    "hold_at_most",
    "mapped_array",
    "relieve",
]

_PROCESS = psutil.Process()
# All mapped files of this process, and the bytes that it may hold.
_maps: WeakSet[mmap.mmap] = WeakSet()
_most = float("inf")


class MappedArray(np.ndarray[Any, Any]):
    """An array in an ``.npy`` file; pickled, it is the name of the file.

    Arrays computed from it, and parts of it, are pickled with their content.
    """

    path: str | None
    writable: bool
    offset: int

    def __array_finalize__(self, parent: Any) -> None:
        """Forget the file: this is another array."""
        self.path = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return the file in place of the content."""
        if self.path is None:
            return np.asarray(self).__reduce_ex__(protocol)
        return partial(mapped_array, writable=self.writable), (self.path,)


def created_array(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return the array of a file, which is created with zeros unless it exists."""
    if not path.exists():
        with replacing(path) as part:
            np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape).flush()
    return mapped_array(path)


def mapped_array(path: str | Path, *, writable: bool = True) -> NDArray[Any]:
    """Return the array of an ``.npy`` file."""
    try:
        mapped = np.lib.format.open_memmap(path, mode="r+" if writable else "r")
    except ValueError:
        # An empty array has nothing to be mapped.
        return np.load(path)  # type: ignore[no-any-return]
    _maps.add(mapped._mmap)  # type: ignore[attr-defined]
    array = mapped.view(MappedArray)
    array.path, array.writable, array.offset = str(path), writable, mapped.offset
    return array


def gathered(array: NDArray[Any], rows: NDArray[np.int64] | slice) -> NDArray[Any]:
    """Return some rows of an array, in this order.

    Rows of a mapped file are read one by one, unless all of it fits into what the process may hold: around a
    row that is touched the system counts up to 2 MB as the process's.
    """
    if isinstance(rows, slice) or not isinstance(array, MappedArray) or array.path is None:
        return np.asarray(array[rows])
    if _PROCESS.memory_info().rss + array.nbytes < _most:
        return np.asarray(array[rows])
    size = array.itemsize * math.prod(array.shape[1:])
    lines = bytearray(len(rows) * size)
    with Path(array.path).open("rb", buffering=0) as file, memoryview(lines) as view:
        for place, row in enumerate(rows.tolist()):
            part = view[place * size : (place + 1) * size]
            os.preadv(file.fileno(), [part], array.offset + row * size)
    return np.frombuffer(lines, array.dtype).reshape(len(rows), *array.shape[1:])


def hold_at_most(n_bytes: float) -> None:
    """Set the bytes that this process should hold, beyond which `relieve` gives pages back."""
    global _most
    _most = n_bytes


def relieve() -> None:
    """Give the pages of mapped files back if the process holds more than it should."""
    if _maps and _PROCESS.memory_info().rss > _most:
        for mapped in list(_maps):
            mapped.madvise(mmap.MADV_DONTNEED)


def flush_mapped() -> None:
    """Wait until all that was written to mapped files is on the disk."""
    for mapped in list(_maps):
        mapped.flush()
