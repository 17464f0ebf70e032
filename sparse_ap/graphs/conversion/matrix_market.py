"""Matrix Market files, each line of which is checked: scipy takes 5.0D-1 for 5, and 0,5 for 0."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import scipy.io
import scipy.sparse

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.matrix_market_lines import FIELDS, are_right
from sparse_ap.graphs.conversion.text_file import BLOCK, blocks_of

__all__ = ["read_matrix_market"]

# The first line, comments and empty lines, and a line of sizes.
_HEAD = re.compile(rb"[^\n]*\n(?:[ \t]*\n|%[^\n]*\n)*[ \t]*[^ \t%\n][^\n]*\n")
# Fortran writes the exponent of double precision as D.
_EXPONENTS = bytes.maketrans(b"dD", b"eE")


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
