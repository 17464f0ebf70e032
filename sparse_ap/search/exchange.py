"""Local search by single moves among candidates, along lists of edges in memory.

As in FasterPAM (Schubert & Rousseeuw, Information Systems 101, 2021), any candidate may replace any exemplar;
in addition, exemplars are opened and closed. When no move gains, a random perturbation replaces some
exemplars near each other by members of their clusters, and the next descent (`list_descent`) begins. The
search goes on from its end if that is better than the best, or hardly worse; and in between, for a while,
among the exemplars of all ends alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int64Array
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.kernels.hashing import hashed
from sparse_ap.search.edge_lists import EdgeLists
from sparse_ap.search.list_descent import DescentState

__all__ = ["Exchange"]

# Numbers of exemplars near each other that a perturbation closes, in turn; and how many more or less it
# opens (docs/design/0012-search.md).
_CLOSED = (2, 6, 4, 3)
_MORE = (-1, 0, 1)
# Perturbations in a row without a gain, after which a walk ends, for each exemplar; and how many exemplars
# are counted at least.
_FRUITLESS, _FEW = 6, 16
# How much worse than the best exemplars those may be from which perturbations go on: at first, as a share of
# what the closing of an exemplar loses; less and less, down to nothing.
_SLACK = 0.04
# Seeds reserved for each walk.
_SEEDS = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """A search by single moves along lists of edges; all in the user's order.

    Attributes
    ----------
    lists : EdgeLists
    preference : ndarray of float64, shape (n_points,)
    grid : Grid
        Grid for the sums of gains.
    """

    lists: EdgeLists
    preference: Float64Array
    grid: Grid

    def descended(self, exemplar: BoolArray) -> tuple[DescentState, int]:
        """Return where moves lead that gain, and the number of edges and sums seen."""
        state = DescentState.at(self.lists, self.preference, self.grid, exemplar)
        return state, state.descend()

    def search(self, exemplar: BoolArray, most: int, seed: int) -> tuple[BoolArray, int]:
        """Return the best exemplars found in three walks, starting from some of the candidates.

        The second is among the exemplars alone at which perturbations have ended (heuristic concentration:
        Rosing & ReVelle, European Journal of Operational Research 97, 1997).

        Parameters
        ----------
        exemplar : ndarray of bool, shape (n_points,)
        most : int
            Number of edges and sums seen after which no further perturbation begins; none begins where the
            moves have left fewer than half of the exemplars. 0 for moves alone.
        seed : int
            Seed of the perturbations.

        Returns
        -------
        exemplar : ndarray of bool, shape (n_points,)
        n_seen : int
        """
        limits = _SLACK, _FRUITLESS * max(_FEW, int(np.count_nonzero(exemplar)))
        found, n_seen, ends = self._walk(exemplar, most // 2, seed, *limits)
        # Lists that were made for twice as many exemplars are too short: no more is done with them.
        if 2 * np.count_nonzero(found) < np.count_nonzero(exemplar):
            return found, n_seen
        concentrated = replace(self, lists=self.lists.among(ends))
        found, n_more, _ = concentrated._walk(found, most // 5, seed + _SEEDS, *limits)
        n_seen += n_more
        found, n_more, _ = self._walk(found, most - n_seen, seed + 2 * _SEEDS, *limits)
        return found, n_seen + n_more

    def _walk(
        self, exemplar: BoolArray, most: int, seed: int, slack: float, n_fruitless: int
    ) -> tuple[BoolArray, int, BoolArray]:
        """Return the best exemplars found by perturbations, what was seen, and the exemplars of all ends."""
        state, n_seen = self.descended(exemplar)
        # Room for as many exemplars as there are now.
        state, n_more = self.descended(state.standing.is_open)
        n_seen += n_more
        best, value, mark = state.standing.is_open.copy(), state.value, state.mark()
        ends = exemplar | best
        slack, number, last_gain = slack * state.loss, 0, 0
        most = 0 if 2 * np.count_nonzero(best) < np.count_nonzero(exemplar) else most
        while number - last_gain < n_fruitless and n_seen < most:
            n_seen += state.flip(self._perturbation(state, number, seed)) + state.descend()
            number += 1
            ends |= state.standing.is_open
            if state.value > value + self.grid.least_gain:
                state.doubt(everything=True)
                n_seen += state.descend()
                best, value, last_gain = state.standing.is_open.copy(), state.value, number
            elif state.value <= value - slack * (1.0 - n_seen / most):
                n_seen += state.return_to(mark)
                continue
            # Released before the next is made: its copy is as large as what it is a copy of.
            del mark
            if state.n_free <= max(_CLOSED) + max(_MORE):
                state, n_more = self.descended(state.standing.is_open)
                n_seen += n_more
            mark = state.mark()
        return best, n_seen, ends

    def _perturbation(self, state: DescentState, number: int, seed: int) -> Int64Array:
        """Return members to open, and their exemplars to close: one by lot and those nearest to it."""
        is_open, nearest = state.standing.is_open, state.standing.nearest
        lists, lot = self.lists, hashed(np.arange(len(is_open)), seed + number)
        first = int(np.argmin(np.where(is_open, lot, 2.0)))
        seen = lists.out_to[lists.out_start[first] : lists.out_start[first + 1]]
        closed = np.concatenate([[first], seen[is_open[seen]][: _CLOSED[number % len(_CLOSED)] - 1]])
        inside = np.zeros(len(is_open) + 1, np.bool_)
        inside[closed] = True
        others = np.flatnonzero(inside[nearest] & ~is_open & lists.may)
        # One exemplar at least is left.
        n = max(1, len(closed) + _MORE[number % len(_MORE)])
        opened = others[np.argsort(lot[others], kind="stable")[: min(n, state.n_free - 1)]]
        return np.concatenate([opened, closed if len(opened) else closed[:0]])
