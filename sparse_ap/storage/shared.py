"""Whether what another process finds under a name is what was opened here."""

from __future__ import annotations

import asyncio
import platform
import zlib
from typing import Any

import zarr
from zarr.abc.store import RangeByteRequest
from zarr.buffer import default_buffer_prototype
from zarr.core.sync import sync

from sparse_ap.errors import DamagedGraphError
from sparse_ap.storage.zarr_reader import name_of

__all__ = ["mark_of", "not_shared", "require_present", "require_same"]

# Of a chunk.
_BYTES = 1 << 16


def mark_of(array: zarr.Array[Any]) -> int:
    """Return a checksum of the first bytes that are stored of an array's first, middle and last chunk.

    Raises
    ------
    DamagedGraphError
        They cannot be read.
    """
    try:
        return zlib.crc32(b"".join(sync(_samples(array))))
    except OSError as error:
        raise DamagedGraphError(
            f"{name_of(array)} cannot be read: {error}. Restore the graph from a copy, or write it again."
        ) from error


def require_present(array: zarr.Array[Any]) -> None:
    """Refuse an array that another process has opened, if there is none of its shape here.

    Raises
    ------
    DamagedGraphError
    """
    try:
        here = zarr.open_array(array.store_path, mode="r")
        same = here.shape == array.shape and here.dtype == array.dtype
    except (OSError, ValueError):
        same = False
    if not same:
        raise not_shared(array)


def require_same(array: zarr.Array[Any], mark: int) -> None:
    """Refuse an array that another process has opened, if other numbers are here.

    Parameters
    ----------
    array : zarr.Array
    mark : int
        What `mark_of` it was there.

    Raises
    ------
    DamagedGraphError
    """
    if mark_of(array) != mark:
        raise not_shared(array)


def not_shared(array: zarr.Array[Any]) -> DamagedGraphError:
    """Return the error for an array that only others can see."""
    return DamagedGraphError(
        f"{name_of(array)} is not there, or is not the same, on {platform.node()}. All workers must open the "
        "same graph: put it on a file system or in an object store that they share, under the same name."
    )


async def _samples(array: zarr.Array[Any]) -> list[bytes]:
    if array.size == 0:
        return []
    sizes = array.shards or array.chunks
    shares = [(0, (n - 1) // size // 2, (n - 1) // size) for n, size in zip(array.shape, sizes, strict=True)]
    keys = [array.metadata.encode_chunk_key(place) for place in zip(*shares, strict=True)]
    return await asyncio.gather(*(_first_bytes(array, key) for key in dict.fromkeys(keys)))


async def _first_bytes(array: zarr.Array[Any], key: str) -> bytes:
    found = await (array.store_path / key).get(default_buffer_prototype(), RangeByteRequest(0, _BYTES))
    return b"" if found is None else found.to_bytes()
