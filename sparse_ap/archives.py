"""Results as arrays in ``.npz`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap.durable import replacing, require_folder
from sparse_ap.errors import InvalidInputError

__all__ = ["arrays_in", "require_archive", "write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an uncompressed ``.npz`` file; it appears whole or not at all.

    Raises
    ------
    InvalidInputError
        Its folder does not exist, or nothing can be written there.
    """
    require_folder(path)
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def require_archive(path: Path) -> None:
    """Refuse a file that is none: numpy would say that it may be a pickle, and how to read that.

    Raises
    ------
    InvalidInputError
    """
    if not _is_archive(path):
        raise InvalidInputError(f"{path} is no .npz file, or a damaged one. Write it again.")


def _is_archive(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return zipfile.is_zipfile(file)


@contextmanager
def arrays_in(path: str | Path, what: str, written_by: str) -> Iterator[Mapping[str, Any]]:
    """Read the arrays of an ``.npz`` file.

    Raises
    ------
    InvalidInputError
        It is no such file, or an array is missing.
    """
    if not _is_archive(Path(path)):
        raise InvalidInputError(f"{path} is no .npz file; one written by {written_by} is needed.")
    try:
        with Path(path).open("rb") as file, np.load(file) as arrays:
            yield arrays
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInputError(
            f"{path} holds no {what} ({error}); a file written by {written_by} is needed."
        ) from error
