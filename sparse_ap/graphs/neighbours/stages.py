"""The stages of a search: where its arrays are kept, who does its steps, how it goes on after a kill.

A step computes some rows of new arrays from arrays that are complete. So a tile of rows can be done by any
thread or process, and done again if it was left half done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import progress_bar
from sparse_ap.storage.atomic_files import replacing
from sparse_ap.storage.mapped_arrays import created_array, flush_mapped, mapped_array, relieve

__all__ = [
    "FileStages",
    "Stages",
    "Step",
    "slabs",
    "tiles_of",
    "work_of_threads",
]

Step = Callable[[slice], None]
# Rows that are laid out at a time.
_ROWS = 16_384
# Seconds between two times at which what is done is put on record.
_PERIOD = 10.0


_Points = TypeVar("_Points")


@dataclass(frozen=True, slots=True)
class Stages:
    """Where a search keeps its arrays, and who does its steps: memory, and threads.

    Attributes
    ----------
    pool : ThreadPoolExecutor
        Threads of this process.
    verbose : bool
        Whether to show progress, if standard error is a terminal.
    """

    pool: ThreadPoolExecutor
    verbose: bool = False

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Return a new array of this name."""
        return np.empty(shape, dtype)

    def drop(self, *names: str) -> None:
        """Forget arrays that no later stage needs: memory is free once nothing refers to it."""

    def kept(self, name: str, compute: Callable[[], Sequence[NDArray[Any]]]) -> Sequence[NDArray[Any]]:
        """Return arrays that are computed once."""
        return compute()

    def filled(self, name: str, rows_of: Callable[[slice], _Points], n: int) -> _Points:
        """Return a record of n points, given how some of its rows are made.

        The record's class names the arrays of one row a point: ROWS.
        """
        return rows_of(slice(0, n))

    def run(self, name: str, step: Callable[[], Step], n: int, size: int, title: str) -> None:
        """Do a step for all n rows, some at a time, under this title."""
        parts = tiles_of(n, size)
        with progress_bar(self.verbose, n, title, unit="point") as bar:
            for part, _ in zip(parts, self.pool.map(step(), parts), strict=True):
                bar.update(size_of(part))


# Does a step for some tiles, and yields the number of each once it is done.
Workers = Callable[[Step, Sequence[slice]], Iterator[int]]


def work_of_threads(pool: ThreadPoolExecutor, step: Step, parts: Sequence[slice]) -> Iterator[int]:
    """Do a step for some tiles in threads of this process, and yield the number of each."""
    return (number for number, _ in enumerate(pool.map(step, parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStages(Stages):
    """Arrays in the files of a folder; a search that finds what another one left there goes on from it."""

    folder: Path
    workers: Workers

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Return a new array in a file, or the one that was left by a search that did not end."""
        return created_array(self.folder / f"{name}.npy", shape, dtype)

    def drop(self, *names: str) -> None:
        """Remove files."""
        for name in names:
            for path in self.folder.glob(f"{name}.npy"):
                path.unlink()

    def kept(self, name: str, compute: Callable[[], Sequence[NDArray[Any]]]) -> Sequence[NDArray[Any]]:
        """Return arrays of files, which are computed if they are not there."""
        note = self.folder / f"{name}.kept"
        if not note.exists():
            arrays = compute()
            for i, array in enumerate(arrays):
                np.save(self.folder / f"{name}.{i}.npy", np.asarray(array))
            with replacing(note) as part:
                part.write_text(str(len(arrays)))
        n_arrays = int(note.read_text())
        return [mapped_array(self.folder / f"{name}.{i}.npy") for i in range(n_arrays)]

    def filled(self, name: str, rows_of: Callable[[slice], _Points], n: int) -> _Points:
        """Return a record whose rows are in files."""
        record: Any = rows_of(slice(0, 1))
        arrays = {}
        for part in record.ROWS:
            row = getattr(record, part)
            arrays[part] = self.empty(f"{name}.{part}", (n, *row.shape[1:]), row.dtype)
        self.run(name, lambda: _Filling(rows_of, arrays), n, _ROWS, f"neighbours: {name}")
        return replace(record, **arrays)  # type: ignore[no-any-return]

    def run(self, name: str, step: Callable[[], Step], n: int, size: int, title: str) -> None:
        """Do a step for all rows that are not yet on record as done."""
        parts = tiles_of(n, size)
        done = created_array(self.folder / f"done {name}.npy", (len(parts),), np.uint8)
        left = np.flatnonzero(np.asarray(done) == 0).tolist()
        if not left:
            return
        with progress_bar(self.verbose, n, title, unit="point") as bar, _Record(done) as record:
            bar.update(n - sum(size_of(parts[i]) for i in left))
            for number in self.workers(step(), [parts[i] for i in left]):
                record.add(left[number])
                bar.update(size_of(parts[left[number]]))


class _Record:
    """The record of tiles that are done; it is written some seconds later, after their rows."""

    def __init__(self, done: NDArray[Any]) -> None:
        self._done, self._new, self._last = done, list[int](), time.monotonic()

    def __enter__(self) -> _Record:
        return self

    def __exit__(self, *error: object) -> None:
        self._write()

    def add(self, tile: int) -> None:
        """Note that a tile is done."""
        self._new.append(tile)
        if time.monotonic() - self._last > _PERIOD:
            self._write()

    def _write(self) -> None:
        flush_mapped()
        self._done[self._new] = 1
        self._new, self._last = [], time.monotonic()


def slabs(n: int) -> Iterator[slice]:
    """Yield ranges of rows; the pages of files that were read meanwhile are given back if need be."""
    for part in tiles_of(n, _ROWS):
        yield part
        relieve()


def tiles_of(n: int, size: int) -> list[slice]:
    """Return ranges of ``size`` rows."""
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def size_of(part: slice) -> int:
    """Return the number of rows of a range."""
    return int(part.stop - part.start)


@dataclass(frozen=True, slots=True, eq=False)
class _Filling:
    """A step that makes rows of a record."""

    rows_of: Callable[[slice], Any]
    arrays: dict[str, NDArray[Any]]

    def __call__(self, rows: slice) -> None:
        record = self.rows_of(rows)
        for part, array in self.arrays.items():
            array[rows] = getattr(record, part)
        relieve()
