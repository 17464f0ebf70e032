"""Local search by single moves among candidates whose similarities fit into memory as a table.

As in FasterPAM (Schubert & Rousseeuw, Information Systems 101, 2021), any candidate may replace any exemplar,
and a move is carried out as soon as it is found to gain. In addition, exemplars are opened and closed. When
no move gains, a random perturbation swaps some exemplars, near each other or anywhere; the result of the next
descent (`table_descent`) is kept if it is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.kernels.hashing import hashed
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.local_search import LocalSearch
from sparse_ap.search.similarity_table import GatherPass, PlaceVectors, TableRows
from sparse_ap.search.table_descent import Room, TableState, descended

__all__ = ["Exchange"]

# Perturbations, in turn: whether of exemplars near each other, or of any; the least number of exemplars to
# swap, and their share; docs/design/0012-search.md.
_PERTURBATIONS = ((True, 2, 0.0), (False, 2, 0.1), (True, 4, 0.0), (False, 4, 0.3))
# Number of exemplars opened in addition to those closed, in turn.
_MORE = (-1, 0, 1)
# Perturbations in a row without a gain, after which to stop.
_FRUITLESS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """A search by single moves, in a table of similarities to the candidates.

    Attributes
    ----------
    candidate : ndarray of int32, shape (n_candidates,)
        The candidates, sorted by the user's numbers.
    user_id : ndarray of int32, shape (n_candidates,)
    similarity : ndarray of float, shape (n_candidates, n_points)
        Similarity of each point to each candidate; -inf without an edge.
    preference : ndarray of float64, shape (n_points,)
    grid : Grid
        Grid for the sums of gains.
    """

    candidate: Int32Array
    user_id: Int32Array
    similarity: FloatArray
    preference: Float64Array
    grid: Grid

    @classmethod
    def among(
        cls, problem: Problem, candidate: Int32Array, preference: Float64Array, local_search: LocalSearch
    ) -> Exchange:
        """Fill the table by one reading of the edges."""
        # In the user's order: moves are then tried in the same order under any renumbering.
        candidate = candidate[np.argsort(problem.user_id[candidate])]
        place = np.full(len(preference), -1, np.int32)
        place[candidate] = np.arange(len(candidate))
        similarity = np.full((len(candidate), len(preference)), -np.inf, problem.graph.dtype)
        local_search.run(GatherPass(), PlaceVectors(place), TableRows(similarity.T))
        return cls(
            candidate, problem.user_id[candidate], similarity, preference, local_search.grid(preference)
        )

    def search(self, exemplar: BoolArray, most: int, seed: int) -> tuple[BoolArray, int]:
        """Return the best exemplars found, starting from some of the candidates.

        Parameters
        ----------
        exemplar : ndarray of bool, shape (n_points,)
        most : int
            Number of similarities seen after which no further perturbation begins.
        seed : int
            Seed of the perturbations.

        Returns
        -------
        exemplar : ndarray of bool, shape (n_points,)
        n_seen : int
            Similarities seen.
        """
        m, n = self.similarity.shape
        table = self.similarity, self.candidate, self.preference
        state, room, nobody = TableState.of(exemplar[self.candidate], n), Room.of(m, n), np.empty(0, np.int64)
        n_seen = descended(table, state, nobody, room, self.grid)
        number = last_gain = 0
        while number - last_gain < _FRUITLESS and n_seen < most:
            trial = state.copy()
            n_seen += descended(table, trial, self._perturbation(state, number, seed), room, self.grid)
            number += 1
            if trial.value > state.value + self.grid.least_gain:
                # Moves were tried where something had changed: now all are.
                trial.doubted[:] = True
                n_seen += descended(table, trial, nobody, room, self.grid)
                state, last_gain = trial, number
        found = np.zeros(len(exemplar), np.bool_)
        found[self.candidate[state.is_open]] = True
        return found, n_seen

    def _perturbation(self, state: TableState, number: int, seed: int) -> Int64Array:
        """Return candidates to open and to close: an exemplar and its nearest, and some of their members."""
        order = np.argsort(hashed(self.user_id, seed + number))
        opened, others = order[state.is_open[order]], order[~state.is_open[order]]
        near, least, share = _PERTURBATIONS[number % len(_PERTURBATIONS)]
        n = max(least, round(share * len(opened)))
        if near and n < len(opened):
            # The exemplars nearest to one of them, and members of their clusters.
            nearest = np.argsort(-self.similarity[opened, self.candidate[opened[0]]], kind="stable")
            opened = np.concatenate([opened[:1], opened[nearest[nearest > 0]]])
            inside = np.zeros(len(order) + 1, np.bool_)
            inside[opened[:n]] = True
            others = others[inside[state.rows.nearest[self.candidate[others]]]]
        return np.concatenate([opened[:n], others[: n + _MORE[number % len(_MORE)]]])
