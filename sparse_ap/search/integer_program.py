"""The integer program of exemplars, as HiGHS solves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import BoolArray, Float64Array

__all__ = ["TOLERANCE", "ExemplarProgram"]

# Most steps of the simplex, exemplars that the linear relaxation opens in part, and branches.
_ITERATIONS, _FRACTIONAL, _NODES = 15_000, 50, 100
# The gap in HiGHS's units, and the largest number for which it has digits enough.
_GAP, _LARGEST = 100.0, 1e7
# Part of an exemplar that is none, and of the gap that HiGHS may miss: it takes 1e-6 for nothing.
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ExemplarProgram:
    """The choice of exemplars that maximises the sum of what their points get.

    Attributes
    ----------
    row, column : ndarray of int, shape (n_edges,)
        Edges, between points that are numbered from 0 without gaps.
    over : ndarray of float64, shape (n_edges,)
        What a point gets along each edge.
    alone : ndarray of float64, shape (n_points,)
        What a point gets as an exemplar.
    may : ndarray of bool, shape (n_points,)
        Who may be an exemplar.
    """

    row: NDArray[Any]
    column: NDArray[Any]
    over: Float64Array
    alone: Float64Array
    may: BoolArray

    def solution(self, gap: float) -> BoolArray | None:
        """Return the best exemplars; None: HiGHS did not come to an end.

        Parameters
        ----------
        gap : float
            By how much, at most, they are better than those that are known.
        """
        # Imported here: it takes a fifth of a second.
        from scipy.optimize import LinearConstraint, linprog, milp

        cost = -np.r_[self.over, self.alone[self.may]]
        largest = float(np.abs(cost).max())
        cost = cost / largest * min(_GAP * largest / gap, _LARGEST)
        one_each, of_exemplars = self._constraints()
        relaxed = linprog(
            cost, of_exemplars, np.zeros(len(self.row)), one_each, np.ones(len(self.alone)), bounds=(0, 1),
            method="highs-ds", options={"maxiter": _ITERATIONS},
        )  # fmt: skip
        if relaxed.status != 0:
            return None
        whole = np.r_[np.zeros(len(self.row)), np.ones(np.count_nonzero(self.may))]
        n_fractional = np.count_nonzero(np.abs(relaxed.x - np.round(relaxed.x))[whole > 0] > TOLERANCE)
        if n_fractional == 0:
            return self._opened(relaxed.x)
        if n_fractional > _FRACTIONAL:
            return None
        constraints = LinearConstraint(one_each, 1, 1), LinearConstraint(of_exemplars, -np.inf, 0)
        options = {"mip_rel_gap": 0, "node_limit": _NODES}
        found = milp(cost, integrality=whole, bounds=(0, 1), constraints=constraints, options=options)
        return self._opened(found.x) if found.status == 0 else None

    def _opened(self, solution: Float64Array) -> BoolArray:
        opened = np.zeros(len(self.alone), np.bool_)
        opened[self.may] = solution[len(self.row) :] > 0.5
        return opened

    def _constraints(self) -> tuple[Any, Any]:
        """Return what is 1, each point's exemplars, and what is at most 0, representing without being one."""
        from scipy.sparse import csr_array, eye_array, hstack

        n, m, may = len(self.alone), len(self.row), np.flatnonzero(self.may)
        ones, edges, place = np.ones(m), np.arange(m), np.cumsum(self.may) - 1
        selves = csr_array((np.ones(len(may)), (may, np.arange(len(may)))), shape=(n, len(may)))
        one_each = hstack([csr_array((ones, (self.row, edges)), shape=(n, m)), selves])
        ends = csr_array((-ones, (edges, place[self.column])), shape=(m, len(may)))
        return one_each, hstack([eye_array(m), ends])
