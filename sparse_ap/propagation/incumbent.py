"""The incumbent: the exemplar set with which a run answers, chosen among those evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.assignment import EvaluationPass, ExemplarVectors
from sparse_ap.kernels.block import BoolArray
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.kernels.support_bound import PreferenceRows
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.problem import Problem

__all__ = ["BestIncumbent", "Incumbent", "LastIncumbent"]


class LastIncumbent:
    """An incumbent that is always the last set, as in Frey & Dueck (2007), scikit-learn and R."""

    def due(self, report: SweepReport) -> bool:
        """Return False: no set is evaluated between sweeps."""
        return False

    def consider(self, exemplar: BoolArray) -> bool:
        """Accept every set as good enough to stop at."""
        return True

    def answer(self, last: BoolArray) -> BoolArray:
        """Return the exemplars after the last sweep."""
        return last

    def state(self) -> dict[str, NDArray[Any]]:
        """Return an empty dictionary: there is no state."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Do nothing: there is no state."""


class BestIncumbent:
    """An incumbent that is the best of the sets evaluated, every few sweeps and where the run may end.

    While messages oscillate, the net similarity after the last sweep is a matter of luck (it varies by tens
    of percent on hard graphs). An evaluation reads the edges once, without writing.

    Parameters
    ----------
    problem : Problem
    every : int
        Sweeps between evaluations.
    tol : float
        Largest share of points without an edge to an exemplar in a set that is good enough to stop at.
    """

    def __init__(self, problem: Problem, every: int, tol: float) -> None:
        n = problem.graph.n_points
        self._pass = EvaluationPass(Grid.for_totals(n * problem.magnitude))
        self._rows = PreferenceRows(problem.preference)
        self._problem = problem
        self._every = every
        self._tol = tol
        self._best: tuple[float, BoolArray] | None = None

    def due(self, report: SweepReport) -> bool:
        """Whether an evaluation is due after this sweep, and there is an exemplar to evaluate."""
        return report.sweep % self._every == 0 and report.n_exemplars > 0

    def consider(self, exemplar: BoolArray) -> bool:
        """Evaluate a set and keep it if it is the best; return whether it reaches enough of the points."""
        exemplar = self._problem.allowed(exemplar)
        _, seen = self._problem.graph.run(self._pass, ExemplarVectors(exemplar), self._rows)
        if self._best is None or seen.net_similarity > self._best[0]:
            # A copy, since the loop updates its array in place.
            self._best = seen.net_similarity, exemplar.copy()
        return seen.n_uncovered <= self._tol * (len(exemplar) - self._problem.n_unrepresented)

    def answer(self, last: BoolArray) -> BoolArray:
        """Return the best set evaluated; without an evaluation, the last one."""
        return last if self._best is None else self._best[1]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the best set and its net similarity, for a checkpoint."""
        if self._best is None:
            return {}
        return {"best_value": np.array(self._best[0]), "best_exemplar": self._best[1]}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state that `state` returned."""
        if "best_value" in state:
            self._best = float(state["best_value"]), state["best_exemplar"]


# What chooses the answer among exemplar sets, and says whether a set is good enough.
Incumbent = LastIncumbent | BestIncumbent
