"""Files and folders that appear under their name whole or not at all, and are on the disk then."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap.errors import InvalidInputError, require_known

__all__ = [
    "DAMAGE",
    "Workspace",
    "arrays_in",
    "replacing",
    "replacing_folder",
    "require_archive",
    "require_folder",
    "write_arrays",
]


# What numpy and zip raise over bytes that are cut short or spoilt.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError,
    RuntimeError, OverflowError, MemoryError,
)  # fmt: skip


def _flush(path: Path) -> None:
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
        _flush_all(part)
        part.replace(path)
        _flush(path.absolute().parent)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


class Workspace:
    """A hidden folder beside the target: what is written appears from it, what is scratch goes with it.

    Attributes
    ----------
    result : Path
        What becomes the target; to be made by whoever writes it.
    scratch : Path
        A folder for anything else.
    """

    def __init__(self, folder: Path) -> None:
        self.result = folder / "whole"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()


@contextmanager
def replacing_folder(target: Path, overwrite: bool) -> Iterator[Workspace]:
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
        _flush_all(workspace.result)
        _require_free(target, overwrite)
        _put(workspace.result, target, folder / _REPLACED)
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


def _flush_all(whole: Path) -> None:
    for path in (*whole.rglob("*"), whole):
        _flush(path)


def _put(result: Path, target: Path, replaced: Path) -> None:
    try:
        if target.exists():
            target.rename(replaced)
        result.rename(target)
    except BaseException:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        raise
    _flush(target.parent)


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
    except DAMAGE as error:
        raise InvalidInputError(
            f"{path} holds no {what} ({error}); a file written by {written_by} is needed."
        ) from error
