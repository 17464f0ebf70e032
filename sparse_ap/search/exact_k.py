"""Adjustment of an exemplar set to an exact number, followed by exchanges of exemplars that gain.

Missing exemplars are opened and superfluous ones closed where that costs least. Then exemplars are swapped;
and some are opened and as many closed, as long as that gains. The preference used here is so low that fewer
exemplars always win. Closing an exemplar would make points without another exemplar exemplars themselves, so
it then shows no gain and is not chosen (docs/design/0014-number-of-clusters.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sparse_ap.kernels.block import BoolArray
from sparse_ap.kernels.exact_sum import grid_sum
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.local_search import LocalSearch, NearestTwo

__all__ = ["exact_k", "lowest_preference"]

# First share of the exemplars to exchange, and least number of them; halved after each exchange without a
# gain.
_EXCHANGED, _LEAST_EXCHANGED = 0.05, 8


def lowest_preference(problem: Problem) -> float:
    """Return a preference at which one exemplar less outweighs all changes of similarity by a move.

    A move changes the similarity of at most 2 + max_in_degree points, each by at most the span.
    """
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
    """Return exactly ``n_clusters`` exemplars, or more if none of them can be closed.

    Parameters
    ----------
    problem : Problem
    starts : sequence of ndarray of bool, shape (n_points,)
        Exemplar sets to start from; the best of the sets that they lead to is improved further.
    n_clusters : int
    n_readings : int
        Number of readings of the edges after which no further exchange begins.
    on_reading : callable
        Called after each reading.
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
    """Return the sort key of exemplar sets: fewer exemplars first, then a larger data similarity."""
    return -int(np.count_nonzero(at.exemplar)), grid_sum(np.where(at.exemplar, 0.0, at.value))


class _Adjustment:
    """Openings, closings and swaps under the lowest preference, toward a number of exemplars."""

    def __init__(self, problem: Problem, local_search: LocalSearch) -> None:
        self.local_search = local_search
        # Closing an exemplar gains no more than one unit; so what must not be is dearer, and what must be is
        # worth more.
        lowest = lowest_preference(problem)
        unit, free = abs(lowest) + problem.edges.magnitude, np.full(problem.graph.n_points, lowest)
        roles = problem.roles
        self._preference = free if roles is None else roles.preferences(free, 8.0 * unit, -8.0 * unit)
        self._possible = np.ones(len(free), np.bool_) if roles is None else ~roles.fixed

    def to(self, exemplar: BoolArray, n_clusters: int) -> NearestTwo:
        """Return ``n_clusters`` exemplars, or as few as possible above, such that no swap gains."""
        at = self.local_search.nearest_two(exemplar, self._preference)
        while (missing := n_clusters - np.count_nonzero(at.exemplar)) != 0:
            # Points left without an exemplar become exemplars themselves, so the number may need several
            # rounds.
            gains = self.local_search.gains_alone(at, self._preference)
            possible = self._possible & (~at.exemplar if missing > 0 else at.exemplar & gains.gaining)
            order = self.local_search.ascending(gains, possible)[-abs(missing) :]
            if not len(order):
                break
            at = self.local_search.nearest_two(
                self.local_search.moved(at, order, gains.swap), self._preference
            )
        return self.local_search.climb(
            at.exemplar, self._preference, wanted=lambda gains: gains.gaining & gains.swap
        )
