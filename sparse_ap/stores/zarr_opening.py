"""Opening graphs on disk: what is there, whether it fits together, whether every chunk is present."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync

from sparse_ap.errors import DamagedGraphError, InvalidInputError
from sparse_ap.model import Origin
from sparse_ap.stores.consecutive import name_of
from sparse_ap.stores.structure import float_type, require_ids_fit, require_indptr, require_square
from sparse_ap.stores.zarr_csr import ZarrStore
from sparse_ap.stores.zarr_dense import ZarrDenseStore

__all__ = ["open_zarr"]

_ZEROS = (
    " zarr leaves out chunks that are all zero unless told otherwise: if that is so here, open_graph(..., "
    "missing_chunks='zero') accepts them."
)

Location = str | Path | zarr.Group | zarr.Array[Any]


def open_zarr(
    location: Location,
    *,
    symmetric: bool = False,
    missing_chunks: str | None = None,
    threshold: float | None = None,
    top_k: int | None = None,
) -> ZarrStore | ZarrDenseStore:
    """Open a graph without reading its edges; parameters as for `sparse_ap.graphs.open_graph`."""
    node = node_at(location)
    if isinstance(node, zarr.Array):
        require_square(node.shape)
        return ZarrDenseStore(node, threshold, top_k)
    if threshold is not None or top_k is not None:
        raise InvalidInputError(
            f"{name_of(node)} is a sparse graph; threshold and top_k are for dense arrays. For a sparse "
            "graph use sparse-ap convert --top-k, or --min-similarity."
        )
    _require_rows(node, symmetric)
    return open_csr(node, missing_chunks)


def node_at(location: Location) -> zarr.Group | zarr.Array[Any]:
    if isinstance(location, zarr.Group | zarr.Array):
        return location
    try:
        return zarr.open(str(location), mode="r")
    except (FileNotFoundError, zarr.errors.NodeNotFoundError, zarr.errors.GroupNotFoundError) as error:
        raise InvalidInputError(
            f"There is no zarr group or array at {location}. Give the folder that holds 'data', 'indices' "
            "and 'indptr' (inside an AnnData store: store.zarr/obsp/distances), or a dense array."
        ) from error


def _require_rows(group: zarr.Group, symmetric: bool) -> None:
    """Refuse a group that holds no graph by rows."""
    encoding = group.attrs.get("encoding-type")
    if encoding == "csc_matrix" and not symmetric:
        raise InvalidInputError(
            f"{name_of(group)} is stored by columns (csc_matrix): read by rows it would swap who represents "
            f"whom. Convert it: sparse-ap convert {name_of(group)} -o graph.zarr; or say that it is "
            "symmetric (open_graph(..., symmetric=True))."
        )
    missing = [name for name in ("data", "indices", "indptr") if name not in group]
    if missing:
        inside = ", ".join(sorted(group.keys())) or "nothing"
        raise InvalidInputError(
            f"{name_of(group)} lacks {', '.join(missing)}; a graph is a group of the arrays 'data', "
            f"'indices' and 'indptr'. In it there is: {inside}. (The graphs of an AnnData store are in its "
            "'obsp'.)"
        )
    if name_of(group).endswith("distances"):
        raise InvalidInputError(
            f"{name_of(group)} holds distances; similarities are needed, larger meaning more alike. Convert "
            f"them: sparse-ap convert {name_of(group)} -o graph.zarr --similarity=-d"
        )


def open_csr(group: zarr.Group, missing_chunks: str | None) -> ZarrStore:
    data, indices, indptr = (_array(group, name) for name in ("data", "indices", "indptr"))
    for array in (data, indices, indptr):
        _require_chunks(array, missing_chunks if array is not indices else None)
    noted: Any = group.attrs.get("shape", (_length(indptr) - 1,) * 2)
    require_square(tuple(noted))
    n_points = int(noted[0])
    require_ids_fit(n_points)
    float_type(data.dtype)
    starts = _whole(indptr)
    require_indptr(starts, n_points, _length(indices), _length(data))
    if missing_chunks is None:
        data = _telling(data, np.nan)
    ids = _array(group, "ids") if "ids" in group else None
    return ZarrStore(starts.astype(np.int64, copy=False), _telling(indices, -1), data, _origin(group), ids)


def _telling(array: zarr.Array[Any], fill: float) -> zarr.Array[Any]:
    """Return the array with another fill value: what is filled in can then be told from what was stored."""
    if array.dtype.kind not in ("i" if fill == -1 else "f"):
        return array
    metadata = replace(array.metadata, fill_value=array.dtype.type(fill))
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path))


def _whole(array: zarr.Array[Any]) -> NDArray[Any]:
    """Read an array, every chunk of it."""
    try:
        return np.asarray(array[:])
    except Exception as error:
        raise DamagedGraphError(
            f"{name_of(array)} cannot be read: {error}. Restore the graph from a copy, or write it again."
        ) from error


def _origin(group: zarr.Group) -> Origin:
    """Return what the writer has noted: how points were renumbered, what was left out."""
    noted: Any = group.attrs.get("sparse_ap", {})
    order = _whole(_array(group, "order")).astype(np.int32) if "order" in group else None
    floor = noted.get("min_similarity")
    return Origin(order, -np.inf if floor is None else float(floor))


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array) or array.ndim != 1:
        raise InvalidInputError(
            f"{name_of(group)}/{name} is no array of one dimension. Write the graph again."
        )
    return array


def _length(array: zarr.Array[Any]) -> int:
    return int(array.shape[0])


def _require_chunks(array: zarr.Array[Any], missing_chunks: str | None) -> None:
    """Refuse an array with chunks that are not there: zarr would read them as zeros.

    Raises
    ------
    DamagedGraphError
    """
    if missing_chunks == "zero":
        return
    size = (array.shards or array.chunks)[0]
    expected = [array.metadata.encode_chunk_key((i,)) for i in range(-(-_length(array) // size))]
    stored = sync(_keys(array))
    absent = [key for key in expected if key not in stored]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        raise DamagedGraphError(
            f"Of the {len(expected)} chunks of {name_of(array)} {len(absent)} {are} missing, the first being "
            f"{absent[0]}. Restore the store from a copy, or write the graph again."
            + ("" if array.basename == "indices" else _ZEROS)
        )


async def _keys(array: zarr.Array[Any]) -> set[str]:
    prefix = f"{array.path}/" if array.path else ""
    found: AsyncIterator[str] = array.store.list_prefix(prefix)
    return {key.removeprefix(prefix) async for key in found}
