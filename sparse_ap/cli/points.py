"""Points from the files that a command is given: a table of numbers, and their names if it has them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, optional_modules, warn
from sparse_ap.graphs.conversion.columns import names_points
from sparse_ap.graphs.conversion.dialect import is_number
from sparse_ap.graphs.conversion.parquet_parts import ParquetRows, opened_parquet
from sparse_ap.graphs.conversion.text_file import blocks_of, kind_of
from sparse_ap.graphs.npz import damage_told

__all__ = ["Points", "array_in", "holds_array", "read_points"]

# What comes from standard input has no ending of its own, and is text.
_TEXT = {"csv": ",;\t", "tsv": "\t,;", "txt": ",;\t"}
# Headings of a first column that is no feature: the number of the row, or the name of the point.
_INDEX = ("", "unnamed: 0", "index")
_NAME = ("id", "name", "point", "key", "barcode")
# Bytes in which the first lines are looked for.
_SAMPLE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points, and their names.

    Attributes
    ----------
    table : ndarray, shape (n_points, n_features)
    names : ndarray of str objects, shape (n_points,), or None
    """

    table: Any
    names: NDArray[Any] | None = None


def read_points(path: Path) -> Points:
    """Read points from ``.npy``, ``.parquet`` or a zarr array, none of which is loaded, or from a table.

    Tables are ``.csv``, ``.tsv``, ``.parquet``, and ``.npz`` with one array.

    Every column of a table is a feature, but for a first one of text, or an index, which names the points.

    Raises
    ------
    InvalidInputError
        The file has no such form, or a column may be a feature or not.
    """
    kind = kind_of(path)
    if path.is_dir():
        return Points(_zarr_array(path))
    if kind in _TEXT:
        return _from_text(path, _TEXT[kind])
    if kind in ("parquet", "pq"):
        return _from_parquet(path)
    if path.suffix not in (".npy", ".npz"):
        raise InvalidInputError(
            f"{path} ends in {path.suffix!r}; points are read from .npy, .npz, .csv, .tsv, .txt or "
            ".parquet files, and from zarr arrays."
        )
    return Points(array_in(path))


def holds_array(path: Path) -> bool:
    """Return whether a folder is one zarr array, and no group of arrays, as graphs are."""
    try:
        about = json.loads((path / "zarr.json").read_text())
    except (OSError, ValueError):
        return (path / ".zarray").exists()
    return isinstance(about, dict) and about.get("node_type") == "array"


def _zarr_array(path: Path) -> Any:
    import zarr

    try:
        return zarr.open_array(path, mode="r")
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{path} is a folder, but no zarr array of points, one a row. A graph in a zarr folder needs no "
            "search for neighbours."
        ) from error


def array_in(path: Path) -> Any:
    """Return the array of an ``.npy`` file, memory-mapped, or the only one of an ``.npz`` file.

    Raises
    ------
    InvalidInputError
        The file has several arrays, or is damaged.
    """
    with damage_told(path):
        if path.suffix == ".npy":
            # Mapped, since the table of points may be the largest object of the command.
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = arrays.files
            if len(names) == 1:
                return arrays[names[0]]
    raise InvalidInputError(
        f"{path} holds the arrays {', '.join(sorted(names)) or '(none)'}; exactly one is needed, the table "
        "of points. Write it alone, with numpy.save."
    )


def _from_text(path: Path, delimiters: str) -> Points:
    arrow, reader = optional_modules("Reading .csv", "parquet", "pyarrow", "pyarrow.csv")
    content = b"".join(blocks_of(path))
    lines = [line for line in content[:_SAMPLE].decode(errors="replace").splitlines() if line.strip()][:20]
    delimiter = _delimiter_of(path, lines, delimiters)
    rows = list(csv.reader(lines, delimiter=delimiter))
    n_headings = int(_has_headings(path, rows)) if rows else 0
    if len(rows) == n_headings:
        raise InvalidInputError(f"{path} has no points; a line of numbers for each is needed.")
    first = rows[n_headings]
    # R gives no heading to the column with the names of rows.
    headings = [""] * (len(first) - len(rows[0])) + rows[0] if n_headings else []
    text = len(first) > 1 and (not is_number(first[0]) or _is_no_feature(headings))
    kinds = {str(i): arrow.string() if text and i == 0 else arrow.float64() for i in range(len(first))}
    try:
        table = reader.read_csv(
            arrow.BufferReader(content),
            reader.ReadOptions(column_names=list(kinds), skip_rows=n_headings, use_threads=False),
            reader.ParseOptions(delimiter=delimiter),
            # What is missing is refused with its row.
            reader.ConvertOptions(column_types=kinds, null_values=[]),
        )
    except arrow.ArrowInvalid as error:
        raise InvalidInputError(
            f"{path}: {str(error).splitlines()[0]}. Needed are numbers in every column but the first, which "
            "may name the points."
        ) from error
    columns = [column.to_numpy() for column in table.columns]
    # Without headings there are as many columns.
    known = headings or [str(i) for i in range(len(columns))]
    return _points_of(path, known, columns[0], lambda begin: _together(path, columns[begin:]))


def _is_no_feature(headings: Sequence[str]) -> bool:
    """Return whether the heading of the first column is that of an index, or of names."""
    return bool(headings) and headings[0].lower() in (*_INDEX, *_NAME)


def _delimiter_of(path: Path, lines: Sequence[str], delimiters: str) -> str:
    """Return the delimiter: the only one that there is."""
    bare = re.sub(r'"[^"]*"', "", "\n".join(lines))
    found = [delimiter for delimiter in delimiters if delimiter in bare]
    if not found and any(len(line.split()) > 1 for line in bare.splitlines()):
        raise InvalidInputError(
            f"{path} has blanks between its columns; commas, semicolons or tabs are needed: "
            "numpy.savetxt(path, X, delimiter=',')."
        )
    if len(found) > 1:
        raise InvalidInputError(
            f"{path} has {' and '.join(map(repr, found))} in its first lines, so what is between two numbers "
            "is not plain. Write it with one of them, and a point for the decimals."
        )
    return found[0] if found else delimiters[0]


def _has_headings(path: Path, rows: Sequence[Sequence[str]]) -> bool:
    first = rows[0]
    counted = [str(i) for i in range(len(first))]
    if list(first[1:]) == counted[:-1] and first[0] in _INDEX:
        return True
    if len(first) > 1 and list(first) == counted:
        raise InvalidInputError(
            f"{path} begins with the line {','.join(first)}, which is a point or pandas' numbers of the "
            "columns. Give the columns names, or write none (header=False)."
        )
    return not all(map(is_number, first[1:] or first))


def _from_parquet(path: Path) -> Points:
    """Return the points of a parquet file, of which no more than the first column is read."""
    file = opened_parquet(path)
    (arrow,) = optional_modules("Reading .parquet", "parquet", "pyarrow")
    schema = file.schema_arrow
    headings = list(schema.names)
    # pandas notes which columns were the index; it puts them last.
    noted = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    index = [name for name in noted if isinstance(name, str) and name in headings]
    if len(index) > 1:
        raise InvalidInputError(
            f"{path} has an index of {len(index)} columns; one that names the points is needed."
        )
    headings = [*index, *(name for name in headings if name not in index)]
    twice = sorted({name for name in headings if headings.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"{path} has several columns named {twice[0]!r}; give each column a name of its own."
        )
    for name in headings:
        kind = schema.field(name).type
        missing = _n_missing(file, name)
        if missing:
            raise InvalidInputError(f"{path}: in the column {name!r} {missing:,} values are missing.")
        plain = arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind)
        if not plain and not (name == headings[0] and (name in index or _is_text(kind))):
            raise _no_number(path, name, kind)
    first = file.read([headings[0]])[headings[0]].to_numpy()
    known = ["" if name in index else name for name in headings]
    return _points_of(path, known, first, lambda begin: _rows_of(path, headings[begin:]))


def _is_text(kind: Any) -> bool:
    """Whether a column of this type may name points."""
    import pyarrow as arrow

    value = kind.value_type if arrow.types.is_dictionary(kind) else kind
    return bool(arrow.types.is_string(value) or arrow.types.is_large_string(value))


def _n_missing(file: Any, name: str) -> int:
    """Return the number of missing values of a column: as its file notes it, or else counted."""
    notes = file.metadata
    groups = [notes.row_group(g) for g in range(notes.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    found = [column.statistics for column in columns if column.path_in_schema == name]
    if len(found) == len(groups) and all(s is not None and s.has_null_count for s in found):
        return sum(statistics.null_count for statistics in found)
    return int(file.read([name])[name].null_count)


def _rows_of(path: Path, columns: Sequence[str]) -> ParquetRows:
    _require_columns(path, columns)
    return ParquetRows(path, columns)


def _points_of(
    path: Path, headings: Sequence[str], first: NDArray[Any], table_from: Callable[[int], Any]
) -> Points:
    """Return the features and the names that columns hold, of which the first may be names.

    ``table_from`` returns the columns from one on.
    """
    n_columns = len(headings)
    if n_columns > 2 and names_points(headings):
        raise InvalidInputError(
            f"{path} has the columns {', '.join(map(repr, headings[:3]))}: a table of edges, which is a "
            "graph. A graph needs no search for neighbours. If they are features of points, name them "
            "otherwise."
        )
    counts = len(first) > 2 and _counts(first)
    if n_columns > 1 and _is_no_feature(headings):
        if headings[0].lower() in _INDEX and counts:
            # A row's number is no name.
            return Points(table_from(1))
        if first.dtype.kind in "iuf" or all(map(is_number, first)):
            warn(f"{path}: the first column is taken for the names of the points, and is no feature.")
        return Points(table_from(1), _distinct(path, first))
    if first.dtype.kind not in "biuf":
        return Points(table_from(1), _distinct(path, first))
    if counts and n_columns > 1:
        raise InvalidInputError(
            f"{path}: the first column counts the rows: it is a feature, or the number of the point. Leave "
            "it out, or write the features as an array (numpy.save)."
        )
    return Points(table_from(0))


def _counts(values: NDArray[Any]) -> bool:
    """Return whether values are the numbers from 0, or from 1."""
    numbers = [np.arange(len(values)) + k for k in (0, 1)]
    if values.dtype.kind == "O":
        return any(values.tolist() == list(map(str, counted.tolist())) for counted in numbers)
    return any(np.array_equal(values, counted) for counted in numbers)


def _distinct(path: Path, names: NDArray[Any]) -> NDArray[Any]:
    texts = np.array([str(name) for name in names], object)
    if len(set(texts)) < len(texts):
        raise InvalidInputError(
            f"{path}: the first column has equal values in several rows, so it does not name the points. "
            "Leave it out, or put one before it that does."
        )
    return texts


def _require_columns(path: Path, columns: Sequence[Any]) -> None:
    if not columns:
        raise InvalidInputError(f"{path} has no column of numbers; a column for each feature is needed.")


def _together(path: Path, columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    _require_columns(path, columns)
    return np.stack(columns, axis=1)


def _no_number(path: Path, name: str, kind: Any) -> InvalidInputError:
    return InvalidInputError(
        f"{path}: the column {name!r} holds {kind}; numbers are needed, or in the first column text, "
        "which names the points. Leave it out. Of lists make a table: numpy.save('points.npy', "
        "numpy.stack(table[column]))."
    )
