"""Messages passed at one preference after the other, each time from where they were.

Preferences are told by their *cost*: what being an exemplar costs against the best that any point can have,
the largest similarity minus the preference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sparse_ap.clustering.solver import Solver
from sparse_ap.kernels.block import BoolArray
from sparse_ap.propagation.assignment import assign
from sparse_ap.propagation.loop import PointState, Propagation
from sparse_ap.propagation.problem import Problem, best_of_rows
from sparse_ap.propagation.progress import reading_progress
from sparse_ap.propagation.readout import clustering_of
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.exact_k import exact_k, lowest_preference
from sparse_ap.search.refinement import Effort

__all__ = [
    "Continuation",
    "Solution",
    "at_cost",
    "first_cost",
    "highest_cost",
    "with_exactly",
    "with_fewer",
    "with_fewest",
]

# Sweeps of a short run.
_SHORT = 30
# Prices, against the first one, at which few exemplars are found; at which of them the fewest depends.
_HIGH_COSTS = (256.0, 1024.0)


class Solution(NamedTuple):
    """A set of exemplars, and the run that led to it."""

    problem: Problem
    propagation: Propagation
    n_promoted: int
    exemplar: BoolArray

    @property
    def n_clusters(self) -> int:
        """How many they are."""
        return int(np.count_nonzero(self.exemplar))

    @property
    def cost(self) -> float:
        """What an exemplar costs in this problem, against the largest similarity."""
        return _cost_of(self.problem)

    @property
    def n_sweeps(self) -> int:
        """Sweeps that led here, nearly."""
        return len(self.propagation.history) + _SHORT

    @property
    def effort(self) -> Effort:
        """What to spend on a search from here."""
        return Effort.after(self.n_sweeps, self.problem.edges.n_edges)

    def clustering(self) -> Clustering:
        """Return the clustering in the user's numbers."""
        assignment = assign(self.problem, self.exemplar)
        return clustering_of(self.problem, self.propagation, assignment, self.n_promoted)


class Continuation:
    """Passes messages on one problem at one cost after the other, each time from where they were.

    Parameters
    ----------
    solver : Solver
    """

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._state: PointState | None = None
        self._cost = math.inf

    def brief(self, problem: Problem) -> Solution:
        """Return what a few sweeps lead to, and a search after them."""
        found = self.short(problem)
        return _searched(self._solver, found, Effort.brief(found.n_sweeps, problem.edges.n_edges))

    def short(self, problem: Problem) -> Solution:
        """Return what a few sweeps lead to."""
        settings = self._solver.settings
        stop = replace(settings.stop, max_iter=min(_SHORT, settings.stop.max_iter))
        return self._solution(replace(self._solver, settings=replace(settings, stop=stop)), problem)

    def full(self, problem: Problem) -> Solution:
        """Return what settled messages lead to, and a search after them."""
        found = self._solution(self._solver, problem)
        return _searched(self._solver, found, found.effort)

    def _solution(self, solver: Solver, problem: Problem) -> Solution:
        cost = _cost_of(problem)
        row_best = best_of_rows(problem.graph)
        # Messages from where exemplars were much cheaper hardly let go of the many that there were.
        start = self._state if cost < 2.0 * self._cost else None
        self._state = None
        propagation, self._state = solver.propagated(problem, row_best, start)
        self._cost = cost
        assignment, n_promoted = repair(problem, propagation.exemplar)
        return Solution(problem, propagation, n_promoted, assignment.exemplar)


def _searched(solver: Solver, found: Solution, effort: Effort) -> Solution:
    """Search for better exemplars at the same cost."""
    assignment = assign(found.problem, found.exemplar)
    return found._replace(exemplar=solver.searched(found.problem, assignment, effort).exemplar)


def with_fewer(solver: Solver, found: Solution) -> Solution:
    """Return fewer exemplars, if a search finds fewer when nothing but their number counts."""
    at_highest = at_cost(found.problem, highest_cost(found.problem))
    few = _searched(solver, found._replace(problem=at_highest), found.effort)
    return found._replace(exemplar=few.exemplar)


def with_fewest(solver: Solver, problem: Problem) -> Solution:
    """Return as few exemplars as are found."""
    costs = (times * first_cost(problem) for times in _HIGH_COSTS)
    costly = (Continuation(solver).full(at_cost(problem, cost)) for cost in costs)
    return min(
        (with_fewer(solver, with_exactly(solver, found, 1)) for found in costly),
        key=lambda found: found.n_clusters,
    )


def with_exactly(
    solver: Solver, found: Solution, n_clusters: int, others: Sequence[Solution] = ()
) -> Solution:
    """Open or close what is missing or too much; more are left where none can be spared.

    Parameters
    ----------
    solver : Solver
    found : Solution
    n_clusters : int
        Below what is possible: as few as are found.
    others : sequence of Solution
        Where to begin instead.
    """
    start = [f.exemplar for f in others] or [found.exemplar]
    at_most = found.effort.n_readings
    with reading_progress("moves", at_most, solver.verbose) as on_reading:
        return found._replace(exemplar=exact_k(found.problem, start, n_clusters, at_most, on_reading))


def first_cost(problem: Problem) -> float:
    """Return a cost to begin with: that of the problem's preference, if it is one."""
    cost = _cost_of(problem)
    return cost if cost > 0.0 else problem.edges.span


def highest_cost(problem: Problem) -> float:
    """Return a cost above which nothing changes."""
    return problem.edges.largest_or_zero - lowest_preference(problem)


def at_cost(problem: Problem, cost: float) -> Problem:
    """Return the problem with the preference of a cost, for all points."""
    return problem.at(problem.edges.largest_or_zero - cost)


def _cost_of(problem: Problem) -> float:
    return problem.edges.largest_or_zero - float(next(iter(problem.preference), 0.0))
