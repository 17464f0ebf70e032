"""Opening graphs on disk: form, consistency, and the presence of every chunk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import product
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync

from sparse_ap.arguments import require, require_count
from sparse_ap.errors import DamagedGraphError, InvalidInputError, require_known
from sparse_ap.storage.encoding import is_by_columns, noted_shape
from sparse_ap.storage.store import Origin
from sparse_ap.storage.validation import float_dtype, n_points_of, require_indptr
from sparse_ap.storage.zarr_csr import ZarrStore
from sparse_ap.storage.zarr_dense import ZarrDenseStore
from sparse_ap.storage.zarr_reader import fingerprint_of, name_of, read_all
from sparse_ap.storage.zarr_writer import FORMAT_VERSION, MISSING, RECALL

__all__ = ["SparseGroup", "open_sparse", "open_zarr", "paths_of_graphs"]

_ZEROS = (
    " zarr leaves out chunks that are all zero unless told otherwise: if that is so here, open_graph(..., "
    "missing_chunks='zero') accepts them."
)

_Location = str | Path | zarr.Group | zarr.Array[Any]


def open_zarr(
    location: _Location,
    *,
    symmetric: bool = False,
    missing_chunks: str | None = None,
    threshold: float | None = None,
    top_k: int | None = None,
) -> ZarrStore | ZarrDenseStore:
    """Open a graph without reading its edges; parameters are those of `sparse_ap.graphs.open_graph`."""
    require("missing_chunks", missing_chunks, missing_chunks in (None, "zero"), "'zero' or None")
    node = _node_at(location)
    if isinstance(node, zarr.Array):
        return _open_dense(node, missing_chunks, threshold, top_k)
    if threshold is not None or top_k is not None:
        raise InvalidInputError(
            f"{name_of(node)} is a sparse graph; threshold and top_k are for dense arrays. For a sparse "
            "graph use sparse-ap convert --top-k, or --min-similarity."
        )
    # First, since all other checks assume a form that is known.
    _require_known_form(node)
    _require_rows(node, symmetric)
    return _open_csr(node, missing_chunks)


def _open_dense(
    array: zarr.Array[Any], missing_chunks: str | None, threshold: float | None, top_k: int | None
) -> ZarrDenseStore:
    n_points_of(array.shape)
    float_dtype(array.dtype)
    require_count("top_k", top_k, or_none=True)
    require("threshold", threshold, isinstance(threshold, Real | None), "a number, or None")
    _require_chunks(array, missing_chunks)
    return ZarrDenseStore(array, fingerprint_of(array), threshold, top_k)


def _node_at(location: _Location) -> zarr.Group | zarr.Array[Any]:
    if isinstance(location, zarr.Group | zarr.Array):
        return location
    if Path(str(location)).is_file():
        raise InvalidInputError(
            f"{location} is a file; graphs are read from zarr folders. Load a matrix with "
            "scipy.sparse.load_npz and give that, or make a folder of it: sparse-ap convert."
        )
    try:
        return zarr.open(_absolute(str(location)), mode="r")
    except (FileNotFoundError, zarr.errors.NodeNotFoundError, zarr.errors.GroupNotFoundError) as error:
        raise InvalidInputError(
            f"There is no zarr group or array at {location}. Give the folder that holds 'data', 'indices' "
            "and 'indptr' (inside an AnnData store: store.zarr/obsp/distances), or a dense array."
        ) from error


def _absolute(location: str) -> str:
    """Return an absolute path, valid in other processes; URLs are returned unchanged."""
    return location if "://" in location else str(Path(location).absolute())


def _require_known_form(group: zarr.Group) -> None:
    """Refuse a graph in the form of a later version."""
    version = _noted(group).get("version", FORMAT_VERSION)
    require_known(f"The graph {name_of(group)}", int(version), FORMAT_VERSION)


def _require_rows(group: zarr.Group, symmetric: bool) -> None:
    """Refuse a group that does not hold a graph by rows."""
    _require_arrays(group, "(The graphs of an AnnData store are in its 'obsp'.)")
    if not symmetric and is_by_columns(group.attrs, name_of(group)):
        raise InvalidInputError(
            f"{name_of(group)} is stored by columns (csc_matrix): read by rows it would swap who represents "
            f"whom. Convert it: sparse-ap convert {name_of(group)} -o graph.zarr; or say that it is "
            "symmetric (open_graph(..., symmetric=True))."
        )
    # scanpy's name for distances, which would be clustered the wrong way round.
    if name_of(group).endswith("distances"):
        raise InvalidInputError(
            f"{name_of(group)} holds distances; similarities are needed, larger meaning more alike. Convert "
            f"them: sparse-ap convert {name_of(group)} -o graph.zarr --similarity=-d"
        )


def _require_arrays(group: zarr.Group, advice: str) -> None:
    missing = [name for name in ("data", "indices", "indptr") if name not in group]
    if missing:
        inside = ", ".join(sorted(group.keys())) or "nothing"
        raise InvalidInputError(
            f"{name_of(group)} lacks {', '.join(missing)}; a graph is a group of the arrays 'data', "
            f"'indices' and 'indptr'. In it there is: {inside}. {advice}"
        )


def _open_csr(group: zarr.Group, missing_chunks: str | None) -> ZarrStore:
    data, indices, indptr = (_array(group, name) for name in ("data", "indices", "indptr"))
    for array in (data, indices, indptr):
        _require_chunks(array, missing_chunks if array is not indices else None)
    for name in ("order", "ids", MISSING):
        if name in group:
            _require_chunks(_array(group, name), None)
    n_points = n_points_of(noted_shape(group.attrs, _length(indptr) - 1))
    float_dtype(data.dtype)
    starts = read_all(indptr)
    require_indptr(starts, n_points, _length(indices), _length(data))
    if missing_chunks is None:
        # A chunk that disappears during the run is then read as NaN, and recognised
        # (docs/design/0009-disk.md).
        data = _telling(data, np.nan)
    ids = _array(group, "ids") if "ids" in group else None
    origin, missing = _origin(group, n_points), _missing(group, n_points)
    fingerprints = fingerprint_of(indices), fingerprint_of(data)
    starts = starts.astype(np.int64, copy=False)
    return ZarrStore(
        starts, indptr, _telling(indices, -1), data, fingerprints, origin, ids, _recall(group), missing
    )


def _telling(array: zarr.Array[Any], fill: float) -> zarr.Array[Any]:
    """Return the array with another fill value, by which missing entries differ from stored zeros."""
    if array.dtype.kind not in ("i" if fill == -1 else "f"):
        return array
    metadata = replace(array.metadata, fill_value=array.dtype.type(fill))
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path))


def _origin(group: zarr.Group, n_points: int) -> Origin:
    """Return the writer's notes: how points were renumbered, and which edges were left out."""
    order = read_all(_array(group, "order")).astype(np.int32) if "order" in group else None
    if order is not None and not np.array_equal(np.sort(order), np.arange(n_points)):
        raise DamagedGraphError.of(f"{name_of(group)}/order does not number the {n_points} points")
    floor = _noted(group).get("min_similarity")
    return Origin(order, -np.inf if floor is None else float(floor))


def _recall(group: zarr.Group) -> tuple[float, float, int] | None:
    """Return the note about the search that a graph comes from."""
    noted = _noted(group).get("recall")
    try:
        return noted if noted is None else tuple(kind(noted[name]) for name, kind in RECALL.items())
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedGraphError.of(
            f"The note 'recall' of {name_of(group)} is {noted!r}, without {', '.join(RECALL)} as numbers"
        ) from error


def _missing(group: zarr.Group, n_points: int) -> zarr.Array[Any] | None:
    if MISSING not in group:
        return None
    array = _array(group, MISSING)
    if array.shape != (n_points,) or array.dtype.kind != "f":
        raise DamagedGraphError.of(
            f"{name_of(array)} has {_length(array)} entries of {array.dtype}; {n_points} floats are needed"
        )
    return array


def _noted(group: zarr.Group) -> Any:
    return group.attrs.get("sparse_ap", {})


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
    """Refuse an array with missing chunks, which zarr would read as zeros.

    Raises
    ------
    DamagedGraphError
    """
    if missing_chunks == "zero":
        return
    # Shards, if there are any, are the objects that are stored.
    grid = [range(-(-n // size)) for n, size in zip(array.shape, array.shards or array.chunks, strict=True)]
    expected = [array.metadata.encode_chunk_key(place) for place in product(*grid)]
    stored = sync(_keys(array))
    absent = [key for key in expected if key not in stored]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        raise DamagedGraphError.of(
            f"Of the {len(expected)} chunks of {name_of(array)} {len(absent)} {are} missing, the first being "
            f"{absent[0]}",
            "" if array.basename in ("indices", "order", "ids", MISSING) else _ZEROS,
        )


async def _keys(array: zarr.Array[Any]) -> set[str]:
    prefix = f"{array.path}/" if array.path else ""
    found: AsyncIterator[str] = array.store.list_prefix(prefix)
    return {key.removeprefix(prefix) async for key in found}


_IDS_AT_A_TIME = 2**16


@dataclass(frozen=True, slots=True, eq=False)
class SparseGroup:
    """A sparse matrix on disk.

    Attributes
    ----------
    store : ZarrStore
        The matrix; with ``by_columns`` the "rows" of this store are columns.
    by_columns : bool
        Whether the matrix is stored by columns (CSC).
    ids : zarr.Array or None
        The user's names of the points.
    """

    store: ZarrStore
    by_columns: bool
    ids: zarr.Array[Any] | None

    def names(self) -> Iterator[NDArray[Any]] | None:
        """Yield the user's names of the points, in pieces; None without names."""
        ids = self.ids
        if ids is None:
            return None
        return (
            np.asarray(ids[start : start + _IDS_AT_A_TIME], dtype=object)
            for start in range(0, ids.shape[0], _IDS_AT_A_TIME)
        )


def open_sparse(location: Path, key: str | None) -> SparseGroup:
    """Open a sparse matrix: the group itself or, with ``key``, a member of an AnnData store."""
    group = _node_at(location)
    if isinstance(group, zarr.Array):
        raise InvalidInputError(
            f"{location} is a dense array; a sparse graph is needed. Dense arrays are clustered as they are: "
            "open_graph(location, threshold=..., top_k=...)."
        )
    if key is not None:
        group = _member(group, key)
    _require_known_form(group)
    _require_arrays(group, "Say with key (--key) where in it the graph is, such as 'obsp/distances'.")
    by_columns = is_by_columns(group.attrs, name_of(group))
    ids = group.get("ids")
    return SparseGroup(_open_csr(group, None), by_columns, ids if isinstance(ids, zarr.Array) else None)


def paths_of_graphs(location: Path) -> list[str] | None:
    """Return the keys of the graphs in an AnnData store; None for other groups."""
    group = _node_at(location)
    if isinstance(group, zarr.Array) or "obsp" not in group:
        return None
    return [f"obsp/{name}" for name in sorted(group["obsp"].keys())]  # type: ignore[union-attr]


def _member(group: zarr.Group, key: str) -> zarr.Group:
    member = group.get(key)
    if not isinstance(member, zarr.Group):
        raise InvalidInputError(f"{name_of(group)} has no sparse matrix {key!r}.")
    return member
