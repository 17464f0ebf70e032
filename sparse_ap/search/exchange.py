"""Local search by single moves among candidates, along lists of edges in memory.

As in FasterPAM (Schubert & Rousseeuw, Information Systems 101, 2021), any candidate may replace any exemplar;
in addition, exemplars are opened and closed. When no move gains, a random perturbation replaces some
exemplars near each other by members of their clusters; the result of the next descent (`list_descent`) is
kept if it is better.
"""

from __future__ import annotations

from dataclasses import dataclass

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
# Perturbations in a row without a gain, after which to stop, for each exemplar.
_FRUITLESS = 20


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
        """Return the best exemplars found, starting from some of the candidates.

        Parameters
        ----------
        exemplar : ndarray of bool, shape (n_points,)
        most : int
            Number of edges and sums seen after which no further perturbation begins; none begins where the
            moves have left fewer than half of the exemplars.
        seed : int
            Seed of the perturbations.

        Returns
        -------
        exemplar : ndarray of bool, shape (n_points,)
        n_seen : int
        """
        state, n_seen = self.descended(exemplar)
        # Room for as many exemplars as there are now.
        state, n_more = self.descended(state.standing.is_open)
        n_seen += n_more
        best, value = state.standing.is_open.copy(), state.value
        number = last_gain = 0
        n_fruitless = _FRUITLESS * int(np.count_nonzero(best))
        # Lists that were made for twice as many exemplars are too short: no more is done with them.
        most = 0 if 2 * np.count_nonzero(best) < np.count_nonzero(exemplar) else most
        while number - last_gain < n_fruitless and n_seen < most:
            n_seen += state.flip(self._perturbation(state, number, seed)) + state.descend()
            number += 1
            if state.value > value + self.grid.least_gain:
                state.doubt(everything=True)
                n_seen += state.descend()
                best, value, last_gain = state.standing.is_open.copy(), state.value, number
                if state.n_free <= max(_CLOSED) + max(_MORE):
                    state, n_more = self.descended(best)
                    n_seen += n_more
            else:
                back = np.flatnonzero(best != state.standing.is_open)
                n_seen += state.flip(back[np.argsort(~best[back], kind="stable")])
                state.doubt(everything=False)
        return best, n_seen

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
