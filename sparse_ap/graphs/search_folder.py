"""The folder of a search that writes its graph to disk: its points, its arrays, and what it is asked for."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, RunInterrupted
from sparse_ap.graphs.metrics import checked_points
from sparse_ap.graphs.neighbours.stages import slabs
from sparse_ap.storage.atomic_files import locked, replacing, require_free
from sparse_ap.storage.mapped_arrays import created_array, flush_mapped, mapped_array, relieve

__all__ = ["digest_of", "points_on_disk", "search_folder"]

# Rows that are looked at before all are.
_LOOKED_AT = 1000
# Files of what is asked for, and of the points' checksum.
_NOTE, _CHECKSUM = "search.json", "points.crc"


@contextmanager
def search_folder(target: Path, asked: dict[str, Any], overwrite: bool) -> Iterator[Path]:
    """Yield the folder beside ``target`` in which a search keeps its arrays, and remove it at the end.

    After an error, Ctrl-C, or the death of the process the folder stays, and the next search for the same
    target goes on from it.

    Parameters
    ----------
    target : Path
        The graph to be written.
    asked : dict
        What the result depends on.
    overwrite : bool
        Whether the target may exist.

    Raises
    ------
    InvalidInputError
        The target exists, another process searches for it, or another search for it did not end.
    RunInterrupted
        After Ctrl-C, if there is something to go on from.
    """
    target = target.absolute()
    require_free(target, overwrite)
    folder = target.with_name(f".{target.name}.search")
    folder.mkdir(exist_ok=True)
    lock = locked(folder)
    if lock is None:
        raise InvalidInputError(f"Another process is searching for {target}. Wait, or give another name.")
    try:
        _require_same(folder, target, asked, overwrite)
        try:
            yield folder
        except BaseException as error:
            if not _begun(folder):
                shutil.rmtree(folder)
            elif isinstance(error, KeyboardInterrupt):
                raise RunInterrupted(
                    f"Interrupted. What was found is in {folder}; ask for the same again to go on from it."
                ) from None
            raise
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _begun(folder: Path) -> bool:
    """Return whether there is anything to go on from."""
    return any(folder.glob("*.kept")) or any(folder.glob("done *.npy"))


def _require_same(folder: Path, target: Path, asked: dict[str, Any], overwrite: bool) -> None:
    """Note what is asked for; refuse to go on from a search for something else, unless it may be replaced."""
    note = folder / _NOTE
    if not note.exists():
        if any(path.name != f".{_NOTE}.part" for path in folder.iterdir()):
            raise InvalidInputError(
                f"{folder} is no folder of a search, and the search for {target} would need this name. Move "
                "it, or give the graph another name."
            )
    else:
        before = json.loads(note.read_text())
        changed = [
            f"{name}={before.get(name)!r}, and now {value!r}"
            for name, value in asked.items()
            if before.get(name) != value
        ]
        if not changed:
            return
        if not overwrite:
            raise InvalidInputError(
                f"A search for {target} did not end, and was asked for something else: {'; '.join(changed)}. "
                "Ask for the same to go on from it (a random_state of None is another one each time); give "
                f"overwrite=True to begin anew, or another name; or remove the folder {folder}."
            )
        for path in folder.iterdir():
            path.unlink()
    with replacing(note) as part:
        part.write_text(json.dumps(asked))


def points_on_disk(X: Any, metric: str, folder: Path) -> NDArray[Any]:
    """Return checked points as a mapped array: of the user's own file, or of a copy in the folder.

    Raises
    ------
    InvalidInputError
        ``X`` is no table of finite numbers, or of bits for a metric of bits.
    """
    mapped = _users_file(X)
    given = X if mapped is None else mapped
    n, note, checksum = given.shape[0], folder / _CHECKSUM, 0
    first = _checked(given, metric, slice(0, 1))
    shape = (n, *first.shape[1:])
    copy = created_array(folder / "points.npy", shape, first.dtype) if mapped is None else None
    for part in slabs(n):
        rows = _checked(given, metric, part)
        checksum = zlib.crc32(rows.tobytes(), checksum)
        # A copy with a checksum is complete.
        if copy is not None and not note.exists():
            copy[part] = rows
    _require_unchanged(note, checksum)
    return given if copy is None else copy


def _require_unchanged(note: Path, checksum: int) -> None:
    """Note the checksum of the points; refuse those that have changed since a search that did not end."""
    if not note.exists():
        flush_mapped()
        with replacing(note) as new:
            new.write_text(str(checksum))
    elif note.read_text() != str(checksum):
        raise InvalidInputError(
            f"The points are not those of the search that did not end. To begin anew, remove {note.parent}."
        )


def _checked(X: Any, metric: str, part: slice) -> NDArray[Any]:
    try:
        return checked_points(np.asarray(X[part]), metric)
    except InvalidInputError as error:
        if not part.start:
            raise
        raise InvalidInputError(f"Among the rows from {part.start} on: {error}") from error


def _users_file(X: Any) -> NDArray[Any] | None:
    """Return a mapping of our own of the file that X is mapped from, if its rows can be used as they are."""
    if not isinstance(X, np.memmap) or not isinstance(X.filename, Path | str):
        return None
    # Changes that only this process sees are no part of the file; nor is a part of an array the whole.
    whole = X.mode in ("r", "r+", "w+") and not isinstance(X.base, np.ndarray)
    usable = X.dtype in (np.float32, np.float64, np.uint8, np.bool_) and X.dtype.isnative
    if whole and usable and X.flags.c_contiguous and Path(X.filename).suffix == ".npy":
        mapped: Any = mapped_array(X.filename, writable=False)
        same = mapped.shape == X.shape and mapped.dtype == X.dtype and mapped.offset == X.offset
        return mapped if same else None
    return None


def digest_of(X: Any) -> int:
    """Return a checksum of some rows of the points."""
    digest = zlib.crc32(str(X.shape).encode())
    for row in np.unique(np.linspace(0, X.shape[0] - 1, _LOOKED_AT).astype(np.int64)).tolist():
        digest = zlib.crc32(np.ascontiguousarray(X[row : row + 1]).tobytes(), digest)
        relieve()
    return digest
