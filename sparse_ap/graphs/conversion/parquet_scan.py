"""The scan of a parquet file of edges."""

from __future__ import annotations

import math
from pathlib import Path

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.columns import columns_by_name, warn_of_choice
from sparse_ap.graphs.conversion.database import Database, quoted
from sparse_ap.graphs.conversion.scan import EdgeTest, Scan

__all__ = ["scan_of_parquet"]

_WHOLE_NUMBERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
_WHOLE_NUMBERS |= {"INTEGER", "UINTEGER"}
_NUMBERS = {*_WHOLE_NUMBERS, "FLOAT", "DOUBLE"}


def scan_of_parquet(path: Path, database: Database, column: str | int | None) -> Scan:
    """Return the scan of a parquet file of edges."""
    # Folders such as k=15 in the path would become columns.
    table = f"read_parquet({quoted(database.link(path))}, hive_partitioning = false)"
    try:
        described = [(row[0], row[1]) for row in database.run(f"DESCRIBE SELECT * FROM {table}")]
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} cannot be read as parquet: {error}") from error
    names = [name for name, _ in described]
    columns = columns_by_name(path, names, column, "parquet")
    others = [
        i
        for i, (_, kind) in enumerate(described)
        if kind in _NUMBERS
        and i not in (*columns.points, columns.similarity)
        and not names[i].startswith("__")
    ]
    if others and not columns.given:
        warn_of_choice(path, names, columns.similarity, others)
    a, b, s = (_identifier(names[i]) for i in (*columns.points, columns.similarity))
    sql = f"SELECT {a} AS a, {b} AS b, {s}::DOUBLE AS s FROM {table}"
    digits = all(described[i][1] in _WHOLE_NUMBERS for i in columns.points)
    fractions = all(described[i][1] in ("FLOAT", "DOUBLE") for i in columns.points)
    return Scan(sql, database.run, digits, lambda test: _first_wrong_row(database, sql, test), fractions)


def _first_wrong_row(database: Database, sql: str, test: EdgeTest) -> str:
    wrong = (
        f"({test.id_sql('a')}) IS NULL OR ({test.id_sql('b')}) IS NULL OR ({test.similarity_sql()}) IS NULL"
    )
    # Rows are numbered only here, to name the wrong one.
    numbered = sql.replace("SELECT ", "SELECT file_row_number AS row, ", 1)
    numbered = numbered.replace("hive_partitioning", "file_row_number = true, hive_partitioning")
    [(row, a, b, s)] = database.run(
        f"SELECT row, a::VARCHAR, b::VARCHAR, s FROM ({numbered}) WHERE {wrong} ORDER BY row LIMIT 1"
    )
    return f"row {row} ({a}, {b}, {s}): {test.fault(a or '', b or '', math.nan if s is None else s)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
