"""Runs at a sequence of preferences, each continued from the messages of the one before.

Preferences are expressed as the *cost* of an exemplar: the largest similarity of the graph minus the
preference, which is the loss of a point that becomes an exemplar against the best conceivable edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

# Sweeps of a short run; docs/design/0014-number-of-clusters.md has the measurements.
_SHORT = 30
# Costs, in units of the first one, at which runs find few exemplars. Which of them finds the fewest depends
# on the graph; of the powers from 4 to 4,096 these two suffice (docs/design/0014-number-of-clusters.md).
_HIGH_COSTS = (256.0, 1024.0)


class Solution(NamedTuple):
    """A set of exemplars, with the problem and the run that led to it.

    Attributes
    ----------
    problem : Problem
    propagation : Propagation
    n_promoted : int
        Points made exemplars after the sweeps because they had no edge to an exemplar.
    exemplar : ndarray of bool, shape (n_points,)
    """

    problem: Problem
    propagation: Propagation
    n_promoted: int
    exemplar: BoolArray

    @property
    def n_clusters(self) -> int:
        """Number of exemplars, without the points that nobody represents."""
        return int(np.count_nonzero(self.exemplar)) - self.problem.n_unrepresented

    @property
    def cost(self) -> float:
        """Cost of an exemplar in this problem: the largest similarity minus the preference."""
        return _cost_of(self.problem)

    @property
    def n_sweeps(self) -> int:
        """Approximate number of sweeps that led here: those of this run plus one short run."""
        return len(self.propagation.history) + _SHORT

    @property
    def effort(self) -> Effort:
        """Effort of a local search from here, in proportion to the sweeps."""
        return Effort.after(self.n_sweeps, self.problem.graph.n_points, self.problem.edges.n_edges)

    def clustering(self) -> Clustering:
        """Return the clustering in the user's numbers."""
        assignment = assign(self.problem, self.exemplar)
        return clustering_of(self.problem, self.propagation, assignment, self.n_promoted)


class Continuation:
    """Message passing at a sequence of costs, each run started from the messages of the one before."""

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._state: PointState | None = None
        self._cost = math.inf

    def short(self, problem: Problem) -> Solution:
        """Return the exemplars after a short run, without a search."""
        at_most = min(_SHORT, self._solver.settings.stop.max_iter)
        return self._solution(self._solver.stopping(max_iter=at_most), problem)

    def full(self, problem: Problem) -> Solution:
        """Return the exemplars after a run to convergence and a local search."""
        found = self._solution(self._solver, problem)
        return _searched(self._solver, found)

    def _solution(self, solver: Solver, problem: Problem) -> Solution:
        cost = _cost_of(problem)
        row_best = best_of_rows(problem.graph)
        # Warm start only while the cost has less than doubled: messages from much cheaper exemplars keep too
        # many of them, and end 3 to 15 % worse than messages from rest
        # (docs/design/0014-number-of-clusters.md).
        start = self._state if cost < 2.0 * self._cost else None
        # The run overwrites the state it starts from; and a state that is not used frees its memory here.
        self._state = None
        propagation, self._state = solver.propagated(problem, row_best, start)
        self._cost = cost
        assignment, n_promoted = repair(problem, propagation.exemplar)
        return Solution(problem, propagation, n_promoted, assignment.exemplar)


def _searched(solver: Solver, found: Solution) -> Solution:
    """Return a solution improved by local search at the same cost."""
    assignment = assign(found.problem, found.exemplar)
    return found._replace(exemplar=solver.searched(found.problem, assignment, found.effort).exemplar)


def with_fewer(solver: Solver, found: Solution) -> Solution:
    """Return a solution with fewer exemplars, if a search at the highest cost finds one.

    At that cost an exemplar less outweighs every difference between similarities.
    """
    at_highest = at_cost(found.problem, highest_cost(found.problem))
    few = _searched(solver, found._replace(problem=at_highest))
    return found._replace(exemplar=few.exemplar)


def with_fewest(solver: Solver, problem: Problem) -> Solution:
    """Return the solution with the fewest exemplars that two runs at high costs lead to."""
    costs = (times * first_cost(problem) for times in _HIGH_COSTS)
    costly = (Continuation(solver).full(at_cost(problem, cost)) for cost in costs)
    return min(
        (with_fewer(solver, with_exactly(solver, found, 1)) for found in costly),
        key=lambda found: found.n_clusters,
    )


def with_exactly(
    solver: Solver, found: Solution, n_clusters: int, others: Sequence[Solution] = ()
) -> Solution:
    """Return a solution with ``n_clusters`` exemplars, or more where none can be closed.

    Parameters
    ----------
    solver : Solver
    found : Solution
        Gives the problem, the run and, without ``others``, the exemplars to start from.
    n_clusters : int
        Number of exemplars to reach. Below the feasible number the result has as few as were found.
    others : sequence of Solution
        Solutions whose exemplars to start from, in place of those of ``found``.
    """
    start = [f.exemplar for f in others] or [found.exemplar]
    at_most = found.effort.n_readings
    with reading_progress("moves", at_most, solver.verbose) as on_reading:
        n_exemplars = n_clusters + found.problem.n_unrepresented
        return found._replace(exemplar=exact_k(found.problem, start, n_exemplars, at_most, on_reading))


def first_cost(problem: Problem) -> float:
    """Return the cost of the problem's preference, or the span of similarities if that is not positive."""
    cost = _cost_of(problem)
    # Costs are interpolated by their logarithms, so they must be positive.
    return cost if cost > 0.0 else problem.edges.span


def highest_cost(problem: Problem) -> float:
    """Return the cost from which on only the number of exemplars matters."""
    return problem.edges.largest_or_zero - lowest_preference(problem)


def at_cost(problem: Problem, cost: float) -> Problem:
    """Return the problem with one preference for all points, given by its cost."""
    return problem.at(problem.edges.largest_or_zero - cost)


def _cost_of(problem: Problem) -> float:
    return problem.edges.largest_or_zero - float(next(iter(problem.free_preference), 0.0))
