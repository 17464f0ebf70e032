"""The best mixture of two sets of exemplars.

Where they differ, the differences fall into components: two belong together if a point sees both, that is,
has edges to both that are better than all it has to exemplars in both sets. What the points of a
component have depends on nothing outside it; so each component is taken from whichever set it is better in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.readout import assign
from sparse_ap.search.label_propagation import LabelVectors, LinkPass, LinkRows

__all__ = ["Found", "mixed"]

# Components that gain less than this share of all that any differs in are not told from rounding.
_LEAST_GAIN = 2.0**-40


class Found(NamedTuple):
    """A set of exemplars, and what each point has in it."""

    exemplar: BoolArray
    value: Float64Array


def mixed(problem: Problem, best: Found, other: Found) -> BoolArray | None:
    """Return the best mixture of two sets; None where it is the first.

    Parameters
    ----------
    problem : Problem
    best, other : Found
        Under the same preferences.
    """
    ours, theirs = best.exemplar, other.exemplar
    differs = ours != theirs
    if not differs.any():
        return None
    of_point, seen = _components(problem, differs, _common(problem, ours & theirs))
    gain = _gains(other.value - best.value, seen)
    taken = differs & (gain[of_point] > _LEAST_GAIN * np.abs(gain).max())
    return np.where(taken, theirs, ours) if taken.any() else None


def _common(problem: Problem, exemplar: BoolArray) -> Float64Array:
    """Return what points have of these exemplars: -inf without an edge to any, +inf where they are one."""
    assignment = assign(problem, exemplar)
    common = assignment.similarity.astype(np.float64)
    common[assignment.chosen < 0] = -np.inf
    common[exemplar] = np.inf
    return common


def _components(problem: Problem, differs: BoolArray, common: Float64Array) -> tuple[Int32Array, Int32Array]:
    """Return the component of each point in which the sets differ, and the one each point sees; 0: none."""
    label = np.where(differs, np.arange(1, len(differs) + 1, dtype=np.int32), np.int32(0))
    rows = LinkRows(common, np.empty_like(label))
    while True:
        (linked,), _ = problem.execution.run(LinkPass(), LabelVectors(label), rows)
        # A label is a point's number: go on to what that point is labelled with.
        linked[differs] = linked[linked[differs] - 1]
        if (linked == label).all():
            return label, rows.label
        label = linked


def _gains(difference: Float64Array, component: Int32Array) -> Float64Array:
    """Return what each component gains, by its label; exact, so in any order."""
    shift = Grid.for_totals(len(difference) * float(np.abs(difference).max())).shift
    on_grid = (difference + shift) - shift
    gains = np.bincount(component, weights=on_grid, minlength=len(difference) + 1)
    return gains.astype(np.float64, copy=False)
