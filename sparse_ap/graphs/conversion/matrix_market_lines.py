"""Whether lines of a Matrix Market file are entries, by an automaton that reads every byte once."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.compilation import kernel

__all__ = ["FIELDS", "are_right"]

_NUMBERS = "a row, a column and a number with a point for the decimals are needed"
_WHOLE = "a row, a column and a whole number are needed, since the first line says 'integer'"
# What an entry is, by the field that the first line names.
FIELDS = {
    "real": _NUMBERS,
    "double": _NUMBERS,
    "integer": _WHOLE,
    "unsigned-integer": _WHOLE,
    "pattern": "a row and a column are needed, since the first line says 'pattern'",
}

_DIGITS, _BLANKS = "0123456789", " \t"
# Places in a line, and from which places they are reached by which bytes.
_PATTERN = {
    "entry": [("entry", "\n"), ("lead", "\n"), ("column", "\n"), ("end", "\n")],
    "lead": [("entry", _BLANKS), ("lead", _BLANKS)],
    "row": [("entry", _DIGITS), ("lead", _DIGITS), ("row", _DIGITS)],
    "first gap": [("row", _BLANKS), ("first gap", _BLANKS)],
    "column": [("first gap", _DIGITS), ("column", _DIGITS)],
    "end": [("column", _BLANKS), ("end", _BLANKS)],
}
_INTEGER = {
    "gap": [("column", _BLANKS), ("gap", _BLANKS)],
    "sign": [("gap", "+-")],
    "whole": [("gap", _DIGITS), ("sign", _DIGITS), ("whole", _DIGITS)],
    "end": [("whole", _BLANKS), ("end", _BLANKS)],
    "entry": [*_PATTERN["entry"][:2], ("whole", "\n"), ("end", "\n")],
}
_REAL = {
    "point": [("gap", "."), ("sign", ".")],
    "fraction": [("whole", "."), ("point", _DIGITS), ("fraction", _DIGITS)],
    "e": [("whole", "eEdD"), ("fraction", "eEdD")],
    "sign of e": [("e", "+-")],
    "exponent": [("e", _DIGITS), ("sign of e", _DIGITS), ("exponent", _DIGITS)],
    "end": [(place, _BLANKS) for place in ("fraction", "exponent", "inf", "infinity", "nan")],
    "entry": [(place, "\n") for place in ("fraction", "exponent", "inf", "infinity", "nan")],
    **{
        word[:n]: [
            (before, word[n - 1] + word[n - 1].upper())
            for before in ([word[: n - 1]] if n > 1 else ["gap", "sign"])
        ]
        for word in ("infinity", "nan")
        for n in range(1, len(word) + 1)
    },
}
_PARTS = {"pattern": [_PATTERN], "integer": [_PATTERN | _INTEGER], "unsigned-integer": [_PATTERN | _INTEGER]}

_WRONG, _ENTRY = 0, 1


def are_right(lines: bytes, field: str) -> bool:
    """Return whether whole lines are entries, or empty, in a file of one of the `FIELDS`."""
    # A processor waits for each step of one line of thought; so four go on at the same time.
    cuts = np.array([0, *(lines.find(b"\n", len(lines) * k // 4) + 1 for k in (1, 2, 3)), len(lines)])
    return bool(_all_right(np.frombuffer(lines, np.uint8), _table_of(field), cuts))


@cache
def _table_of(field: str) -> NDArray[np.uint16]:
    """Return the place that each byte leads to from each place, of shape (n_places * 256,), times 256."""
    numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers) + 1, entry=_ENTRY)
    table = np.full((64, 256), _WRONG, np.uint16)
    for part in _PARTS.get(field, [_PATTERN | _INTEGER, _REAL]):
        for place, ways in part.items():
            for before, chars in ways:
                table[numbers[before], [ord(char) for char in chars]] = numbers[place] * 256
    return table.ravel()


@kernel
def _all_right(text: Any, table: Any, cuts: Any) -> Any:
    a = b = c = d = np.uint16(_ENTRY * 256)
    shortest = min(cuts[1] - cuts[0], cuts[2] - cuts[1], cuts[3] - cuts[2], cuts[4] - cuts[3])
    for i in range(shortest):
        a = table[a + text[i]]
        b = table[b + text[cuts[1] + i]]
        c = table[c + text[cuts[2] + i]]
        d = table[d + text[cuts[3] + i]]
    for i in range(shortest, cuts[1]):
        a = table[a + text[i]]
    for i in range(cuts[1] + shortest, cuts[2]):
        b = table[b + text[i]]
    for i in range(cuts[2] + shortest, cuts[3]):
        c = table[c + text[i]]
    for i in range(cuts[3] + shortest, cuts[4]):
        d = table[d + text[i]]
    return a == b == c == d == _ENTRY * 256
