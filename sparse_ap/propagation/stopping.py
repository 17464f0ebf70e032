"""The rule that ends a run."""

from __future__ import annotations

from dataclasses import dataclass

from sparse_ap.propagation.result import SweepReport

__all__ = ["StopRule"]


@dataclass(frozen=True, slots=True)
class StopRule:
    """Stop when at most a share ``tol`` of the points has changed status lately.

    With ``tol=0`` this is scikit-learn's rule, sweep for sweep: all statuses were the same after each of the
    last ``convergence_iter`` sweeps, and there is an exemplar. On large graphs that rule hardly ever ends a
    run, since a handful of points keeps flipping.

    Attributes
    ----------
    max_iter : int
        Largest number of sweeps.
    convergence_iter : int
        Number of sweeps whose statuses are compared.
    tol : float
        Largest share of points that may be unsettled, in [0, 1).
    """

    max_iter: int
    convergence_iter: int
    tol: float

    def earliest_recent(self, sweep: int) -> int:
        """Return the first sweep in which a change makes a point count as unsettled after ``sweep``."""
        return sweep - self.convergence_iter + 2

    def settled(self, report: SweepReport, n_points: int) -> bool:
        """Whether at most a share ``tol`` of the points is unsettled, and there is an exemplar."""
        return (
            report.sweep > self.convergence_iter
            and (report.n_exemplars > 0 or n_points == 0)
            and report.n_unsettled <= self.tol * n_points
        )
