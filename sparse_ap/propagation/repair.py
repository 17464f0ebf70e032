"""Repair: more exemplars, so that every point has an edge to one (docs/design/0006-repair.md)."""

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
    "gains",
    "repair",
]


def repair(problem: Problem, exemplar: BoolArray) -> tuple[Assignment, int]:
    """Assign every point; promote points to exemplars where others have no edge to one.

    A point without an edge to an exemplar is *uncovered*. Every uncovered point i nominates one uncovered
    point: among i itself and all k with s(i,k) > p_i, the one with the largest gain, which is the sum of
    s(j,k) - p_j over the uncovered j that would gain by joining k. All nominees become exemplars. The net
    similarity is at least that of promoting every uncovered point: a nominee contributes its preference in
    both cases, and each other point gets more than its preference.

    Points that must be exemplars are made so before all. Points that must not come next, and nominate among
    all points that may be.

    Returns
    -------
    assignment : Assignment
        Every point has an exemplar: ``chosen`` has no -1.
    n_promoted : int
        Number of points made exemplars.
    """
    exemplar, n_promoted = problem.allowed(exemplar), 0
    assignment = assign(problem, exemplar)
    if problem.roles is not None and (forced := (assignment.chosen < 0) & problem.roles.forbidden).any():
        # Every edge leads to a point that may be an exemplar, and no forbidden point is without edges.
        promoted = _nominees(problem, forced, ~problem.roles.forbidden)
        exemplar, n_promoted = _with(exemplar, promoted), len(promoted)
        assignment = assign(problem, exemplar)
    uncovered = assignment.chosen < 0
    if not uncovered.any():
        return assignment, n_promoted
    promoted = _nominees(problem, uncovered, uncovered)
    return assign(problem, _with(exemplar, promoted)), n_promoted + len(promoted)


def _with(exemplar: BoolArray, promoted: Int32Array) -> BoolArray:
    exemplar = exemplar.copy()
    exemplar[promoted] = True
    return exemplar


def gains(problem: Problem, value: Float64Array, least: float, vectors: UncoveredVectors) -> Float64Array:
    """Return what points gain together by joining each point, in place of their values.

    Parameters
    ----------
    problem : Problem
    value : ndarray of float64, shape (n_points,)
        What each point has now.
    least : float
        No value is smaller.
    vectors : UncoveredVectors
        The points that may join, and those that may be joined; others gain, and are joined by, nothing.
    """
    # Largest gain along one edge, which bounds the column sums and hence the grid.
    most = max(0.0, problem.edges.largest_or_zero - least)
    gain_pass = RepairGainPass(Grid.for_totals(problem.edges.max_in_degree * most))
    (gain,), _ = problem.graph.run(gain_pass, vectors, PreferenceRows(value))
    return gain


def _nominees(problem: Problem, uncovered: BoolArray, eligible: BoolArray) -> Int32Array:
    preference = np.ascontiguousarray(problem.preference)
    vectors = UncoveredVectors(uncovered, eligible)
    gain = gains(problem, preference, float(preference.min()), vectors)
    rows = NominationRows(preference, np.empty(len(preference), np.int32))
    problem.graph.run(NominationPass(), NominationVectors(*vectors, gain, problem.user_id), rows)
    # Several points may nominate the same one.
    return np.unique(rows.nominee[uncovered])


class UncoveredVectors(NamedTuple):
    """Vectors of `RepairGainPass`: points without an edge to an exemplar, and those that may be nominated."""

    uncovered: BoolArray
    eligible: BoolArray


class NominationVectors(NamedTuple):
    """Vectors of `NominationPass`: uncovered and eligible points, gains as exemplars, the user's numbers."""

    uncovered: BoolArray
    eligible: BoolArray
    gain: Float64Array
    user_id: Int32Array


class NominationRows(NamedTuple):
    """Rows of `NominationPass`: the preferences (read), and the nominee, -1 for covered points (written)."""

    preference: Float64Array
    nominee: Int32Array


@dataclass(frozen=True, slots=True)
class RepairGainPass(PlainPass):
    """For each eligible point k, add up s(i,k) - p_i over the uncovered points i that gain by joining k."""

    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("preference",)

    def __call__(
        self, block: Block, vectors: UncoveredVectors, rows: PreferenceRows, columns: Columns
    ) -> int:
        """Add the gains along one block's edges."""
        _add_gains(block.rows.start, *block.csr, vectors, rows.preference, self.grid.shift, columns[0])
        return 0


@dataclass(frozen=True, slots=True)
class NominationPass(PlainPass):
    """Let each uncovered point nominate the eligible point, itself included, with the largest gain.

    Only points that it would gain by joining are eligible, besides itself; among equals the user's first.
    """

    reads = ("preference",)
    writes = ("nominee",)

    def __call__(
        self, block: Block, vectors: NominationVectors, rows: NominationRows, columns: Columns
    ) -> int:
        """Write the nominees of one block's points."""
        _nominate(block.rows.start, *block.csr, vectors, rows)
        return 0


@kernel
def _add_gains(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    vectors: Any,
    preference: Any,
    shift: float,
    gain: Any,
) -> None:
    uncovered, eligible = vectors.uncovered, vectors.eligible
    for i in range(len(preference)):
        if not uncovered[start + i]:
            continue
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            spared = np.float64(data[edge]) - preference[i]
            if spared > 0.0 and eligible[indices[edge]]:
                gain[indices[edge]] += on_grid(spared, shift)


@kernel
def _nominate(start: int, indptr: Any, indices: Any, data: Any, vectors: Any, rows: Any) -> None:
    gain, user_id = vectors.gain, vectors.user_id
    for i in range(len(rows.nominee)):
        rows.nominee[i] = -1
        if not vectors.uncovered[start + i]:
            continue
        best = start + i if vectors.eligible[start + i] else -1
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if data[edge] <= rows.preference[i] or not vectors.eligible[k]:
                continue
            # Ties go to the user's smaller number, so the result does not depend on the order of points.
            if best < 0 or gain[k] > gain[best] or (gain[k] == gain[best] and user_id[k] < user_id[best]):
                best = k
        rows.nominee[i] = best
