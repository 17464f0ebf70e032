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
    """Return the scan of a text file of edges, whose lines are read once in each run."""
    layout = layout_of(path, column)
    return Scan(
        f"SELECT a, b, {'1::DOUBLE' if layout.similarity is None else 's'} AS s FROM incoming",
        lambda sql: database.stored_stream(sql, *_batches(layout)),
        layout.digits,
        partial(_first_wrong_line, layout),
        layout.fractions,
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
    """Return the schema of the columns a, b (text) and s (numbers), and their batches.

    A similarity that is no number is missing. The batches raise InvalidInputError where a line has another
    number of columns or is no UTF-8.
    """
    (arrow,) = optional_modules("Reading edge lists", "edges", "pyarrow")
    types = {"a": arrow.string(), "b": arrow.string(), "s": arrow.float64()}
    if layout.similarity is None:
        del types["s"]

    def batches() -> Iterator[Any]:
        for block in layout.blocks():
            if block.strip():
                yield from _parsed(layout, block, types).to_batches()

    return arrow.schema(types.items()), batches()


def _parsed(layout: TextLayout, block: bytes, types: dict[str, Any]) -> Any:
    """Return the columns of a block of lines as an Arrow table."""
    (arrow,) = optional_modules("Reading edge lists", "edges", "pyarrow")
    try:
        return _parsed_as(layout, block, types)
    except arrow.ArrowInvalid:
        # A line is wrong, or a number is none to Arrow only, as +1.
        pass
    try:
        table = _parsed_as(layout, block, dict.fromkeys(types, arrow.string()))
    except arrow.ArrowInvalid as error:
        raise InvalidInputError(str(error).splitlines()[0]) from error
    if "s" not in types:
        return table
    numbers = [float(text) if is_number(text) else None for text in table["s"].to_pylist()]
    return table.set_column(2, "s", arrow.array(numbers, arrow.float64()))


def _parsed_as(layout: TextLayout, block: bytes, types: dict[str, Any]) -> Any:
    arrow, csv = optional_modules("Reading edge lists", "edges", "pyarrow", "pyarrow.csv")
    names = [f"c{i}" for i in range(layout.n_columns)]
    places = (*layout.points, layout.similarity)
    taken = {
        names[place]: kind for place, kind in zip(places, types.values(), strict=False) if place is not None
    }
    table = csv.read_csv(
        arrow.BufferReader(block),
        csv.ReadOptions(column_names=names),
        csv.ParseOptions(
            delimiter=layout.dialect.delimiter, quote_char='"' if layout.dialect.quoting else False
        ),
        # NA may be the name of a point; as a similarity it is refused with its line.
        csv.ConvertOptions(include_columns=list(taken), column_types=taken, null_values=[]),
    )
    return table.rename_columns(list(types))
