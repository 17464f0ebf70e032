"""Partition crossover of two exemplar sets (Whitley, Hains & Howe, GECCO 2009).

Two points that are exemplars in one of the sets only interact if some point prefers each of them to every
exemplar that the two sets share. The connected components of this relation are independent: the values of
the points that see a component depend on no other component. So each component is taken from the set in which
its points gain more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import LARGEST, Columns, LabelVectors, PlainPass
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.assignment import assign
from sparse_ap.propagation.problem import Problem

__all__ = ["ComponentPass", "ComponentRows", "ExemplarSet", "crossover"]

# Gains below this share of the largest difference of any component cannot be told from rounding errors.
_LEAST_GAIN = 2.0**-40


class ExemplarSet(NamedTuple):
    """A set of exemplars, and the value of each point: its similarity to its exemplar, or its preference."""

    exemplar: BoolArray
    value: Float64Array


def crossover(problem: Problem, best: ExemplarSet, other: ExemplarSet) -> BoolArray | None:
    """Return the best combination of two exemplar sets; None if that is the first set.

    Parameters
    ----------
    problem : Problem
    best, other : ExemplarSet
        Exemplar sets with values under the same preferences.
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
    """Return each point's best similarity to the shared exemplars: -inf without an edge, +inf for these."""
    assignment = assign(problem, exemplar)
    common = assignment.similarity.astype(np.float64)
    common[assignment.chosen < 0] = -np.inf
    common[exemplar] = np.inf
    return common


def _components(problem: Problem, differs: BoolArray, common: Float64Array) -> tuple[Int32Array, Int32Array]:
    """Return the component of each differing exemplar, and the component that each point sees; 0: none.

    Labels spread until they no longer change; the largest label of a component names it. A label is a point's
    number plus 1. Where a label meets a larger one, the point that it names is told, and all follow what
    these points have been told: so a component of many steps takes few readings (as in FastSV: Zhang, Azad &
    Hu, SIAM PP 2020).
    """
    label = np.where(differs, np.arange(1, len(differs) + 1, dtype=np.int32), np.int32(0))
    rows = ComponentRows(common, np.empty_like(label))
    while True:
        (linked,), _ = problem.graph.run(ComponentPass(), LabelVectors(label), rows)
        if (linked == label).all():
            return label, rows.label
        np.maximum.at(linked, label[differs] - 1, linked[differs])
        label = _followed(linked, differs)


def _followed(label: Int32Array, differs: BoolArray) -> Int32Array:
    """Return the labels to which chains of labels lead: a label is that of the point it names."""
    while True:
        further = label[label[differs] - 1]
        if (further == label[differs]).all():
            return label
        label[differs] = further


def _gains(difference: Float64Array, component: Int32Array) -> Float64Array:
    """Return the gain of each component, indexed by its label; sums are exact, in any order."""
    shift = Grid.for_totals(len(difference) * float(np.abs(difference).max())).shift
    on_grid = (difference + shift) - shift
    gains = np.bincount(component, weights=on_grid, minlength=len(difference) + 1)
    return gains.astype(np.float64, copy=False)


class ComponentRows(NamedTuple):
    """Rows: each point's best similarity to the shared exemplars (read), the largest label seen (written)."""

    common: Float64Array
    label: Int32Array


@dataclass(frozen=True, slots=True)
class ComponentPass(PlainPass):
    """Give the largest label that a point sees to all exemplars that it sees.

    A point sees itself, and the differing exemplars that it prefers to all exemplars in both sets. Labels are
    positive for exemplars of one set only, 0 for all other points.
    """

    column_reductions = (LARGEST,)
    reads = ("common",)
    writes = ("label",)

    def __call__(self, block: Block, vectors: LabelVectors, rows: ComponentRows, columns: Columns) -> int:
        """Spread the labels seen by one block's points."""
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
