"""The rule that ends a run."""

from __future__ import annotations

from dataclasses import dataclass

from sparse_ap.propagation.history import SweepReport

__all__ = ["StopRule", "first_grown"]

# Share of their full size that messages must have for a status to count; docs/design/0003-damping.md.
_GROWN = 0.9


def first_grown(damping: float) -> int:
    """Return the first sweep after which damped messages have nine tenths of their size.

    That is the first n with 1 - damping**n >= .9. Messages begin at 0 and grow by a share of 1 - damping in
    each sweep. Statuses that have not changed before that say nothing: there was not yet anything to change
    them.
    """
    # Squares, not a power: the last bit of pow() depends on the platform. 31 of them reach any max_iter.
    powers = [damping]
    while len(powers) < 31:
        powers.append(powers[-1] * powers[-1])
    n, kept = 0, 1.0
    for exponent in reversed(range(len(powers))):
        if kept * powers[exponent] > 1.0 - _GROWN:
            n, kept = n + (1 << exponent), kept * powers[exponent]
    return n + 1


@dataclass(frozen=True, slots=True)
class StopRule:
    """Stop when at most a share ``tol`` of the points has changed status lately.

    With ``tol=0`` this is scikit-learn's rule, from ``first_counted`` on: all statuses were the same after
    each of the last ``convergence_iter`` sweeps, and there is an exemplar. On large graphs that rule hardly
    ever ends a run, since a handful of points keeps flipping.

    Attributes
    ----------
    max_iter : int
        Largest number of sweeps.
    convergence_iter : int
        Number of sweeps whose statuses are compared.
    tol : float
        Largest share of points that may be unsettled, in [0, 1).
    first_counted : int
        The first sweep whose statuses are compared (see `first_grown`).
    n_left_out : int
        Points that nobody can represent. They are exemplars in all sweeps, and count for nothing here.
    """

    max_iter: int
    convergence_iter: int
    tol: float
    first_counted: int = 1
    n_left_out: int = 0

    def earliest_recent(self, sweep: int) -> int:
        """Return the first sweep in which a change makes a point count as unsettled after ``sweep``."""
        return sweep - self.convergence_iter + 2

    def settled(self, report: SweepReport, n_points: int) -> bool:
        """Whether at most a share ``tol`` of the points is unsettled, and there is an exemplar."""
        return (
            report.sweep > self.convergence_iter
            and report.sweep >= self.first_counted + self.convergence_iter - 1
            and (report.n_exemplars > self.n_left_out or n_points == 0)
            and report.n_unsettled <= self.tol * (n_points - self.n_left_out)
        )
