"""The handling of Ctrl-C: it ends the program at once during imports, and raises an error in a command.

So does SIGTERM where something is to be removed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["INTERRUPTED", "end_at_once", "raise_an_error", "terminated_as_interrupted"]

#: The exit code after Ctrl-C: 128 plus the number of the signal, as in shells.
INTERRUPTED = 130
# Seconds until the signal is tried again.
_SOON = 0.01


def end_at_once() -> None:
    """Let Ctrl-C end the program at once, with one line, while nothing is open that must be closed.

    An error within an import may be swallowed, or shown with the importing lines. If Ctrl-C is ignored, as in
    background jobs of a shell, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _raise):
        signal.signal(signal.SIGINT, _end)


def raise_an_error() -> None:
    """Let Ctrl-C raise ``KeyboardInterrupt`` again, so that open files and processes are closed."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _raise)
        sys.unraisablehook = _after_a_swallowed_error


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, with which batch systems end programs, raise what Ctrl-C raises, unless it is handled."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(which: int, frame: FrameType | None) -> None:
    # Not with print, which the signal may have interrupted, and which cannot be entered twice.
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)


def _raise(which: int, frame: FrameType | None) -> None:
    if _is_called_by_llvm(frame):
        _raise_soon()
        return
    raise KeyboardInterrupt


def _raise_soon() -> None:
    signal.signal(signal.SIGALRM, _raise)
    signal.setitimer(signal.ITIMER_REAL, _SOON)


def _after_a_swallowed_error(unraisable: Any) -> None:
    """Raise again what Python swallowed: Ctrl-C within ``__del__`` or the callback of a weak reference."""
    if unraisable.exc_type is KeyboardInterrupt:
        _raise_soon()
    else:
        sys.__unraisablehook__(unraisable)


def _is_called_by_llvm(frame: FrameType | None) -> bool:
    """Whether LLVM has called this code: it would print an exception and continue."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("llvmlite."):
            return True
        frame = frame.f_back
    return False
