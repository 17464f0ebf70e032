"""The exceptions and warnings of sparse_ap, with their texts.

Every message says what was given, what was needed, and what to do.
"""

from __future__ import annotations

import signal
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = [
    "CheckpointError",
    "ClusterError",
    "DamagedGraphError",
    "InvalidInputError",
    "MemoryLimitError",
    "MissingDependencyError",
    "PositiveSimilarityWarning",
    "RunInterrupted",
    "SparseAPError",
    "optional_modules",
    "require_known",
    "warn",
    "warn_not_converged",
    "warn_of_positive_similarities",
]


class SparseAPError(Exception):
    """Base class of all errors that sparse_ap raises on purpose."""


class InvalidInputError(SparseAPError, ValueError):
    """An argument cannot be used; the message says what was needed instead."""


def require_known(what: str, version: int, known: int) -> None:
    """Refuse a file whose form is of a later version than this package knows.

    Raises
    ------
    InvalidInputError
        ``version`` is above ``known``.
    """
    if version > known:
        raise InvalidInputError(
            f"{what} is of version {version} of its format, and this sparse_ap knows none later than "
            f"{known}. Update sparse_ap."
        )


class MissingDependencyError(SparseAPError, ImportError):
    """An optional package is missing; the message names the extra to install."""


def optional_modules(purpose: str, extra: str, *names: str) -> list[Any]:
    """Import modules that the extra ``extra`` installs; ``purpose`` names the caller in the message.

    Raises
    ------
    MissingDependencyError
        A package is not installed.
    """
    try:
        return [import_module(name) for name in names]
    except ImportError as error:
        packages = " and ".join(dict.fromkeys(name.partition(".")[0] for name in names))
        raise MissingDependencyError(
            f"{purpose} needs {packages}, which is not installed: pip install 'sparse-ap[{extra}]'"
        ) from error


class DamagedGraphError(SparseAPError, OSError):
    """A graph on disk is incomplete or has changed; the message names the part."""

    @classmethod
    def of(cls, fault: str, otherwise: str = "") -> DamagedGraphError:
        """Return the error for a fault; ``otherwise`` names another possible cause."""
        return cls(f"{fault}. Restore the graph from a copy, or write it again.{otherwise}")


class MemoryLimitError(SparseAPError, MemoryError):
    """A computation does not fit into the allowed memory; the message has the numbers."""


class CheckpointError(SparseAPError, ValueError):
    """The checkpoints in a folder cannot be used for a run; the message names the differences."""


class ClusterError(SparseAPError, RuntimeError):
    """The cluster cannot do the work, or is gone; the message says how to continue."""


class RunInterrupted(KeyboardInterrupt):
    """A run was interrupted after saving its state; the message says how to resume it."""

    @classmethod
    def by(cls, which: int, sweep: int, folder: Path) -> RunInterrupted:
        """Return the error for a signal that arrived during a sweep."""
        return cls(
            f"Stopped by {signal.Signals(which).name} after sweep {sweep}; the state is in {folder}. To go "
            "on, give the same graph and parameters with resume=True (--resume)."
        )


class PositiveSimilarityWarning(UserWarning):
    """No similarity is negative: the entries may be distances."""


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points to the line outside this package from which it was called."""
    # Counted here, since skip_file_prefixes needs Python 3.12. Frames of contextlib may lie in between.
    ours = str(Path(__file__).parent)
    frames = []
    frame = sys._getframe()
    while frame is not None:
        frames.append(frame.f_code.co_filename.startswith(ours))
        frame = frame.f_back  # type: ignore[assignment]
    outermost = max(level for level, is_ours in enumerate(frames) if is_ours)
    warnings.warn(text, category, stacklevel=outermost + 2)


def warn_of_positive_similarities(largest: float) -> None:
    """Warn that the similarities may be distances, and say what to do."""
    warn(
        f"No similarity is negative, and the largest is {largest:g}. If these are distances, the most "
        "different points would be put together: convert them with sparse_ap.graphs.from_distances. If "
        "larger means more alike, all is well; to be told so no more: warnings.filterwarnings('ignore', "
        "category=sparse_ap.PositiveSimilarityWarning).",
        PositiveSimilarityWarning,
    )


def warn_not_converged(advice: str) -> None:
    """Issue scikit-learn's ``ConvergenceWarning``, so that filters written for it keep working."""
    # Imported here: scikit-learn costs more to import than the rest of this package together.
    from sklearn.exceptions import ConvergenceWarning

    warn(advice, ConvergenceWarning)
