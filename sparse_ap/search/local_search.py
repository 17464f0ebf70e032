"""Batches of moves that gain: open a point, close an exemplar, swap an exemplar for a member of its cluster.

A batch carries out all moves that gain and are the best among those that touch any of their points, by gain
and then by the user's number: together they gain what each would gain alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.assignment import RankedVectors
from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import Columns
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.moves import (
    ConflictPass,
    ConflictRows,
    ConflictVectors,
    GainPass,
    GainRows,
    NearestTwoPass,
    NearestTwoRows,
    NearestVectors,
)

__all__ = ["Gains", "LocalSearch", "NearestTwo"]


@dataclass(frozen=True, slots=True, eq=False)
class NearestTwo:
    """What every point has; see `NearestTwoRows`."""

    nearest: Int32Array
    value: Float64Array
    second: Int32Array
    fallback: Float64Array

    @property
    def exemplar(self) -> BoolArray:
        """Whether each point is an exemplar."""
        return np.equal(self.nearest, np.arange(len(self.nearest)))


class Gains(NamedTuple):
    """What the best move of each point gains.

    Attributes
    ----------
    gain : ndarray of float64, shape (n_points,)
        By the point's opening or closing.
    swap : ndarray of bool, shape (n_points,)
        Whether the opening is better together with the closing of the point's exemplar.
    least : float
        Gains up to this are not told from rounding.
    """

    gain: Float64Array
    swap: BoolArray
    least: float

    @property
    def gaining(self) -> BoolArray:
        """Whether a point's best move gains."""
        return self.gain > self.least


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """The moves proposed.

    Attributes
    ----------
    rank : ndarray of int32, shape (n_points,)
        Of the best move that would open or close the point, from 1 for the one that gains least; 0: none.
    own_rank : ndarray of int32, shape (n_points,)
        Of the point's own move: an exemplar may also be closed by a member's swap.
    swap : ndarray of bool, shape (n_points,)
        Whether the point's own move is a swap with its exemplar.
    """

    rank: Int32Array
    own_rank: Int32Array
    swap: BoolArray

    @classmethod
    def ranked(cls, at: NearestTwo, order: NDArray[np.intp], swap: BoolArray) -> Self:
        """Rank the moves of some points, the best of them last."""
        own_rank = np.zeros(len(swap), np.int32)
        own_rank[order] = np.arange(1, len(order) + 1)
        rank = own_rank.copy()
        swapping = order[swap[order]]
        np.maximum.at(rank, at.nearest[swapping], own_rank[swapping])
        return cls(rank, own_rank, swap)


class LocalSearch:
    """Carries out moves, for some readings of the edges.

    Parameters
    ----------
    problem : Problem
    n_readings : int
        Readings after which no batch is begun.
    on_reading : callable
        Called after each.
    """

    def __init__(self, problem: Problem, n_readings: int, on_reading: Callable[[], object]) -> None:
        self._problem = problem
        self._left = n_readings
        self._on_reading = on_reading

    @property
    def exhausted(self) -> bool:
        """Whether no readings are left."""
        return self._left <= 0

    def nearest_two(self, exemplar: BoolArray, preference: Float64Array) -> NearestTwo:
        """Return what every point has if these are the exemplars, and all who are better off alone."""
        n = len(exemplar)
        lowest = min(self._problem.edges.smallest, float(preference.min(initial=0.0)))
        rows = NearestTwoRows(
            preference, np.empty(n, np.int32), np.empty(n), np.empty(n, np.int32), np.empty(n)
        )
        while True:
            self.run(NearestTwoPass(lowest), RankedVectors(exemplar, self._problem.user_id), rows)
            nearest_two = NearestTwo(*rows[1:])
            # Those who have just been made exemplars may be the better ones of others.
            if (nearest_two.exemplar == exemplar).all():
                return nearest_two
            exemplar = nearest_two.exemplar

    def climb(
        self,
        exemplar: BoolArray,
        preference: Float64Array,
        least_share: float = 0.0,
        wanted: Callable[[Gains], BoolArray] = lambda gains: gains.gaining,
    ) -> NearestTwo:
        """Carry out batches of moves until no move gains.

        Parameters
        ----------
        exemplar : ndarray of bool, shape (n_points,)
            Where to begin.
        preference : ndarray of float64, shape (n_points,)
        least_share : float
            Stop when not more than this share of the moves of the first batch are left.
        wanted : callable
            Says which points' moves may be carried out.
        """
        at, n_at_first = self.nearest_two(exemplar, preference), None
        while not self.exhausted:
            gains = self.gains(at, preference)
            order = self.ascending(gains, wanted(gains))
            n_at_first = len(order) if n_at_first is None else n_at_first
            if len(order) <= least_share * n_at_first:
                break
            exemplar = self.moved(at, order, gains.swap)
            # Not to be held while the next one is filled.
            del at, gains, order
            at = self.nearest_two(exemplar, preference)
        return at

    def gains(self, at: NearestTwo, preference: Float64Array) -> Gains:
        """Return what the best move of each point gains."""
        grid = self.grid(preference)
        gain, beyond = self._sums(at, grid)
        swap = np.zeros(len(gain), np.bool_)
        _best_moves(at.nearest, at.value, at.fallback, preference, gain, beyond, swap)
        return Gains(gain, swap, grid.least_gain)

    def gains_alone(self, at: NearestTwo, preference: Float64Array) -> Gains:
        """Return what the opening or closing of each point gains, swaps left out."""
        grid = self.grid(preference)
        change, _ = self._sums(at, grid)
        opening = change + (preference - at.value)
        closing = at.fallback - preference - change
        gain = np.where(at.exemplar, closing, opening)
        return Gains(gain, np.zeros(len(gain), np.bool_), grid.least_gain)

    def _sums(self, at: NearestTwo, grid: Grid) -> Columns:
        return self.run(GainPass(grid), NearestVectors(at.nearest), GainRows(at.value, at.fallback))[0]

    def ascending(self, gains: Gains, wanted: BoolArray) -> NDArray[np.intp]:
        """Return the points whose moves are wanted, the best last; of equals, the user's first."""
        chosen = np.flatnonzero(wanted)
        return chosen[np.lexsort((-self._problem.user_id[chosen], gains.gain[chosen]))]

    def moved(self, at: NearestTwo, order: NDArray[np.intp], swap: BoolArray) -> BoolArray:
        """Carry out a batch of moves, the best of them last; return the exemplars."""
        moves = _Moves.ranked(at, order, swap)
        vectors = ConflictVectors(at.nearest, moves.rank, moves.swap)
        (n_conflicts,), _ = self.run(ConflictPass(), vectors, ConflictRows(at.value, at.fallback, at.second))
        return _carried_out(at, moves, n_conflicts)

    def grid(self, preference: Float64Array) -> Grid:
        """Return the grid on which gains add up exactly."""
        summarise_edges = self._problem.edges
        span = summarise_edges.largest_or_zero - min(
            summarise_edges.smallest, float(preference.min(initial=0.0))
        )
        return Grid.for_totals((1 + summarise_edges.max_in_degree) * max(span, 0.0))

    def run(self, pass_: Any, vectors: Any, rows: Any) -> tuple[Columns, Any]:
        """Read the edges once."""
        self._left -= 1
        columns, tally = self._problem.graph.run(pass_, vectors, rows)
        self._on_reading()
        return columns, tally


def _carried_out(at: NearestTwo, moves: _Moves, n_conflicts: Int32Array) -> BoolArray:
    """Return the exemplars after all moves without conflicts."""
    agreed = (moves.own_rank > 0) & (moves.own_rank == moves.rank) & (n_conflicts == 0)
    swapped = np.flatnonzero(agreed & moves.swap)
    closed = at.nearest[swapped]
    agreed[swapped] = (moves.rank[closed] == moves.own_rank[swapped]) & (n_conflicts[closed] == 0)
    exemplar: BoolArray = at.exemplar ^ agreed
    exemplar[at.nearest[np.flatnonzero(agreed & moves.swap)]] = False
    return exemplar


@kernel
def _best_moves(
    nearest: Any, value: Any, fallback: Any, preference: Any, gain: Any, beyond: Any, swap: Any
) -> None:
    """Make what a point's opening or closing changes for others the gain of its best move."""
    for k in range(len(nearest)):
        if nearest[k] == k:
            gain[k] = fallback[k] - preference[k] - gain[k]
    for k in range(len(nearest)):
        if nearest[k] != k:
            gain[k] += preference[k] - value[k]
            # The closing takes the fallback for what k itself gets.
            with_closing = gain[nearest[k]] + beyond[k] + (value[k] - fallback[k])
            if with_closing > 0.0:
                gain[k] += with_closing
                swap[k] = True
