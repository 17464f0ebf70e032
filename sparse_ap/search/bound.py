"""A proven upper bound on the net similarity of every clustering of a graph.

It is the Lagrangian dual of the problem, as in uncapacitated facility location. For any dual variables u_i,

    L(u) = Σ_i u_i + Σ_k max(0, p_k - u_k + Σ_{i≠k} max(0, s(i,k) - u_i))

is at least the net similarity of every clustering; a better u gives a smaller L. Starting from the point
values of the clustering found, Nesterov's accelerated gradient descends on L with its corners rounded off by
parabolas of falling width. At the end L itself is evaluated, every operation rounded upward
(docs/design/0011-certificate.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, Float64Array, FloatArray
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.elementary import exponential, logarithm
from sparse_ap.kernels.exact_sum import Grid, exact_sum, grid_sum, on_grid
from sparse_ap.propagation.problem import Problem, trivial_bound
from sparse_ap.propagation.progress import reading_progress
from sparse_ap.propagation.result import Clustering

__all__ = [
    "CoverPass",
    "CoverRows",
    "DualRows",
    "OpenVectors",
    "ProvenGainPass",
    "SmoothGainPass",
    "with_bound",
]

# Gradient steps; each takes two passes over the edges. docs/design/0011-certificate.md has the measurements.
_STEPS = 60
# First and last width of the rounded corners, in units of the average distance of a point's value from its
# ceiling; and the length of a step in units of the width.
_FIRST_WIDTH, _LAST_WIDTH = 0.3, 0.003
_STEP = 0.3


def with_bound(problem: Problem, clustering: Clustering, verbose: bool) -> Clustering:
    """Return a clustering with its proven bound; show progress if ``verbose``."""
    with reading_progress("proof", 2 * _STEPS, verbose) as on_reading:
        return replace(clustering, net_similarity_bound=_upper_bound(problem, clustering, on_reading))


def _upper_bound(problem: Problem, clustering: Clustering, on_reading: Callable[[], object]) -> float:
    """Return a number that no clustering of this graph exceeds in net similarity.

    Parameters
    ----------
    problem : Problem
    clustering : Clustering
        The clustering that the descent starts from; the better it is, the tighter the bound.
    on_reading : callable
        Called after each reading of the edges during the descent.
    """
    dual = _initial_dual(problem, clustering)
    scale = (trivial_bound(problem.graph, problem.preference) - clustering.net_similarity) / max(1, len(dual))
    # A width below the rounding error of the dual variables would round no corner off.
    narrowest = max(np.finfo(np.float64).tiny, np.spacing(np.abs(dual).max(initial=0.0)))
    improved = _descended(problem, dual, scale, on_reading) if scale * _LAST_WIDTH > narrowest else dual
    # Both are valid; the descent is not monotone, so the first may be the smaller one.
    return min(_proven(problem, dual), _proven(problem, improved))


def _initial_dual(problem: Problem, clustering: Clustering) -> Float64Array:
    """Return each point's similarity to its exemplar, or its preference, in the order of the graph."""
    dual = clustering.similarities[problem.user_id].astype(np.float64)
    is_exemplar = np.zeros(len(dual), np.bool_)
    is_exemplar[clustering.exemplars] = True
    mine = is_exemplar[problem.user_id]
    dual[mine] = problem.preference[mine]
    return dual


@dataclass(frozen=True, slots=True, eq=False)
class _SmoothedDual:
    """L with its corners rounded off by parabolas of one width, which makes it differentiable."""

    problem: Problem
    width: float
    on_reading: Callable[[], object]

    def slope(self, dual: Float64Array) -> Float64Array:
        """Return the gradient of the rounded L at dual variables u."""
        run = self.problem.graph.run
        grid = _grid_of_gains(self.problem, dual, self.width)
        (gain,), _ = run(SmoothGainPass(self.width, grid), (), DualRows(dual))
        self.on_reading()
        # Derivative of the rounded max(0, x) for every candidate exemplar k: how far k is open.
        opened = (self.problem.preference - dual + gain + self.width) / (2.0 * self.width)
        np.clip(opened, 0.0, 1.0, out=opened)
        rows = CoverRows(dual, np.empty_like(dual))
        run(CoverPass(self.width, Grid.for_totals(float(len(dual)))), OpenVectors(opened), rows)
        self.on_reading()
        return 1.0 - opened - rows.covered


def _descended(
    problem: Problem, dual: Float64Array, scale: float, on_reading: Callable[[], object]
) -> Float64Array:
    """Return improved dual variables, by accelerated gradient steps at falling widths."""
    at, ahead, momentum = dual, dual, 1.0
    for step in range(_STEPS):
        width = scale * _FIRST_WIDTH * exponential(step / _STEPS * logarithm(_LAST_WIDTH / _FIRST_WIDTH))
        slope = _SmoothedDual(problem, width, on_reading).slope(ahead)
        reached = ahead - (_STEP * width) * slope
        # The step went uphill: restart the momentum (O'Donoghue & Candes 2015).
        if grid_sum(slope * (reached - at)) > 0.0:
            momentum = 1.0
        following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
        ahead = reached + ((momentum - 1.0) / following) * (reached - at)
        at, momentum = reached, following
    return at


def _grid_of_gains(problem: Problem, dual: Float64Array, width: float) -> Grid:
    """Return a grid on which the gains at one point add up exactly, at most one per edge that ends there."""
    most = problem.edges.largest_or_zero - float(dual.min(initial=np.inf)) + width
    # The factor exceeds the rounding errors of the product, so that no sum can overflow the grid.
    return Grid.for_totals(max(1, problem.edges.max_in_degree) * max(0.0, 1.001 * most))


def _proven(problem: Problem, dual: Float64Array) -> float:
    """Return L(u), every operation rounded upward."""
    grid = _grid_of_gains(problem, dual, 0.0)
    (gain,), _ = problem.graph.run(ProvenGainPass(grid), (), DualRows(dual))
    # gain is exact, its summands rounded up; the two operations here are rounded up as well.
    worth = _up(_up(problem.preference - dual) + gain)
    return float(_up(_up(exact_sum(dual)) + _up(exact_sum(np.maximum(worth, 0.0)))))


def _up(value: FloatArray | float) -> FloatArray:
    """Return the next larger number, an upper bound on the exact result of a rounded operation."""
    return np.nextafter(value, np.inf)


class DualRows(NamedTuple):
    """Rows, read: the dual variable u_i of each point."""

    dual: Float64Array


class OpenVectors(NamedTuple):
    """Vectors: the degree in [0, 1] to which each point is an exemplar in the rounded problem."""

    opened: Float64Array


class CoverRows(NamedTuple):
    """Rows: the dual variables (read), and the weighted slopes summed over each row (written)."""

    dual: Float64Array
    covered: Float64Array


@dataclass(frozen=True, slots=True)
class SmoothGainPass(PlainPass):
    """Add up h(s(i,k) - u_i) over the edges i→k that end at each point k.

    h is max(0, x) with the corner replaced by a parabola: (x + w)² / 4w for -w < x < w.

    Attributes
    ----------
    width : float
        Half the width w of the parabola, above 0.
    grid : Grid
    """

    width: float
    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("dual",)

    def __call__(self, block: Block, vectors: tuple[()], rows: DualRows, columns: Columns) -> int:
        """Add the smoothed gains along one block's edges."""
        _add_smooth_gains(*block.csr, rows.dual, self.width, self.grid.shift, columns[0])
        return 0


@dataclass(frozen=True, slots=True)
class CoverPass(PlainPass):
    """Add up h'(s(i,k) - u_i) times the openness of k over each row i; h is that of `SmoothGainPass`."""

    width: float
    grid: Grid

    reads = ("dual",)
    writes = ("covered",)

    def __call__(self, block: Block, vectors: OpenVectors, rows: CoverRows, columns: Columns) -> int:
        """Write the sums of one block's rows."""
        _cover(*block.csr, vectors.opened, rows, self.width, self.grid.shift)
        return 0


@dataclass(frozen=True, slots=True)
class ProvenGainPass(PlainPass):
    """Add up max(0, s(i,k) - u_i) over the edges that end at each point k, each summand rounded up."""

    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("dual",)

    def __call__(self, block: Block, vectors: tuple[()], rows: DualRows, columns: Columns) -> int:
        """Add the gains along one block's edges, rounded up."""
        _add_proven_gains(*block.csr, rows.dual, self.grid.shift, self.grid.quantum, columns[0])
        return 0


@kernel
def _add_smooth_gains(
    indptr: Any, indices: Any, data: Any, dual: Any, width: float, shift: float, gain: Any
) -> None:
    steepness = 0.25 / width
    for i in range(len(dual)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            over = np.float64(data[edge]) - dual[i]
            if over > -width:
                h = over if over > width else steepness * (over + width) ** 2
                gain[indices[edge]] += on_grid(h, shift)


@kernel
def _cover(indptr: Any, indices: Any, data: Any, opened: Any, rows: Any, width: float, shift: float) -> None:
    for i in range(len(rows.dual)):
        covered = 0.0
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            over = np.float64(data[edge]) - rows.dual[i]
            if over > -width:
                slope = 1.0 if over > width else 0.5 * (over + width) / width
                covered += on_grid(slope * opened[indices[edge]], shift)
        rows.covered[i] = covered


@kernel
def _add_proven_gains(
    indptr: Any, indices: Any, data: Any, dual: Any, shift: float, quantum: float, gain: Any
) -> None:
    for i in range(len(dual)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            # Rounding keeps the sign of a difference, so gains are missed neither here nor below.
            over = np.float64(data[edge]) - dual[i]
            if over > 0.0:
                least = np.nextafter(over, np.inf)
                rounded = on_grid(least, shift)
                gain[indices[edge]] += rounded if rounded >= least else rounded + quantum
