"""After the loop: local search for a better set of exemplars, on the edges alone.

*Climb* (`sparse_ap.climbing`): carry out moves that gain, until none does. That ends on a local optimum.

*Disturb and mix*: climb from the best set under preferences changed at random, then under the true ones. Of
the differences that remain, those that have no point in common are independent of each other: each is
kept if it gains (partition crossover: Whitley, Hains & Howe, GECCO 2009). So disturbing everything
at once takes no more readings of the edges than disturbing a single place.

All decisions are by exact sums and the user's numbers: the same in whatever order points and edges are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparse_ap.climbing import Climber, Standing
from sparse_ap.mixing import mixed
from sparse_ap.model import BoolArray, Float64Array
from sparse_ap.passes.grid import grid_sum
from sparse_ap.readout import Assignment, assign
from sparse_ap.seeds import hashed
from sparse_ap.similarity import Problem, ceiling
from sparse_ap.ties import within_reach

__all__ = ["Effort", "search"]

# The largest change of a preference, in units of what a cluster loses on average against the ceiling: in
# turn, since what a weaker disturbance finds a stronger one may not.
_STRENGTHS = (0.2, 0.1)
# While disturbances come, the last few moves of a climb are left to the next: each wave leaves about a third
# of the moves to the one after it.
_LEFT = 0.01
# Edges that are read in about a second.
_SMALL = 1 << 27


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
    best = climber.stand(assignment.exemplar, preference)
    lost = ceiling(problem.execution, preference) - grid_sum(best.value)
    unit = lost / max(1, int(np.count_nonzero(best.exemplar)))
    if not unit > 0.0:
        return assignment
    best = climber.climb(best, preference, _LEFT)
    n_fruitless = 0
    for number in range(effort.n_disturbances):
        if n_fruitless == effort.n_fruitless or climber.exhausted:
            break
        strength = _STRENGTHS[number % len(_STRENGTHS)] * unit
        mixture = _mixture(climber, problem, best, preference, strength, seed + number + 1)
        n_fruitless = n_fruitless + 1 if mixture is None else 0
        if mixture is not None:
            best = climber.climb(climber.stand(mixture, preference), preference, _LEFT)
    return assign(problem, climber.climb(best, preference).exemplar)


def _mixture(
    climber: Climber, problem: Problem, best: Standing, preference: Float64Array, strength: float, seed: int
) -> BoolArray | None:
    """Disturb, and return what is better than the best set; None if that finds nothing better."""
    exemplar = _disturbed(climber, best.exemplar, _changed(problem, preference, strength, seed))
    other = climber.climb(climber.stand(exemplar, preference), preference, _LEFT)
    return mixed(problem, best, other)


def _changed(problem: Problem, preference: Float64Array, strength: float, seed: int) -> Float64Array:
    """Return preferences changed at random, by at most ``strength``."""
    change = hashed(problem.user_id, seed)
    change -= 0.5
    change *= 2.0 * strength
    change += preference
    return change


def _disturbed(climber: Climber, exemplar: BoolArray, changed: Float64Array) -> BoolArray:
    """Return where climbing leads under changed preferences."""
    return climber.climb(climber.stand(exemplar, changed), changed, _LEFT).exemplar
