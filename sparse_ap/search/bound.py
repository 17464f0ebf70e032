"""How good any clustering of a graph can be: an upper bound on the net similarity, proven.

The bound L(u) of `sparse_ap.search.bound` holds for any u; a better u gives a better one. From what
each point has in the clustering found, u is improved by Nesterov's accelerated gradient steps on L with its
corners rounded off, less and less. In the end L itself is added up, every operation rounded upward.
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
from sparse_ap.kernels.exact_sum import Grid, exact_sum, grid_sum, on_grid
from sparse_ap.propagation.problem import Problem, ceiling
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

# Steps, two passes over the edges each.
_STEPS = 60
# Width of the rounded corners at first and at last, in units of what a point loses on average against the
# ceiling; and the length of a step in units of the width.
_FIRST_WIDTH, _LAST_WIDTH = 0.3, 0.003
_STEP = 0.3


def with_bound(problem: Problem, clustering: Clustering, verbose: bool) -> Clustering:
    """Return a clustering with its bound, and show progress if ``verbose``."""
    with reading_progress("proof", 2 * _STEPS, verbose) as on_reading:
        return replace(clustering, net_similarity_bound=_upper_bound(problem, clustering, on_reading))


def _upper_bound(problem: Problem, clustering: Clustering, on_reading: Callable[[], object]) -> float:
    """Return a number that no clustering of this graph exceeds in net similarity.

    Parameters
    ----------
    problem : Problem
    clustering : Clustering
        A good one.
    on_reading : callable
        Called after each reading of the edges that is to improve the bound.
    """
    dual = _initial_dual(problem, clustering)
    scale = (ceiling(problem.graph, problem.preference) - clustering.net_similarity) / max(1, len(dual))
    # Corners narrower than what the dual variables are rounded to would round nothing off.
    narrowest = max(np.finfo(np.float64).tiny, np.spacing(np.abs(dual).max(initial=0.0)))
    improved = _descended(problem, dual, scale, on_reading) if scale * _LAST_WIDTH > narrowest else dual
    return min(_proven(problem, dual), _proven(problem, improved))


def _initial_dual(problem: Problem, clustering: Clustering) -> Float64Array:
    """Return what each point has in a clustering, in the order of the graph."""
    dual = clustering.similarities[problem.user_id].astype(np.float64)
    is_exemplar = np.zeros(len(dual), np.bool_)
    is_exemplar[clustering.exemplars] = True
    mine = is_exemplar[problem.user_id]
    dual[mine] = problem.preference[mine]
    return dual


@dataclass(frozen=True, slots=True, eq=False)
class _SmoothedDual:
    """The rounded L at one width."""

    problem: Problem
    width: float
    on_reading: Callable[[], object]

    def slope(self, dual: Float64Array) -> Float64Array:
        """Return its gradient."""
        run = self.problem.graph.run
        grid = _grid_of_gains(self.problem, dual, self.width)
        (gain,), _ = run(SmoothGainPass(self.width, grid), (), DualRows(dual))
        self.on_reading()
        opened = (self.problem.preference - dual + gain + self.width) / (2.0 * self.width)
        np.clip(opened, 0.0, 1.0, out=opened)
        rows = CoverRows(dual, np.empty_like(dual))
        run(CoverPass(self.width, Grid.for_totals(float(len(dual)))), OpenVectors(opened), rows)
        self.on_reading()
        return 1.0 - opened - rows.covered


def _descended(
    problem: Problem, dual: Float64Array, scale: float, on_reading: Callable[[], object]
) -> Float64Array:
    """Return better dual variables."""
    at, ahead, momentum = dual, dual, 1.0
    for step in range(_STEPS):
        width = scale * _FIRST_WIDTH * (_LAST_WIDTH / _FIRST_WIDTH) ** (step / _STEPS)
        slope = _SmoothedDual(problem, width, on_reading).slope(ahead)
        reached = ahead - (_STEP * width) * slope
        # Uphill: begin anew without momentum (O'Donoghue & Candes 2015).
        if grid_sum(slope * (reached - at)) > 0.0:
            momentum = 1.0
        following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
        ahead = reached + ((momentum - 1.0) / following) * (reached - at)
        at, momentum = reached, following
    return at


def _grid_of_gains(problem: Problem, dual: Float64Array, width: float) -> Grid:
    """Return a grid for the column sums."""
    most = problem.edges.largest_or_zero - float(dual.min(initial=np.inf)) + width
    return Grid.for_totals(max(1, problem.edges.max_in_degree) * max(0.0, 1.001 * most))


def _proven(problem: Problem, dual: Float64Array) -> float:
    """Return L(u), rounded upward."""
    grid = _grid_of_gains(problem, dual, 0.0)
    (gain,), _ = problem.graph.run(ProvenGainPass(grid), (), DualRows(dual))
    worth = _up(_up(problem.preference - dual) + gain)
    return float(_up(_up(exact_sum(dual)) + _up(exact_sum(np.maximum(worth, 0.0)))))


def _up(value: FloatArray | float) -> FloatArray:
    """Return the next larger number: what a rounded result cannot fall short of."""
    return np.nextafter(value, np.inf)


class DualRows(NamedTuple):
    """Read: what each point is offered."""

    dual: Float64Array


class OpenVectors(NamedTuple):
    """How far each point is an exemplar, in [0, 1]."""

    opened: Float64Array


class CoverRows(NamedTuple):
    """Read: what each point is offered. Written: how far exemplars outbid that."""

    dual: Float64Array
    covered: Float64Array


@dataclass(frozen=True, slots=True)
class SmoothGainPass(PlainPass):
    """Add up h(s(i,k) - u_i) over the edges that end at each point k.

    Attributes
    ----------
    width : float
        w, above 0.
    grid : Grid
    """

    width: float
    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("dual",)

    def __call__(self, block: Block, vectors: tuple[()], rows: DualRows, columns: Columns) -> int:
        """Add one block's edges."""
        _add_smooth_gains(*block.csr, rows.dual, self.width, self.grid.shift, columns[0])
        return 0


@dataclass(frozen=True, slots=True)
class CoverPass(PlainPass):
    """Add up h'(s(i,k) - u_i) times how far k is open, over the edges of each row i."""

    width: float
    grid: Grid

    reads = ("dual",)
    writes = ("covered",)

    def __call__(self, block: Block, vectors: OpenVectors, rows: CoverRows, columns: Columns) -> int:
        """Do so for one block."""
        _cover(*block.csr, vectors.opened, rows, self.width, self.grid.shift)
        return 0


@dataclass(frozen=True, slots=True)
class ProvenGainPass(PlainPass):
    """Add up max(0, s(i,k) - u_i) over the edges that end at each point k, each summand rounded up."""

    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("dual",)

    def __call__(self, block: Block, vectors: tuple[()], rows: DualRows, columns: Columns) -> int:
        """Add one block's edges."""
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
            # A difference is 0 or below exactly where the rounded one is.
            over = np.float64(data[edge]) - dual[i]
            if over > 0.0:
                least = np.nextafter(over, np.inf)
                rounded = on_grid(least, shift)
                gain[indices[edge]] += rounded if rounded >= least else rounded + quantum
