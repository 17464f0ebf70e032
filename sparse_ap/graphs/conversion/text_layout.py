"""`TextLayout`: delimiter, columns and header of a text file of edges, and its lines."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sparse_ap.errors import InvalidInputError

__all__ = ["TextLayout", "kind_of", "layout_of", "number_of"]

# Columns of BLAST's -outfmt 6 and of MMseqs2's convertalis, and other names for some of them.
_M8 = ("query", "target", "pident", "length", "mismatch", "gapopen", "qstart", "qend", "sstart", "send",
       "evalue", "bitscore")  # fmt: skip
_M8_OTHER_NAMES = {
    "qseqid": 0, "sseqid": 1, "fident": 2, "alnlen": 3, "tstart": 8, "tend": 9, "bits": 11,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextLayout:
    """The layout of a text file of edges.

    Attributes
    ----------
    delimiter : str
    n_columns : int
    n_skipped : int
        Number of lines before the first edge.
    commented : bool
        Whether lines that begin with # are comments.
    column : int
        Column of the similarity, counted from 0; the two points are in the first two columns.
    digits : bool
        Whether the ids of the first edge are whole numbers.
    """

    delimiter: str
    n_columns: int
    n_skipped: int
    commented: bool
    column: int
    digits: bool

    def edges(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number, from 1, and the fields of each edge."""
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if number > self.n_skipped and text and not (self.commented and text.startswith("#")):
                    yield number, text.split(self.delimiter)


def layout_of(path: Path, column: str | int | None) -> TextLayout:
    """Return the layout of a file of edges, from its name and its first lines.

    Raises
    ------
    InvalidInputError
        The file is empty, or lacks the column.
    """
    kind = kind_of(path)
    commented, lines = _first_lines(path)
    if not lines:
        raise InvalidInputError(f"{path} has no edges; lines of two points and their similarity are needed.")
    delimiter = _delimiter(kind, lines[0][1])
    first = lines[0][1].split(delimiter)
    if kind == "m8" and len(first) < len(_M8):
        raise InvalidInputError(
            f"{path} has {len(first)} columns in line {lines[0][0]}; BLAST's tabular format (-outfmt 6) has "
            f"{len(_M8)}: {', '.join(_M8)}. Name files with other columns .tsv."
        )
    place = _place(column, kind, first, path)
    header = not _is_number(first[place]) and (kind != "m8" or first[0] in ("query", "qseqid"))
    if header and len(lines) == 1:
        raise InvalidInputError(
            f"{path} has no edges below its first line, whose column {place + 1} is {first[place]!r}: no "
            "number."
        )
    number, line = lines[1 if header else 0]
    digits = all(field.strip().isdigit() for field in line.split(delimiter)[:2])
    return TextLayout(
        delimiter, len(first), number - 1, commented, place, digits and kind not in ("m8", "abc")
    )


def kind_of(path: Path) -> str:
    """Return the ending that names the format, without that of compression."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[2].lower()


def _opened(path: Path) -> IO[str]:
    # Wrong bytes are replaced: these lines are shown in messages only, and duckdb refuses them itself.
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="\n")
    return path.open(encoding="utf-8", errors="replace", newline="\n")


def _first_lines(path: Path) -> tuple[bool, list[tuple[int, str]]]:
    """Return whether there are comments, and the first two other lines with their numbers."""
    commented = False
    lines: list[tuple[int, str]] = []
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip("\r\n")
            if text.startswith("#") and not lines:
                commented = True
            elif text and not (commented and text.startswith("#")):
                lines.append((number, text))
            if len(lines) == 2:
                break
    return commented, lines


def _delimiter(kind: str, line: str) -> str:
    if kind == "csv":
        return ","
    return "\t" if "\t" in line or kind in ("tsv", "m8") else " "


def _place(column: str | int | None, kind: str, first: list[str], path: Path) -> int:
    names = list(_M8) if kind == "m8" else first
    if column is None:
        place = 11 if kind == "m8" else 2
    elif isinstance(column, int) or column.isdigit():
        place = int(column) - 1
    elif kind == "m8" and column in _M8_OTHER_NAMES:
        place = _M8_OTHER_NAMES[column]
    elif column in names:
        place = names.index(column)
    else:
        place = -1
    if not 2 <= place < len(first):
        given = "the third" if column is None else repr(column)
        raise InvalidInputError(
            f"{path} has {len(first)} columns ({', '.join(names)}); the points are in the first two, and the "
            f"similarity was looked for in {given}. Name another by its heading or its number, from 3: "
            "column (--column)."
        )
    return place


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def number_of(text: str) -> float:
    """Return the number in a field; NaN if it holds none."""
    return float(text) if _is_number(text) else math.nan
