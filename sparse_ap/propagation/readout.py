"""After the loop: repair, labels, medoids, net similarity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from sparse_ap.kernels.assignment import AssignmentPass, AssignmentRows, RankedVectors
from sparse_ap.kernels.block import BoolArray, Clustering, FloatArray, Int32Array, Int64Array, Outcome
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.kernels.support_bound import PreferenceRows
from sparse_ap.propagation.loop import Propagation
from sparse_ap.propagation.medoid import ChosenVectors, MedoidPass
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.rescue import (
    NominationPass,
    NominationRows,
    RescueGainPass,
    RescueVectors,
    UncoveredVectors,
)

__all__ = [
    "Assignment",
    "Refinement",
    "all_equal",
    "arbitrary",
    "assign",
    "exact_sum",
    "move_to_medoids",
    "read_out",
]

_SUM_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Who represents whom.

    Attributes
    ----------
    exemplar : ndarray of bool, shape (n_points,)
    chosen : ndarray of int32, shape (n_points,)
        Each point's exemplar; -1 where it has an edge to none.
    similarity : ndarray, shape (n_points,)
        The similarity to it; 0 for exemplars.
    """

    exemplar: BoolArray
    chosen: Int32Array
    similarity: FloatArray


Refinement = Callable[[Problem, Assignment], Assignment]


def read_out(problem: Problem, propagation: Propagation, refine: Refinement | None) -> Clustering:
    """Turn exemplars into a clustering in the user's numbering.

    Parameters
    ----------
    problem : Problem
    propagation : Propagation
    refine : callable, optional
        Looks for a better assignment.
    """
    assignment, n_promoted = repair(problem, propagation.exemplar)
    if refine:
        refined = refine(problem, assignment)
        # The better of the two; of equals the medoids, which do not depend on how ties were broken.
        assignment = max((refined, assignment), key=lambda a: sum(_value(problem, a)))
    return clustering_of(problem, propagation, assignment, n_promoted)


def clustering_of(
    problem: Problem, propagation: Propagation, assignment: Assignment, n_promoted: int
) -> Clustering:
    """Return an assignment as a clustering in the user's numbering."""
    labels, exemplars, similarities = in_user_order(problem, assignment)
    data_similarity, exemplar_preference = _value(problem, assignment)
    last = propagation.history[-1]
    return Clustering(
        labels=labels,
        exemplars=exemplars,
        similarities=similarities,
        net_similarity=data_similarity + exemplar_preference,
        data_similarity=data_similarity,
        exemplar_preference=exemplar_preference,
        n_iter=last.sweep,
        converged=propagation.converged,
        outcome=_outcome(propagation),
        n_unsettled=last.n_unsettled,
        n_promoted=n_promoted,
        history=propagation.history,
        preference=problem.common_preference,
    )


def _outcome(propagation: Propagation) -> Outcome:
    if propagation.converged:
        return Outcome.CONVERGED
    return Outcome.MAX_ITER_REACHED if propagation.exemplar.any() else Outcome.NO_EXEMPLARS


def all_equal(problem: Problem) -> bool:
    """Whether every pair of points is an edge, and nothing distinguishes any point from another."""
    n, preference = problem.execution.n_points, problem.preference
    return (
        n > 1
        and problem.survey.n_edges == n * (n - 1)
        and problem.survey.smallest == problem.survey.largest
        and bool((preference == preference[0]).all())
    )


def arbitrary(problem: Problem) -> Clustering:
    """Return scikit-learn's answer where all points are alike: every point alone, or one cluster."""
    n, p, s = problem.execution.n_points, float(problem.preference[0]), problem.survey.largest
    n_clusters = n if p > s else 1
    return Clustering(
        labels=np.arange(n) if n_clusters == n else np.zeros(n, np.int64),
        exemplars=np.arange(n_clusters),
        similarities=np.where(np.arange(n) < n_clusters, 0, s).astype(problem.execution.dtype),
        net_similarity=n_clusters * p + (n - n_clusters) * s,
        data_similarity=(n - n_clusters) * s,
        exemplar_preference=n_clusters * p,
        n_iter=0,
        converged=True,
        outcome=Outcome.ALL_EQUAL,
        n_unsettled=0,
        n_promoted=0,
        history=(),
        preference=p,
    )


def assign(problem: Problem, exemplar: BoolArray) -> Assignment:
    """Give every point to its most similar exemplar."""
    n = len(exemplar)
    rows = AssignmentRows(np.empty(n, np.int32), np.empty(n, problem.execution.dtype))
    problem.execution.run(AssignmentPass(), RankedVectors(exemplar, problem.user_id), rows)
    return Assignment(exemplar, *rows)


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
    most = max(0.0, problem.survey.largest_or_zero - float(preference.min()))
    gain_pass = RescueGainPass(Grid.for_totals(problem.survey.max_in_degree * most))
    (gain,), _ = problem.execution.run(gain_pass, UncoveredVectors(uncovered), PreferenceRows(preference))
    rows = NominationRows(preference, np.empty(len(preference), np.int32))
    problem.execution.run(NominationPass(), RescueVectors(uncovered, gain, problem.user_id), rows)
    return np.unique(rows.nominee[uncovered])


def move_to_medoids(problem: Problem, assignment: Assignment) -> Assignment:
    """Make the member with the largest sum of similarities from its cluster the exemplar, and reassign.

    The sum includes the member's own preference, and only members to which all others have an edge may
    stand. This is scikit-learn's refinement.
    """
    sizes = np.bincount(assignment.chosen, minlength=len(assignment.chosen))
    # A member with an edge below this to it cannot be better than the exemplar is, preferences apart.
    best, worst = problem.survey.largest_or_zero, float(assignment.similarity.min(initial=0))
    floor = -float(sizes.max(initial=1)) * (abs(best) + abs(worst))
    grid = Grid.for_totals(problem.survey.max_in_degree * max(abs(best), abs(floor)))
    (similarity, members), _ = problem.execution.run(
        MedoidPass(grid, floor), ChosenVectors(assignment.chosen), ()
    )
    # Relative to one of them, so that a common large preference does not round similarities away.
    preference = problem.preference - problem.preference.max(initial=-np.inf)
    best_member = np.full(len(sizes), -1, np.int32)
    _pick(assignment.chosen, sizes, similarity, members, preference, problem.user_id, best_member)
    exemplar = np.zeros(len(sizes), np.bool_)
    exemplar[best_member[best_member >= 0]] = True
    return assign(problem, exemplar)


def _value(problem: Problem, assignment: Assignment) -> tuple[float, float]:
    """Return the data similarity and the exemplars' preference."""
    return exact_sum(assignment.similarity), exact_sum(problem.preference[assignment.exemplar])


def in_user_order(problem: Problem, assignment: Assignment) -> tuple[Int64Array, Int64Array, FloatArray]:
    """Return labels, exemplars (ascending) and similarities in the user's numbering."""
    exemplars = np.sort(problem.user_id[assignment.exemplar]).astype(np.int64)
    labels = np.empty(len(assignment.chosen), np.int64)
    labels[problem.user_id] = np.searchsorted(exemplars, problem.user_id[assignment.chosen])
    similarities = np.empty_like(assignment.similarity)
    similarities[problem.user_id] = assignment.similarity
    return labels, exemplars, similarities


def exact_sum(values: FloatArray) -> float:
    """Return the sum of an array, rounded once: the same in every order."""
    return math.fsum(_as_floats(values))


def _as_floats(values: FloatArray) -> Iterator[float]:
    for start in range(0, len(values), _SUM_CHUNK):
        yield from values[start : start + _SUM_CHUNK].tolist()


@numba.njit(nogil=True, cache=True)
def _pick(
    chosen: Any, sizes: Any, similarity: Any, members: Any, preference: Any, user_id: Any, best: Any
) -> None:
    for k in range(len(chosen)):
        if members[k] < sizes[chosen[k]] - 1:
            continue
        rival = best[chosen[k]]
        if rival < 0:
            best[chosen[k]] = k
            continue
        gain = (similarity[k] + preference[k]) - (similarity[rival] + preference[rival])
        if gain > 0 or (gain == 0 and user_id[k] < user_id[rival]):
            best[chosen[k]] = k
