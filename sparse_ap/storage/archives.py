"""Results as arrays in ``.npz`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap.errors import InvalidInputError, require_known
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["arrays_in", "require_archive", "write_arrays"]

# Of what is saved. What has no version in it was written before there was one, in version 1.
_VERSIONS = {"clustering": 1, "hierarchy": 1}


def write_arrays(path: Path, what: str, arrays: Mapping[str, Any]) -> None:
    """Write an uncompressed ``.npz`` file, with the version of its form; it appears whole or not at all.

    Parameters
    ----------
    path : Path
    what : {"clustering", "hierarchy"}
    arrays : mapping of str to array-like

    Raises
    ------
    InvalidInputError
        Its folder does not exist, or nothing can be written there.
    """
    require_folder(path)
    named: dict[str, Any] = {_version_of(what): _VERSIONS[what], **arrays}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **named)


def _version_of(what: str) -> str:
    """Return the name of the array that holds the version."""
    return f"{what}_version"


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
        It is no such file, an array is missing, or a later version has written it in another form.
    """
    if not _is_archive(Path(path)):
        raise InvalidInputError(f"{path} is no .npz file; one written by {written_by} is needed.")
    try:
        with Path(path).open("rb") as file, np.load(file) as arrays:
            version = int(arrays.get(_version_of(what), 1))
            require_known(f"The {what} {path}", version, _VERSIONS[what])
            yield arrays
    except InvalidInputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInputError(
            f"{path} holds no {what} ({error}); a file written by {written_by} is needed."
        ) from error
