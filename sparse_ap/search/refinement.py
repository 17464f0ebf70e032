"""Refinement: local search for a better exemplar set, after the messages (docs/design/0012-search.md).

*Climb* (`local_search`): make moves that gain until none does, which ends in a local optimum.

*Perturb and recombine*: climb from the best set under randomly changed preferences, then under the true ones.
The differences to the best set fall into independent components, each of which is kept if it gains (partition
crossover: Whitley, Hains & Howe, GECCO 2009). So a perturbation of the whole graph takes no more readings of
the edges than the perturbation of a single place.

*Exchange* (`exchange`): on dense graphs, where a point sees every difference and there is one component,
gather the edges to each point's best candidates in memory, and search among these by single moves.

*Anneal* (`annealing`): on small sparse graphs, gather all edges in memory and make single moves, some of
which lose; recombine the end with the best set.

All decisions use exact sums and the user's numbers, so they do not depend on the order of points and edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparse_ap.execution.room import candidates_kept, lengths_of_lists
from sparse_ap.kernels.block import BoolArray, Float64Array
from sparse_ap.kernels.exact_sum import grid_sum
from sparse_ap.kernels.hashing import hashed
from sparse_ap.propagation.assignment import Assignment, assign
from sparse_ap.propagation.preferences import clipped_preferences
from sparse_ap.propagation.problem import Problem, trivial_bound
from sparse_ap.search.annealing import AnnealingState
from sparse_ap.search.crossover import ExemplarSet, crossover
from sparse_ap.search.edge_lists import EdgeLists
from sparse_ap.search.exchange import Exchange
from sparse_ap.search.local_search import LocalSearch, NearestTwo
from sparse_ap.storage.csr import inverse

__all__ = ["Effort", "search"]

# Largest changes of a preference, in turn, in units of the average loss of a cluster against the ceiling. The
# weaker perturbation leads to sets that the stronger one misses, and conversely.
_STRENGTHS = (0.2, 0.1)
# Stop a climb between perturbations when at most 1 % of the moves of its first batch remain: each batch
# leaves about a third of its moves to the next, so the last 1 % take half the batches; a later climb makes
# them.
_LEFT = 0.01
# Number of edges read in about a second.
_SMALL = 1 << 27
# Number of edges and sums seen in about a second of exchanges.
_EXCHANGING = 1 << 28
# A graph with at most so many edges, and points, is annealed after so many perturbations: from these
# temperatures in turn, in units of the average loss of a cluster, with so many moves for each candidate, up
# to so many, each time; until twice as many are made, or each has brought no gain.
_FEW, _BEFORE, _MOVES_EACH, _MOVES, _TEMPERATURES = 1 << 18, 5, 1 << 11, 5 << 18, (0.06, 0.12)
# Readings of a climb that is worth its time: most moves are in its first three batches.
_CLIMB = 10
# Draws of candidates in a row without a gain, after which to stop; and seeds reserved for each draw.
_FRUITLESS = 4
_SEEDS = 1 << 20


@dataclass(frozen=True, slots=True)
class Effort:
    """The limits of a search.

    Attributes
    ----------
    n_readings : int
        Number of readings of all edges after which no further step begins.
    n_perturbations : int
        Largest number of perturbations.
    n_fruitless : int
        Number of perturbations in a row without a gain after which to stop.
    n_exchanging : int
        Number of edges and sums seen by exchanges on a dense graph after which these stop.
    annealing : bool
        Whether a sparse graph is annealed in the end.
    """

    n_readings: int
    n_perturbations: int = 100
    n_fruitless: int = 25
    n_exchanging: int = _EXCHANGING
    annealing: bool = False

    @classmethod
    def after(cls, n_sweeps: int, n_points: int, n_edges: int) -> Effort:
        """Return an effort in proportion to the sweeps; for small graphs, as much as a second allows."""
        n_readings = max(n_sweeps // 3, _SMALL // max(1, n_edges))
        small = max(n_points, n_edges) <= _FEW
        return cls(n_readings, _BEFORE, annealing=True) if small else cls(n_readings)

    @classmethod
    def brief(cls, n_edges: int) -> Effort:
        """Return an effort for one of many searches: a climb, or a fifth to a fifteenth of a second."""
        n_small, few = _SMALL // (15 * max(1, n_edges)), _EXCHANGING // 5
        return cls(_CLIMB, 0, n_exchanging=few) if n_small <= _CLIMB else cls(n_small, n_exchanging=few)


def search(
    problem: Problem, assignment: Assignment, effort: Effort, seed: int, on_reading: Callable[[], object]
) -> Assignment:
    """Return a better assignment, or the given one if the search finds none.

    Parameters
    ----------
    problem : Problem
    assignment : Assignment
    effort : Effort
    seed : int
        Seed of the perturbations.
    on_reading : callable
        Called after each reading of the edges.
    """
    preference = np.ascontiguousarray(clipped_preferences(problem))
    local_search = LocalSearch(problem, effort.n_readings, on_reading)
    n_candidates = candidates_kept(len(preference), problem.edges.n_edges)
    # With fewer candidates than twice the exemplars, exchanges have too little to choose from.
    exchanges = n_candidates >= 2 * max(1, int(np.count_nonzero(assignment.exemplar)))
    if not (exchanges or effort.n_perturbations):
        return assign(problem, _climbed(local_search, assignment.exemplar, preference).exemplar)
    unit = _unit(problem, local_search.nearest_two(assignment.exemplar, preference), preference)
    # At the ceiling no move can gain.
    if not unit > 0.0:
        return assignment
    if exchanges:
        limits = n_candidates, effort.n_exchanging
        return assign(problem, _exchanged(local_search, problem, assignment, preference, *limits, seed))
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
    top = local_search.climb(best.exemplar, preference)
    if effort.annealing:
        top = _annealed(local_search, problem, top, preference, unit, seed)
    return assign(problem, top.exemplar)


def _exchanged(
    local_search: LocalSearch,
    problem: Problem,
    assignment: Assignment,
    preference: Float64Array,
    n_candidates: int,
    left: int,
    seed: int,
) -> BoolArray:
    """Return the best exemplars found by exchanges, with candidates drawn anew after each climb."""
    # No climb first: on dense graphs it would use up the readings, one or two moves at a time.
    best = local_search.nearest_two(assignment.exemplar, preference)
    # Exchanges work in the user's order.
    order, n_fruitless = inverse(problem.user_id), 0
    while n_fruitless < _FRUITLESS and left > 0:
        n_exemplars = int(np.count_nonzero(best.exemplar))
        n_kept, n_best = lengths_of_lists(len(preference), n_candidates, n_exemplars)
        # All exemplars are candidates: they sort first.
        lot = hashed(problem.user_id, seed)
        if problem.roles is not None:
            lot[problem.roles.forbidden] = 2.0
        lot[best.exemplar] = -1.0
        candidate = np.argsort(lot)[:n_kept].astype(np.int32)
        lists = EdgeLists.best(problem, candidate, n_best, local_search)
        exchange = Exchange(lists, preference[order], local_search.grid(preference))
        exemplar, n_seen = exchange.search(best.exemplar[order], left, seed)
        # Release the lists before the next ones are made: they are the largest arrays here.
        del lists, exchange
        found = local_search.climb(exemplar[problem.user_id], preference)
        gains = grid_sum(found.value) > grid_sum(best.value)
        n_fruitless, best = (0, found) if gains else (n_fruitless + 1, best)
        left, seed = left - n_seen, seed + _SEEDS
        fewer = 2 * int(np.count_nonzero(best.exemplar)) < n_exemplars
        # With all candidates, and lists that were long enough, only the seed would be another one.
        if n_kept == len(preference) and not fewer:
            break
    return best.exemplar


def _annealed(
    local_search: LocalSearch,
    problem: Problem,
    best: NearestTwo,
    preference: Float64Array,
    unit: float,
    seed: int,
) -> NearestTwo:
    """Anneal in the user's order, again and again; recombine each end with the best exemplars."""
    lists, order = EdgeLists.whole(problem, local_search), inverse(problem.user_id)
    n_moves = min(_MOVES_EACH * int(np.count_nonzero(lists.may)), _MOVES)
    given, grid, n_fruitless = preference[order], local_search.grid(preference), 0
    for number in range(len(_TEMPERATURES) * _MOVES // max(1, n_moves)):
        if n_fruitless == len(_TEMPERATURES):
            break
        begun = AnnealingState.at(lists, given, grid, best.exemplar[order])
        temperature = _TEMPERATURES[number % len(_TEMPERATURES)] * unit
        begun.cool(temperature, n_moves, seed + (number + 1) * _SEEDS)
        end = local_search.climb(begun.standing.is_open[problem.user_id], preference)
        sets = (ExemplarSet(at.exemplar, at.value) for at in (best, end))
        offspring = crossover(problem, *sets)
        n_fruitless = n_fruitless + 1 if offspring is None else 0
        if offspring is not None:
            best = local_search.climb(offspring, preference)
    return best


def _unit(problem: Problem, at: NearestTwo, preference: Float64Array) -> float:
    """Return the average loss of a cluster against the ceiling of the net similarity."""
    lost = trivial_bound(problem.graph, preference) - grid_sum(at.value)
    return lost / max(1, int(np.count_nonzero(at.exemplar)) - problem.n_unrepresented)


def _climbed(local_search: LocalSearch, exemplar: BoolArray, preference: Float64Array) -> ExemplarSet:
    """Return the exemplars at the end of a climb that stops when few moves are left."""
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
    """Return the exemplars after a climb under preferences changed at random by up to ``strength``."""
    changed = hashed(problem.user_id, seed)
    changed -= 0.5
    changed *= 2.0 * strength
    changed += preference
    return local_search.climb(exemplar, changed, _LEFT).exemplar
