"""A proven upper bound on the net similarity of every clustering of a graph.

It is the Lagrangian dual of the problem, as in uncapacitated facility location. For any dual variables u_i,

    L(u) = Σ_i u_i + Σ_k max(0, p_k - u_k + Σ_{i≠k} max(0, s(i,k) - u_i))

is at least the net similarity of every clustering; a better u gives a smaller L. `dual_start` makes a u of
the clustering found, `dual_descent` improves it. At the end L itself is evaluated, every operation rounded
upward (docs/design/0011-certificate.md).

If no missing similarity of any row i exceeds u_i, then missing edges add nothing, and L(u) is the same for
the complete graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, FloatArray
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, exact_sum, on_grid
from sparse_ap.propagation.problem import Problem, best_of_rows
from sparse_ap.propagation.progress import reading_progress
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.dual_descent import descent, grid_of_gains
from sparse_ap.search.dual_start import dual_start
from sparse_ap.search.exact import exact_search
from sparse_ap.search.reduction import DualRows

__all__ = ["DualBound", "Proof", "ProvenGainPass", "proof_of", "proven", "upper_bound"]

# Steps of the descent, one reading of the edges each; L is evaluated after so many of them, and the descent
# ends where it has fallen by no more than this share of its distance from the net similarity.
# docs/design/0011-certificate.md has the measurements.
_STEPS, _EVALUATE_EVERY, _LEAST_FALL = 120, 20, 0.01
# A bound as close as this to the net similarity, relative to it, differs by roundings only.
_PROVEN_OPTIMAL = 1e-14


class Proof(NamedTuple):
    """What is proven of a clustering.

    Attributes
    ----------
    bound : float
        No clustering of the graph has a larger net similarity.
    better : ndarray of bool, shape (n_points,), or None
        Better exemplars, in the order of the graph.
    optimal : bool
        Whether no exemplars are better than these; or, if there are none, than the clustering's.
    """

    bound: float
    better: BoolArray | None
    optimal: bool


class DualBound(NamedTuple):
    """A proven bound, and what proves it, in the order of the graph.

    Attributes
    ----------
    value : float
    dual : ndarray of float64, shape (n_points,)
        The dual variables u_k.
    worth : ndarray of float64, shape (n_points,)
        What each point as an exemplar adds to L(u) at most, if positive: p_k - u_k + Σ max(0, s(i,k) - u_i).
    """

    value: float
    dual: Float64Array
    worth: Float64Array


def proof_of(problem: Problem, clustering: Clustering, verbose: bool) -> Proof:
    """Return what is proven of a clustering; show progress if ``verbose``."""
    with reading_progress("proof", 1 + _STEPS, verbose) as on_reading:
        bound = upper_bound(problem, clustering, on_reading)
    if _closed(bound.value, clustering.net_similarity):
        return Proof(bound.value, None, optimal=True)
    return Proof(bound.value, *exact_search(problem, clustering, *bound))


def _closed(bound: float, found: float) -> bool:
    """Whether a bound and a net similarity differ by roundings only."""
    return bound - found <= _PROVEN_OPTIMAL * abs(found)


def upper_bound(problem: Problem, clustering: Clustering, on_reading: Callable[[], object]) -> DualBound:
    """Return a number that no clustering of this graph exceeds in net similarity.

    Parameters
    ----------
    problem : Problem
        With ``missing_at_most``, no clustering of the complete graph exceeds the bound either.
    clustering : Clustering
        The clustering that the descent starts from; the better it is, the tighter the bound.
    on_reading : callable
        Called after each reading of the edges during the descent.
    """
    start, found = dual_start(problem, clustering), clustering.net_similarity
    # Where each point offers the most that it can have, L is the sum of that, which nothing exceeds.
    most = np.maximum(best_of_rows(problem.graph), problem.preference)
    if problem.missing_at_most is not None:
        np.maximum(most, problem.missing_at_most, out=most)
        np.maximum(start.dual, problem.missing_at_most, out=start.dual)
    least = _smaller(proven(problem, most), proven(problem, start.dual))
    if _closed(least.value, found):
        return least
    for step, dual in enumerate(descent(problem, start, _STEPS, on_reading), 1):
        # In the first steps the corners are so round that L need not fall.
        if step % _EVALUATE_EVERY == 0 and step > _EVALUATE_EVERY:
            before, least = least.value, _smaller(least, proven(problem, dual))
            settled = before - least.value <= _LEAST_FALL * (least.value - found)
            if settled and 2 * step >= _STEPS:
                break
    return least


def _smaller(first: DualBound, second: DualBound) -> DualBound:
    return second if second.value < first.value else first


def proven(problem: Problem, dual: Float64Array) -> DualBound:
    """Return L(u), every operation rounded upward, with a copy of u."""
    grid = grid_of_gains(problem, float(dual.min(initial=np.inf)), 0.0)
    (gain,), _ = problem.graph.run(ProvenGainPass(grid), (), DualRows(dual))
    # gain is exact, its summands rounded up; the two operations here are rounded up as well.
    worth = np.asarray(_up(_up(problem.preference - dual) + gain), np.float64)
    value = _up(_up(exact_sum(dual)) + _up(exact_sum(np.maximum(worth, 0.0))))
    return DualBound(float(value), dual.copy(), worth)


def _up(value: FloatArray | float) -> FloatArray:
    """Return the next larger number, an upper bound on the exact result of a rounded operation."""
    return np.nextafter(value, np.inf)


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
