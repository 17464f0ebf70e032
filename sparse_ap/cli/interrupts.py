"""What Ctrl-C does: end the program at once while Python imports, and raise an error while a command runs."""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["INTERRUPTED", "end_at_once", "raise_an_error"]

#: The exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130
# Seconds until another try.
_SOON = 0.01


def end_at_once() -> None:
    """Let Ctrl-C end the program with one line, wherever it is: nothing is open that would have to be closed.

    An error would not do: raised within an import it may be swallowed, or be shown with the importing lines.
    Where Ctrl-C is ignored, as in the background of a shell, it stays so.
    """
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _raise):
        signal.signal(signal.SIGINT, _end)


def raise_an_error() -> None:
    """Let Ctrl-C raise ``KeyboardInterrupt`` again, so that what is open is closed."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _raise)


def _end(which: int, frame: FrameType | None) -> None:
    # Not by print: the signal may have come in the middle of another one.
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)


def _raise(which: int, frame: FrameType | None) -> None:
    if _is_called_by_llvm(frame):
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, _SOON)
        return
    raise KeyboardInterrupt


def _is_called_by_llvm(frame: FrameType | None) -> bool:
    """Whether an error would be shown and dropped: LLVM, which calls Python back, has no use for it."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("llvmlite."):
            return True
        frame = frame.f_back
    return False
