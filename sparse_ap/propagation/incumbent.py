"""Which of the exemplar sets seen on the way is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.assignment import EvaluationPass, ExemplarVectors
from sparse_ap.kernels.block import BoolArray
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.kernels.support_bound import PreferenceRows
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.result import SweepReport

__all__ = ["BestIncumbent", "LastIncumbent"]


class LastIncumbent:
    """Answer with the exemplars of the last sweep, as the paper, scikit-learn and R do."""

    def due(self, report: SweepReport) -> bool:
        """Never."""
        return False

    def consider(self, exemplar: BoolArray) -> bool:
        """Take everything."""
        return True

    def answer(self, last: BoolArray) -> BoolArray:
        """Return the last."""
        return last

    def state(self) -> dict[str, NDArray[Any]]:
        """Return nothing: nothing is remembered."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Remember nothing."""


class BestIncumbent:
    """Answer with the best of the sets looked at: every few sweeps, and where the run may end.

    Where messages go on oscillating, the net similarity of the sweep at which they happen to be cut off
    is a matter of luck (tens of percent on hard graphs). A look reads the edges once, without writing.

    Parameters
    ----------
    problem : Problem
    every : int
        Sweeps between looks.
    tol : float
        Share of the points that a set that is good enough to stop at may not reach.
    """

    def __init__(self, problem: Problem, every: int, tol: float) -> None:
        n = problem.graph.n_points
        self._pass = EvaluationPass(Grid.for_totals(n * problem.magnitude))
        self._rows = PreferenceRows(problem.preference)
        self._graph = problem.graph
        self._every = every
        self._tol = tol
        self._best: tuple[float, BoolArray] | None = None

    def due(self, report: SweepReport) -> bool:
        """Whether a look's turn has come, and there is something to see."""
        return report.sweep % self._every == 0 and report.n_exemplars > 0

    def consider(self, exemplar: BoolArray) -> bool:
        """Value a set and keep it if it is the best; it will do if it reaches nearly everybody."""
        _, seen = self._graph.run(self._pass, ExemplarVectors(exemplar), self._rows)
        if self._best is None or seen.net_similarity > self._best[0]:
            self._best = seen.net_similarity, exemplar.copy()
        return seen.n_uncovered <= self._tol * len(exemplar)

    def answer(self, last: BoolArray) -> BoolArray:
        """Return the best."""
        return last if self._best is None else self._best[1]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the best and its value, for a checkpoint."""
        if self._best is None:
            return {}
        return {"best_value": np.array(self._best[0]), "best_exemplar": self._best[1]}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        if "best_value" in state:
            self._best = float(state["best_value"]), state["best_exemplar"]
