"""Checkpoints: the vectors of a run on disk, from which an interrupted run can be resumed.

With the compact scheme the edges carry no state, so a checkpoint is a few numbers per point. It is a file
``sweep-<n>.npz`` (zip guards its members with checksums), written under another name, flushed to the disk,
then renamed. The newest two are kept.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import CheckpointError, RunInterrupted, warn
from sparse_ap.propagation.history import SweepReport, history_in, history_table
from sparse_ap.storage.archives import DAMAGE
from sparse_ap.storage.atomic_files import replacing

__all__ = ["Checkpoints", "NoCheckpoints", "Saved", "read_identity", "require_new"]

_FORMAT_VERSION = 2
# Two, so that a checkpoint remains if the newest one turns out damaged.
_KEPT = 2
_DAMAGE = (OSError, *DAMAGE)


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """The state of a run after a sweep.

    Attributes
    ----------
    identity : mapping of str to str
        The graph and the parameters, which must be the same for the run to be resumed.
    history : tuple of SweepReport
        One report for each sweep.
    arrays : mapping of str to ndarray
        The vectors of the state, by name.
    """

    identity: Mapping[str, str]
    history: tuple[SweepReport, ...]
    arrays: Mapping[str, NDArray[Any]]


class NoCheckpoints:
    """Checkpoints that are neither written nor read."""

    identity: Mapping[str, str] = {}

    def latest(self) -> Saved | None:
        """Return None: there is no checkpoint to resume from."""
        return None

    def save_if_due(self, saved: Saved) -> None:
        """Do nothing."""

    @contextmanager
    def signals_deferred(self) -> Iterator[None]:
        """Leave the handling of signals as it is."""
        yield


@dataclass(slots=True)
class Checkpoints:
    """Checkpoints in a folder, written every few sweeps and when a signal asks the run to end.

    Attributes
    ----------
    folder : Path
    every : int
        Sweeps between checkpoints.
    identity : mapping of str to str
        The graph and the parameters of this run.
    """

    folder: Path
    every: int
    identity: Mapping[str, str]
    _signal: int | None = field(default=None, init=False)

    def latest(self) -> Saved | None:
        """Return the newest readable checkpoint; None if there is none.

        Raises
        ------
        CheckpointError
            The checkpoint belongs to another run, or has another version of the format.
        """
        for path in _files(self.folder):
            try:
                saved = _read(path)
            except CheckpointError:
                raise
            except _DAMAGE as error:
                warn(f"The checkpoint {path} is damaged ({error}) and passed over.")
                continue
            self._require_same_run(path, saved)
            return saved
        return None

    def save_if_due(self, saved: Saved) -> None:
        """Write the state after a sweep if it is due, or if a signal has arrived.

        Raises
        ------
        RunInterrupted
            Ctrl-C or SIGTERM has arrived; the state has been written.
        """
        sweep = saved.history[-1].sweep
        if self._signal is None and sweep % self.every:
            return
        _write(self.folder, saved)
        if self._signal is not None:
            raise RunInterrupted.by(self._signal, sweep, self.folder)

    @contextmanager
    def signals_deferred(self) -> Iterator[None]:
        """Defer Ctrl-C and SIGTERM until the state after the current sweep is written.

        A second Ctrl-C ends the run at once.
        """
        # Python allows signal handlers in the main thread only.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {which: signal.signal(which, self._note) for which in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for which, handler in before.items():
                # None stands for a handler installed by C code, which Python cannot restore.
                signal.signal(which, signal.SIG_DFL if handler is None else handler)
        if self._signal is not None:
            raise KeyboardInterrupt  # it came after the last sweep

    def _note(self, which: int, frame: object) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = which

    def _require_same_run(self, path: Path, saved: Saved) -> None:
        others = _differences(saved.identity, self.identity)
        if others:
            raise CheckpointError(
                f"The checkpoint {path} is of another run: {'; '.join(others)}. Give the same graph and "
                "parameters to go on with it, or another folder to begin anew."
            )


# What a checksum stands for; the sums themselves would tell a reader nothing.
_SUMMED = {
    "checksum of the graph": "the graph has as many points and edges, but other ones or other similarities",
    "checksum of preferences and seed": "preference, preference_quantile or random_state (--seed) is another",
    "checksum of weights": "weights are others",
    "checksum of candidates": "candidates, or the points with a preference of inf or -inf, are others",
}
# What runs have whose identity does not say so.
_UNSAID = {
    "checksum of candidates": "none",
    "checksum of weights": "none",
    "min_similarity": "None",
    "collapse_duplicates": "None",
}


# What may differ because candidates or a threshold do.
_FOLLOWING = ("number of edges", "checksum of the graph", "checksum of preferences and seed")


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Describe what differs between the identities of two runs."""
    before, now = {**_UNSAID, **before}, {**_UNSAID, **now}
    names = [name for name, value in now.items() if before.get(name) != value]
    # These change the graph, too: they are the reason.
    reasons = [name for name in names if name in _UNSAID]
    if "collapse_duplicates" in reasons:
        # It gives points weights and roles.
        reasons = [name for name in reasons if not name.startswith("checksum of")]
    if reasons:
        names = [name for name in names if name in reasons or name not in (*_FOLLOWING, *_UNSAID)]
    sizes = [name for name in names if name.startswith("number of")]
    # A graph of another size has other sums, too; and its preferences may come from its similarities.
    if sizes or "checksum of the graph" in names:
        names = [name for name in names if name not in _SUMMED or (not sizes and name.endswith("graph"))]
    return [
        _SUMMED.get(name, f"{name} was {before.get(name, 'not noted')} and is {now[name]}") for name in names
    ]


def require_new(folder: Path) -> None:
    """Refuse a folder with checkpoints of an earlier run.

    Raises
    ------
    CheckpointError
    """
    files = _files(folder)
    if files:
        raise CheckpointError(
            f"{folder} holds checkpoints of an earlier run, the newest being {files[0].name}. Give "
            "resume=True (--resume) to go on with it, or another folder to begin anew."
        )


def read_identity(folder: Path) -> Mapping[str, str]:
    """Return the identity in the newest readable checkpoint; empty if there is none.

    Raises
    ------
    CheckpointError
        The checkpoint has another version of the format.
    """
    for path in _files(folder):
        try:
            with _opened(path) as file:
                return _identity(file)
        except CheckpointError:
            raise
        except _DAMAGE:
            continue
    return {}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("sweep-*.npz"), reverse=True)


def _write(folder: Path, saved: Saved) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sweep-{saved.history[-1].sweep:08d}.npz"
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            version=_FORMAT_VERSION,
            members=np.array(sorted(saved.arrays)),
            identity=np.array(list(saved.identity.items()), str).reshape(-1, 2),
            history=history_table(saved.history),
            **saved.arrays,  # type: ignore[arg-type]
        )
    for later in _files(folder):
        if later.name > path.name:
            later.unlink()  # was found damaged when the run began, and would hide the newer ones
    for old in _files(folder)[_KEPT:]:
        old.unlink()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # Opened here: numpy leaves a file open that it fails to read.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        version = int(file["version"])
        if version != _FORMAT_VERSION:
            # An error, not damage: a damaged file is passed over, so the run would begin anew and delete it.
            advice = (
                "Update sparse_ap" if version > _FORMAT_VERSION else "Go on with the version that wrote it"
            )
            raise CheckpointError(
                f"The checkpoint {path} is of version {version} of its format, and this sparse_ap goes on "
                f"from version {_FORMAT_VERSION}. {advice}, or give another folder to begin anew."
            )
        yield file


def _read(path: Path) -> Saved:
    with _opened(path) as file:
        arrays = {str(name): file[str(name)] for name in file["members"]}
        return Saved(_identity(file), history_in(file["history"]), arrays)


def _identity(file: Any) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in file["identity"]}
