"""Text files as blocks of whole lines in UTF-8, however they are compressed, encoded and ended."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sparse_ap.errors import InvalidInputError, optional_modules

__all__ = ["BLOCK", "blocks_of", "compression_of", "is_compressed", "kind_of", "lines_of"]

# Bytes that are read at a time.
BLOCK = 2**22
# Longest line: more in one line is no list of edges.
_LONGEST_LINE = 2**20

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
# What compressed files begin with; text begins with none of it.
_MAGIC = {
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"PK\x03\x04": ".zip",
}
# UTF-32 before UTF-16, whose mark is the beginning of its own.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_OTHER_ENDS = re.compile(rb"\r\n?")


def kind_of(path: Path) -> str:
    """Return the ending that names the format, in small letters, without that of compression."""
    return path.name.lower().removesuffix(_compression(path)).rpartition(".")[2]


def is_compressed(path: Path) -> bool:
    """Return whether the name of a file says that it is compressed."""
    return bool(_compression(path))


def _compression(path: Path) -> str:
    return next((ending for ending in _COMPRESSED if path.name.lower().endswith(ending)), "")


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield blocks of whole lines, each ended by a line feed alone.

    Raises
    ------
    InvalidInputError
        The file is no text, or what compresses it is damaged; the message says which.
    """
    rest = b""
    for read in _decoded(path):
        block = rest + read
        # A return at the very end may be the first half of a line's end.
        end = block.rfind(b"\n") + 1 or block.rfind(b"\r", 0, len(block) - 1) + 1
        rest = block[end:]
        if len(rest) > _LONGEST_LINE:
            raise InvalidInputError(
                f"{path} has a line of more than {_LONGEST_LINE:,} bytes; lines of two points and their "
                "similarity are needed. Is it a text file?"
            )
        if end:
            yield _with_line_feeds(block[:end])
    if rest:
        yield _with_line_feeds(rest + b"\n")


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line, with its line feed."""
    number = 0
    for block in blocks_of(path):
        for line in io.BytesIO(block):
            number += 1
            yield number, line


def _with_line_feeds(block: bytes) -> bytes:
    return _OTHER_ENDS.sub(b"\n", block) if b"\r" in block else block


def _decoded(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file as UTF-8 without the mark of its encoding."""
    decoder: codecs.IncrementalDecoder | None = None
    for i, block in enumerate(_decompressed(path)):
        if i == 0:
            block, encoding = _without_mark(block)
            if encoding != "utf-8":
                decoder = codecs.getincrementaldecoder(encoding)()
        if decoder:
            try:
                block = decoder.decode(block).encode()
            except UnicodeError as error:
                raise InvalidInputError(f"{path} cannot be read as {error.args[0]}: {error}") from error
        if b"\0" in block:
            raise InvalidInputError(
                f"{path} holds bytes of 0, which text in UTF-8 has not. Save it as UTF-8 (UTF-16 is read too "
                "if its first bytes mark it)."
            )
        yield block


def _without_mark(block: bytes) -> tuple[bytes, str]:
    for mark, encoding in _MARKS.items():
        if block.startswith(mark):
            return block[len(mark) :], encoding
    return block, "utf-8"


def _decompressed(path: Path) -> Iterator[bytes]:
    compression = _compression(path)
    try:
        with _opened(path, compression) as file:
            first = True
            while block := file.read(BLOCK):
                if first:
                    _require_no_magic(path, block)
                first = False
                yield block
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        # What the system reports has a number; what a decompressor reports has none.
        if getattr(error, "errno", None) is not None:
            raise
        raise InvalidInputError(
            f"{path} cannot be decompressed as {compression}: {error}. It is damaged, not complete, or not "
            "compressed: get it again, or correct its ending."
        ) from error


def compression_of(block: bytes) -> str:
    """Return the ending of files that are compressed as one that begins with these bytes; "" for none."""
    return next((ending for magic, ending in _MAGIC.items() if block.startswith(magic)), "")


def _require_no_magic(path: Path, block: bytes) -> None:
    ending = compression_of(block)
    if ending:
        raise InvalidInputError(
            f"{path} is compressed, as {ending} files are, and its name does not say so. Decompress it"
            + ("." if ending == ".zip" else f", or name it {path.name}{ending}.")
        )


def _opened(path: Path, compression: str) -> IO[bytes] | Any:
    if compression == ".gz":
        return gzip.open(path, "rb")
    if compression == ".bz2":
        return bz2.open(path, "rb")
    if compression == ".xz":
        return lzma.open(path, "rb")
    if compression == ".zst":
        (arrow,) = optional_modules("Reading .zst", "edges", "pyarrow")
        return arrow.CompressedInputStream(arrow.OSFile(str(path)), "zstd")
    return path.open("rb")
