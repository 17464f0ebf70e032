"""Local search by batches of moves: open a point, close an exemplar, or swap it for a member of its cluster.

A batch consists of the moves that gain and are the best among all moves touching any of their points, by gain
and then by the user's number. Such moves touch no point in common, so their gains add up.
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
    """The nearest two exemplars of every point, and the values of both; see `NearestTwoRows`."""

    nearest: Int32Array
    value: Float64Array
    second: Int32Array
    fallback: Float64Array

    @property
    def exemplar(self) -> BoolArray:
        """Whether each point is an exemplar, shape (n_points,)."""
        return np.equal(self.nearest, np.arange(len(self.nearest)))


class Gains(NamedTuple):
    """The gain of the best move of each point.

    Attributes
    ----------
    gain : ndarray of float64, shape (n_points,)
        Gain by the point's opening or closing, or by the swap.
    swap : ndarray of bool, shape (n_points,)
        Whether the opening gains more with the closing of the point's exemplar.
    least : float
        Gains up to this value cannot be told from rounding errors.
    """

    gain: Float64Array
    swap: BoolArray
    least: float

    @property
    def gaining(self) -> BoolArray:
        """Whether the best move of each point gains, shape (n_points,)."""
        return self.gain > self.least


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """The moves proposed for a batch, ranked by gain.

    Attributes
    ----------
    rank : ndarray of int32, shape (n_points,)
        Rank of the best move that would open or close the point, from 1 for the smallest gain; 0: none.
    own_rank : ndarray of int32, shape (n_points,)
        Rank of the point's own move; an exemplar may also be closed by a member's swap.
    swap : ndarray of bool, shape (n_points,)
        Whether the point's own move is a swap with its exemplar.
    """

    rank: Int32Array
    own_rank: Int32Array
    swap: BoolArray

    @classmethod
    def ranked(cls, at: NearestTwo, order: NDArray[np.intp], swap: BoolArray) -> Self:
        """Rank the moves of some points, given in ascending order of gain."""
        own_rank = np.zeros(len(swap), np.int32)
        own_rank[order] = np.arange(1, len(order) + 1)
        rank = own_rank.copy()
        swapping = order[swap[order]]
        np.maximum.at(rank, at.nearest[swapping], own_rank[swapping])
        return cls(rank, own_rank, swap)


class LocalSearch:
    """Local search on a problem, with a limited number of readings of the edges.

    Parameters
    ----------
    problem : Problem
    n_readings : int
        Number of readings after which no further batch begins.
    on_reading : callable
        Called after each reading.
    """

    def __init__(self, problem: Problem, n_readings: int, on_reading: Callable[[], object]) -> None:
        self._problem = problem
        self._left = n_readings
        self._on_reading = on_reading

    @property
    def exhausted(self) -> bool:
        """Whether all readings are used up."""
        return self._left <= 0

    def nearest_two(self, exemplar: BoolArray, preference: Float64Array) -> NearestTwo:
        """Return the nearest two exemplars of every point, for given exemplars.

        Points that are better off alone, or reach no exemplar, are made exemplars too.
        """
        n = len(exemplar)
        lowest = min(self._problem.edges.smallest, float(preference.min(initial=0.0)))
        rows = NearestTwoRows(
            preference, np.empty(n, np.int32), np.empty(n), np.empty(n, np.int32), np.empty(n)
        )
        while True:
            self.run(NearestTwoPass(lowest), RankedVectors(exemplar, self._problem.user_id), rows)
            nearest_two = NearestTwo(*rows[1:])
            # Points just made exemplars may be better exemplars for others, so repeat until the set stays.
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
        """Make batches of moves until no move gains.

        Parameters
        ----------
        exemplar : ndarray of bool, shape (n_points,)
            The exemplars to start from.
        preference : ndarray of float64, shape (n_points,)
        least_share : float
            Stop when at most this share of the number of moves in the first batch is left.
        wanted : callable
            Function from the gains to the points whose moves may be made; by default those that gain.
        """
        at, n_at_first = self.nearest_two(exemplar, preference), None
        while not self.exhausted:
            gains = self.gains(at, preference)
            order = self.ascending(gains, wanted(gains))
            n_at_first = len(order) if n_at_first is None else n_at_first
            if len(order) <= least_share * n_at_first:
                break
            exemplar = self.moved(at, order, gains.swap)
            # Released before the next search fills its arrays: these are the largest of the climb.
            del at, gains, order
            at = self.nearest_two(exemplar, preference)
        return at

    def gains(self, at: NearestTwo, preference: Float64Array) -> Gains:
        """Return the gain of the best move of each point."""
        grid = self.grid(preference)
        gain, beyond = self._sums(at, grid)
        swap = np.zeros(len(gain), np.bool_)
        _best_moves(at.nearest, at.value, at.fallback, preference, gain, beyond, swap)
        return Gains(gain, swap, grid.least_gain)

    def gains_alone(self, at: NearestTwo, preference: Float64Array) -> Gains:
        """Return the gain of the opening or closing of each point, without swaps."""
        grid = self.grid(preference)
        change, _ = self._sums(at, grid)
        opening = change + (preference - at.value)
        closing = at.fallback - preference - change
        gain = np.where(at.exemplar, closing, opening)
        return Gains(gain, np.zeros(len(gain), np.bool_), grid.least_gain)

    def _sums(self, at: NearestTwo, grid: Grid) -> Columns:
        return self.run(GainPass(grid), NearestVectors(at.nearest), GainRows(at.value, at.fallback))[0]

    def ascending(self, gains: Gains, wanted: BoolArray) -> NDArray[np.intp]:
        """Return points whose moves are wanted, by ascending gain; among equals the user's first is last."""
        chosen = np.flatnonzero(wanted)
        return chosen[np.lexsort((-self._problem.user_id[chosen], gains.gain[chosen]))]

    def moved(self, at: NearestTwo, order: NDArray[np.intp], swap: BoolArray) -> BoolArray:
        """Make a batch of moves, given in ascending order of gain; return the exemplars."""
        moves = _Moves.ranked(at, order, swap)
        vectors = ConflictVectors(at.nearest, moves.rank, moves.swap)
        (n_conflicts,), _ = self.run(ConflictPass(), vectors, ConflictRows(at.value, at.fallback, at.second))
        return _carried_out(at, moves, n_conflicts)

    def grid(self, preference: Float64Array) -> Grid:
        """Return the grid on which the gains of a move add up exactly."""
        summarise_edges = self._problem.edges
        # A move changes the values of at most max_in_degree points and its own, each by at most the span.
        span = summarise_edges.largest_or_zero - min(
            summarise_edges.smallest, float(preference.min(initial=0.0))
        )
        return Grid.for_totals((1 + summarise_edges.max_in_degree) * max(span, 0.0))

    def run(self, pass_: Any, vectors: Any, rows: Any) -> tuple[Columns, Any]:
        """Run a pass, which reads the edges once, and count the reading."""
        self._left -= 1
        columns, tally = self._problem.graph.run(pass_, vectors, rows)
        self._on_reading()
        return columns, tally


def _carried_out(at: NearestTwo, moves: _Moves, n_conflicts: Int32Array) -> BoolArray:
    """Return the exemplars after all moves without conflicts."""
    agreed = (moves.own_rank > 0) & (moves.own_rank == moves.rank) & (n_conflicts == 0)
    swapped = np.flatnonzero(agreed & moves.swap)
    closed = at.nearest[swapped]
    # A swap needs both ends free of conflicts, since it also touches the members of the exemplar it closes.
    agreed[swapped] = (moves.rank[closed] == moves.own_rank[swapped]) & (n_conflicts[closed] == 0)
    exemplar: BoolArray = at.exemplar ^ agreed
    exemplar[at.nearest[np.flatnonzero(agreed & moves.swap)]] = False
    return exemplar


@kernel
def _best_moves(
    nearest: Any, value: Any, fallback: Any, preference: Any, gain: Any, beyond: Any, swap: Any
) -> None:
    """Turn the sums over other points, in ``gain``, into the gain of each point's best move."""
    for k in range(len(nearest)):
        if nearest[k] == k:
            gain[k] = fallback[k] - preference[k] - gain[k]
    for k in range(len(nearest)):
        if nearest[k] != k:
            gain[k] += preference[k] - value[k]
            # The closing gain counted k's fallback as its value; k becomes an exemplar: add the difference
            # back.
            with_closing = gain[nearest[k]] + beyond[k] + (value[k] - fallback[k])
            if with_closing > 0.0:
                gain[k] += with_closing
                swap[k] = True
