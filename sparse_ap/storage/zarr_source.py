"""Zarr groups as what a graph is made from: by rows or by columns, similarities or distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.storage.zarr_csr import ZarrStore
from sparse_ap.storage.zarr_groups import node_at, open_csr, require_known_form
from sparse_ap.storage.zarr_reader import name_of

__all__ = ["SparseGroup", "open_sparse", "paths_of_graphs"]

_IDS_AT_A_TIME = 2**16


@dataclass(frozen=True, slots=True, eq=False)
class SparseGroup:
    """A sparse matrix on disk.

    Attributes
    ----------
    store : ZarrStore
        With ``by_columns``, each "row" of it is a column.
    by_columns : bool
    ids : zarr.Array or None
        The user's names of the points.
    """

    store: ZarrStore
    by_columns: bool
    ids: zarr.Array[Any] | None

    def names(self) -> Iterator[NDArray[Any]] | None:
        """Yield the user's names of the points, in pieces."""
        ids = self.ids
        if ids is None:
            return None
        return (
            np.asarray(ids[start : start + _IDS_AT_A_TIME], dtype=object)
            for start in range(0, ids.shape[0], _IDS_AT_A_TIME)
        )


def open_sparse(location: Path, key: str | None) -> SparseGroup:
    """Open a sparse matrix: the group itself, or, of an AnnData store, the one under ``key``."""
    group = node_at(location)
    if isinstance(group, zarr.Array):
        raise InvalidInputError(
            f"{location} is a dense array; a sparse graph is needed. Dense arrays are clustered as they are: "
            "open_graph(location, threshold=..., top_k=...)."
        )
    if key is not None:
        group = _member(group, key)
    require_known_form(group)
    by_columns = group.attrs.get("encoding-type") == "csc_matrix"
    missing = [name for name in ("data", "indices", "indptr") if name not in group]
    if missing:
        raise InvalidInputError(
            f"{name_of(group)} lacks {', '.join(missing)}; it has "
            f"{', '.join(sorted(group.keys())) or 'nothing'}. Say with key (--key) where in it the graph "
            "is, such as 'obsp/distances'."
        )
    ids = group.get("ids")
    return SparseGroup(open_csr(group, None), by_columns, ids if isinstance(ids, zarr.Array) else None)


def paths_of_graphs(location: Path) -> list[str] | None:
    """Return the keys of the graphs of an AnnData store; None for other groups."""
    group = node_at(location)
    if isinstance(group, zarr.Array) or "obsp" not in group:
        return None
    return [f"obsp/{name}" for name in sorted(group["obsp"].keys())]  # type: ignore[union-attr]


def _member(group: zarr.Group, key: str) -> zarr.Group:
    member = group.get(key)
    if not isinstance(member, zarr.Group):
        raise InvalidInputError(f"{name_of(group)} has no sparse matrix {key!r}.")
    return member
