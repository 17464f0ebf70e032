"""`Database`: duckdb within a memory limit, which sorts and joins edges that do not fit into memory."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, MemoryLimitError, optional_modules

__all__ = ["IN_FLIGHT", "Database", "quoted"]

_ROWS_AT_A_TIME = 2**20
# Least memory limit: with less, duckdb fails instead of spilling to disk.
_LEAST_MEMORY = 250_000_000
# Bytes of row blocks on their way to the disk, of chunks being written, and of freshly compiled kernels.
IN_FLIGHT = 360_000_000
# duckdb has been seen to take a seventh more memory than its limit.
_OVERSHOOT = 1.2


class Database:
    """A database in a temporary file; a context manager.

    Parameters
    ----------
    scratch : Path
        Folder for the database and for data that does not fit into memory.
    memory_limit : int
        Bytes that the whole process may hold.

    Raises
    ------
    MemoryLimitError
        The limit leaves too little for duckdb.
    MissingDependencyError
        duckdb, or pyarrow, is not installed.
    """

    def __init__(self, scratch: Path, memory_limit: int) -> None:
        purpose = "Reading edge lists, or sorting graphs on disk,"
        self._duckdb, self._arrow = optional_modules(purpose, "edges", "duckdb", "pyarrow")
        self._scratch, self._n_tables, self._n_links = scratch, 0, 0
        memory = _share_of(memory_limit)
        self._connection = self._duckdb.connect(str(scratch / "edges.duckdb"))
        self.run(f"SET memory_limit = '{memory}B'")
        self.run(f"SET temp_directory = {quoted(scratch / 'spilled')}")
        # duckdb would draw its own progress bar, even without a terminal.
        self.run("SET enable_progress_bar = false")
        # Queries whose order matters have an ORDER BY; without this setting, the others need less memory.
        self.run("SET preserve_insertion_order = false")

    def __enter__(self) -> Database:
        """Return the database itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection; the files are removed with the folder, by its owner."""
        self._connection.close()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL, and return all rows of its result."""
        with self._errors_said():
            answer: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
            return answer

    def arrays(self, sql: str) -> Iterator[list[NDArray[Any]]]:
        """Run SQL, and yield batches of its result as lists of columns; text as object arrays of str."""
        # A cursor of its own: a connection can do nothing else while a result is being read from it.
        cursor = self._connection.cursor()
        try:
            with self._errors_said():
                for batch in cursor.sql(sql).to_arrow_reader(_ROWS_AT_A_TIME):
                    if batch.num_rows:
                        yield [column.to_numpy(zero_copy_only=False) for column in batch.columns]
        finally:
            cursor.close()

    def store(self, names: tuple[str, ...], batches: Iterable[tuple[NDArray[Any], ...]], types: Any) -> str:
        """Store batches of columns in a new table; return its name."""
        self._n_tables += 1
        table = f"stored_{self._n_tables}"
        schema = self._arrow.schema(
            [(name, self._arrow.from_numpy_dtype(dtype)) for name, dtype in zip(names, types, strict=True)]
        )
        records = (
            self._arrow.record_batch([self._arrow.array(part) for part in batch], schema=schema)
            for batch in batches
        )
        self.stored_stream(f"CREATE TABLE {table} AS SELECT * FROM incoming", schema, records)
        return table

    def stored_stream(self, sql: str, schema: Any, batches: Iterable[Any]) -> None:
        """Run SQL that reads the Arrow batches of a stream, once, as the table ``incoming``."""
        failures: list[BaseException] = []

        def watched() -> Iterator[Any]:
            try:
                yield from batches
            except BaseException as failure:
                # Kept here, because duckdb would replace it by an exception of its own.
                failures.append(failure)
                raise

        cursor = self._connection.cursor()
        try:
            with self._errors_said():
                cursor.register("incoming", self._arrow.RecordBatchReader.from_batches(schema, watched()))
                cursor.execute(sql).fetchall()
        except Exception:
            if failures:
                raise failures[0] from None
            raise
        finally:
            cursor.close()

    def link(self, path: Path) -> Path:
        """Return another name of a file, in which duckdb finds no pattern of names."""
        self._n_links += 1
        link = self._scratch / f"source-{self._n_links}{path.suffix}"
        link.symlink_to(path.absolute())
        # Folders above may have such names too.
        return Path(re.sub(r"[\[*?]", r"[\g<0>]", str(link)))

    @contextmanager
    def _errors_said(self) -> Iterator[None]:
        """Turn duckdb's errors into this package's, by their cause: disk, memory or input."""
        try:
            yield
        except self._duckdb.OutOfMemoryException as error:
            # duckdb reports a full disk as lack of memory, when it cannot offload data.
            if "offload" in str(error):
                raise self._disk_full(error) from error
            raise MemoryLimitError(
                f"Sorting the edges took more memory than was left to it ({_first_line(error)}). Raise "
                "memory_limit (--memory-limit)."
            ) from error
        except self._duckdb.IOException as error:
            if re.search("write|No space|too large", str(error)):
                raise self._disk_full(error) from error
            raise OSError(errno.EIO, _first_line(error)) from error
        except self._duckdb.Error as error:
            raise InvalidInputError(_reason(error)) from error

    def _disk_full(self, error: Exception) -> OSError:
        stored = sum(path.stat().st_size for path in self._scratch.rglob("*") if path.is_file())
        return OSError(
            errno.ENOSPC,
            f"Sorting the edges on disk failed, after {stored / 1e9:.3f} GB in {self._scratch.parent.parent} "
            f"({_first_line(error)}). About 50 bytes an edge are needed beside the graph. Nothing was "
            "kept: make room, or write elsewhere.",
        )


def _share_of(memory_limit: int) -> int:
    """Return the bytes that the process can leave to duckdb."""
    held = psutil.Process().memory_info().rss
    left = int((memory_limit - held - IN_FLIGHT) / _OVERSHOOT)
    if left < _LEAST_MEMORY:
        needed = held + IN_FLIGHT + int(_LEAST_MEMORY * _OVERSHOOT)
        raise MemoryLimitError(
            f"The edges must be sorted on disk, which takes {needed / 1e9:.2f} GB, of which the process "
            f"holds {held / 1e9:.2f} GB already; memory_limit is {memory_limit / 1e9:.2f} GB. Raise it to "
            "that."
        )
    return left


def quoted(text: object) -> str:
    """Return text as a string literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def _reason(error: Exception) -> str:
    """Describe the faulty line of the input, without duckdb's advice on its own options."""
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)\nOriginal Line: ?(.*)", text)
    if line is None:
        return _first_line(error)
    found = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    value = re.search(r"Could not convert string (\".*\") to 'DOUBLE'", text)
    what = "it cannot be read"
    if found:
        what = f"{found[2]} columns, but {found[1]} are needed, as in the first edge's line"
    elif value:
        what = f"the similarity is {value[1]}; a number is needed"
    elif "unicode" in text:
        what = "it is not encoded in UTF-8"
    return f"line {line[1]} ({line[2].strip()!r}): {what}. Correct the file, or leave the line out."


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
