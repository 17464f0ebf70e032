"""Local search by single moves among candidates whose similarities fit into memory as a table.

As in FasterPAM (Schubert & Rousseeuw, Information Systems 101, 2021), any candidate may replace any exemplar,
and a move is carried out as soon as it is found to gain. In addition, exemplars are opened and closed. When
no move gains, a random perturbation swaps some exemplars; the result of the next descent is kept if it is
better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.exact_sum import Grid, grid_sum, on_grid
from sparse_ap.kernels.hashing import hashed
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.local_search import LocalSearch
from sparse_ap.search.similarity_table import GatherPass, PlaceVectors, TableRows

__all__ = ["Exchange"]

# Perturbations, in turn: least number of exemplars to swap, and their share; docs/design/0012-search.md.
_PERTURBATIONS = ((2, 0.1), (4, 0.3))
# Number of exemplars opened in addition to those closed, in turn.
_MORE = (-1, 0, 1)
# Perturbations in a row without a gain, after which to stop.
_FRUITLESS = 25


class _Rows(NamedTuple):
    """The nearest two exemplars of each point among the candidates, and the values of both.

    Attributes
    ----------
    nearest : ndarray of int32
        Place of the point's exemplar in the table; -1: the point is better off alone.
    value : ndarray of float64
        The similarity to that exemplar, or the point's preference.
    bar : ndarray of float64
        Similarity that another exemplar must exceed to win the point: ``value``; +inf for an exemplar.
    fallback : ndarray of float64
        Value of the point if ``nearest`` were closed.
    """

    nearest: Int32Array
    value: Float64Array
    bar: Float64Array
    fallback: Float64Array


class _Sums(NamedTuple):
    """The open candidates, and sums of gains; the last place of sums collects the points that are alone.

    Attributes
    ----------
    opened : ndarray of int64
        Places of the exemplars, ascending.
    closing : ndarray of float64
        Gain by closing each exemplar.
    with_closing : ndarray of float64
        The same gain when some point is opened at the same time.
    """

    opened: Int64Array
    closing: Float64Array
    with_closing: Float64Array

    @classmethod
    def of(cls, n: int) -> _Sums:
        """Return empty sums for ``n`` candidates."""
        return cls(np.empty(n, np.int64), np.zeros(n + 1), np.zeros(n + 1))


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
        is_open = exemplar[self.candidate]
        best, n_seen = self._descended(is_open)
        number = last_gain = 0
        while number - last_gain < _FRUITLESS and n_seen < most:
            perturbed = self._perturbed(is_open, number, seed)
            value, more = self._descended(perturbed)
            number, n_seen = number + 1, n_seen + more
            if value > best + self.grid.least_gain:
                best, is_open, last_gain = value, perturbed, number
        found = np.zeros(len(exemplar), np.bool_)
        found[self.candidate[is_open]] = True
        return found, n_seen

    def _perturbed(self, is_open: BoolArray, number: int, seed: int) -> BoolArray:
        """Return the open candidates with some of them swapped at random."""
        order = np.argsort(hashed(self.user_id, seed + number))
        opened, others = order[is_open[order]], order[~is_open[order]]
        least, share = _PERTURBATIONS[number % len(_PERTURBATIONS)]
        n = max(least, round(share * len(opened)))
        perturbed = is_open.copy()
        perturbed[opened[:n]] = False
        perturbed[others[: n + _MORE[number % len(_MORE)]]] = True
        return perturbed

    def _descended(self, is_open: BoolArray) -> tuple[float, int]:
        """Make moves in ``is_open`` until none gains; return the net similarity and similarities seen."""
        n = len(self.preference)
        rows = _Rows(np.empty(n, np.int32), np.empty(n), np.empty(n), np.empty(n))
        n_seen = _carry_out(
            self.similarity,
            self.candidate,
            self.preference,
            rows,
            is_open,
            _Sums.of(len(is_open)),
            self.grid.shift,
            self.grid.least_gain,
        )
        return grid_sum(rows.value), n_seen


@kernel
def _carry_out(
    similarity: Any,
    candidate: Any,
    preference: Any,
    rows: Any,
    is_open: Any,
    sums: Any,
    shift: float,
    least: float,
) -> int:
    """Try the candidates in turn, and make each move that gains, until a whole round gains nothing.

    Returns the number of similarities seen.
    """
    n_points, closing = len(preference), sums.closing
    opened = sums.opened[: _listed(is_open, sums.opened)]
    for i in range(n_points):
        _find_nearest_two(i, similarity, candidate, preference, opened, rows)
    n_seen = n_points * len(opened)
    _sum_closing(rows, shift, closing)
    since, k = 0, 0
    while since < len(candidate):
        n_seen, since = n_seen + n_points, since + 1
        gain, closed = closing[k], k
        if not is_open[k]:
            gain, closed = _best_opening(
                similarity[k], candidate[k], preference, opened, rows, closing, shift, sums.with_closing
            )
        # The last exemplar is never closed.
        if gain > least and (closed != k or len(opened) > 1):
            since = 0
            is_open[k] = not is_open[k]
            if closed >= 0:
                is_open[closed] = False
            opened = sums.opened[: _listed(is_open, sums.opened)]
            for i in range(n_points):
                if _touches(i, k, closed, similarity, candidate, rows):
                    _find_nearest_two(i, similarity, candidate, preference, opened, rows)
                    n_seen += len(opened)
            _sum_closing(rows, shift, closing)
        k = (k + 1) % len(candidate)
    return n_seen


@helper
def _listed(is_open: Any, opened: Any) -> int:
    """Write the places of the exemplars into ``opened``; return their number."""
    n = 0
    for k in range(len(is_open)):
        if is_open[k]:
            opened[n] = k
            n += 1
    return n


@helper
def _touches(i: int, k: int, closed: int, similarity: Any, candidate: Any, rows: Any) -> bool:
    """Whether a point's nearest two exemplars may change when k opens or closes, and ``closed`` closes."""
    least = rows.fallback[i]
    return (
        similarity[k, i] >= least
        or candidate[k] == i
        or (closed >= 0 and (rows.nearest[i] == closed or similarity[closed, i] >= least))
    )


@helper
def _find_nearest_two(
    i: int, similarity: Any, candidate: Any, preference: Any, opened: Any, rows: Any
) -> None:
    alone = preference[i]
    nearest, own, value, fallback = -1, -1, alone, alone
    for k in opened:
        s = np.float64(similarity[k, i])
        if candidate[k] == i:
            own = k
        elif s > value:
            nearest, value, fallback = k, s, value
        elif s > fallback:
            fallback = s
    if own >= 0:
        rows.nearest[i], rows.value[i], rows.bar[i], rows.fallback[i] = own, alone, np.inf, value
    else:
        rows.nearest[i], rows.value[i], rows.bar[i], rows.fallback[i] = nearest, value, value, fallback


@helper
def _sum_closing(rows: Any, shift: float, closing: Any) -> None:
    for k in range(len(closing)):
        closing[k] = 0.0
    for i in range(len(rows.nearest)):
        closing[rows.nearest[i]] += on_grid(rows.fallback[i] - rows.value[i], shift)


@helper
def _best_opening(
    similarity: Any,
    k: int,
    preference: Any,
    opened: Any,
    rows: Any,
    closing: Any,
    shift: float,
    with_closing: Any,
) -> tuple[float, int]:
    """Return the gain by opening k, and the place of the exemplar best closed with it; -1: none."""
    nearest, value, bar, fallback = rows.nearest, rows.value, rows.bar, rows.fallback
    for m in opened:
        with_closing[m] = closing[m]
    gain = on_grid(preference[k] - value[k], shift)
    # The closing gain counted k's fallback as its value; k becomes an exemplar, so the difference is added
    # back.
    with_closing[nearest[k]] += on_grid(value[k] - fallback[k], shift)
    # No branches in this loop: with few exemplars they would be mispredicted for every other point.
    for i in range(len(similarity)):
        s = np.float64(similarity[i])
        gain += on_grid(max(s - bar[i], 0.0), shift)
        with_closing[nearest[i]] += on_grid(max(min(s, bar[i]) - fallback[i], 0.0), shift)
    best, closed = 0.0, -1
    for m in opened:
        if with_closing[m] > best:
            best, closed = with_closing[m], m
    return gain + best, closed
