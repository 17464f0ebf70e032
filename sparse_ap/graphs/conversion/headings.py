"""Whether the first line of a text file is a heading, and which names its comments give to the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.columns import names_points
from sparse_ap.graphs.conversion.dialect import Dialect, is_number

__all__ = [
    "is_heading",
    "names_in_comments",
    "require_headings_of_all",
    "require_no_counting",
    "require_no_matrix",
]

# How programs write that a number is missing.
_MISSING = {
    "",
    "na",
    "n/a",
    "#n/a",
    "nan",
    "<na>",
    "null",
    "none",
    "nil",
    "missing",
    "-",
    "--",
    ".",
    "?",
    "\\n",
}
_WORD = re.compile(r"[^\W\d_][\w .%:/()+-]*")
_FIELDS = re.compile(r"#\s*Fields:\s*(.*)")


def is_heading(rows: Sequence[Sequence[str]], column: str | int | None, kind: str) -> bool:
    """Return whether the first row has the names of the columns, rather than an edge."""
    first, n = rows[0], len(rows[:2][-1])
    if len(rows) > 1 and len(first) == n - 1:
        return _names_rows(rows)
    if len(rows) > 1 and len(first) != n:
        return False
    if names_points(first) and not any(is_number(name) for name in first):
        return True
    if len(first) > 3 and first[0] == "":
        return True
    if any(is_number(name) or name.strip().lower() in _MISSING for name in first):
        return False
    if isinstance(column, str) and column in first[2:]:
        return True
    return kind not in ("m8", "abc") and _is_new(rows)


def _names_rows(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first column, for which R writes no heading, has the names of the rows."""
    if any(is_number(name) or name.strip().lower() in _MISSING for name in rows[0]):
        return False
    counted = [row[0] for row in rows[1:]] == [str(i) for i in range(1, len(rows))]
    # Otherwise it is a point, and the last column the one without a heading, if there is a number below each.
    return counted or (names_points(rows[0]) and not all(is_number(row[2]) for row in rows[1:]))


def _is_new(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row is unlike the others: words, of which none is the name of a point."""
    first = rows[0]
    if len(first) < 3 or len(set(first)) < len(first) or not all(map(_WORD.fullmatch, first[2:])):
        return False
    # Of files put together, each may have the heading.
    names = {name for row in rows[1:] if row != first for name in row[:2]}
    return not names & set(first[:2])


def names_in_comments(comments: Sequence[bytes], dialect: Dialect, n_columns: int) -> list[str]:
    """Return the names of the columns that a comment before the edges gives; none if no comment does."""
    for comment in reversed(comments):
        text = comment.decode(errors="replace").strip()
        fields = _FIELDS.match(text)
        if fields:
            names = [name.strip() for name in fields[1].split(",")]
            return names if len(names) == n_columns else []
        line = dialect.cleaned(text.lstrip("#% \t").encode() + b"\n").decode()
        names = dialect.fields(line)
        if len(names) == n_columns and names_points(names):
            return names
    return []


def require_no_counting(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Refuse rows whose first line, or first column, may be the numbers of columns or rows.

    Raises
    ------
    InvalidInputError
        The first line is 0, 1, 2 and unlike the others; or the first of several columns counts the rows.
    """
    first = list(rows[0])
    if first == [str(i) for i in range(len(first))] and len(rows) > 1 and not _are_whole(rows[1:]):
        raise InvalidInputError(
            f"{path} begins with the line {', '.join(first)}, which is an edge or pandas' numbers of the "
            "columns. Write it with the headings source, target, weight; or put another edge first."
        )
    counted = [row[0] for row in rows]
    if (
        len(first) > 3
        and len(rows) > 1
        and counted in ([str(i + k) for i in range(len(rows))] for k in (0, 1))
    ):
        raise InvalidInputError(
            f"{path} has {len(first)} columns without headings, and the first counts the lines: it is a "
            "point or the number of a row. Leave that column out, or write headings (source, target, weight)."
        )


def require_headings_of_all(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Refuse headings of another number of columns than the rows have.

    Raises
    ------
    InvalidInputError
        The first row names the points, and the others are longer or shorter.
    """
    if names_points(rows[0]) and len(rows[0]) != len(rows[:2][-1]):
        raise InvalidInputError(
            f"{path} has {len(rows[0])} headings ({', '.join(rows[0])}), but {len(rows[:2][-1])} columns "
            "below. Give each column a heading."
        )


def require_no_matrix(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Refuse rows whose names are those of the columns.

    Raises
    ------
    InvalidInputError
        The first column repeats the heading.
    """
    names = list(rows[0])[-(len(rows[:2][-1]) - 1) :]
    repeated = [row[0] for row in rows[1:]]
    square = len(repeated) > 1 and (repeated == names or len(names) > len(repeated) > 50)
    numbers = all(is_number(field) for row in rows[1:] for field in row[1:])
    if square and numbers and repeated == names[: len(repeated)]:
        raise InvalidInputError(
            f"{path} is a matrix: its rows have the names of its columns ({', '.join(names[:3])}, ...). "
            "Needed is a row for each edge: two points and their similarity. Cluster a matrix as an array."
        )


def _are_whole(rows: Sequence[Sequence[str]]) -> bool:
    return all(field.isascii() and field.isdigit() for row in rows for field in row)
