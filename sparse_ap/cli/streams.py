"""Standard input and standard output in place of files, which ``-`` stands for."""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Any

import click

from sparse_ap.cli.interrupts import terminated_as_interrupted
from sparse_ap.cli.language import name_copy
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.text_file import compression_of, lines_of

__all__ = [
    "STDOUT",
    "InputPath",
    "OutputPath",
    "regular_file",
    "said",
    "temporary_folder",
]

STDIN = Path("/dev/stdin")
STDOUT = Path("/dev/stdout")

# What files begin with that are no text.
_MAGIC = {b"PAR1": ".parquet", b"\x89HDF": ".h5ad", b"PK\x03\x04": ".npz", b"\x93NUMPY": ".npy"}
_MATRIX_MARKET = b"%%MatrixMarket"
# The longest of the marks.
_LONGEST = 16


class _PathOrStream(click.Path):
    """A path, or ``-`` for a stream."""

    def __init__(self, stream: Path, **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self._stream = stream

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        return self._stream if value == "-" else super().convert(value, param, ctx)


# A path that exists, or - for standard input; and a path, or - for standard output.
InputPath = partial(_PathOrStream, STDIN, exists=True)
OutputPath = partial(_PathOrStream, STDOUT)


def said(path: Path | None) -> str:
    """Return what a path, or standard output, is called in a summary."""
    return "standard output" if path == STDOUT else str(path)


def temporary_folder() -> Path:
    """Return a new folder, which is removed when the present command ends, but by a kill."""
    context = click.get_current_context()
    context.with_resource(terminated_as_interrupted())
    return Path(context.with_resource(tempfile.TemporaryDirectory(prefix="sparse-ap-")))


def regular_file(path: Path, needed: str = "a table of edges is") -> Path:
    """Return a path that can be read again: standard input, or a pipe, is copied to a temporary file.

    The ending of the copy is that of its content: tables that are text are ``.txt``. If nothing comes in,
    the error says what is ``needed``.

    Raises
    ------
    InvalidInputError
        Nothing comes in.
    """
    if path != STDIN and (path.is_file() or path.is_dir()):
        return path
    name = "standard input" if path == STDIN else str(path)
    copy = temporary_folder() / "input"
    # Before anything is read, so that errors while reading name it too.
    name_copy(copy, name)
    if path == STDIN:
        begin = _copied(sys.stdin.buffer, copy)
    else:
        with path.open("rb") as stream:
            begin = _copied(stream, copy)
    if not begin:
        raise InvalidInputError(f"Nothing came in from {name}; {needed} needed.")
    return copy.rename(copy.with_name(copy.name + _ending_of(copy, begin)))


def _copied(stream: IO[bytes], copy: Path) -> bytes:
    """Copy a stream to a file; return its first bytes."""
    begin = stream.read(_LONGEST)
    with copy.open("wb") as file:
        file.write(begin)
        shutil.copyfileobj(stream, file, 1 << 20)
    return begin


def _ending_of(copy: Path, begin: bytes) -> str:
    """Return the ending that a file of this content has."""
    for mark, ending in _MAGIC.items():
        if begin.startswith(mark):
            return ending
    compression = compression_of(begin)
    text = copy.with_name(f"{copy.name}.txt{compression}")
    # Read under the name that says how it is compressed.
    text.symlink_to(copy)
    try:
        first = next(lines_of(text), (1, b""))[1]
    finally:
        text.unlink()
    return (".mtx" if first.startswith(_MATRIX_MARKET) else ".txt") + compression
