"""Arrays in ``.npz`` files, with the version of their form."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap.errors import InvalidInputError, require_known
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["DAMAGE", "arrays_in", "part_of", "require_archive", "write_arrays"]

# The exceptions of numpy and zip for files that are cut short or corrupted.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError,
    RuntimeError, OverflowError, MemoryError,
)  # fmt: skip


# Versions of the saved forms. Files without a version are from before versions were written: version 1.
_VERSIONS = {"clustering": 1, "hierarchy": 1}


def write_arrays(path: Path, what: str, arrays: Mapping[str, Any]) -> None:
    """Write arrays and the version of their form to an ``.npz`` file, which appears complete or not at all.

    Parameters
    ----------
    path : Path
    what : {"clustering", "hierarchy"}
    arrays : mapping of str to array-like

    Raises
    ------
    InvalidInputError
        The folder does not exist, or is not writable.
    """
    require_folder(path)
    named: dict[str, Any] = {_version_of(what): _VERSIONS[what], **arrays}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **named)


def _version_of(what: str) -> str:
    """Return the name of the array that holds the version."""
    return f"{what}_version"


def require_archive(path: Path) -> None:
    """Refuse a file that is no zip archive; numpy's own error would suggest to load it as a pickle.

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
    """Yield the arrays of an ``.npz`` file that `write_arrays` wrote.

    Raises
    ------
    InvalidInputError
        The file is no such archive, lacks an array, or was written by a later version.
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
    except DAMAGE as error:
        raise InvalidInputError(
            f"{path} holds no {what} ({error}); a file written by {written_by} is needed."
        ) from error


def part_of(arrays: Mapping[str, Any], of: int | str) -> dict[str, Any]:
    """Return the arrays whose names begin with ``of`` and a dot, by their names without these."""
    prefix = f"{of}."
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
