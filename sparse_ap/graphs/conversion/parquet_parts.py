"""Parquet files, whole or rows at a time, and folders of them, as Spark, dask, polars and pyarrow write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, optional_modules, warn
from sparse_ap.graphs.conversion.columns import names_points
from sparse_ap.graphs.conversion.text_file import kind_of

__all__ = [
    "PARQUET",
    "ParquetRows",
    "is_folder_of_parts",
    "opened_parquet",
    "parquet_table",
    "parts_of",
    "require_no_partitioned_column",
]

PARQUET = ("parquet", "pq")

# Rows that are read at a time.
_ROWS = 16_384

_ZARR = ("zarr.json", ".zgroup", ".zarray")
# Folders in which files are listed that count: others beside them may be of earlier versions.
_LISTED = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}
# Where Spark keeps what is not complete.
_UNFINISHED = "_temporary"


def parquet_table(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Return the table of one parquet file, or some columns of it, as pyarrow has it.

    Raises
    ------
    InvalidInputError
        It cannot be read.
    """
    (arrow,) = optional_modules("Reading .parquet", "parquet", "pyarrow")
    try:
        return opened_parquet(path).read(columns)
    except arrow.ArrowInvalid as error:
        raise InvalidInputError(f"{path} cannot be read as parquet: {error}") from error


class ParquetRows:
    """Rows of numbers in a parquet file, read some at a time; forth in order is fastest.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        That all columns have in common.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file, self._columns = opened_parquet(path), list(columns)
        schema = self._file.schema_arrow
        kinds = [schema.field(name).type.to_pandas_dtype() for name in columns]
        self.shape, self.dtype = (self._file.metadata.num_rows, len(columns)), np.result_type(*kinds)
        self.ndim = 2
        self._begin()

    def _begin(self) -> None:
        self._first, self._held = 0, np.empty((0, self.shape[1]), self.dtype)
        self._coming = self._file.iter_batches(_ROWS, columns=self._columns, use_threads=False)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all rows."""
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return some rows that follow each other."""
        start, stop, _ = rows.indices(len(self))
        if start < self._first:
            self._begin()
        found = np.empty((max(0, stop - start), self.shape[1]), self.dtype)
        at = start
        while at < stop:
            if at >= self._first + len(self._held):
                self._go_on()
                continue
            piece = self._held[at - self._first : stop - self._first]
            found[at - start : at - start + len(piece)] = piece
            at += len(piece)
        return found

    def _go_on(self) -> None:
        batch, self._first = next(self._coming), self._first + len(self._held)
        columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in self._columns]
        self._held = np.stack(columns, axis=1).astype(self.dtype, copy=False)


def opened_parquet(path: Path) -> Any:
    """Return a parquet file, of which only the note about its content is read.

    Raises
    ------
    InvalidInputError
        It cannot be read.
    """
    arrow, parquet = optional_modules("Reading .parquet", "parquet", "pyarrow", "pyarrow.parquet")
    try:
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16)
    except arrow.ArrowInvalid as error:
        raise InvalidInputError(f"{path} cannot be read as parquet: {error}") from error


def is_folder_of_parts(path: Path) -> bool:
    """Return whether a folder holds parquet files, and is no zarr store."""
    if not path.is_dir() or any((path / name).exists() for name in _ZARR):
        return False
    return next(_parts(path), None) is not None


def parts_of(folder: Path) -> list[Path]:
    """Return the parquet files in a folder and those below, but no hidden ones.

    Raises
    ------
    InvalidInputError
        Not all the files are part of the table, or more are to come.
    """
    for name, program in _LISTED.items():
        if (folder / name).is_dir():
            raise InvalidInputError(
                f"{folder} is a table of {program}, which lists the files that count in {name}; others may "
                "lie beside them. Read it with that program, and write one parquet file of two points and "
                "their similarity."
            )
    if (folder / _UNFINISHED).is_dir():
        raise InvalidInputError(
            f"{folder} holds {_UNFINISHED}, as while Spark writes, or after it failed: parts may be missing. "
            "Wait, or write it again."
        )
    return sorted(_parts(folder))


def _parts(folder: Path) -> Iterator[Path]:
    """Yield the files whose names, and those of whose folders, begin with neither _ nor a point."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        hidden = any(name.startswith(("_", ".")) for name in inside)
        if kind_of(path) in PARQUET and not hidden and path.is_file():
            yield path


def require_no_partitioned_column(folder: Path, parts: Sequence[Path], names: Sequence[str]) -> None:
    """Refuse, or warn of, columns whose values are in the names of folders alone, as in ``k=15``.

    Raises
    ------
    InvalidInputError
        A point is in the names of folders.
    """
    values: dict[str, set[str]] = {}
    for part in parts:
        for name in part.relative_to(folder).parts[:-1]:
            key, is_partition, value = name.partition("=")
            if is_partition and key not in names:
                values.setdefault(key, set()).add(value)
    if values and not names_points(names) and names_points([*names, *values]):
        raise InvalidInputError(
            f"{folder} has the points, or one of them, in the names of its folders ({', '.join(values)}), "
            f"and its files have the columns {', '.join(names)}. Write them without partitions."
        )
    for key, found in values.items():
        if len(found) > 1:
            warn(
                f"{folder} has folders of {len(found)} values of {key!r} ({', '.join(sorted(found)[:3])}"
                f"{', ...' * (len(found) > 3)}), which no column holds: the edges of all of them make one "
                "graph. For a graph of one value give its folder."
            )
