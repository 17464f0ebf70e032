"""Matrix Market files, each line of which is checked: scipy takes 5.0D-1 for 5, and 0,5 for 0."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scipy.io
import scipy.sparse

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.text_file import BLOCK, blocks_of

__all__ = ["read_matrix_market"]

# Where Fortran writes its exponent of double precision, D.
_FORTRAN = re.compile(rb"(?<=[0-9.])[dD](?=[+-]?[0-9])")
# A sign before a positive number is right, though scipy refuses it.
_PLUS = re.compile(rb"(?<=[ \t])\+(?=[0-9.])")
_NUMBER = rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))"
# A comment, an empty line, or two numbers and perhaps a third: sizes, or an entry.
_LINE = re.compile(
    rb"(?:%.*|[ \t]*|[ \t]*[0-9]+[ \t]+[0-9]+(?:[ \t]+NUMBER)?[ \t]*)\n".replace(b"NUMBER", _NUMBER)
)
_LINES = re.compile(rb"(?:" + _LINE.pattern + rb")*")

# Of lines with these bytes alone, simple searches find nearly all that are right, ten times as fast.
_OF_NUMBERS = b"0123456789.eE+- \n"
# A point that is not in the last number, or not the only one; an exponent without digits, or before a blank.
_ODD = tuple(map(re.compile, (rb"\.[0-9eE+-]*[. ]", rb"e(?![+-]?[0-9]+\n)", rb"E(?![+-]?[0-9]+\n)")))
_SIGNS = (b" -", b"e-", b"E-", b"e+", b"E+")


def read_matrix_market(path: Path) -> Any:
    """Return the sparse matrix of a file in the coordinate format.

    Raises
    ------
    InvalidInputError
        The file is damaged, a line is no entry, or the matrix is dense.
    """
    try:
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
    number = 1
    coordinates = False
    for block in blocks_of(path):
        if number == 1:
            # Complex matrices have a fourth number, and are refused later.
            banner = block.partition(b"\n")[0].lower()
            coordinates = b"coordinate" in banner and b"complex" not in banner
        if _are_plain(block):
            number += block.count(b"\n")
            yield block
            continue
        block = _PLUS.sub(b"", _FORTRAN.sub(b"e", block))
        end = _end_of_right_lines(block)
        if coordinates and end < len(block):
            line = block[end:].partition(b"\n")[0].decode(errors="replace")
            wrong = number + block.count(b"\n", 0, end)
            raise InvalidInputError(
                f"{path}: line {wrong} ({line!r}) is no entry; a row, a column "
                "and a number with a point for the decimals are needed."
            )
        number += block.count(b"\n")
        yield block


def _end_of_right_lines(block: bytes) -> int:
    found = _LINES.match(block)
    return found.end() if found else 0


def _are_plain(block: bytes) -> bool:
    """Return whether lines, but for comments before them, are three numbers with single blanks."""
    start = 0
    while block.startswith(b"%", start):
        start = block.index(b"\n", start) + 1
    lines = block[start:]
    if lines.translate(None, _OF_NUMBERS) or b"  " in lines or lines.count(b" ") != 2 * lines.count(b"\n"):
        return False
    signs = lines.count(b"-") + lines.count(b"+")
    return signs == sum(map(lines.count, _SIGNS)) and not any(odd.search(lines) for odd in _ODD)


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
