"""A short run that begins with exemplars: what its messages find is combined with them, place by place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.solver import Solver
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.propagation.assignment import Assignment, Refinement, assign
from sparse_ap.propagation.loop import Propagation
from sparse_ap.propagation.preferences import clipped_preferences
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.readout import clustering_of, refined
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.crossover import ExemplarSet, crossover
from sparse_ap.search.refinement import Effort

__all__ = ["restarted", "started"]

# Sweeps after the one in which messages have grown: from rest they see where exemplars are missing long
# before they settle. Messages that begin with given exemplars hold on to them, and end .1 to 1 % worse.
_SHORT = 16
# The search after a run of that many sweeps.
_AS_AFTER = 100


def started(
    solver: Solver, problem: Problem, row_best: Float64Array, start: Clustering
) -> tuple[Problem, Clustering]:
    """Return the clustering that a short run from another one leads to, and the problem, as `restarted`.

    Raises
    ------
    InvalidInputError
        The other one is of another number of points.
    """
    n = problem.graph.n_points
    if len(start.labels) != n:
        raise InvalidInputError(
            f"start is a clustering of {len(start.labels):,} points, and the graph has {n:,}. Give one of "
            "the same points; sparse_ap.extend goes on with more points, or fewer."
        )
    exemplar = np.zeros(n, np.bool_)
    exemplar[start.exemplars] = True
    if problem.duplicates is not None:
        exemplar[problem.duplicates.stand_in[start.exemplars]] = True
    given, n_promoted = repair(problem, exemplar[problem.user_id])
    refine = solver.refinement(Effort.after(_AS_AFTER, problem.graph.n_points, problem.edges.n_edges))
    problem, propagation, assignment = restarted(solver, problem, row_best, given, refine)
    return problem, clustering_of(problem, propagation, assignment, n_promoted)


def restarted(
    solver: Solver,
    problem: Problem,
    row_best: Float64Array,
    start: Assignment,
    refine: Refinement | None,
    n_sweeps: int = _SHORT,
) -> tuple[Problem, Propagation, Assignment]:
    """Return the exemplars of a short run, combined with given ones, and refined; never worse than those.

    Parameters
    ----------
    solver : Solver
    problem : Problem
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity; overwritten.
    start : Assignment
        Every point has an exemplar.
    refine : callable, optional
        Function from a problem and an assignment to a better assignment.
    n_sweeps : int
        Sweeps after the messages have grown.

    Returns
    -------
    problem : Problem
        The same problem, with a local copy of its graph if a cluster holds it and it is small.
    propagation : Propagation
        It counts as converged: that there are few sweeps is the plan.
    assignment : Assignment
    """
    propagation = replace(solver.brief(problem, n_sweeps).propagated(problem, row_best)[0], converged=True)
    problem = local_problem(problem)

    def better(problem: Problem, start: Assignment) -> Assignment:
        both = _combined(problem, start, propagation.exemplar)
        return refine(problem, both) if refine else both

    return problem, propagation, refined(problem, start, better)


def _combined(problem: Problem, start: Assignment, exemplar: BoolArray) -> Assignment:
    """Return the better of two sets of exemplars in each place where they differ."""
    found, _ = repair(problem, exemplar)
    preference = clipped_preferences(problem)
    both = crossover(problem, _valued(found, preference), _valued(start, preference))
    return found if both is None else assign(problem, both)


def _valued(assignment: Assignment, preference: Float64Array) -> ExemplarSet:
    """Return the exemplars with the value of each point."""
    value = np.where(assignment.exemplar, preference, assignment.similarity.astype(np.float64))
    return ExemplarSet(assignment.exemplar, value)
