"""Whether something can be written, and making sure that it is on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparse_ap.errors import InvalidInputError

__all__ = ["flush", "replacing", "require_folder"]


def flush(path: Path) -> None:
    """Wait until a file, or the list of a folder's entries, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_folder(path: Path) -> None:
    """Refuse a file that cannot be written: its folder is not there or protected, or it is a folder itself.

    Raises
    ------
    InvalidInputError
    """
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder, and a file is to be written. Choose another name.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InvalidInputError(f"The folder {folder} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise InvalidInputError(f"Nothing can be written to the folder {folder}; choose another.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write a file or folder that shall appear under its name whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    _remove(part)
    try:
        yield part
        part.replace(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
