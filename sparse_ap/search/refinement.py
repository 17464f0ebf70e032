"""After the loop: local search for a better set of exemplars, on the edges alone.

*Climb* (`local_search`): carry out moves that gain, until none does. That ends on a local optimum.

*Disturb and mix*: climb from the best set under preferences changed at random, then under the true ones. Of
the differences that remain, those that have no point in common are independent of each other: each is
kept if it gains (partition crossover: Whitley, Hains & Howe, GECCO 2009). So disturbing everything
at once takes no more readings of the edges than disturbing a single place.

*Exchange* (`exchange`), in place of that on dense graphs, where a point sees every difference: keep
the similarities to some candidates in memory, and search among those alone, a move at a time.

All decisions are by exact sums and the user's numbers: the same in whatever order points and edges are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparse_ap.execution.budget import candidates_kept
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.kernels.exact_sum import grid_sum
from sparse_ap.kernels.hashing import hashed
from sparse_ap.propagation.assignment import Assignment, assign
from sparse_ap.propagation.preferences import within_reach
from sparse_ap.propagation.problem import Problem, ceiling
from sparse_ap.search.crossover import Found, mixed
from sparse_ap.search.exchange import Swapper
from sparse_ap.search.local_search import Climber, Standing

__all__ = ["Effort", "search"]

# The largest change of a preference, in units of what a cluster loses on average against the ceiling: in
# turn, since what a weaker disturbance finds a stronger one may not.
_STRENGTHS = (0.2, 0.1)
# While disturbances come, the last few moves of a climb are left to the next: each wave leaves about a third
# of the moves to the one after it.
_LEFT = 0.01
# Edges that are read in about a second.
_SMALL = 1 << 27
# Similarities seen in about a second while exemplars are exchanged.
_EXCHANGING = 1 << 28
# Choices of candidates in a row without any gain, after which to stop; seeds that each may use.
_FRUITLESS = 4
_SEEDS = 1 << 20


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search.

    Attributes
    ----------
    n_readings : int
        Readings of all edges after which no more are begun.
    n_disturbances : int
        Disturbances at most.
    n_fruitless : int
        Disturbances in a row without any gain, after which to stop.
    """

    n_readings: int
    n_disturbances: int = 100
    n_fruitless: int = 25

    @classmethod
    def after(cls, n_sweeps: int, n_edges: int) -> Effort:
        """Return an effort in proportion to the sweeps made; more for small graphs, which cost nothing."""
        return cls(max(n_sweeps // 3, _SMALL // max(1, n_edges)))

    @classmethod
    def brief(cls, n_sweeps: int, n_edges: int) -> Effort:
        """Return an effort for one of many: small graphs get a tenth as much."""
        return cls(max(n_sweeps // 3, _SMALL // (10 * max(1, n_edges))))


def search(
    problem: Problem, assignment: Assignment, effort: Effort, seed: int, told: Callable[[], object]
) -> Assignment:
    """Return a better assignment, if there is one to be found.

    Parameters
    ----------
    problem : Problem
    assignment : Assignment
    effort : Effort
    seed : int
        Of the disturbances.
    told : callable
        Called after each reading of the edges.
    """
    preference = np.ascontiguousarray(within_reach(problem))
    climber = Climber(problem, effort.n_readings, told)
    unit = _unit(problem, climber.stand(assignment.exemplar, preference), preference)
    if not unit > 0.0:
        return assignment
    n_candidates = candidates_kept(len(preference), problem.survey.n_edges)
    if n_candidates >= 2 * max(1, int(np.count_nonzero(assignment.exemplar))):
        return assign(problem, _exchanged(climber, problem, assignment, preference, n_candidates, seed))
    best = _climbed(climber, assignment.exemplar, preference)
    n_fruitless = 0
    for number in range(effort.n_disturbances):
        if n_fruitless == effort.n_fruitless or climber.exhausted:
            break
        strength = _STRENGTHS[number % len(_STRENGTHS)] * unit
        exemplar = _disturbed(climber, problem, best.exemplar, preference, strength, seed + number + 1)
        mixture = mixed(problem, best, _climbed(climber, exemplar, preference))
        n_fruitless = n_fruitless + 1 if mixture is None else 0
        if mixture is not None:
            best = _climbed(climber, mixture, preference)
    return assign(problem, climber.climb(best.exemplar, preference).exemplar)


def _exchanged(
    climber: Climber,
    problem: Problem,
    assignment: Assignment,
    preference: Float64Array,
    n_candidates: int,
    seed: int,
) -> BoolArray:
    """Return where exchanges lead, among the exemplars and other candidates drawn anew after each climb."""
    best = climber.stand(assignment.exemplar, preference)
    n_fruitless, left = 0, _EXCHANGING
    while n_fruitless < _FRUITLESS and left > 0:
        lot = hashed(problem.user_id, seed)
        lot[best.exemplar] = -1.0
        candidate = np.argsort(lot)[:n_candidates].astype(np.int32)
        swapper = Swapper.among(problem, candidate, preference, climber)
        exemplar, n_seen = swapper.search(best.exemplar, left, seed)
        # A table is not to be held while the next one is filled.
        del swapper
        found = climber.climb(exemplar, preference)
        gains = grid_sum(found.value) > grid_sum(best.value)
        n_fruitless, best = (0, found) if gains else (n_fruitless + 1, best)
        left, seed = left - n_seen, seed + _SEEDS
    return best.exemplar


def _unit(problem: Problem, at: Standing, preference: Float64Array) -> float:
    """Return what a cluster loses on average against the ceiling."""
    lost = ceiling(problem.graph, preference) - grid_sum(at.value)
    return lost / max(1, int(np.count_nonzero(at.exemplar)))


def _climbed(climber: Climber, exemplar: BoolArray, preference: Float64Array) -> Found:
    """Return where climbing leads, nearly."""
    top = climber.climb(exemplar, preference, _LEFT)
    return Found(top.exemplar, top.value)


def _disturbed(
    climber: Climber,
    problem: Problem,
    exemplar: BoolArray,
    preference: Float64Array,
    strength: float,
    seed: int,
) -> BoolArray:
    """Return where climbing leads under preferences changed at random, by at most ``strength``."""
    changed = hashed(problem.user_id, seed)
    changed -= 0.5
    changed *= 2.0 * strength
    changed += preference
    return climber.climb(exemplar, changed, _LEFT).exemplar
