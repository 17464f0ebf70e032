"""What a run keeps on disk, and what makes it the same run."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparse_ap.arguments import is_positive_integer, require
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.budget import SAVED_RENUMBERED
from sparse_ap.kernels.block import Float64Array
from sparse_ap.propagation.checkpoints import Checkpoints, NoCheckpoints, read_identity, require_new
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.settings import Settings

__all__ = ["CheckpointConfig", "checked_checkpoint_config"]

_RENUMBERED, _AS_STORED = "points renumbered", "points as stored"


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """Where the state of a run is kept, if anywhere.

    Attributes
    ----------
    folder : Path or None
    every : int
        Sweeps between checkpoints.
    saved_identity : mapping of str to str
        What the run to go on with belongs to; empty for a new one.
    """

    folder: Path | None
    every: int
    saved_identity: Mapping[str, str]

    def reorder(self, reorder: bool | str) -> bool | str:
        """Return whether to renumber points: as the run has begun, since its state is in their order."""
        if "layout" not in self.saved_identity:
            return reorder
        return SAVED_RENUMBERED if self.saved_identity["layout"] == _RENUMBERED else False

    def checkpoints(
        self, problem: Problem, preference: Float64Array, settings: Settings, renumbered: bool
    ) -> Checkpoints | NoCheckpoints:
        """Return what keeps the state; ``preference`` is that of the messages."""
        if self.folder is None:
            return NoCheckpoints()
        edges = problem.edges
        identity = {
            "number of points": str(problem.graph.n_points),
            "number of edges": str(edges.n_edges),
            "checksum of the graph": f"{edges.checksum:016x}",
            "checksum of preferences and seed": f"{zlib.crc32(preference.tobytes()):08x}",
            "damping": str(settings.damping),
            "tol": str(settings.stop.tol),
            "convergence_iter": str(settings.stop.convergence_iter),
            "layout": _RENUMBERED if renumbered else _AS_STORED,
        }
        return Checkpoints(self.folder, self.every, identity)


def checked_checkpoint_config(
    checkpoint: str | Path | None, checkpoint_every: int, resume: bool, settings: Settings
) -> CheckpointConfig:
    """Check the options about checkpoints.

    Raises
    ------
    InvalidInputError
        They do not go together.
    CheckpointError
        There are checkpoints already, and ``resume`` is not given.
    """
    require(
        "checkpoint_every",
        checkpoint_every,
        is_positive_integer(checkpoint_every),
        "at least 1, a whole number",
    )
    if checkpoint is None:
        if resume:
            raise InvalidInputError("resume=True needs checkpoint, the folder that the state was written to.")
        return CheckpointConfig(None, checkpoint_every, {})
    if settings.scheme == "classic":
        raise InvalidInputError(
            "checkpoint was given with scheme='classic', which keeps two numbers for each edge; it is for "
            "scheme='compact'."
        )
    folder = Path(checkpoint)
    if not resume:
        require_new(folder)
    return CheckpointConfig(folder, int(checkpoint_every), read_identity(folder) if resume else {})
