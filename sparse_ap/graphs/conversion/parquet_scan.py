"""The scan of parquet files of edges."""

from __future__ import annotations

import math
from pathlib import Path

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.columns import columns_by_name, warn_of_choice
from sparse_ap.graphs.conversion.database import Database, quoted
from sparse_ap.graphs.conversion.parquet_parts import parts_of, require_no_partitioned_column
from sparse_ap.graphs.conversion.scan import EdgeTest, Scan

__all__ = ["scan_of_parquet"]

_WHOLE_NUMBERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
_WHOLE_NUMBERS |= {"INTEGER", "UINTEGER"}
_NUMBERS = {*_WHOLE_NUMBERS, "FLOAT", "DOUBLE"}


def scan_of_parquet(
    path: Path, database: Database, column: str | int | None, named: Path | None = None
) -> Scan:
    """Return the scan of a parquet file of edges, called ``named``, or of a folder of such files."""
    parts = parts_of(path) if path.is_dir() else [path]
    links = [quoted(database.link(part)) for part in parts]
    table = _table(*links)
    try:
        described = _described(database, table)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} cannot be read as parquet: {error}") from error
    names = [name for name, _ in described]
    if path.is_dir():
        require_no_partitioned_column(path, parts, names)
    columns = columns_by_name(named or path, names, column, "parquet")
    others = [
        i
        for i, (_, kind) in enumerate(described)
        if kind in _NUMBERS
        and i not in (*columns.points, columns.similarity)
        and not names[i].startswith("__")
    ]
    if others and not columns.given:
        warn_of_choice(named or path, names, columns.similarity, others)
    a, b, s = (_identifier(names[i]) for i in (*columns.points, columns.similarity))
    edges = f"{a} AS a, {b} AS b, {s}::DOUBLE AS s"
    digits = all(described[i][1] in _WHOLE_NUMBERS for i in columns.points)
    fractions = all(described[i][1] in ("FLOAT", "DOUBLE") for i in columns.points)

    def first_wrong(test: EdgeTest) -> str | None:
        for part, link in zip(parts, links, strict=True):
            lacking = sorted(
                {a, b, s} - {_identifier(name) for name, _ in _described(database, _table(link))}
            )
            if lacking:
                return f"all of {part.relative_to(path)}, which has no column {', '.join(lacking)}"
            row = _first_wrong_row(database, edges, link, test)
            if row is not None:
                return row if part == path else f"{part.relative_to(path)}, {row}"
        return None

    return Scan(f"SELECT {edges} FROM {table}", database.run, digits, first_wrong, fractions)


def _described(database: Database, table: str) -> list[tuple[str, str]]:
    """Return the names and the types of the columns of a table."""
    return [(row[0], row[1]) for row in database.run(f"DESCRIBE SELECT * FROM {table}")]


def _table(*links: str, options: str = "") -> str:
    """Return the files as a table of SQL, with the columns of any of them, each of a type that fits all."""
    # Folders such as k=15 in the path would become columns.
    return f"read_parquet([{', '.join(links)}], hive_partitioning = false, union_by_name = true{options})"


def _first_wrong_row(database: Database, edges: str, link: str, test: EdgeTest) -> str | None:
    wrong = (
        f"({test.id_sql('a')}) IS NULL OR ({test.id_sql('b')}) IS NULL OR ({test.similarity_sql()}) IS NULL"
    )
    # Rows are numbered only here, to name the wrong one.
    numbered = (
        f"SELECT file_row_number AS row, {edges} FROM {_table(link, options=', file_row_number = true')}"
    )
    found = database.run(
        f"SELECT row, a::VARCHAR, b::VARCHAR, s FROM ({numbered}) WHERE {wrong} ORDER BY row LIMIT 1"
    )
    for row, a, b, s in found:
        return f"row {row} ({a}, {b}, {s}): {test.fault(a or '', b or '', math.nan if s is None else s)}"
    return None


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
