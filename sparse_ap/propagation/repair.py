"""Exemplars for the points that no exemplar reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.kernels.support_bound import PreferenceRows
from sparse_ap.propagation.assignment import Assignment, assign
from sparse_ap.propagation.problem import Problem

__all__ = [
    "NominationPass",
    "NominationRows",
    "NominationVectors",
    "RepairGainPass",
    "UncoveredVectors",
    "repair",
]


def repair(problem: Problem, exemplar: BoolArray) -> tuple[Assignment, int]:
    """Assign every point, promoting some of those with no edge to an exemplar, so that all have one.

    Each of them nominates the one that would spare the others most, among itself and those of them that it
    gains by joining; who is nominated becomes an exemplar. The net similarity is at least what it would be
    if each were its own exemplar, and nobody else's: nominees pay the same, the others get more than their
    preference.

    Returns
    -------
    assignment : Assignment
        Without a -1.
    n_promoted : int
        How many points were made exemplars.
    """
    assignment = assign(problem, exemplar)
    uncovered = assignment.chosen < 0
    if not uncovered.any():
        return assignment, 0
    promoted = _nominees(problem, uncovered)
    exemplar = exemplar.copy()
    exemplar[promoted] = True
    return assign(problem, exemplar), len(promoted)


def _nominees(problem: Problem, uncovered: BoolArray) -> Int32Array:
    preference = np.ascontiguousarray(problem.preference)
    most = max(0.0, problem.edges.largest_or_zero - float(preference.min()))
    gain_pass = RepairGainPass(Grid.for_totals(problem.edges.max_in_degree * most))
    (gain,), _ = problem.graph.run(gain_pass, UncoveredVectors(uncovered), PreferenceRows(preference))
    rows = NominationRows(preference, np.empty(len(preference), np.int32))
    problem.graph.run(NominationPass(), NominationVectors(uncovered, gain, problem.user_id), rows)
    return np.unique(rows.nominee[uncovered])


class UncoveredVectors(NamedTuple):
    """Which points have no edge to an exemplar."""

    uncovered: BoolArray


class NominationVectors(NamedTuple):
    """The same, what each would spare the others as an exemplar, and the user's number of each point."""

    uncovered: BoolArray
    gain: Float64Array
    user_id: Int32Array


class NominationRows(NamedTuple):
    """Read: each row's preference. Written: whom an uncovered point nominates, -1 for all others."""

    preference: Float64Array
    nominee: Int32Array


@dataclass(frozen=True, slots=True)
class RepairGainPass(PlainPass):
    """For each uncovered point, add up what it would spare the other uncovered ones as their exemplar."""

    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("preference",)

    def __call__(
        self, block: Block, vectors: UncoveredVectors, rows: PreferenceRows, columns: Columns
    ) -> int:
        """Add one block's edges."""
        _add_gains(
            block.rows.start, *block.csr, vectors.uncovered, rows.preference, self.grid.shift, columns[0]
        )
        return 0


@dataclass(frozen=True, slots=True)
class NominationPass(PlainPass):
    """Let each uncovered point nominate who spares most: itself, or an uncovered one it gains by joining."""

    reads = ("preference",)
    writes = ("nominee",)

    def __call__(
        self, block: Block, vectors: NominationVectors, rows: NominationRows, columns: Columns
    ) -> int:
        """Nominate for one block's points."""
        _nominate(block.rows.start, *block.csr, vectors, rows)
        return 0


@kernel
def _add_gains(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    uncovered: Any,
    preference: Any,
    shift: float,
    gain: Any,
) -> None:
    for i in range(len(preference)):
        if not uncovered[start + i]:
            continue
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            spared = np.float64(data[edge]) - preference[i]
            if spared > 0.0 and uncovered[indices[edge]]:
                gain[indices[edge]] += on_grid(spared, shift)


@kernel
def _nominate(start: int, indptr: Any, indices: Any, data: Any, vectors: Any, rows: Any) -> None:
    gain, user_id = vectors.gain, vectors.user_id
    for i in range(len(rows.nominee)):
        rows.nominee[i] = -1
        if not vectors.uncovered[start + i]:
            continue
        best = start + i
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if data[edge] <= rows.preference[i] or not vectors.uncovered[k]:
                continue
            if gain[k] > gain[best] or (gain[k] == gain[best] and user_id[k] < user_id[best]):
                best = k
        rows.nominee[i] = best
