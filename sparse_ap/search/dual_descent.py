"""Descent on the dual function L(u): one reading of the edges a step (docs/design/0011-certificate.md).

The corners of L are rounded off by parabolas, and Nesterov's accelerated gradient descends while their width
falls. Each dual variable moves by its slope, divided by a bound on the curvature of its row. A row needs the
columns of the step before; so it is moved, and at once adds its edges to the columns of the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.elementary import exponential, logarithm
from sparse_ap.kernels.exact_sum import Grid, grid_sum, on_grid
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.active_edges import ActiveEdges
from sparse_ap.search.dual_start import DualStart

__all__ = ["DualStepPass", "DualStepRows", "OpenVectors", "descent", "grid_of_gains"]

# First and last width of the rounded corners, in units of the mean share of a point.
_FIRST_WIDTH, _LAST_WIDTH = 1.0, 0.003
# Share of a row's curvature that is kept from step to step, and its least value.
_MEMORY, _LEAST_CURVATURE = 0.8, 0.5


class OpenVectors(NamedTuple):
    """Vectors: the degree in [0, 1] to which each point is an exemplar in the rounded problem."""

    opened: Float64Array


class DualStepRows(NamedTuple):
    """Rows of the descent.

    Attributes
    ----------
    at : ndarray of float64
        The dual variables u_i: read, and moved.
    ahead : ndarray of float64
        The dual variables that the momentum leads to, where slopes are taken: read, and moved.
    curvature : ndarray of float64
        The bound on the curvature of each row, times the width: read, and renewed.
    uphill : ndarray of float64
        Written: the product of slope and move, positive where the step led uphill.
    floor : ndarray of float64
        Least value of each dual variable, read; without an element: none has one.
    """

    at: Float64Array
    ahead: Float64Array
    curvature: Float64Array
    uphill: Float64Array
    floor: Float64Array

    @classmethod
    def from_start(cls, dual: Float64Array, floor: Float64Array | None) -> DualStepRows:
        """Return the rows before the first step."""
        curvature = np.full_like(dual, _LEAST_CURVATURE)
        floor = np.empty(0) if floor is None else floor
        return cls(dual.copy(), dual.copy(), curvature, np.zeros_like(dual), floor)


def descent(
    problem: Problem, start: DualStart, n_steps: int, on_reading: Callable[[], object]
) -> Iterator[Float64Array]:
    """Yield the dual variables after each step, in one array that is overwritten; nothing if all is at rest.

    Parameters
    ----------
    problem : Problem
    start : DualStart
    n_steps : int
    on_reading : callable
        Called after each reading of the edges.
    """
    # A width below the rounding error of the dual variables would round no corner off.
    narrowest = max(np.finfo(np.float64).tiny, np.spacing(np.abs(start.dual).max(initial=0.0)))
    if not start.mean_share * _LAST_WIDTH > narrowest:
        return
    widths = [start.mean_share * factor for factor in _width_factors(n_steps)]
    rows = DualStepRows.from_start(start.dual, problem.missing_at_most)
    edges = ActiveEdges(problem.graph, problem.edges.n_edges)
    opened = np.zeros_like(start.dual)
    momentum, speed, width = 1.0, 0.0, 0.0
    for next_width in [*widths, widths[-1]]:
        step = DualStepPass.of(problem, rows, width, next_width, speed)
        gain, count = edges.run(step, OpenVectors(opened), rows, step.reach, next_width)
        on_reading()
        if width > 0.0:
            yield rows.at
            # The step went uphill: restart the momentum (O'Donoghue & Candes 2015).
            momentum = 1.0 if grid_sum(rows.uphill) > 0.0 else momentum
        _open(problem.preference, rows.ahead, gain, count, next_width, opened)
        following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
        width, speed, momentum = next_width, (momentum - 1.0) / following, following


def _width_factors(n_steps: int) -> list[float]:
    fall = logarithm(_LAST_WIDTH / _FIRST_WIDTH) / max(1, n_steps - 1)
    return [_FIRST_WIDTH * exponential(step * fall) for step in range(n_steps)]


def grid_of_gains(problem: Problem, lowest: float, width: float) -> Grid:
    """Return a grid on which the gains at one point add up exactly, at most one per edge that ends there.

    Parameters
    ----------
    problem : Problem
    lowest : float
        The least dual variable.
    width : float
        Of the rounded corners.
    """
    most = problem.edges.largest_or_zero - lowest + width
    # The factor exceeds the rounding errors of the product, so that no sum can overflow the grid.
    return Grid.for_totals(max(1, problem.edges.max_in_degree) * max(0.0, 1.001 * most))


@dataclass(frozen=True, slots=True)
class DualStepPass(PlainPass):
    """Move each row's dual variable, then add its edges to the columns.

    The columns are the gains h(s(i,k) - u_i), where h is max(0, x) with the corner replaced by a parabola,
    (x + w)² / 4w for -w < x < w; and their slopes h', which count the points that depend on k.

    Attributes
    ----------
    width : float
        w at which the rows move; 0: they stay.
    next_width : float
        w of the columns.
    speed : float
        Share of the move that is added to it as momentum.
    covers, gains, counts : Grid
        For the sums over a row, the gains at a point, and their slopes.
    """

    width: float
    next_width: float
    speed: float
    covers: Grid
    gains: Grid
    counts: Grid

    column_reductions = (EXACT_SUM, EXACT_SUM)
    reads = ("at", "ahead", "curvature", "floor")
    writes = ("at", "ahead", "curvature", "uphill")

    @classmethod
    def of(
        cls, problem: Problem, rows: DualStepRows, width: float, next_width: float, speed: float
    ) -> DualStepPass:
        """Return the pass with grids for the values that the dual variables can have after it."""
        degree = problem.edges.max_in_degree
        return cls(
            width,
            next_width,
            speed,
            Grid.for_totals(1.0 + len(rows.at)),
            grid_of_gains(problem, _lowest_after(rows, width, speed), next_width),
            Grid.for_totals(1.0 + degree),
        )

    def reach(self, rows: DualStepRows) -> Float64Array:
        """Return the similarity up to which edges of each row add nothing, now nor after the move."""
        reached = rows.ahead - self.width / _LEAST_CURVATURE
        lowest = reached + self.speed * np.minimum(reached - rows.at, 0.0)
        return np.minimum(rows.ahead - self.width, lowest - self.next_width)

    def __call__(self, block: Block, vectors: OpenVectors, rows: DualStepRows, columns: Columns) -> int:
        """Move one block's rows, and add its edges."""
        start = block.rows.start
        if self.width > 0.0:
            _move(start, *block.csr, *vectors, rows, self.width, self.speed, self.covers.shift)
        else:
            rows.uphill[:] = 0.0
        _add(*block.csr, rows.ahead, self.next_width, self.gains.shift, self.counts.shift, *columns)
        return 0


def _lowest_after(rows: DualStepRows, width: float, speed: float) -> float:
    """Return a lower bound on where the momentum leads to after a step: slopes are 1 at most."""
    return float(_lowest(rows.at, rows.ahead, width / _LEAST_CURVATURE, speed))


@kernel
def _lowest(at: Any, ahead: Any, farthest: float, speed: float) -> float:
    lowest = np.inf
    for i in range(len(at)):
        reached = ahead[i] - farthest
        lowest = min(lowest, reached + speed * min(reached - at[i], 0.0))
    return lowest


@kernel
def _move(
    start: int, indptr: Any, indices: Any, data: Any, opened: Any, rows: Any, width: float, speed: float,
    shift: float,
) -> None:  # fmt: skip
    floored = len(rows.floor) > 0
    for i in range(len(rows.at)):
        dual, own, cover = rows.ahead[i], opened[start + i], 0.0
        curve = 0.5 if 0.0 < own < 1.0 else 0.0
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            over = np.float64(data[edge]) - dual
            if over > -width:
                openness = opened[indices[edge]]
                if openness > 0.0:
                    slope = 1.0 if over > width else 0.5 * (over + width) / width
                    cover += on_grid(slope * openness, shift)
                    # The curvature of the outer corner, where it is round, and of the inner one.
                    if openness < 1.0:
                        curve += on_grid(0.5 * slope, shift)
                    if over <= width:
                        curve += on_grid(0.5 * openness, shift)
        # What the row covers is on the grid, and so the same in any order; its own openness is added once.
        slope = 1.0 - (own + cover)
        curvature = max(curve, _LEAST_CURVATURE, _MEMORY * rows.curvature[i])
        reached = dual - width * slope / curvature
        if floored and reached < rows.floor[i]:
            # The slope counts as far as the step can follow it.
            reached = rows.floor[i]
            slope = (dual - reached) * curvature / width
        move = reached - rows.at[i]
        rows.uphill[i], rows.curvature[i], rows.at[i] = slope * move, curvature, reached
        rows.ahead[i] = max(reached + speed * move, rows.floor[i]) if floored else reached + speed * move


@kernel
def _add(
    indptr: Any, indices: Any, data: Any, dual: Any, width: float, gain_shift: float, count_shift: float,
    gain: Any, count: Any,
) -> None:  # fmt: skip
    steepness = 0.25 / width
    for i in range(len(dual)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            over = np.float64(data[edge]) - dual[i]
            if over > -width:
                k = indices[edge]
                if over > width:
                    gain[k] += on_grid(over, gain_shift)
                    count[k] += 1.0
                else:
                    gain[k] += on_grid(steepness * (over + width) ** 2, gain_shift)
                    count[k] += on_grid(0.5 * (over + width) / width, count_shift)


@kernel
def _open(preference: Any, dual: Any, gain: Any, count: Any, width: float, opened: Any) -> None:
    """Write how far each point is open: the slope of its rounded corner, as wide as points depend on it."""
    for k in range(len(opened)):
        wide = width * (1.0 + count[k])
        openness = 0.5 * (preference[k] - dual[k] + gain[k] + wide) / wide
        opened[k] = min(max(openness, 0.0), 1.0)
