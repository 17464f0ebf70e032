"""After the loop: local search for a better set of exemplars, on the edges alone.

*Climb* (`local_search`): carry out moves that gain, until none does. That ends on a local optimum.

*Perturb and mix*: climb from the best set under preferences changed at random, then under the true ones. Of
the differences that remain, those that have no point in common are independent of each other: each is
kept if it gains (partition crossover: Whitley, Hains & Howe, GECCO 2009). So perturbing everything
at once takes no more readings of the edges than perturbing a single place.

*Exchange* (`exchange`), in place of that on dense graphs, where a point sees every difference: keep
the similarities to some candidates in memory, and search among those alone, a move at a time.

All decisions are by exact sums and the user's numbers: the same in whatever order points and edges are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparse_ap.execution.budget import candidates_kept
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.kernels.exact_sum import grid_sum
from sparse_ap.kernels.hashing import hashed
from sparse_ap.propagation.assignment import Assignment, assign
from sparse_ap.propagation.preferences import within_reach
from sparse_ap.propagation.problem import Problem, ceiling
from sparse_ap.search.crossover import ExemplarSet, crossover
from sparse_ap.search.exchange import Exchange
from sparse_ap.search.local_search import LocalSearch, NearestTwo

__all__ = ["Effort", "search"]

# The largest change of a preference, in units of what a cluster loses on average against the ceiling: in
# turn, since what a weaker perturbation finds a stronger one may not.
_STRENGTHS = (0.2, 0.1)
# A climb between perturbations ends when no more than this share of the moves of its first batch is left: the
# next climb makes those too, and each batch leaves about a third of its moves to the one after it.
_LEFT = 0.01
# Edges that are read in about a second.
_SMALL = 1 << 27
# Similarities seen in about a second while exemplars are exchanged.
_EXCHANGING = 1 << 28
# Choices of candidates in a row without any gain, after which to stop; seeds that each may use.
_FRUITLESS = 4
_SEEDS = 1 << 20


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search.

    Attributes
    ----------
    n_readings : int
        Readings of all edges after which no more are begun.
    n_perturbations : int
        Perturbations at most.
    n_fruitless : int
        Perturbations in a row without any gain, after which to stop.
    """

    n_readings: int
    n_perturbations: int = 100
    n_fruitless: int = 25

    @classmethod
    def after(cls, n_sweeps: int, n_edges: int) -> Effort:
        """Return an effort in proportion to the sweeps made; more for small graphs, which cost nothing."""
        return cls(max(n_sweeps // 3, _SMALL // max(1, n_edges)))

    @classmethod
    def brief(cls, n_sweeps: int, n_edges: int) -> Effort:
        """Return an effort for one of many: small graphs get a tenth as much."""
        return cls(max(n_sweeps // 3, _SMALL // (10 * max(1, n_edges))))


def search(
    problem: Problem, assignment: Assignment, effort: Effort, seed: int, on_reading: Callable[[], object]
) -> Assignment:
    """Return a better assignment, if there is one to be found.

    Parameters
    ----------
    problem : Problem
    assignment : Assignment
    effort : Effort
    seed : int
        Of the perturbations.
    on_reading : callable
        Called after each reading of the edges.
    """
    preference = np.ascontiguousarray(within_reach(problem))
    local_search = LocalSearch(problem, effort.n_readings, on_reading)
    unit = _unit(problem, local_search.nearest_two(assignment.exemplar, preference), preference)
    if not unit > 0.0:
        return assignment
    n_candidates = candidates_kept(len(preference), problem.edges.n_edges)
    if n_candidates >= 2 * max(1, int(np.count_nonzero(assignment.exemplar))):
        return assign(problem, _exchanged(local_search, problem, assignment, preference, n_candidates, seed))
    best = _climbed(local_search, assignment.exemplar, preference)
    n_fruitless = 0
    for number in range(effort.n_perturbations):
        if n_fruitless == effort.n_fruitless or local_search.exhausted:
            break
        strength = _STRENGTHS[number % len(_STRENGTHS)] * unit
        exemplar = _perturbed(local_search, problem, best.exemplar, preference, strength, seed + number + 1)
        offspring = crossover(problem, best, _climbed(local_search, exemplar, preference))
        n_fruitless = n_fruitless + 1 if offspring is None else 0
        if offspring is not None:
            best = _climbed(local_search, offspring, preference)
    return assign(problem, local_search.climb(best.exemplar, preference).exemplar)


def _exchanged(
    local_search: LocalSearch,
    problem: Problem,
    assignment: Assignment,
    preference: Float64Array,
    n_candidates: int,
    seed: int,
) -> BoolArray:
    """Return where exchanges lead, among the exemplars and other candidates drawn anew after each climb."""
    best = local_search.nearest_two(assignment.exemplar, preference)
    n_fruitless, left = 0, _EXCHANGING
    while n_fruitless < _FRUITLESS and left > 0:
        lot = hashed(problem.user_id, seed)
        lot[best.exemplar] = -1.0
        candidate = np.argsort(lot)[:n_candidates].astype(np.int32)
        exchange = Exchange.among(problem, candidate, preference, local_search)
        exemplar, n_seen = exchange.search(best.exemplar, left, seed)
        # A table is not to be held while the next one is filled.
        del exchange
        found = local_search.climb(exemplar, preference)
        gains = grid_sum(found.value) > grid_sum(best.value)
        n_fruitless, best = (0, found) if gains else (n_fruitless + 1, best)
        left, seed = left - n_seen, seed + _SEEDS
    return best.exemplar


def _unit(problem: Problem, at: NearestTwo, preference: Float64Array) -> float:
    """Return what a cluster loses on average against the ceiling."""
    lost = ceiling(problem.graph, preference) - grid_sum(at.value)
    return lost / max(1, int(np.count_nonzero(at.exemplar)))


def _climbed(local_search: LocalSearch, exemplar: BoolArray, preference: Float64Array) -> ExemplarSet:
    """Return where climbing leads, nearly."""
    top = local_search.climb(exemplar, preference, _LEFT)
    return ExemplarSet(top.exemplar, top.value)


def _perturbed(
    local_search: LocalSearch,
    problem: Problem,
    exemplar: BoolArray,
    preference: Float64Array,
    strength: float,
    seed: int,
) -> BoolArray:
    """Return where climbing leads under preferences changed at random, by at most ``strength``."""
    changed = hashed(problem.user_id, seed)
    changed -= 0.5
    changed *= 2.0 * strength
    changed += preference
    return local_search.climb(exemplar, changed, _LEFT).exemplar
