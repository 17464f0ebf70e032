"""When to stop."""

from __future__ import annotations

from dataclasses import dataclass

from sparse_ap.propagation.result import SweepReport

__all__ = ["StopRule"]


@dataclass(frozen=True, slots=True)
class StopRule:
    """Stop when at most a share ``tol`` of the points has changed status lately.

    With ``tol=0`` this is scikit-learn's rule, sweep for sweep: the statuses after the last
    ``convergence_iter`` sweeps are all the same, and there is an exemplar. That never fires on large
    graphs, where a handful of points flips for ever.

    Attributes
    ----------
    max_iter : int
        Sweeps at most.
    convergence_iter : int
        Sweeps whose statuses are compared.
    tol : float
        Share of the points that may be unsettled, in [0, 1).
    """

    max_iter: int
    convergence_iter: int
    tol: float

    def earliest_recent(self, sweep: int) -> int:
        """Return the first sweep in which a change still makes a point unsettled after ``sweep``."""
        return sweep - self.convergence_iter + 2

    def settled(self, report: SweepReport, n_points: int) -> bool:
        """Whether few enough points have changed lately, and there is an exemplar."""
        return (
            report.sweep > self.convergence_iter
            and (report.n_exemplars > 0 or n_points == 0)
            and report.n_unsettled <= self.tol * n_points
        )
