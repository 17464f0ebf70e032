"""Random tables, as other programs write them: read as pandas reads them when it is told how, or refused.

``make test-slow`` tries 2,000 tables. A graph that differs is never right; of refusals there may be few, and
none of a table that a program writes when nothing is asked of it.
"""

# ruff: noqa: E501
from __future__ import annotations

import csv
import gzip
import io
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
import zarr
from effort import examples
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sparse_ap import InvalidInputError
from sparse_ap.graphs import read_graph, write_graph

WRITERS = ["pandas", "polars", "csv", "pyarrow", "duckdb", "R", "R.csv"]
# 2,000 for all writers together.
TRIED = settings(examples(286, quick=5), suppress_health_check=[HealthCheck.function_scoped_fixture])

# What was read, and what was refused for which reason: counted over all examples of a writer.
ANSWERS: Counter[str] = Counter()

HEADINGS = [
    ("source", "target", "weight"), ("from", "to", "score"), ("query", "target", "bits"), ("Source", "Target", "Weight"),
    ("node_1", "node_2", "similarity"), ("gene", "partner", "r"), ("protein1", "protein2", "combined_score"),
]  # fmt: skip
QUOTING = {
    "all": csv.QUOTE_ALL,
    "minimal": csv.QUOTE_MINIMAL,
    "none": csv.QUOTE_NONE,
    "text": csv.QUOTE_NONNUMERIC,
}


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes
    ----------
    writer, quoting, encoding, ends : str
    delimiter : str
    heading, index, packed : bool
    comment : str
        Where comments are: "no", "before", "between".
    missing : str or None
        What stands for a similarity that is missing in one row, if one is.
    order : tuple of int
        Places of source, target and similarity.
    """

    writer: str
    delimiter: str
    quoting: str
    heading: bool
    index: bool
    comment: str
    encoding: str
    ends: str
    packed: bool
    missing: str | None
    order: tuple[int, ...]

    @property
    def usual(self) -> bool:
        """Whether the writer writes so when nothing is asked of it."""
        return (
            self.heading and self.missing is None and self.comment == "no" and self.encoding == "utf-8"
            and (self.quoting == "minimal" or self.writer in ("R", "R.csv"))
            # Between blanks the empty heading of an index is lost; pandas writes commas.
            and not (self.writer == "pandas" and self.delimiter == " " and self.index)
        )  # fmt: skip


WORDS = st.text("abcXYZ019_.|:-", min_size=1, max_size=6).filter(
    lambda name: not name.lower().startswith("nan")
)
NAMES = st.one_of(
    WORDS,
    st.sampled_from(
        ["P 1", "a b c", "Ünal", "sp|P1|X", 'say "x"', "a,b", "c;d", "#1", "it's", "1e5", "-", "café"]
    ),
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a table of edges: numbers or names, and similarities."""
    n = draw(st.integers(1, 12))
    numbers = draw(st.booleans())
    ids = st.integers(0, 30) if numbers else NAMES
    values = st.floats(-1e6, 1e6, width=32) if draw(st.booleans()) else st.integers(-5, 500)
    rows = draw(st.lists(st.tuples(ids, ids, values), min_size=n, max_size=n))
    names = draw(st.sampled_from(HEADINGS))
    return pd.DataFrame(rows, columns=list(names))


@st.composite
def dialects(draw: st.DrawFn, writer: str) -> Dialect:
    """Draw a dialect in which a writer writes."""
    heading = draw(st.booleans()) or writer == "R.csv"
    ordered = heading and draw(st.booleans())
    return Dialect(
        writer,
        ","
        if writer == "R.csv"
        else draw(st.sampled_from("\t,; " if writer in ("pandas", "csv", "R") else "\t,;")),
        draw(st.sampled_from(["minimal", "minimal", "all", "text", "none"])),
        heading,
        heading and writer in ("pandas", "R", "R.csv") and draw(st.booleans()),
        draw(st.sampled_from(["no", "no", "before", "between"])),
        draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])),
        draw(st.sampled_from(["\n", "\r\n"])),
        draw(st.booleans()),
        draw(st.sampled_from([None] * 17 + ["", "NA", "nan"])),
        tuple(draw(st.permutations(range(3)))) if ordered else (0, 1, 2),
    )


def by_csv(table: pd.DataFrame, dialect: Dialect) -> str:
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=dialect.delimiter,
        quoting=QUOTING[dialect.quoting],
        lineterminator="\n",  # type: ignore[arg-type]
    )
    rows = table.itertuples(index=False)
    writer.writerows([list(table.columns), *rows] if dialect.heading else rows)
    return file.getvalue()


def by_pandas(table: pd.DataFrame, dialect: Dialect) -> str:
    text: str = table.to_csv(
        sep=dialect.delimiter, quoting=QUOTING[dialect.quoting], header=dialect.heading, index=dialect.index,  # type: ignore[call-overload]
        lineterminator="\n",
    )  # fmt: skip
    return text


def by_pyarrow(table: pd.DataFrame, dialect: Dialect) -> str:
    styles = {"all": "all_valid", "none": "none", "minimal": "needed", "text": "needed"}
    options = pa.csv.WriteOptions(
        include_header=dialect.heading, delimiter=dialect.delimiter, quoting_style=styles[dialect.quoting]
    )
    file = io.BytesIO()
    pa.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), file, options)
    return file.getvalue().decode()


def by_polars(table: pd.DataFrame, dialect: Dialect) -> str:
    styles = {"all": "always", "none": "never", "minimal": "necessary", "text": "non_numeric"}
    return pl.from_pandas(table).write_csv(
        include_header=dialect.heading,
        separator=dialect.delimiter,
        quote_style=styles[dialect.quoting],  # type: ignore[arg-type]
    )


def by_duckdb(table: pd.DataFrame, dialect: Dialect, folder: Path) -> str:
    connection = duckdb.connect()
    connection.register("edges", table)
    force = ", FORCE_QUOTE *" if dialect.quoting == "all" else ""
    connection.execute(
        f"COPY edges TO '{folder / 'duckdb.csv'}' (FORMAT csv, HEADER {dialect.heading}, DELIM '{dialect.delimiter}'{force})"
    )
    connection.close()
    return (folder / "duckdb.csv").read_text(encoding="utf-8")


def by_r(table: pd.DataFrame, dialect: Dialect) -> str:
    """Write a table as R does: text and headings in quotes, doubled within; the names of rows without a heading."""

    def field(value: Any) -> str:
        return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else f"{value:.15g}"

    lines = []
    if dialect.heading:
        corner = ['""'] if dialect.index and dialect.writer == "R.csv" else []
        lines.append([*corner, *map(field, table.columns)])
    for i, row in enumerate(table.itertuples(index=False), 1):
        lines.append([*([f'"{i}"'] if dialect.index else []), *map(field, row)])
    return "".join(dialect.delimiter.join(line) + "\n" for line in lines)


def text_of(table: pd.DataFrame, dialect: Dialect, folder: Path) -> str:
    if dialect.writer.startswith("R"):
        return by_r(table, dialect)
    if dialect.writer == "duckdb":
        return by_duckdb(table, dialect, folder)
    return {"csv": by_csv, "pandas": by_pandas, "polars": by_polars, "pyarrow": by_pyarrow}[dialect.writer](
        table, dialect
    )


def with_comments(text: str, dialect: Dialect) -> str:
    lines = text.splitlines(keepends=True)
    if dialect.comment != "no":
        lines.insert(0, "# made by a program\n")
    if dialect.comment == "between":
        lines.insert(len(lines) // 2 + 1, "# half of it\n")
    return "".join(lines)


def file_of(text: str, dialect: Dialect, folder: Path) -> Path:
    ending = {"\t": "tsv", ",": "csv", ";": "csv", " ": "txt"}[dialect.delimiter]
    path = folder / f"table.{ending}{'.gz' if dialect.packed else ''}"
    content = text.replace("\n", dialect.ends).encode(dialect.encoding)
    path.write_bytes(gzip.compress(content) if dialect.packed else content)
    return path


def by_pandas_told(
    path: Path, dialect: Dialect, written: list[str], columns: list[str]
) -> list[tuple[str, str, float]]:
    """Return the edges that pandas reads, which is told the dialect."""
    comments = {"no": 0, "before": 1, "between": 1}[dialect.comment]
    text = (gzip.decompress(path.read_bytes()) if dialect.packed else path.read_bytes()).decode(
        dialect.encoding
    )
    lines = [line for line in text.splitlines(keepends=True) if not (comments and line.startswith("# "))]
    # R and duckdb quote what needs it.
    unquoted = dialect.quoting == "none" and dialect.writer in ("pandas", "polars", "csv", "pyarrow")
    names = (["the index"] if dialect.index else []) + written
    table = pd.read_csv(
        io.StringIO("".join(lines)), sep=dialect.delimiter, skiprows=int(dialect.heading), header=None, names=names,
        dtype=str, keep_default_na=False, index_col=False,
        quoting=csv.QUOTE_NONE if unquoted else csv.QUOTE_MINIMAL,
    )  # fmt: skip
    return [(a, b, float(s)) for a, b, s in table[columns].itertuples(index=False)]


def graph_of(edges: list[tuple[str, str, float]]) -> dict[tuple[str, str], float]:
    """Return the largest similarity of each pair of two points."""
    graph: dict[tuple[str, str], float] = {}
    for a, b, s in edges:
        if a != b:
            graph[a, b] = max(s, graph.get((a, b), -math.inf))
    return graph


def read_by_us(path: Path, target: Path) -> dict[tuple[str, str], float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        write_graph(path, target, overwrite=True, dtype=np.float64)
    graph = read_graph(target).tocoo()
    group = zarr.open_group(target, mode="r")
    names = group["ids"][:].tolist() if "ids" in group else list(map(str, range(graph.shape[0])))  # type: ignore[union-attr, index]
    rows, columns = graph.coords
    found = zip(rows.tolist(), columns.tolist(), graph.data.tolist(), strict=True)
    return {(names[a], names[b]): s for a, b, s in found}


@pytest.fixture(autouse=True)
def refusals() -> Iterator[None]:
    """Of a writer's tables that are whole, at most one in ten is refused, and of all some one in forty.

    Most are names such as "#1" at the beginning of a line, which some writers do not quote.
    """
    ANSWERS.clear()
    yield
    print("\n", dict(ANSWERS))
    refused = sum(n for answer, n in ANSWERS.items() if answer not in ("read", "missing"))
    assert refused <= max(2, sum(ANSWERS.values()) // 10), ANSWERS


@pytest.mark.parametrize("writer", WRITERS)
@TRIED
@given(table=tables(), data=st.data())
def test_tables_of_others(writer: str, table: pd.DataFrame, data: st.DataObject, tmp_path: Path) -> None:
    dialect = data.draw(dialects(writer))
    columns = list(table.columns)
    if "gene" in columns:
        # Headings that nobody knows say nothing of the order.
        dialect = replace(dialect, order=(0, 1, 2))
    table = table[[columns[i] for i in dialect.order]]
    try:
        text = text_of(table, dialect, tmp_path)
    except (csv.Error, pa.ArrowInvalid):
        # The writer itself refuses: a name would need quotes.
        event("not written")
        return
    if dialect.missing is not None and dialect.order == (0, 1, 2):
        text = (
            text.removesuffix("\n").rpartition(dialect.delimiter)[0]
            + dialect.delimiter
            + dialect.missing
            + "\n"
        )
    path = file_of(with_comments(text, dialect), dialect, tmp_path)
    try:
        found = read_by_us(path, tmp_path / "g.zarr")
    except InvalidInputError as error:
        expect_reason(str(error), path, dialect)
        return
    assert dialect.missing is None or dialect.order != (0, 1, 2), "a missing similarity was read"
    ANSWERS["read"] += 1
    expected = graph_of(by_pandas_told(path, dialect, list(table.columns), columns))
    assert found == expected


REASONS = ("has no edges", "is a comment, or an edge", "a double quote is not closed", "is an edge or pandas' numbers",
           "counts the lines", "no whole number from 0", "columns, but", "the similarity is",
           "Give each column a heading", "numbers with fractions")  # fmt: skip


def expect_reason(text: str, path: Path, dialect: Dialect) -> None:
    assert text.startswith(str(path))
    if dialect.missing is not None and dialect.order == (0, 1, 2):
        ANSWERS["missing"] += 1
        return
    reason = next((reason for reason in REASONS if reason in text), None)
    assert reason, text
    ANSWERS[reason] += 1
    event(reason)
    # A line "#1,B,0.5" is no comment to pandas, and one to R; names such as ".1" and "0" are numbers to both.
    assert not dialect.usual or reason in ("is a comment, or an edge", "numbers with fractions"), text
