"""Edge lists from files larger than memory: duckdb reads, numbers and sorts them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.database import Database, quoted
from sparse_ap.graphs.conversion.row_blocks import RowBlocks
from sparse_ap.graphs.conversion.text_layout import TextLayout, kind_of, layout_of, number_of
from sparse_ap.graphs.conversion.transforms import rows_of

__all__ = ["ENDINGS", "Ids", "read_edges"]

ENDINGS = ("parquet", "tsv", "csv", "txt", "m8", "abc")

Ids = Literal["auto", "integer", "string"]

# The number of points, the largest id plus 1, must fit into int32.
_LARGEST_ID = int(np.iinfo(np.int32).max) - 1


@dataclass(frozen=True, slots=True)
class _Scan:
    """A query that reads edges from a file.

    Attributes
    ----------
    sql : str
        Query with the columns a and b (ids) and s (a double).
    digits : bool
        Whether the ids look like whole numbers.
    first_wrong : callable
        Function from the test of an edge to a description of the first edge that fails it.
    """

    sql: str
    digits: bool
    first_wrong: Callable[[_Test], str]


@dataclass(frozen=True, slots=True)
class _Test:
    """The conditions on an edge, as SQL and in Python; the two must agree.

    Attributes
    ----------
    integers : bool
        Whether ids are whole numbers from 0.
    n_points : int or None
        Number of points, if it is given.
    largest : float
        Largest absolute value of a finite similarity.
    distances : bool
        Whether the values are distances: then inf is allowed and -inf is not.
    """

    integers: bool
    n_points: int | None
    largest: float
    distances: bool

    def id_sql(self, name: str) -> str:
        """Return SQL for an id, with NULL for a wrong one."""
        if not self.integers:
            return f"nullif({name}::VARCHAR, '')"
        whole = f"regexp_full_match(trim({name}::VARCHAR), '[0-9]{{1,10}}')"
        last = _LARGEST_ID if self.n_points is None else self.n_points - 1
        number = f"TRY_CAST({name} AS BIGINT)"
        return f"CASE WHEN {whole} AND {number} <= {last} THEN {number}::INTEGER END"

    def similarity_sql(self) -> str:
        """Return SQL for the similarity, with NULL for a wrong one."""
        forbidden = "-inf" if self.distances else "inf"
        return (
            f"CASE WHEN isnan(s) OR s = '{forbidden}'::DOUBLE OR (isfinite(s) AND abs(s) > {self.largest!r}) "
            f"THEN NULL ELSE s::DOUBLE END"
        )

    def fault(self, a: str, b: str, s: float) -> str | None:
        """Describe the fault of an edge; None for a right one."""
        return self._fault_of_id(a) or self._fault_of_id(b) or self._fault_of_similarity(s)

    def _fault_of_id(self, text: str) -> str | None:
        if not self.integers:
            return None if text else "an id is empty"
        text = text.strip()
        last = _LARGEST_ID if self.n_points is None else self.n_points - 1
        if text.isdigit() and int(text) <= last:
            return None
        return (
            f"the id {text!r} is no whole number from 0 to {last}. For any other ids take ids='string' "
            "(--ids string)"
        )

    def _fault_of_similarity(self, s: float) -> str | None:
        if math.isnan(s) or s == (-math.inf if self.distances else math.inf):
            return f"the similarity is {s}; a number is needed"
        if math.isfinite(s) and abs(s) > self.largest:
            return f"the similarity is {s:g}, which float32 cannot hold. Ask for dtype='float64' (--float64)"
        return None


def read_edges(
    path: Path,
    database: Database,
    *,
    column: str | int | None,
    ids: Ids,
    n_points: int | None,
    dtype: np.dtype[Any],
    distances: bool,
) -> RowBlocks:
    """Read a file of edges, and number its points.

    Parameters
    ----------
    path : Path
        ``.parquet``, or text (``.tsv``, ``.csv``, ``.txt``, ``.m8``, ``.abc``), also ``.gz``.
    database : Database
    column, ids, n_points
        As for `write_graph`.
    dtype : float32 or float64
    distances : bool
        Whether the values are distances: -inf is no distance, inf no similarity.

    Raises
    ------
    InvalidInputError
        The file is damaged or empty, or an edge is wrong; the message names the line.
    """
    scan = _parquet(path, database, column) if kind_of(path) == "parquet" else _text(path, column)
    integers = ids == "integer" or (ids == "auto" and scan.digits)
    if n_points is not None and not integers:
        raise InvalidInputError(
            f"n_points={n_points} was given, but the ids of {path} are text, and are counted. Leave it "
            "out, or say that they are numbers: ids='integer' (--ids integer)."
        )
    largest = float(np.finfo(dtype).max)
    test = _Test(integers, n_points, largest, distances)
    try:
        database.run(
            f"CREATE TABLE raw AS SELECT {test.id_sql('a')} AS a, {test.id_sql('b')} AS b, "
            f"{test.similarity_sql()} AS s FROM ({scan.sql})"
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    [(n_edges, n_wrong)] = database.run(
        "SELECT count(*), count(*) FILTER (a IS NULL OR b IS NULL OR s IS NULL) FROM raw"
    )
    if n_wrong:
        raise InvalidInputError(f"{path}: {n_wrong:,} edges are wrong. The first: {scan.first_wrong(test)}.")
    if not n_edges:
        raise InvalidInputError(f"{path} has no edges; rows of two points and their similarity are needed.")
    return _of_numbers(database, n_points, n_edges) if integers else _of_names(database, n_edges)


def _of_numbers(database: Database, n_points: int | None, n_edges: int) -> RowBlocks:
    if n_points is None:
        n_points = database.run("SELECT max(greatest(a, b)) + 1 FROM raw")[0][0]
    edges = database.arrays("SELECT a, b, s FROM raw WHERE a <> b ORDER BY a")
    return RowBlocks(n_points, rows_of(edges, n_points), n_edges)


def _of_names(database: Database, n_edges: int) -> RowBlocks:
    # SQL compares text by its bytes in any locale, so the numbers are the same everywhere.
    database.run(
        "CREATE TABLE names AS SELECT name, (row_number() OVER (ORDER BY name) - 1)::INTEGER AS number "
        "FROM (SELECT a AS name FROM raw UNION SELECT b FROM raw)"
    )
    n_points = database.run("SELECT count(*) FROM names")[0][0]
    edges = database.arrays(
        "SELECT x.number AS r, y.number, s FROM raw JOIN names x ON x.name = a JOIN names y ON y.name = b "
        "WHERE a <> b ORDER BY r"
    )
    names = (batch[0] for batch in database.arrays("SELECT name FROM names ORDER BY number"))
    return RowBlocks(n_points, rows_of(edges, n_points), n_edges, ids=names)


def _text(path: Path, column: str | int | None) -> _Scan:
    layout = layout_of(path, column)
    types = [f"'c{i}': '{'DOUBLE' if i == layout.column else 'VARCHAR'}'" for i in range(layout.n_columns)]
    options = [
        f"delim = {quoted(layout.delimiter)}",
        "header = false",
        "auto_detect = false",
        f"skip = {layout.n_skipped}",
        f"columns = {{{', '.join(types)}}}",
        "quote = '\"', escape = '\"'" if layout.delimiter == "," else "quote = '', escape = ''",
        *(["comment = '#'"] if layout.commented else []),
    ]
    sql = (
        f"SELECT c0 AS a, c1 AS b, c{layout.column} AS s FROM read_csv({quoted(path)}, {', '.join(options)})"
    )
    return _Scan(sql, layout.digits, lambda test: _first_wrong_line(path, layout, test))


def _first_wrong_line(path: Path, layout: TextLayout, test: _Test) -> str:
    for number, fields in layout.edges(path):
        fault = test.fault(fields[0], fields[1], number_of(fields[layout.column]))
        if fault:
            return f"line {number} ({layout.delimiter.join(fields)!r}): {fault}"
    return "one that this message cannot name; look for quoted fields"


def _parquet(path: Path, database: Database, column: str | int | None) -> _Scan:
    table = f"read_parquet({quoted(path)}, file_row_number = true)"
    try:
        # Without the last column, the row number that read_parquet adds.
        columns = [(row[0], row[1]) for row in database.run(f"DESCRIBE SELECT * FROM {table}")][:-1]
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} cannot be read as parquet: {error}") from error
    names = [name for name, _ in columns]
    place = _place(path, names, column)
    a, b, s = (_identifier(names[i]) for i in (0, 1, place))
    sql = f"SELECT {a} AS a, {b} AS b, {s}::DOUBLE AS s FROM {table}"
    digits = all("INT" in kind for _, kind in columns[:2])
    return _Scan(sql, digits, lambda test: _first_wrong_row(database, sql, test))


def _first_wrong_row(database: Database, sql: str, test: _Test) -> str:
    wrong = (
        f"({test.id_sql('a')}) IS NULL OR ({test.id_sql('b')}) IS NULL OR ({test.similarity_sql()}) IS NULL"
    )
    # Row numbers are selected only here, to name the wrong row.
    numbered = sql.replace("SELECT ", "SELECT file_row_number AS row, ", 1)
    [(row, a, b, s)] = database.run(
        f"SELECT row, a::VARCHAR, b::VARCHAR, s FROM ({numbered}) WHERE {wrong} ORDER BY row LIMIT 1"
    )
    return f"row {row} ({a}, {b}, {s}): {test.fault(a or '', b or '', math.nan if s is None else s)}"


def _place(path: Path, names: list[str], column: str | int | None) -> int:
    if column is None:
        place = 2
    elif isinstance(column, str) and column in names:
        place = names.index(column)
    else:
        place = int(column) - 1 if str(column).isdigit() else -1
    if not 2 <= place < len(names):
        given = "the third" if column is None else repr(column)
        raise InvalidInputError(
            f"{path} has the columns {', '.join(names)}; the points are in the first two, and the "
            f"similarity was looked for in {given}. Name another by its name or its number, from 3: column "
            "(--column)."
        )
    return place


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
