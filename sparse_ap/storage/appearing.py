"""Folders that appear under their name whole, or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparse_ap.errors import InvalidInputError
from sparse_ap.storage.atomic_files import flush

__all__ = ["Workspace", "appearing"]


class Workspace:
    """A hidden folder beside the target: what is written appears from it, what is scratch goes with it.

    Attributes
    ----------
    whole : Path
        What becomes the target; to be made by whoever writes it.
    scratch : Path
        A folder for anything else.
    """

    def __init__(self, folder: Path) -> None:
        self.whole = folder / "whole"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()


@contextmanager
def appearing(target: Path, overwrite: bool) -> Iterator[Workspace]:
    """Let something be written beside ``target``; when that has ended well, rename it.

    Every file is flushed to the disk before. After an error, or Ctrl-C, nothing is left; what a killed
    process has left is removed by the next one that writes to the same name.

    Raises
    ------
    InvalidInputError
        Something is there that must not be replaced, or the folder to write to does not exist.
    """
    target = target.absolute()
    _remove_leftovers(target)
    _require_free(target, overwrite)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent))
    lock = _locked(folder)
    try:
        workspace = Workspace(folder)
        yield workspace
        _flush(workspace.whole)
        _require_free(target, overwrite)
        _put(workspace.whole, target, folder / _REPLACED)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


_SUFFIX = ".part"
_REPLACED = "replaced"


def _prefix(target: Path) -> str:
    return f".{target.name}."


def _require_free(target: Path, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise InvalidInputError(f"The folder {target.parent} does not exist; make it first.")
    if not target.exists():
        return
    if not overwrite:
        raise InvalidInputError(
            f"{target} exists. Give another name, or overwrite=True (--force) to replace it once the new "
            "graph is complete."
        )
    if not ({"zarr.json", ".zgroup"} & _names(target) and "indptr" in _names(target)):
        raise InvalidInputError(
            f"{target} is no graph on disk, so it is not overwritten. Give another name, or remove it."
        )


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def _remove_leftovers(target: Path) -> None:
    """Remove the workspaces of processes that are no more: nobody holds their locks."""
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}*{_SUFFIX}"):
        lock = _locked(folder)
        if lock is None:
            continue
        # Killed between the two renames: what was to be replaced is there still.
        if (folder / _REPLACED).exists() and not target.exists():
            (folder / _REPLACED).rename(target)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """Take the lock of a folder, if nobody has it; it is given up when the process ends, however that is."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None  # another one has removed it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _flush(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        flush(path)


def _put(whole: Path, target: Path, replaced: Path) -> None:
    try:
        if target.exists():
            target.rename(replaced)
        whole.rename(target)
    except BaseException:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        raise
    flush(target.parent)
