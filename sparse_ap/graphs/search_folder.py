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

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.metrics import checked_points
from sparse_ap.graphs.neighbours.stages import slabs
from sparse_ap.storage.atomic_files import locked, replacing, require_free
from sparse_ap.storage.mapped_arrays import created_array, mapped_array, relieve

__all__ = ["digest_of", "points_on_disk", "search_folder"]

# Rows that tell whether points are those of the search before.
_LOOKED_AT = 1000


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
    """
    target = target.absolute()
    require_free(target, overwrite)
    folder = target.with_name(f".{target.name}.search")
    folder.mkdir(exist_ok=True)
    lock = locked(folder)
    if lock is None:
        raise InvalidInputError(f"Another process is searching for {target}. Wait, or give another name.")
    try:
        _require_same(folder, target, asked)
        yield folder
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _require_same(folder: Path, target: Path, asked: dict[str, Any]) -> None:
    """Note what is asked for; refuse to go on from a search for something else."""
    note = folder / "search.json"
    if not note.exists():
        with replacing(note) as part:
            part.write_text(json.dumps(asked))
        return
    before = json.loads(note.read_text())
    changed = [f"{name}={before.get(name)!r}, and now {value!r}" for name, value in asked.items()]
    changed = [text for text, name in zip(changed, asked, strict=True) if before.get(name) != asked[name]]
    if changed:
        raise InvalidInputError(
            f"A search for {target} did not end, and was asked for something else: {'; '.join(changed)}. Ask "
            f"for the same to go on from it; or remove the folder {folder}, or give another name."
        )


def points_on_disk(X: Any, metric: str, folder: Path) -> NDArray[Any]:
    """Return checked points as a mapped array: of the user's own file, or of a copy in the folder.

    Raises
    ------
    InvalidInputError
        ``X`` is no table of finite numbers, or of bits for a metric of bits.
    """
    mapped = _users_file(X)
    if mapped is not None:
        for part in slabs(len(mapped)):
            _checked(mapped, metric, part)
        return mapped
    first = checked_points(np.asarray(X[:1]), metric)
    copy = created_array(folder / "points.npy", (X.shape[0], *first.shape[1:]), first.dtype)
    for part in slabs(X.shape[0]):
        copy[part] = _checked(X, metric, part)
    return copy


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
        return mapped_array(X.filename, writable=False)
    return None


def digest_of(X: Any) -> int:
    """Return a checksum of some rows of the points."""
    digest = zlib.crc32(str(X.shape).encode())
    for row in np.unique(np.linspace(0, X.shape[0] - 1, _LOOKED_AT).astype(np.int64)).tolist():
        digest = zlib.crc32(np.ascontiguousarray(X[row : row + 1]).tobytes(), digest)
        relieve()
    return digest
