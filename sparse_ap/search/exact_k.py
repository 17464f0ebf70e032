"""From a set of exemplars to one of exactly so many, and on to the best of those within reach.

What is missing is opened, what is too much is closed, whatever costs least; then exemplars are swapped, and
some more are opened and as many closed, wherever that gains. All under a preference so low that no number of
better edges makes up for one more exemplar: then a closing that would leave a point without any exemplar, so
that nothing is saved, is seen to gain nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sparse_ap.kernels.block import BoolArray
from sparse_ap.kernels.exact_sum import grid_sum
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.local_search import LocalSearch, NearestTwo

__all__ = ["exact_k", "lowest_preference"]

# The share of the exemplars that are exchanged for others at first, and how many at least; then half as
# many, down to one.
_EXCHANGED, _LEAST_EXCHANGED = 0.05, 8


def lowest_preference(problem: Problem) -> float:
    """Return a preference at which one exemplar less is worth more than whatever a move does to others."""
    edges = problem.edges
    if not edges.n_edges:
        return -1.0
    return edges.smallest - (2 + edges.max_in_degree) * edges.span


def exact_k(
    problem: Problem,
    starts: Sequence[BoolArray],
    n_clusters: int,
    n_readings: int,
    on_reading: Callable[[], object],
) -> BoolArray:
    """Return exactly ``n_clusters`` exemplars; more where none of those there are can be spared.

    Parameters
    ----------
    problem : Problem
    starts : sequence of ndarray of bool, shape (n_points,)
        Exemplars to begin with; the best of what they lead to goes on.
    n_clusters : int
    n_readings : int
        Readings of the edges after which no more exchanges are begun.
    on_reading : callable
        Called after each.
    """
    adjustment = _Adjustment(problem, LocalSearch(problem, n_readings, on_reading))
    at = max((adjustment.to(exemplar, n_clusters) for exemplar in starts), key=_merit)
    n_exchanged = max(_LEAST_EXCHANGED, int(_EXCHANGED * n_clusters))
    while (
        n_exchanged and not adjustment.local_search.exhausted and np.count_nonzero(at.exemplar) == n_clusters
    ):
        wider = adjustment.to(at.exemplar, min(n_clusters + n_exchanged, len(at.exemplar)))
        other = adjustment.to(wider.exemplar, n_clusters)
        if _merit(other) > _merit(at):
            at = other
        else:
            n_exchanged //= 2
    return at.exemplar


def _merit(at: NearestTwo) -> tuple[int, float]:
    """Few exemplars count first, then the similarities to them."""
    return -int(np.count_nonzero(at.exemplar)), grid_sum(np.where(at.exemplar, 0.0, at.value))


class _Adjustment:
    """Opens and closes whatever costs least."""

    def __init__(self, problem: Problem, local_search: LocalSearch) -> None:
        self.local_search = local_search
        self._preference = np.full(problem.graph.n_points, lowest_preference(problem))

    def to(self, exemplar: BoolArray, n_clusters: int) -> NearestTwo:
        """Return so many exemplars, or as few as can be, and no swap of them that would gain."""
        at = self.local_search.nearest_two(exemplar, self._preference)
        while (missing := n_clusters - np.count_nonzero(at.exemplar)) != 0:
            gains = self.local_search.gains_alone(at, self._preference)
            possible = ~at.exemplar if missing > 0 else at.exemplar & gains.gaining
            order = self.local_search.ascending(gains, possible)[-abs(missing) :]
            if not len(order):
                break
            at = self.local_search.nearest_two(
                self.local_search.moved(at, order, gains.swap), self._preference
            )
        return self.local_search.climb(
            at.exemplar, self._preference, wanted=lambda gains: gains.gaining & gains.swap
        )
