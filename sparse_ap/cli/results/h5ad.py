"""The ``obs`` of ``.h5ad`` files: opened, and changed in a copy that takes the file's place at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.storage.atomic_files import replacing

__all__ = ["changed_obs", "create_array", "create_group", "list_columns", "opened_obs", "values_of"]


@contextmanager
def opened_obs(path: Path) -> Iterator[Any]:
    """Yield the group ``obs`` of a file, to be read.

    Raises
    ------
    InvalidInputError
        The file is no HDF5, or its ``obs`` is no group with columns as AnnData writes it.
    """
    with _obs_in(path, path, "r") as obs:
        yield obs


@contextmanager
def changed_obs(path: Path) -> Iterator[Any]:
    """Yield the group ``obs`` of a copy, which replaces the file when all is done; else it is removed."""
    # What a link leads to is replaced, not the link.
    path = path.resolve()
    with replacing(path) as part:
        shutil.copy2(path, part)
        with _obs_in(part, path, "r+") as obs:
            yield obs


@contextmanager
def _obs_in(path: Path, named: Path, mode: str) -> Iterator[Any]:
    (h5py,) = optional_modules("Writing to .h5ad", "h5ad", "h5py")
    if not h5py.is_hdf5(path):
        raise InvalidInputError(
            f"{named} cannot be read as HDF5; give the .h5ad file that AnnData.write_h5ad has written."
        )
    with h5py.File(path, mode) as file:
        obs = file.get("obs")
        if not isinstance(obs, h5py.Group) or not {"_index", "column-order"} <= set(obs.attrs):
            raise InvalidInputError(
                f"{named} has no table 'obs' as AnnData writes it since version 0.7. Write it again: "
                "anndata.read_h5ad(...).write_h5ad(...)."
            )
        yield obs


def list_columns(obs: Any, columns: Iterable[str]) -> None:
    """Note the names of all columns, in order."""
    (h5py,) = optional_modules("Writing to .h5ad", "h5ad", "h5py")
    obs.attrs.create("column-order", np.array(list(columns), object), dtype=h5py.string_dtype())


def values_of(array: Any) -> NDArray[Any]:
    """Read an array of HDF5 or zarr; text as ``str``."""
    # h5py would return bytes.
    text = array.dtype.kind == "O" and hasattr(array, "asstr")
    return np.asarray(array.asstr()[:] if text else array[:])


def create_group(parent: Any, name: str) -> Any:
    """Create a group of HDF5, in place of what has its name."""
    if name in parent:
        del parent[name]
    return parent.create_group(name)


def create_array(group: Any, name: str, values: NDArray[Any]) -> Any:
    """Create an array of HDF5, in place of what has its name; text of any length."""
    (h5py,) = optional_modules("Writing to .h5ad", "h5ad", "h5py")
    if name in group:
        del group[name]
    text = values.dtype.kind in "OUT"
    return group.create_dataset(
        name, data=values.astype(object) if text else values, dtype=h5py.string_dtype() if text else None
    )
