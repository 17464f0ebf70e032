"""Files and folders that appear under their name complete or not at all, and are then flushed to disk."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparse_ap.errors import InvalidInputError

__all__ = [
    "Workspace",
    "locked",
    "named_in_errors",
    "replacing",
    "replacing_folder",
    "require_folder",
    "require_free",
]


# Errors that only writing has; others may be of what is read meanwhile.
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_folder(path: Path) -> None:
    """Refuse a path for a file if its folder is missing or read-only, or if it is a folder itself.

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
    """Yield a temporary path; a file or folder written there appears under ``path`` at the end."""
    # In the same folder, so that it is on the same file system and the renaming is atomic.
    part = path.with_name(f".{path.name}.part")
    with named_in_errors(path):
        _remove(part)
        try:
            yield part
            _flush_all(part)
            part.replace(path)
            _flush(path.absolute().parent)
        finally:
            _remove(part)


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Name a file or folder in errors of the system while it is written, such as of a full disk.

    They have no name, or that of a hidden part of it.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and error.errno in _OF_WRITING
        if error.errno is None or not (unnamed or f".{path.name}." in str(error.filename)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    # For a file, a symbolic link, or nothing at all.
    path.unlink(missing_ok=True)


class Workspace:
    """A hidden folder beside the target, with the result to be renamed and a folder for scratch files.

    Attributes
    ----------
    result : Path
        Path of the future target; created by its writer.
    scratch : Path
        Folder for temporary files.
    """

    def __init__(self, folder: Path) -> None:
        self.result = folder / "whole"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()


@contextmanager
def replacing_folder(target: Path, overwrite: bool) -> Iterator[Workspace]:
    """Yield a workspace beside ``target``, and rename its result to ``target`` at the end.

    Every file is flushed to the disk first. After an error, or Ctrl-C, nothing is left; the leftovers of a
    killed process are removed by the next call for the same target.

    Raises
    ------
    InvalidInputError
        The target exists and must not be replaced, or its folder does not exist.
    """
    target = target.absolute()
    _remove_leftovers(target)
    require_free(target, overwrite)
    with named_in_errors(target), _workspace(target) as workspace:
        yield workspace
        _flush_all(workspace.result)
        # Checked again just before: another process may have written the target meanwhile.
        require_free(target, overwrite)
        _put(workspace.result, target, workspace.result.with_name(_REPLACED))


@contextmanager
def _workspace(target: Path) -> Iterator[Workspace]:
    """Yield a locked workspace beside ``target``, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent))
    # Other processes leave a locked folder alone; the lock ends with this process, however it ends.
    lock = locked(folder)
    try:
        yield Workspace(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


_SUFFIX = ".part"
_REPLACED = "replaced"


def _prefix(target: Path) -> str:
    return f".{target.name}."


def require_free(target: Path, overwrite: bool) -> None:
    """Refuse, by an InvalidInputError, a target that must not be replaced, or whose folder does not exist."""
    if not target.parent.is_dir():
        raise InvalidInputError(f"The folder {target.parent} does not exist; make it first.")
    if not target.exists():
        return
    if not overwrite:
        raise InvalidInputError(
            f"{target} exists. Give another name, or overwrite=True (--force) to replace it once the new "
            "graph is complete."
        )
    # Only a graph is ever replaced: a wrong path must not delete another folder.
    if not ({"zarr.json", ".zgroup"} & _names(target) and "indptr" in _names(target)):
        raise InvalidInputError(
            f"{target} is no graph on disk, so it is not overwritten. Give another name, or remove it."
        )


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def _remove_leftovers(target: Path) -> None:
    """Remove the workspaces of dead processes: their locks are free."""
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}*{_SUFFIX}"):
        lock = locked(folder)
        if lock is None:
            continue
        # Killed between two renames: the target's former content is still here; put it back.
        if (folder / _REPLACED).exists() and not target.exists():
            (folder / _REPLACED).rename(target)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def locked(folder: Path) -> int | None:
    """Lock a folder and return its descriptor; None if it is locked. The lock ends with the process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None  # another process has removed it
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
