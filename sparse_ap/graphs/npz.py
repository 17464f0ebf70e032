"""`read_npz`: graphs from ``.npz`` files, and one error for all faults of such files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.errors import InvalidInputError
from sparse_ap.storage.atomic_files import DAMAGE, require_archive

__all__ = ["damage_told", "read_npz"]

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
