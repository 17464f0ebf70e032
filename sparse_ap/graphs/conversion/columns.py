"""`Columns`: where a table of edges has its two points and its similarity, by the names of its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_ap.errors import InvalidInputError, warn

__all__ = ["M8", "Columns", "columns_by_name", "columns_by_place", "names_points", "warn_of_choice"]

# Columns of BLAST's -outfmt 6 and of MMseqs2's convertalis.
M8 = ("query", "target", "pident", "length", "mismatch", "gapopen", "qstart", "qend", "sstart", "send",
      "evalue", "bitscore")  # fmt: skip

# Other names for the same, as `_plain` leaves them. MMseqs2's fident is a fraction, BLAST's pident percent.
_SAME = {
    "bits": "bitscore", "percentidentity": "pident", "identity": "pident", "alnlen": "length",
    "alignmentlength": "length", "mismatches": "mismatch", "gapopens": "gapopen", "tstart": "sstart",
    "tend": "send",
}  # fmt: skip
# Names of the two points, as `_plain` leaves them.
_POINTS = (
    ("source", "target"), ("from", "to"), ("query", "target"), ("query", "subject"), ("qseqid", "sseqid"),
    ("queryaccver", "subjectaccver"), ("queryacc", "subjectacc"), ("queryid", "subjectid"),
    ("qaccver", "saccver"), ("qacc", "sacc"), ("sourceid", "targetid"), ("src", "dst"), ("node1", "node2"),
    ("protein1", "protein2"), ("gene1", "gene2"), ("item1", "item2"), ("id1", "id2"), ("i", "j"),
    ("row", "col"), ("row", "column"), ("u", "v"), ("fromnode", "tonode"), ("fromnodeid", "tonodeid"),
    ("point", "exemplar"),
)  # fmt: skip
# Names of similarities; the first that a table has is taken.
_SIMILARITIES = ("weight", "similarity", "combinedscore", "score", "bitscore", "sim")
# Headings that pandas, R and others give to the column in which they count or name the rows.
_INDEX = ("", "unnamed0", "index", "rownames", "rowname", "level0", "indexlevel0")


@dataclass(frozen=True, slots=True)
class Columns:
    """The places of the points and of the similarity, counted from 0.

    Attributes
    ----------
    points : tuple of int
    similarity : int
    given : bool
        Whether the similarity is what the user, the format or a name that all know says.
    """

    points: tuple[int, int]
    similarity: int
    given: bool


def columns_by_name(path: Path, names: Sequence[str], column: str | int | None, kind: str) -> Columns:
    """Return the places of the columns of a table with headings.

    Raises
    ------
    InvalidInputError
        There is no such column, or there are two; the message says what there is.
    """
    points = _points_of(names) or _first_two(path, names, column)
    if kind == "m8" and _points_of(names) is None:
        raise InvalidInputError(
            f"{path} has the columns {', '.join(names)}, and none of them are query and target, or qseqid "
            "and sseqid. Rename two."
        )
    similarity, given = _similarity_of(path, names, column, kind, points)
    return Columns(points, similarity, given)


def columns_by_place(
    path: Path, n: int, column: str | int | None, kind: str, first: Sequence[str] = ()
) -> Columns:
    """Return the places of the columns of a table of ``n`` columns without headings.

    Raises
    ------
    InvalidInputError
        There is no such column.
    """
    names = list(M8[:n]) + [str(i + 1) for i in range(len(M8), n)] if kind == "m8" else []
    if column is None:
        place = 11 if kind == "m8" else 2
    elif _is_place(column):
        place = int(column) - 1
    else:
        place = _place_of(path, names, str(column))
    if not 2 <= place < n:
        raise _no_column(path, n, names or first, column)
    return Columns((0, 1), place, given=column is not None or kind == "m8")


def names_points(names: Sequence[str]) -> bool:
    """Return whether names of columns are those that two points have."""
    return _points_of(names) is not None


def warn_of_choice(path: Path, names: Sequence[str], taken: int, others: Sequence[int]) -> None:
    """Warn that other columns could be the similarity too."""

    def named(place: int) -> str:
        return repr(names[place]) if names else str(place + 1)

    warn(
        f"{path}: the similarity is taken from the column {named(taken)}; numbers are also in "
        f"{', '.join(map(named, others))}. Say which with column (--column)."
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _same(name: str) -> str:
    return _SAME.get(_plain(name), _plain(name))


def _points_of(names: Sequence[str]) -> tuple[int, int] | None:
    plain = [_plain(name) for name in names]
    for first, second in _POINTS:
        if plain.count(first) == plain.count(second) == 1:
            return plain.index(first), plain.index(second)
    return None


def _first_two(path: Path, names: Sequence[str], column: str | int | None) -> tuple[int, int]:
    start = int(_plain(names[0]) in _INDEX)
    if len(names) < start + 3:
        raise _no_column(path, len(names), names, column)
    return start, start + 1


def _similarity_of(
    path: Path, names: Sequence[str], column: str | int | None, kind: str, points: tuple[int, int]
) -> tuple[int, bool]:
    others = [
        i for i, name in enumerate(names) if i not in points and not (i == 0 and _plain(name) in _INDEX)
    ]
    if column is not None:
        place = _place_of(path, names, str(column))
        if place < 0 and _is_place(column):
            place = int(column) - 1
        if not 0 <= place < len(names) or place in points:
            raise _no_column(path, len(names), names, column)
        return place, True
    for known in ("bitscore",) if kind == "m8" else _SIMILARITIES:
        found = [i for i in others if _same(names[i]) == known]
        if len(found) == 1:
            return found[0], len(others) == 1 or known == "bitscore"
    if kind == "m8" or not others:
        raise _no_column(path, len(names), names, column if kind != "m8" else "bitscore")
    return next((i for i in others if i > points[1]), others[0]), len(others) == 1


def _place_of(path: Path, names: Sequence[str], column: str) -> int:
    """Return the place of a name, or of another name for the same; -1 if there is none."""
    exact = [i for i, name in enumerate(names) if name == column]
    found = exact or [i for i, name in enumerate(names) if _means(column, name)]
    if len(found) > 1:
        raise InvalidInputError(
            f"{path} has {len(found)} columns {column!r} ({', '.join(names)}). Name one by its number."
        )
    return found[0] if found else -1


def _means(column: str, name: str) -> bool:
    return bool(_plain(column)) and _same(column) == _same(name)


def _is_place(column: str | int) -> bool:
    return isinstance(column, int) or (column.isascii() and column.isdigit())


def _no_column(path: Path, n: int, names: Sequence[str], column: str | int | None) -> InvalidInputError:
    given = "the third" if column is None else repr(column)
    what = f" ({', '.join(names)})" if names else ""
    return InvalidInputError(
        f"{path} has {n} columns{what}; two are the points, and the similarity was looked for in {given}. "
        "Name another by its heading or its number, from 3: column (--column)."
    )
