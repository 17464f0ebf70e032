"""The part of a problem that is near changed points: elsewhere exemplars stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparse_ap.clustering.input import selected
from sparse_ap.clustering.restriction import SummarisedGraph
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.propagation.assignment import Assignment
from sparse_ap.propagation.problem import Problem, limits_of
from sparse_ap.propagation.repair import UncoveredVectors, gains
from sparse_ap.propagation.roles import Roles
from sparse_ap.storage.selection import Selection

__all__ = ["near", "restricted"]


def near(problem: Problem, start: Assignment, changed: BoolArray) -> BoolArray:
    """Return whether each point is changed, preferred by a changed one to its exemplar, or such a one's own.

    Parameters
    ----------
    problem : Problem
    start : Assignment
        Every point has an exemplar.
    changed : ndarray of bool, shape (n_points,)
    """
    value = np.where(start.exemplar, problem.preference, start.similarity.astype(np.float64))
    vectors = UncoveredVectors(changed, np.ones_like(changed))
    found: BoolArray = changed | (gains(problem, value, float(value.min(initial=0.0)), vectors) > 0.0)
    found[start.chosen[found]] = True
    return found


def restricted(
    problem: Problem, start: Assignment, free: BoolArray, old: BoolArray, min_gain: float
) -> tuple[Problem, Float64Array]:
    """Return the problem in which only some points may become, or cease to be, exemplars.

    Parameters
    ----------
    problem : Problem
    start : Assignment
        Those of its exemplars stay that are not free.
    free : ndarray of bool, shape (n_points,)
        In the order of the graph.
    old : ndarray of bool, shape (n_points,)
        Exemplars whose preference is raised, so that they stay unless a change gains more than that.
    min_gain : float
        By how much.

    Returns
    -------
    problem : Problem
        Its graph has only the edges to points that may be exemplars.
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity.
    """
    preference = np.where(old, problem.preference + min_gain, problem.preference)
    # Larger preferences decide by themselves, and would make the grid of sums too coarse for all others.
    decided = old & (preference > limits_of(problem.free_preference, problem.edges).high)
    roles = _roles(problem, start.exemplar, free & ~decided)
    barred = roles.forbidden
    graph = selected(problem.graph, Selection(candidate=~barred)) if barred.any() else problem.graph
    at = SummarisedGraph.of(graph)
    near_ones = replace(problem, graph=at.graph, edges=at.edges, roles=roles if roles.fixed.any() else None)
    return near_ones.under(preference), at.row_best


def _roles(problem: Problem, exemplar: BoolArray, free: BoolArray) -> Roles:
    """Return the roles in which points that are not free stay what they are."""
    pinned, forbidden = exemplar & ~free, ~exemplar & ~free
    if problem.roles is None:
        return Roles(pinned, forbidden, np.zeros_like(free))
    lost = problem.roles.unrepresented
    return Roles((pinned | problem.roles.pinned) & ~lost, (forbidden | problem.roles.forbidden) & ~lost, lost)
