"""The scan of a text file: its columns become Arrow batches, a block of lines at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.conversion.database import Database
from sparse_ap.graphs.conversion.dialect import is_number
from sparse_ap.graphs.conversion.scan import EdgeTest, Scan
from sparse_ap.graphs.conversion.text_layout import TextLayout, layout_of

__all__ = ["scan_of_text"]


def scan_of_text(path: Path, database: Database, column: str | int | None) -> Scan:
    """Return the scan of a text file of edges, whose lines are read once."""
    layout = layout_of(path, column)
    schema, batches = _batches(layout)
    # duckdb would take 1_000 for a number.
    number = "CASE WHEN contains(s, '_') THEN NULL ELSE TRY_CAST(s AS DOUBLE) END"
    similarity = "1::DOUBLE" if layout.similarity is None else number
    return Scan(
        f"SELECT a, b, {similarity} AS s FROM incoming",
        lambda sql: database.stored_stream(sql, schema, batches),
        layout.digits,
        partial(_first_wrong_line, layout),
        layout.similarity is None,
    )


def _first_wrong_line(layout: TextLayout, test: EdgeTest) -> str | None:
    for number, line, fields in layout.edges():
        fault = _fault_of_line(layout, test, line, fields)
        if fault:
            return f"line {number} ({line!r}): {fault}"
    return None


def _fault_of_line(layout: TextLayout, test: EdgeTest, line: str, fields: list[str]) -> str | None:
    if "\N{REPLACEMENT CHARACTER}" in line:
        return "it is not encoded in UTF-8. Save the file as UTF-8"
    if layout.dialect.has_open_quote((line + "\n").encode()):
        return (
            "a double quote is not closed in its line. Leave it out, or enclose the name in quotes and "
            "double those within"
        )
    if len(fields) != layout.n_columns:
        n = layout.n_columns
        return (
            f"{len(fields)} columns, but {n} are needed, as in the first edge's line. Correct the file, or "
            "leave the line out"
        )
    a, b = (fields[i] for i in layout.points)
    text = "1" if layout.similarity is None else fields[layout.similarity]
    if not is_number(text):
        return test.fault(a, b, 0.0) or (
            f"the similarity is {text!r}; a number is needed{_advice(text)}. Correct the file, or leave the "
            "line out"
        )
    return test.fault(a, b, float(text))


def _advice(text: str) -> str:
    return ", with a point for the decimals" if re.fullmatch(r"[+-]?\d*,\d+", text) else ""


def _batches(layout: TextLayout) -> tuple[Any, Iterator[Any]]:
    """Return the schema of the columns a, b and s, all of them text, and their batches.

    The batches raise InvalidInputError where a line has another number of columns or is no UTF-8.
    """
    arrow, csv = optional_modules("Reading edge lists", "edges", "pyarrow", "pyarrow.csv")
    places = [*layout.points, *([] if layout.similarity is None else [layout.similarity])]
    schema = arrow.schema([(name, arrow.string()) for name, _ in zip("abs", places, strict=False)])
    names = [f"c{i}" for i in range(layout.n_columns)]
    taken = [names[i] for i in places]
    options = {
        "read_options": csv.ReadOptions(column_names=names),
        "parse_options": csv.ParseOptions(
            delimiter=layout.dialect.delimiter, quote_char='"' if layout.dialect.quoting else False
        ),
        # NA may be the name of a point; as a similarity it is refused with its line.
        "convert_options": csv.ConvertOptions(
            include_columns=taken, column_types=dict.fromkeys(taken, arrow.string()), null_values=[]
        ),
    }

    def batches() -> Iterator[Any]:
        for block in layout.blocks():
            if not block.strip():
                continue
            try:
                table = csv.read_csv(arrow.BufferReader(block), **options)
            except arrow.ArrowInvalid as error:
                raise InvalidInputError(str(error).splitlines()[0]) from error
            yield from table.rename_columns(schema.names).to_batches()

    return schema, batches()
