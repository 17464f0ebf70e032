"""Columns of a table beside the graph, with a value for each point: preferences, weights, candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.conversion.names import is_text_table, rows_of
from sparse_ap.graphs.conversion.parquet_parts import PARQUET, parquet_table
from sparse_ap.graphs.conversion.text_file import kind_of
from sparse_ap.propagation.roles import listed

__all__ = ["PointColumns"]

# The heading under which sparse_ap writes the numbers of points.
_POINT = "point"
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class PointColumns:
    """A table with a row for each point, and the columns to take from it.

    Attributes
    ----------
    table : Path or None
        A ``.csv``, ``.tsv`` or ``.parquet`` file with headings. Its first column has the names of the points
        where the graph has names. Otherwise its rows are in the order of the points, unless the heading of
        its first column is "point": it then has their numbers.
    headings : mapping of str to str
        The headings of the columns to take, by the parameter that they are for.
    """

    table: Path | None
    headings: Mapping[str, str]

    def require_usable(self, preference: float | None = None, quantile: float | None = None) -> None:
        """Refuse columns without a table, a table without columns, and preferences given in two ways.

        Raises
        ------
        InvalidInputError
        """
        if self.table is None and self.headings:
            name = next(iter(self.headings))
            raise InvalidInputError(f"--{name}-column names a column, but not of what: give --table, a file.")
        if self.table is not None and not self.headings:
            raise InvalidInputError(
                f"--table {self.table} was given, and no column of it: name one, such as by --weights-column."
            )
        if "preference" in self.headings and (preference is not None or quantile is not None):
            other = "--quantile" if preference is None else "--preference"
            raise InvalidInputError(
                f"--preference-column and {other} were given; they say the same thing in two ways. Give "
                "one of them."
            )

    def values(self, n_points: int, names: Callable[[], NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
        """Read the columns, in the order of the points, by the parameters that they are for.

        Parameters
        ----------
        n_points : int
        names : callable
            Function that reads the names of the points, shape (n_points,); None if they have none.

        Raises
        ------
        InvalidInputError
            A column is not there, a value is none of its kind, or a point is missing, doubled or unknown.
        """
        if self.table is None:
            return {}
        columns = _columns_of(self.table)
        for parameter, heading in self.headings.items():
            if heading not in columns:
                raise InvalidInputError(
                    f"{self.table} has the columns {', '.join(columns)}, and none named {heading!r} "
                    f"(--{parameter}-column). Name one that is there."
                )
        order = self._order(columns, n_points, names())
        return {
            parameter: _KINDS[parameter](self.table, heading, columns[heading])[order]
            for parameter, heading in self.headings.items()
        }

    def _order(
        self, columns: Mapping[str, Sequence[Any]], n_points: int, names: NDArray[Any] | None
    ) -> NDArray[np.intp]:
        """Return the row of each point."""
        first = next(iter(columns))
        keys = columns[first]
        if names is None and first != _POINT:
            if len(keys) != n_points:
                raise InvalidInputError(
                    f"{self.table} has {len(keys):,} rows, and the graph {n_points:,} points, which have no "
                    "names. Give a row for each, in their order; or their numbers in a first column "
                    f"{_POINT!r}."
                )
            if first not in self.headings.values() and any(map(_is_name, keys)):
                warn(
                    f"{self.table} is taken row by row, in the order of the points, since the graph's points "
                    f"have no names to match its column {first!r} with. Give them with --names, if the order "
                    "may be another."
                )
            return np.arange(n_points)
        if first in self.headings.values():
            raise InvalidInputError(
                f"{self.table}: the first column, {first!r}, is taken for what names the points. Put a "
                "column with their names before it."
            )
        known = [str(name) for name in (range(n_points) if names is None else names)]
        return _matched(self.table, list(map(str, keys)), known)


def _is_name(key: Any) -> bool:
    try:
        float(key)
    except (TypeError, ValueError):
        return True
    return False


def _matched(table: Path | None, keys: Sequence[str], names: Sequence[str]) -> NDArray[np.intp]:
    """Return the row of each name; each must be there once, and no other."""
    row_of = {key: row for row, key in enumerate(keys)}
    if len(row_of) < len(keys):
        twice = [key for row, key in enumerate(keys) if row_of[key] != row]
        raise InvalidInputError(
            f"{table} has {len(twice):,} points again, such as {listed(twice)}. Give each point one row."
        )
    known = set(names)
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise InvalidInputError(
            f"{table} has {len(unknown):,} points that the graph does not have: {listed(unknown)}. Its first "
            "column must name the points as the graph does. Leave out the others."
        )
    missing = [name for name in names if name not in row_of]
    if missing:
        raise InvalidInputError(
            f"{table} has no row for {len(missing):,} points of the graph: {listed(missing)}. Give each "
            "point one row."
        )
    return np.array([row_of[name] for name in names], np.intp)


def _columns_of(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a table by their headings."""
    if kind_of(path) in PARQUET:
        table = parquet_table(path)
        headings, columns = table.column_names, [column.to_pylist() for column in table.columns]
    elif is_text_table(path):
        rows = rows_of(path)
        headings = rows[0] if rows else []
        columns = [list(column) for column in zip(*rows[1:], strict=True)] or [[] for _ in headings]
    else:
        raise InvalidInputError(f"--table {path} is none of .csv, .tsv and .parquet. Give one of them.")
    if len(set(headings)) < len(headings) or not headings:
        raise InvalidInputError(f"{path} needs a heading for each column, no two alike, in its first line.")
    return dict(zip(headings, columns, strict=True))


def _numbers(path: Path, heading: str, values: Sequence[Any]) -> NDArray[Any]:
    return np.array([_converted(path, heading, row, value, float) for row, value in enumerate(values)], float)


def _truths(path: Path, heading: str, values: Sequence[Any]) -> NDArray[Any]:
    def truth(value: Any) -> bool:
        return _TRUTH[str(value).strip().lower()]

    return np.array([_converted(path, heading, row, value, truth) for row, value in enumerate(values)], bool)


def _texts(path: Path, heading: str, values: Sequence[Any]) -> NDArray[Any]:
    """Return names or numbers as text, empty where there is none."""
    # A column of whole numbers with gaps is one of floats in many programs.
    whole = (int(v) if isinstance(v, float) and v.is_integer() else v for v in values)
    return np.array(["" if v is None or v != v else str(v).strip() for v in whole], object)


def _converted(path: Path, heading: str, row: int, value: Any, convert: Callable[[Any], Any]) -> Any:
    try:
        converted = convert(value)
    except (TypeError, ValueError, KeyError):
        converted = None
    if converted is None or converted != converted:
        needed = "true or false (or 1 or 0)" if convert is not float else "a number (inf and -inf are some)"
        raise InvalidInputError(
            f"{path}: in the column {heading!r}, row {row + 1} has {value!r}; {needed} is needed in each row."
        )
    return converted


_KINDS: dict[str, Callable[[Path, str, Sequence[Any]], NDArray[Any]]] = {
    "preference": _numbers,
    "weights": _numbers,
    "candidates": _truths,
    "old": _texts,
}
