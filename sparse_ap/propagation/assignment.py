"""Assignment of points to given exemplars, and the move of exemplars to medoids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.assignment import AssignmentPass, AssignmentRows, RankedVectors
from sparse_ap.kernels.block import Block, BoolArray, FloatArray, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import COUNT, EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.propagation.problem import Problem

__all__ = ["Assignment", "ChosenVectors", "MedoidPass", "Refinement", "assign", "move_to_medoids"]


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """A set of exemplars, with the exemplar of every point.

    Attributes
    ----------
    exemplar : ndarray of bool, shape (n_points,)
        Whether each point is an exemplar.
    chosen : ndarray of int32, shape (n_points,)
        The exemplar of each point; -1 for points without an edge to any exemplar.
    similarity : ndarray, shape (n_points,)
        The similarity of each point to its exemplar; 0 for exemplars.
    """

    exemplar: BoolArray
    chosen: Int32Array
    similarity: FloatArray


Refinement = Callable[[Problem, Assignment], Assignment]


def assign(problem: Problem, exemplar: BoolArray) -> Assignment:
    """Assign every point to its most similar exemplar; among equals, to the user's first."""
    n = len(exemplar)
    rows = AssignmentRows(np.empty(n, np.int32), np.empty(n, problem.graph.dtype))
    problem.graph.run(AssignmentPass(), RankedVectors(exemplar, problem.user_id), rows)
    return Assignment(exemplar, *rows)


def move_to_medoids(problem: Problem, assignment: Assignment) -> Assignment:
    """Move the exemplar of each cluster to its medoid, and assign all points anew.

    The medoid is the member k with the largest p_k + Σ s(i,k) over the other members i. Only members to which
    all other members have an edge are eligible. This is scikit-learn's refinement.
    """
    sizes = np.bincount(assignment.chosen, minlength=len(assignment.chosen))
    # A member with a similarity below this floor is worse than the present exemplar, preferences apart: the
    # floor is below the sum of all similarities to that exemplar minus the best sum of all others.
    best, worst = problem.edges.largest_or_zero, float(assignment.similarity.min(initial=0))
    floor = -float(sizes.max(initial=1)) * (abs(best) + abs(worst))
    grid = Grid.for_totals(problem.edges.max_in_degree * max(abs(best), abs(floor)))
    (similarity, members), _ = problem.graph.run(
        MedoidPass(grid, floor), ChosenVectors(assignment.chosen), ()
    )
    if problem.roles is not None:
        # An exemplar that must stay one keeps its cluster; a point that must not be one represents none.
        stays = problem.roles.pinned[assignment.chosen] & ~problem.roles.pinned
        members[stays | problem.roles.forbidden] = -1
    # Relative to the largest preference: a large offset common to all would round similarities away.
    preference = problem.preference - problem.preference.max(initial=-np.inf)
    best_member = np.full(len(sizes), -1, np.int32)
    _pick(assignment.chosen, sizes, similarity, members, preference, problem.user_id, best_member)
    exemplar = np.zeros(len(sizes), np.bool_)
    exemplar[best_member[best_member >= 0]] = True
    return assign(problem, exemplar)


@kernel
def _pick(
    chosen: Any, sizes: Any, similarity: Any, members: Any, preference: Any, user_id: Any, best: Any
) -> None:
    for k in range(len(chosen)):
        # A member without an edge to k: then k cannot represent the cluster.
        if members[k] < sizes[chosen[k]] - 1:
            continue
        rival = best[chosen[k]]
        if rival < 0:
            best[chosen[k]] = k
            continue
        gain = (similarity[k] + preference[k]) - (similarity[rival] + preference[rival])
        # Ties go to the user's smaller number, so the result does not depend on the order of points.
        if gain > 0 or (gain == 0 and user_id[k] < user_id[rival]):
            best[chosen[k]] = k


class ChosenVectors(NamedTuple):
    """Vectors of `MedoidPass`: the exemplar of each point."""

    chosen: Int32Array


@dataclass(frozen=True, slots=True)
class MedoidPass(PlainPass):
    """For each point k, add up s(i,k) over the members i of its cluster that have an edge to it.

    The second column counts those members: only a point that all others can reach may represent them.

    Attributes
    ----------
    grid : Grid
    floor : float
        Lower bound applied to similarities: lower ones rule a member out, and would coarsen the grid.
    """

    grid: Grid
    floor: float

    column_reductions = (EXACT_SUM, COUNT)

    def __call__(self, block: Block, vectors: ChosenVectors, rows: tuple[()], columns: Columns) -> int:
        """Add the similarities inside clusters of one block."""
        _add(
            block.rows.start, *block.csr, vectors.chosen, self.floor, self.grid.shift, columns[0], columns[1]
        )
        return 0


@kernel
def _add(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    chosen: Any,
    floor: float,
    shift: float,
    similarity: Any,
    members: Any,
) -> None:
    for i in range(len(indptr) - 1):
        cluster = chosen[start + i]
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if chosen[k] == cluster:
                # On the grid the sum is the same in any order of rows and threads.
                similarity[k] += on_grid(max(np.float64(data[edge]), floor), shift)
                members[k] += 1
