"""The best exemplars of what reduced costs leave of a problem, from HiGHS (docs/design/0011-certificate.md).

With dual variables u, a clustering with an edge (i, k) has a net similarity of at most

    L(u) - max(0, u_i - s(i,k)) - max(0, -x_k),    x_k = p_k - u_k + sum over i of max(0, s(i,k) - u_i),

and one with the exemplar k of at most L(u) - max(0, -x_k). What would be below the net similarity that was
found is left out. The rest falls into components, each with a gap of its own, which leaves out more. HiGHS is
given what is small enough. All limits are amounts of work, none is a time, so that an answer does not depend
on how fast the machine is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.kernels.equal_rows import components
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.result import Clustering
from sparse_ap.search.integer_program import TOLERANCE, ExemplarProgram
from sparse_ap.search.reduction import AllowedVectors, DualRows, LeftEdges, ReductionPass

__all__ = ["ExactSearch", "exact_search"]

# Most edges left over; and edges given to HiGHS at a time, unless a component has more.
_MOST_EDGES, _BATCH = 20_000, 2_000
# Share of their terms' sizes by which sums may be wrong.
_ROUNDING = 1e-12


class ExactSearch(NamedTuple):
    """What an exact search has found.

    Attributes
    ----------
    better : ndarray of bool, shape (n_points,), or None
        Better exemplars, in the order of the graph.
    optimal : bool
        Whether none are better than these, or than those from which it began, within HiGHS's tolerance.
    """

    better: BoolArray | None
    optimal: bool


def exact_search(
    problem: Problem, clustering: Clustering, bound: float, dual: Float64Array, worth: Float64Array
) -> ExactSearch:
    """Look for better exemplars than those of a clustering, and to the end where little is left over.

    Parameters
    ----------
    problem : Problem
    clustering : Clustering
    bound : float
        The proven bound of the clustering.
    dual, worth : ndarray of float64, shape (n_points,)
        The u and x that prove it.
    """
    found = np.zeros(len(dual), np.bool_)
    found[clustering.exemplars] = True
    # In the steps of a run, who is represented by nobody is an exemplar.
    found |= clustering.labels < 0
    rounding = _ROUNDING * float(np.abs(dual).sum())
    gap = max(0.0, bound - clustering.net_similarity) + rounding
    allowed = gap - np.maximum(0.0, -worth)
    left = problem.graph.run(ReductionPass(_MOST_EDGES), AllowedVectors(allowed), DualRows(dual))[1]
    lacks = problem.missing_at_most
    # Of edges that are missing it is known only that they gain less than this.
    if left.n_edges > _MOST_EDGES or (lacks is not None and (dual - lacks <= gap).any()):
        return ExactSearch(None, optimal=False)
    rest = _Rest.of(problem, left, dual, allowed >= 0.0)
    best, n_unfinished = found.copy(), 0
    while (pared := rest.pared(found, rounding)) is not rest:
        rest = pared
    for batch, slack in rest.batches(found, rounding):
        solved = batch.solved(best, slack, rounding)
        n_unfinished += solved is None
        best = best if solved is None else solved
    better = best[problem.user_id] if (best != found).any() else None
    return ExactSearch(better, n_unfinished == 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Rest(ExemplarProgram):
    """What is left over of a problem, in the user's order; net similarities are counted from the sum of u.

    A point gets s(i,k) - u_i along an edge, and p_k - u_k as an exemplar.
    """

    @classmethod
    def of(cls, problem: Problem, left: LeftEdges, dual: Float64Array, may: BoolArray) -> _Rest:
        """Return what a pass has left over."""
        row, column, similarity = left.arrays()
        over, user_id = similarity - dual[row], problem.user_id
        row, column = user_id[row], user_id[column]
        order = np.lexsort((column, row))
        alone, allowed = np.empty(len(dual)), np.empty(len(dual), np.bool_)
        alone[user_id], allowed[user_id] = problem.preference - dual, may
        return cls(row[order], column[order], over[order], alone, allowed)

    def of_edges(self, kept: NDArray[Any]) -> _Rest:
        """Return the rest with some of its edges."""
        return replace(self, row=self.row[kept], column=self.column[kept], over=self.over[kept])

    def values(self, exemplar: BoolArray) -> Float64Array:
        """Return what each point adds to the net similarity, -inf where it has no exemplar."""
        value = np.full(len(exemplar), -np.inf)
        there = exemplar[self.column]
        np.maximum.at(value, self.row[there], self.over[there])
        return np.where(exemplar, self.alone, value)

    def slacks(self, found: BoolArray) -> tuple[NDArray[Any], Float64Array, Float64Array]:
        """Return the component of each point, the gap of each component, and x of each point."""
        n = len(found)
        part = components(n, self.row, self.column)
        worth = self.alone + np.bincount(self.column, weights=np.maximum(0.0, self.over), minlength=n)
        most = np.where(self.may, np.maximum(0.0, worth), 0.0)
        return part, np.maximum(0.0, np.bincount(part, weights=most - self.values(found))), worth

    def pared(self, found: BoolArray, rounding: float) -> _Rest:
        """Return the rest without what the gaps of its components exclude; itself if that is nothing."""
        part, gap, worth = self.slacks(found)
        allowed = gap[part] + rounding - np.maximum(0.0, -worth)
        may = self.may & (allowed >= 0.0)
        kept = may[self.column] & (np.maximum(0.0, -self.over) <= allowed[self.column])
        if kept.all() and (may == self.may).all():
            return self
        return replace(self.of_edges(kept), may=may)

    def batches(self, found: BoolArray, rounding: float) -> Iterator[tuple[_Rest, float]]:
        """Yield whole components that have a gap, several small ones together, with their gap."""
        part, gap, _ = self.slacks(found)
        n_edges = np.where(gap > rounding, np.bincount(part[self.row], minlength=len(gap)), 0)
        batch = np.where(n_edges > 0, np.cumsum(n_edges) // _BATCH, -1)
        for number in np.unique(batch[batch >= 0]):
            inside = batch == number
            yield self.of_edges(inside[part[self.row]]), float(gap[inside].sum())

    def solved(self, found: BoolArray, gap: float, rounding: float) -> BoolArray | None:
        """Return the exemplars, the best ones where there are edges; None: that was too much for HiGHS."""
        there = np.unique(np.r_[self.row, self.column])
        number = np.empty(len(found), np.int64)
        number[there] = np.arange(len(there))
        alone, may = self.alone[there], self.may[there]
        opened = ExemplarProgram(number[self.row], number[self.column], self.over, alone, may).solution(gap)
        if opened is None:
            return None
        other = found.copy()
        other[there] = opened
        gain = float((self.values(other)[there] - self.values(found)[there]).sum())
        if gain < -(TOLERANCE * gap + rounding):
            return None
        return other if gain > rounding else found
