"""The options about checkpoints, and the identity that a run and its checkpoints must share."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.budget import SAVED_RENUMBERED
from sparse_ap.kernels.block import Float64Array
from sparse_ap.propagation.checkpoints import Checkpoints, NoCheckpoints, read_identity, require_new
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.stopping import StopRule

__all__ = ["CheckpointConfig", "checkpoint_config", "identity_of"]

# Words of the file format: with other words, no existing checkpoint could be resumed.
_RENUMBERED, _AS_STORED = "points renumbered", "points as stored"


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """The folder for checkpoints, their frequency, and the identity of the run to resume.

    Attributes
    ----------
    folder : Path or None
        None: no checkpoints are written.
    every : int
        Sweeps between checkpoints.
    saved_identity : mapping of str to str
        Identity (graph and parameters) stored in the checkpoint to resume from; empty for a new run.
    """

    folder: Path | None
    every: int
    saved_identity: Mapping[str, str]

    def reorder(self, reorder: bool | str) -> bool | str:
        """Return the option ``reorder``; a resumed run keeps its order of points, which its state is in."""
        if "layout" not in self.saved_identity:
            return reorder
        return SAVED_RENUMBERED if self.saved_identity["layout"] == _RENUMBERED else False

    def checkpoints(self, identity: Mapping[str, str]) -> Checkpoints | NoCheckpoints:
        """Return the object that reads and writes the state of the run with this identity."""
        return NoCheckpoints() if self.folder is None else Checkpoints(self.folder, self.every, identity)


def identity_of(
    problem: Problem, preference: Float64Array, damping: float | None, stop: StopRule, renumbered: bool
) -> Mapping[str, str]:
    """Return the identity of a run: the properties that a checkpoint must match, by their names in files.

    Parameters
    ----------
    problem : Problem
    preference : ndarray of float64, shape (n_points,)
        The preferences that the messages use.
    damping : float or None
    stop : StopRule
    renumbered : bool
        Whether points are in another order than the user's.
    """
    edges, roles = problem.edges, problem.roles
    # Named only where they are given: other runs have the identity that they always had.
    given = {
        "checksum of candidates": None if roles is None else f"{roles.checksum(problem.user_id):08x}",
        "min_similarity": problem.min_similarity,
        "checksum of weights": None
        if problem.weighting is None
        else f"{zlib.crc32(problem.weighting.weights.tobytes()):08x}",
        "collapse_duplicates": problem.alike,
    }
    return {name: str(value) for name, value in given.items() if value is not None} | {
        "number of points": str(problem.graph.n_points),
        "number of edges": str(edges.n_edges),
        "checksum of the graph": f"{edges.checksum:016x}",
        "checksum of preferences and seed": f"{zlib.crc32(preference.tobytes()):08x}",
        "damping": str(damping),
        "tol": str(stop.tol),
        "convergence_iter": str(stop.convergence_iter),
        "layout": _RENUMBERED if renumbered else _AS_STORED,
    }


def checkpoint_config(checkpoint: str | Path | None, checkpoint_every: int, resume: bool) -> CheckpointConfig:
    """Check the options about checkpoints, and read the identity of the run to resume.

    Raises
    ------
    InvalidInputError
        ``resume`` is given without ``checkpoint``.
    CheckpointError
        The folder holds checkpoints, and ``resume`` is not given.
    """
    if checkpoint is None:
        if resume:
            raise InvalidInputError("resume=True needs checkpoint, the folder that the state was written to.")
        return CheckpointConfig(None, checkpoint_every, {})
    folder = Path(checkpoint)
    if not resume:
        require_new(folder)
    return CheckpointConfig(folder, int(checkpoint_every), read_identity(folder) if resume else {})
