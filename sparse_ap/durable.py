"""Whether something can be written, and making sure that it is on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from sparse_ap.errors import InvalidInputError

__all__ = ["flush", "require_folder"]


def flush(path: Path) -> None:
    """Wait until a file, or the list of a folder's entries, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_folder(path: Path) -> None:
    """Refuse a file to whose folder nothing can be written.

    Raises
    ------
    InvalidInputError
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InvalidInputError(f"The folder {folder} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise InvalidInputError(f"Nothing can be written to the folder {folder}; choose another.")
