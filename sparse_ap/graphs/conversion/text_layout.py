"""`TextLayout`: the dialect, the columns and the heading of a text file of edges, and its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.columns import (
    M8,
    Columns,
    columns_by_name,
    columns_by_place,
    warn_of_choice,
)
from sparse_ap.graphs.conversion.dialect import COMMENT, Dialect, dialect_of, has_comments, is_number
from sparse_ap.graphs.conversion.headings import (
    is_heading,
    names_in_comments,
    require_headings_of_all,
    require_no_counting,
    require_no_matrix,
)
from sparse_ap.graphs.conversion.text_file import blocks_of, kind_of, lines_of

__all__ = ["TextLayout", "layout_of"]

# Lines from which the layout is found.
_SAMPLE = 100


@dataclass(frozen=True, slots=True)
class TextLayout:
    """The layout of a text file of edges.

    Attributes
    ----------
    path : Path
    dialect : Dialect
    n_columns : int
    n_skipped : int
        Number of lines before the first edge.
    points : tuple of int
        Columns of the two points, counted from 0.
    similarity : int or None
        Column of the similarity; None if every edge has the similarity 1.
    digits : bool
        Whether the ids of the first edges are whole numbers.
    fractions : bool
        Whether all ids of the first edges are numbers, some with fractions.
    hashes : bool
        Whether the name of a point may begin with # in this format, so that a comment could be an edge.
    """

    path: Path
    dialect: Dialect
    n_columns: int
    n_skipped: int
    points: tuple[int, int]
    similarity: int | None
    digits: bool
    fractions: bool
    hashes: bool

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of the lines of edges, cleaned.

        Raises
        ------
        InvalidInputError
            A line can be read in two ways.
        """
        left = self.n_skipped
        for block in blocks_of(self.path):
            start = 0
            while left and start < len(block):
                start = block.index(b"\n", start) + 1
                left -= 1
            edges = block[start:] if start else block
            if edges:
                self.require_one_meaning(edges)
                cleaned = self.dialect.cleaned(edges)
                if self.dialect.has_open_quote(cleaned):
                    raise InvalidInputError("a double quote is not closed in its line")
                yield cleaned

    def require_one_meaning(self, lines: bytes) -> None:
        """Refuse lines of which one is a comment or an edge."""
        if self.hashes and has_comments(lines):
            for comment in COMMENT.finditer(lines):
                if self._is_edge(comment[0]):
                    text = comment[0].decode(errors="replace").strip()
                    name = self._cut(comment[0])[self.points[0]]
                    raise InvalidInputError(
                        f"{self.path}: the line {text!r} is a comment, or an edge of the point {name!r}. "
                        "Leave it out, or enclose the name in double quotes."
                    )

    def _is_edge(self, comment: bytes) -> bool:
        fields = self._cut(comment)
        glued = len(comment) > 1 and comment.lstrip()[1:2].strip() != b""
        return glued and len(fields) == self.n_columns and is_number(fields[self.similarity or 0])

    def _cut(self, comment: bytes) -> list[str]:
        # With a letter before it, a comment is cleaned as an edge is.
        line = self.dialect.cleaned(b"x" + comment.lstrip()).decode(errors="replace")
        return self.dialect.fields(line[1:])

    def edges(self) -> Iterator[tuple[int, str, list[str]]]:
        """Yield the line number, from 1, the line and the fields of each edge."""
        for number, line in lines_of(self.path):
            cleaned = self.dialect.cleaned(line)
            if number > self.n_skipped and cleaned.strip():
                text = cleaned.decode(errors="replace")
                yield number, line.decode(errors="replace").rstrip("\n"), self.dialect.fields(text)


def layout_of(path: Path, column: str | int | None) -> TextLayout:
    """Return the layout of a file of edges, from its name and its first lines.

    Raises
    ------
    InvalidInputError
        The file is empty, lacks the column, or can be read in two ways.
    """
    kind = kind_of(path)
    comments, lines = _first_lines(path)
    if not lines:
        begin = " that begin with neither # nor %, as comments do," if comments else ""
        raise InvalidInputError(
            f"{path} has no edges; lines{begin} of two points and their similarity are needed."
        )
    dialect = dialect_of(kind, [line for _, line in lines])
    rows = [dialect.fields(dialect.cleaned(line).decode(errors="replace")) for _, line in lines]
    names = names_in_comments(comments, dialect, len(rows[:2][-1]))
    heading = is_heading(rows, column, kind)
    if heading:
        require_no_matrix(path, rows)
        # R gives no heading to the column with the names of rows.
        names = [""] * (len(rows[:2][-1]) - len(rows[0])) + rows[0] if len(rows) > 1 else rows[0]
    else:
        require_headings_of_all(path, rows)
    if not names and kind not in ("m8", "abc"):
        require_no_counting(path, rows)
    columns = _columns(path, rows, names, column, kind, lines[0][0])
    edges = rows[1:] if heading else rows
    if not edges:
        raise InvalidInputError(f"{path} has no edges below its heading ({', '.join(names)}).")
    _warn_of_others(path, names, columns, edges)
    ids = [row[i] for row in edges for i in columns.points if i < len(row)]
    # A negative or broken number among whole ones is refused; a name shows that all are names.
    digits = all(map(_is_whole, ids[:2])) and not any(
        not is_number(name) or _has_zeros(name) for name in ids if name
    )
    layout = TextLayout(
        path,
        dialect,
        max(len(names), len(edges[0])),
        lines[0][0] - (0 if heading else 1),
        columns.points,
        columns.similarity if columns.similarity >= 0 else None,
        digits and kind not in ("m8", "abc"),
        _has_fractions(ids) and not digits and kind not in ("m8", "abc"),
        kind != "m8",
    )
    layout.require_one_meaning(b"".join(comments))
    return layout


def _first_lines(path: Path) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    """Return the comments before the first edge, and the first lines of edges with their numbers."""
    comments: list[bytes] = []
    lines: list[tuple[int, bytes]] = []
    for number, line in lines_of(path):
        if COMMENT.fullmatch(line):
            if not lines:
                comments.append(line)
        elif line.strip():
            lines.append((number, line))
        if len(lines) == _SAMPLE:
            break
    return comments, lines


def _columns(
    path: Path, rows: list[list[str]], names: Sequence[str], column: str | int | None, kind: str, line: int
) -> Columns:
    if names:
        return columns_by_name(path, names, column, kind)
    n = len(rows[0])
    if kind == "m8" and n < len(M8):
        raise InvalidInputError(
            f"{path} has {n} columns in line {line}; BLAST's tabular format (-outfmt 6) has {len(M8)}: "
            f"{', '.join(M8)}. Name files with other columns .tsv, or give them a heading."
        )
    if kind == "abc" and n == 2 and column is None:
        # MCL takes an edge without a weight for one of 1.
        return Columns((0, 1), -1, given=True)
    return columns_by_place(path, n, column, kind, rows[0])


def _warn_of_others(path: Path, names: Sequence[str], columns: Columns, edges: list[list[str]]) -> None:
    if columns.given:
        return
    others = [
        i
        for i in range(len(edges[0]))
        if i not in (*columns.points, columns.similarity)
        and not (i == 0 and columns.points[0] == 1)
        and all(i < len(row) and is_number(row[i]) for row in edges)
    ]
    if others:
        warn_of_choice(path, names, columns.similarity, others)


def _is_whole(text: str) -> bool:
    # int() takes no "²", which is a digit to Unicode.
    return text.isascii() and text.isdigit()


def _has_fractions(ids: Sequence[str]) -> bool:
    return all(map(is_number, ids)) and any("." in name and not float(name).is_integer() for name in ids)


def _has_zeros(text: str) -> bool:
    """Return whether a number begins with zeros: 007 and 7 are two names, and one number."""
    return len(text) > 1 and text[0] == "0" and text.isdigit()
