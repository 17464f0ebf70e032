"""Edge lists from files larger than memory: duckdb reads, numbers and sorts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.conversion.database import Database
from sparse_ap.graphs.conversion.parquet_parts import PARQUET, is_folder_of_parts
from sparse_ap.graphs.conversion.parquet_scan import scan_of_parquet
from sparse_ap.graphs.conversion.row_blocks import RowBlocks
from sparse_ap.graphs.conversion.scan import EdgeTest, Scan
from sparse_ap.graphs.conversion.text_file import is_compressed, kind_of
from sparse_ap.graphs.conversion.text_scan import scan_of_text
from sparse_ap.graphs.conversion.transforms import rows_of

__all__ = ["Ids", "holds_edges", "read_edges", "read_hits", "require_no_compressed_binary"]

_TEXT = ("tsv", "csv", "txt", "m8", "abc")

Ids = Literal["auto", "integer", "string"]

# Edges of one similarity that are worth a warning.
_MANY = 10


def holds_edges(path: Path) -> bool:
    """Return whether a path is that of a table of edges: a file by its ending, or parquet files."""
    return kind_of(path) in (*PARQUET, *_TEXT) if path.is_file() else is_folder_of_parts(path)


def require_no_compressed_binary(path: Path) -> None:
    """Refuse files that only text may be: compressed ones.

    Raises
    ------
    InvalidInputError
    """
    if path.is_file() and is_compressed(path) and kind_of(path) in (*PARQUET, "h5ad", "npz", "npy"):
        raise InvalidInputError(
            f"{path} is compressed; decompress it first. Of what is compressed text is read: .tsv, .csv, "
            ".txt, .m8, .abc, .mtx."
        )


def read_edges(
    path: Path,
    database: Database,
    *,
    column: str | int | None,
    ids: Ids,
    n_points: int | None,
    dtype: np.dtype[Any],
    distances: bool,
    named: Path | None = None,
) -> RowBlocks:
    """Read a file of edges, and number its points.

    Parameters
    ----------
    path : Path
        ``.parquet`` or a folder of such; text (``.tsv``, ``.csv``, ``.txt``, ``.m8``, ``.abc``), also
        compressed.
    database : Database
    column, ids, n_points
        As for `write_graph`.
    dtype : float32 or float64
    distances : bool
        Whether the values are distances: -inf is no distance, inf no similarity.
    named : Path, optional
        What a parquet file is called in messages; None: its path.

    Raises
    ------
    InvalidInputError
        The file is damaged or empty, or an edge is wrong; the message names the line.
    """
    scan = _scan_of(path, database, column, named)
    path = named or path
    if ids == "auto" and scan.fractions:
        raise InvalidInputError(
            f"{path} has numbers with fractions where points are looked for: it is a matrix, or these are "
            "names. A matrix is clustered as an array; names are asked for by ids='string' (--ids string)."
        )
    integers = ids == "integer" or (ids == "auto" and scan.digits)
    if n_points is not None and not integers:
        raise InvalidInputError(
            f"n_points={n_points} was given, or so many names, but the ids of {path} are text: they are "
            "names, and are counted. Leave it out, or say that they are numbers: ids='integer' (--ids "
            "integer)."
        )
    largest = float(np.finfo(dtype).max)
    test = EdgeTest(integers, n_points, largest, distances, integers and ids == "auto" and n_points is None)
    n_edges = _read(path, database, scan, test)
    if test.perhaps_names and _are_names(path, database):
        if _are_all_plain(database):
            return _of_names(database, n_edges, "name")
        database.run("DROP TABLE raw")
        database.run("DROP TABLE IF EXISTS points")
        _read(path, database, scan, replace(test, integers=False))
        integers = False
    if integers:
        return _of_numbers(database, n_points, n_edges)
    _gather_points(database)
    return _of_names(database, n_edges, _order_of_names(database, ids))


def read_hits(
    path: Path, database: Database, *, column: str | int | None, distances: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """Read a file of edges from points to others, whose names may be the same, as it is.

    Parameters
    ----------
    path, database, column, distances
        As for `read_edges`.

    Returns
    -------
    first, second : ndarray of str objects, shape (n_edges,)
        The two points of each edge, in the order of the file.
    values : ndarray of float64, shape (n_edges,)

    Raises
    ------
    InvalidInputError
        As in `read_edges`.
    """
    require_no_compressed_binary(path)
    scan = _scan_of(path, database, column)
    database.run("SET preserve_insertion_order = true")
    _read(path, database, scan, EdgeTest(False, None, float(np.finfo(np.float64).max), distances))
    first, second, values = zip(*database.arrays("SELECT a, b, s FROM raw"), strict=True)
    return np.concatenate(first), np.concatenate(second), np.concatenate(values)


def _scan_of(path: Path, database: Database, column: str | int | None, named: Path | None = None) -> Scan:
    if path.is_file() and kind_of(path) in _TEXT:
        return scan_of_text(path, database, column)
    return scan_of_parquet(path, database, column, named)


def _read(path: Path, database: Database, scan: Scan, test: EdgeTest) -> int:
    """Read the edges into the table ``raw``; return their number."""
    try:
        scan.run(
            f"CREATE TABLE raw AS SELECT {test.id_sql('a')} AS a, {test.id_sql('b')} AS b, "
            f"{test.similarity_sql()} AS s FROM ({scan.sql})"
        )
    except InvalidInputError as error:
        first = scan.first_wrong(test)
        if first is None and str(error).startswith(str(path)):
            raise
        raise InvalidInputError(f"{path}: {first or error}.") from error
    return _number_of_edges(path, database, scan, test)


def _number_of_edges(path: Path, database: Database, scan: Scan, test: EdgeTest) -> int:
    """Return the number of edges, and refuse wrong ones."""
    [(n_edges, n_wrong, smallest, largest)] = database.run(
        "SELECT count(*), count(*) FILTER (a IS NULL OR b IS NULL OR s IS NULL), min(s), max(s) FROM raw"
    )
    if n_wrong:
        first = scan.first_wrong(test) or "one that this message cannot name; look for quoted fields"
        raise InvalidInputError(f"{path}: {n_wrong:,} edges are wrong. The first: {first}.")
    if not n_edges:
        raise InvalidInputError(f"{path} has no edges; rows of two points and their similarity are needed.")
    if n_edges >= _MANY and smallest == largest and not scan.weightless:
        warn(
            f"{path}: all {n_edges:,} edges have the similarity {smallest:g}. If another column was meant, "
            "say which with column (--column)."
        )
    return int(n_edges)


def _are_all_plain(database: Database) -> bool:
    return not database.run("SELECT count(*) FROM raw WHERE a < 0 OR b < 0")[0][0]


def _are_names(path: Path, database: Database) -> bool:
    """Return whether whole numbers are names rather than numbers of points, and warn of what is assumed.

    They are if fewer than half of the numbers from 0 to the largest occur, if one is too large, or if zeros
    before them tell them apart.
    """
    if not _are_all_plain(database):
        warn(
            f"{path}: its points are whole numbers, some with zeros before them or larger than the number of "
            "a point can be: they are taken for names. If zeros do not count: ids='integer' (--ids integer)."
        )
        return True
    _gather_points(database)
    [(n_used, largest)] = database.run("SELECT count(*), max(name) FROM points")
    n_points = largest + 1
    if 2 * n_used < n_points:
        warn(
            f"{path}: its points are whole numbers, and of those from 0 to {largest:,} only {n_used:,} "
            "occur: they are taken for names. If they number the points, say so: ids='integer' (--ids "
            f"integer); {n_points - n_used:,} points have no edge then."
        )
        return True
    if n_used < n_points:
        warn(
            f"{path}: its points are taken for the numbers from 0 to {largest:,}, of which "
            f"{n_points - n_used:,} have no edge. If they are names, say so: ids='string' (--ids string); if "
            "not: ids='integer' (--ids integer)."
        )
    return False


def _of_numbers(database: Database, n_points: int | None, n_edges: int) -> RowBlocks:
    if n_points is None:
        n_points = database.run("SELECT max(greatest(a, b)) + 1 FROM raw")[0][0]
    edges = database.arrays("SELECT a, b, s FROM raw WHERE a <> b ORDER BY a")
    return RowBlocks(n_points, rows_of(edges, n_points), n_edges)


def _gather_points(database: Database) -> None:
    database.run("CREATE TABLE points AS SELECT a AS name FROM raw UNION SELECT b FROM raw")


def _order_of_names(database: Database, ids: Ids) -> str:
    """Return the order of names, as SQL: that of their bytes, or that of the numbers that they all are."""
    # SQL compares text by its bytes in any locale, so the numbers of points are the same everywhere.
    if ids == "string":
        return "name"
    [(numbers,)] = database.run("SELECT bool_and(regexp_full_match(name, '[0-9]+')) FROM points")
    return "length(ltrim(name, '0')), ltrim(name, '0'), name" if numbers else "name"


def _of_names(database: Database, n_edges: int, order: str) -> RowBlocks:
    database.run(
        f"CREATE TABLE names AS SELECT name, (row_number() OVER (ORDER BY {order}) - 1)::INTEGER AS number "
        "FROM points"
    )
    n_points = database.run("SELECT count(*) FROM names")[0][0]
    # One join at a time, and the sort by itself: together they need more memory than a small limit leaves.
    database.run(
        "CREATE TABLE half AS SELECT number AS r, b, s FROM raw JOIN names ON name = a WHERE a <> b; "
        "DROP TABLE raw; "
        "CREATE TABLE numbered AS SELECT r, number AS c, s FROM half JOIN names ON name = b; "
        "DROP TABLE half"
    )
    edges = database.arrays("SELECT r, c, s FROM numbered ORDER BY r")
    names = (batch[0] for batch in database.arrays("SELECT name::VARCHAR FROM names ORDER BY number"))
    return RowBlocks(n_points, rows_of(edges, n_points), n_edges, ids=names)
