"""Names of points from files, and their checks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.parquet_parts import PARQUET, opened_parquet, parquet_table
from sparse_ap.graphs.conversion.text_file import kind_of, lines_of

__all__ = ["checked_names", "is_text_table", "read_names", "rows_of"]

_DELIMITERS = {"csv": ",", "tsv": "\t"}


def read_names(path: Path, column: str | None) -> NDArray[Any]:
    """Read the names of points, one a line, or from a column of a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Parameters
    ----------
    path : Path
        Text may be compressed.
    column : str or None
        Heading of the column. None: the file has one column; text has no heading then.

    Returns
    -------
    ndarray of str objects, shape (n_points,)

    Raises
    ------
    InvalidInputError
        There is no such column, or there are several and none is named.
    """
    if kind_of(path) in PARQUET:
        return _from_parquet(path, column)
    if not is_text_table(path):
        if column is not None:
            raise InvalidInputError(f"--names-column is for .csv, .tsv and .parquet; {path} is none.")
        return np.array([line.removesuffix("\n") for line in _lines(path)], object)
    rows = rows_of(path)
    place = _place_of(path, rows[0] if rows else [""], column)
    return np.array([row[place] for row in rows[column is not None :]], object)


def is_text_table(path: Path) -> bool:
    """Return whether a file is a ``.csv`` or ``.tsv`` table; it may be compressed."""
    return kind_of(path) in _DELIMITERS


def rows_of(path: Path) -> list[list[str]]:
    """Return the rows of a ``.csv`` or ``.tsv`` table, the headings among them.

    Raises
    ------
    InvalidInputError
        They do not have the same number of columns.
    """
    rows = [row for row in csv.reader(_lines(path), delimiter=_DELIMITERS[kind_of(path)]) if row]
    if any(len(row) != len(rows[0]) for row in rows):
        raise InvalidInputError(f"{path} has rows of another number of columns than its first. Correct it.")
    return rows


def checked_names(names: Sequence[Any] | NDArray[Any], n_points: int, have_names: bool) -> NDArray[Any]:
    """Return names as texts, one for each point, no two alike.

    Raises
    ------
    InvalidInputError
        There are more or fewer than points, two are equal, one is empty, or the points have names already.
    """
    if have_names:
        raise InvalidInputError(
            "names (--names) were given, but the points of the graph have names already. Leave them out."
        )
    texts = np.array([str(name) for name in names], object)
    if len(texts) != n_points:
        heading = " If the first is a heading, name the column: --names-column." * (
            len(texts) == n_points + 1
        )
        raise InvalidInputError(
            f"{len(texts):,} names (--names) were given for {n_points:,} points; one for each is needed, in "
            f"the order of the points.{heading}"
        )
    unique, first, counts = np.unique(texts.astype(str), return_index=True, return_counts=True)
    if "" in texts[first]:
        raise InvalidInputError("A name (--names) is empty; each point needs one.")
    if len(unique) < n_points:
        twice = unique[np.argmax(counts > 1)]
        raise InvalidInputError(
            f"{n_points - len(unique):,} names (--names) are there again, such as {str(twice)!r}; each point "
            "needs one of its own."
        )
    return texts


def _lines(path: Path) -> Iterator[str]:
    """Yield lines with their ends, which csv needs: quoted names may go over several."""
    for _, line in lines_of(path):
        yield line.decode()


def _from_parquet(path: Path, column: str | None) -> NDArray[Any]:
    headings = opened_parquet(path).schema_arrow.names
    values = parquet_table(path, [headings[_place_of(path, headings, column)]]).column(0)
    if values.null_count:
        raise InvalidInputError(f"{path}: {values.null_count:,} names are missing; each point needs one.")
    return np.array([str(name) for name in values.to_pylist()], object)


def _place_of(path: Path, headings: Sequence[str], column: str | None) -> int:
    if column is None and len(headings) == 1:
        return 0
    if column is not None and list(headings).count(column) == 1:
        return list(headings).index(column)
    given = "none was named" if column is None else f"{column!r} was named"
    raise InvalidInputError(
        f"{path} has the columns {', '.join(headings)}, and {given}. Name the one that has the names of the "
        "points: --names-column."
    )
