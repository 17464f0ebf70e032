"""Matrix Market files, each line of which is checked: scipy takes 5.0D-1 for 5, and 0,5 for 0.

Whether lines are entries is found by an automaton that reads every byte once.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.text_file import BLOCK, blocks_of
from sparse_ap.kernels.compilation import kernel

__all__ = ["FIELDS", "are_right", "read_matrix_market"]

# The first line, comments and empty lines, and a line of sizes.
_HEAD = re.compile(rb"[^\n]*\n(?:[ \t]*\n|%[^\n]*\n)*[ \t]*[^ \t%\n][^\n]*\n")
# Fortran writes the exponent of double precision as D.
_EXPONENTS = bytes.maketrans(b"dD", b"eE")

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


def read_matrix_market(path: Path) -> Any:
    """Return the sparse matrix of a file in the coordinate format.

    Raises
    ------
    InvalidInputError
        The file is damaged, a line is no entry, or the matrix is dense.
    """
    try:
        # scipy asks for the next block while it parses the last one, on threads of its own.
        matrix = scipy.io.mmread(io.BufferedReader(_Blocks(_checked(path)), BLOCK))
    except (ValueError, OverflowError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{path} cannot be read as Matrix Market: {error}") from error
    if not scipy.sparse.issparse(matrix):
        raise InvalidInputError(
            f"{path} holds a dense matrix ('array'); a sparse one ('coordinate') is needed."
        )
    return matrix


def _checked(path: Path) -> Iterator[bytes]:
    """Yield blocks of lines, with every number as scipy reads it."""
    blocks = blocks_of(path)
    text, head = _with_head(blocks)
    words = text.partition(b"\n")[0].lower().split()
    # Dense and complex matrices are refused later, and what is no Matrix Market file by scipy.
    field = words[3].decode(errors="replace") if len(words) > 3 and words[2] == b"coordinate" else ""
    yield text[:head]
    for block in chain([text[head:]], blocks):
        if field not in FIELDS:
            yield block
        elif are_right(block, field):
            yield _as_scipy_reads(block)
        else:
            raise InvalidInputError(f"{path}: {_first_wrong(path, field)} is no entry; {FIELDS[field]}.")


def _with_head(blocks: Iterator[bytes]) -> tuple[bytes, int]:
    """Return the first blocks, and where in them the entries begin: after comments and the sizes."""
    text = b""
    for block in blocks:
        text += block
        found = _HEAD.match(text)
        if found:
            return text, found.end()
    return text, len(text)


def _first_wrong(path: Path, field: str) -> str:
    """Describe the first line that is no entry."""
    blocks = blocks_of(path)
    text, head = _with_head(blocks)
    number = text.count(b"\n", 0, head)
    for block in chain([text[head:]], blocks):
        if are_right(block, field):
            number += block.count(b"\n")
            continue
        for line in io.BytesIO(block):
            number += 1
            if not are_right(line, field):
                text = line.removesuffix(b"\n")
                return f"line {number} ({text.decode(errors='replace')!r})"
    raise AssertionError("the file has changed while it was read")


def _as_scipy_reads(lines: bytes) -> bytes:
    """Return lines that are right with the numbers written as scipy needs them."""
    if b"+" in lines:
        lines = lines.replace(b" +", b" ").replace(b"\t+", b"\t")
    # Besides, d occurs in comments alone.
    return lines.translate(_EXPONENTS) if b"d" in lines or b"D" in lines else lines


class _Blocks(io.RawIOBase):
    """A file whose bytes come from blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def readable(self) -> bool:
        """Return True, as files opened for reading do."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the present block does."""
        self._left = self._left or memoryview(next(self._blocks, b""))
        n = min(len(buffer), len(self._left))
        buffer[:n], self._left = self._left[:n], self._left[n:]
        return n


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
