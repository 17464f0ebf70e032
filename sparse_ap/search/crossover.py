"""The best mixture of two sets of exemplars.

Where they differ, the differences fall into components: two belong together if a point sees both, that is,
has edges to both that are better than all it has to exemplars in both sets. What the points of a
component have depends on nothing outside it; so each component is taken from whichever set it is better in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import LARGEST, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.assignment import assign
from sparse_ap.propagation.problem import Problem

__all__ = ["ComponentPass", "ComponentRows", "ComponentVectors", "ExemplarSet", "crossover"]

# Components that gain less than this share of all that any differs in are not told from rounding.
_LEAST_GAIN = 2.0**-40


class ExemplarSet(NamedTuple):
    """A set of exemplars, and what each point has in it."""

    exemplar: BoolArray
    value: Float64Array


def crossover(problem: Problem, best: ExemplarSet, other: ExemplarSet) -> BoolArray | None:
    """Return the best mixture of two sets; None where it is the first.

    Parameters
    ----------
    problem : Problem
    best, other : ExemplarSet
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
    rows = ComponentRows(common, np.empty_like(label))
    while True:
        (linked,), _ = problem.graph.run(ComponentPass(), ComponentVectors(label), rows)
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


class ComponentVectors(NamedTuple):
    """A label, above 0, for each point that is an exemplar in one of the sets only; 0 for the others."""

    label: Int32Array


class ComponentRows(NamedTuple):
    """Read: what each point has of the exemplars in both sets. Written: the largest label it sees."""

    common: Float64Array
    label: Int32Array


@dataclass(frozen=True, slots=True)
class ComponentPass(PlainPass):
    """Hand the largest label that a point sees to all whose labels it sees.

    A point sees itself, and the exemplars that are better than all that both sets share.
    """

    column_reductions = (LARGEST,)
    reads = ("common",)
    writes = ("label",)

    def __call__(self, block: Block, vectors: ComponentVectors, rows: ComponentRows, columns: Columns) -> int:
        """Do so for one block's points."""
        _link(block.rows.start, *block.csr, vectors.label, rows, columns[0])
        return 0


@kernel
def _link(start: int, indptr: Any, indices: Any, data: Any, label: Any, rows: Any, linked: Any) -> None:
    for i in range(len(rows.label)):
        largest = label[start + i]
        first_edge, last_edge = indptr[i] - indptr[0], indptr[i + 1] - indptr[0]
        for edge in range(first_edge, last_edge):
            if data[edge] > rows.common[i]:
                largest = max(largest, label[indices[edge]])
        rows.label[i] = largest
        if largest == 0:
            continue
        if label[start + i] > 0:
            linked[start + i] = max(linked[start + i], largest)
        for edge in range(first_edge, last_edge):
            k = indices[edge]
            if label[k] > 0 and data[edge] > rows.common[i]:
                linked[k] = max(linked[k], largest)
