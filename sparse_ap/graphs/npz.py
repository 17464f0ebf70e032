"""`read_npz`: graphs from ``.npz`` files, and one error for all faults of such files."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.storage.atomic_files import DAMAGE, require_archive

__all__ = ["add_names", "damage_told", "names_in_npz", "read_npz"]

# The names of the points, beside the arrays that scipy.sparse.save_npz writes.
_NAMES = "ids"
_LISTS = ("indices", "distances")


def read_npz(path: Path) -> Any:
    """Return the sparse matrix that ``scipy.sparse.save_npz`` wrote, or neighbour lists as a pair of arrays.

    Neighbour lists are the arrays ``indices`` and ``distances`` of shape (n_points, k).

    Raises
    ------
    InvalidInputError
        The file holds neither, or is damaged.
    """
    with damage_told(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = set(arrays.files)
        if names >= set(_LISTS):
            return arrays[_LISTS[0]], arrays[_LISTS[1]]
        if names >= {"format", "shape", "data"}:
            return scipy.sparse.load_npz(path)
    raise InvalidInputError(
        f"{path} holds the arrays {', '.join(sorted(names)) or '(none)'}; needed is a sparse matrix as "
        "scipy.sparse.save_npz writes it, or neighbour lists: the arrays 'indices' and 'distances'."
    )


def names_in_npz(path: Path, n_points: int) -> NDArray[Any] | None:
    """Return the names of points that `add_names` has written, as objects; None if there are none."""
    with damage_told(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = arrays[_NAMES] if _NAMES in arrays.files else None
    if names is None or names.dtype.kind != "U" or names.shape != (n_points,):
        return None
    as_objects: NDArray[Any] = names.astype(object)
    return as_objects


def add_names(path: Path, names: NDArray[Any]) -> None:
    """Add the names of points to an ``.npz`` file, which scipy reads as before."""
    with zipfile.ZipFile(path, "a") as archive, archive.open(f"{_NAMES}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, names.astype(str), allow_pickle=False)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn the errors of numpy, scipy and zipfile about a damaged file into an `InvalidInputError`."""
    if path.suffix == ".npz":
        require_archive(path)
    try:
        with warnings.catch_warnings():
            # scipy would take complex positions, or NaN, for whole numbers, with such a warning only.
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except (*DAMAGE, RuntimeWarning) as error:
        raise InvalidInputError(
            f"{path} is no {path.suffix} file, or a damaged one ({error}). Write it again."
        ) from error
