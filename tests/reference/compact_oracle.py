"""The compact scheme in plain numpy: an oracle without blocks, threads, grids or shortcuts.

A row's candidates are its edges, in the order stored, and after them the point itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

NOBODY = -1


class Candidates(NamedTuple):
    """One entry for each edge and each point: whose row, whose column, the similarity or preference."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float64]
    place: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def is_self(self) -> NDArray[np.bool_]:
        return self.row == self.column


class State(NamedTuple):
    """What is kept from sweep to sweep; the places are NOBODY where there has been no winner yet.

    ``weight`` is the share of the damped responsibilities that has come from sweeps at all.
    """

    weight: float
    mean: NDArray[np.float64]
    place1: NDArray[np.int64]
    delta1: NDArray[np.float64]
    place2: NDArray[np.int64]
    delta2: NDArray[np.float64]
    support: NDArray[np.float64]
    self_responsibility: NDArray[np.float64]
    total: NDArray[np.float64]


def candidates_of(graph: csr_array, preference: NDArray[np.float64]) -> Candidates:
    n, degree = graph.shape[0], np.diff(graph.indptr)
    ends = graph.indptr[1:]
    row = np.insert(np.repeat(np.arange(n), degree), ends, np.arange(n))
    column = np.insert(graph.indices, ends, np.arange(n))
    value = np.insert(graph.data.astype(np.float64), ends, preference)
    first = graph.indptr[:-1] + np.arange(n)
    return Candidates(row, column, value, np.arange(len(row)) - first[row], first)


def at_rest(n: int) -> State:
    nobody, zero = np.full(n, NOBODY), np.zeros(n)
    return State(0.0, zero, nobody, zero, nobody, zero, zero, zero, zero)


def responsibilities(c: Candidates, state: State) -> NDArray[np.float64]:
    """Return w s(i,k) - mean_i, less the correction where k is one of the row's last two winners."""
    correction = np.where(
        c.place == state.place1[c.row],
        state.delta1[c.row],
        np.where(c.place == state.place2[c.row], state.delta2[c.row], 0.0),
    )
    return state.weight * c.value - state.mean[c.row] - correction


def offers(c: Candidates, state: State) -> NDArray[np.float64]:
    """Return a + s of every candidate; before the first sweep every a is 0."""
    if state.weight == 0:
        return c.value
    r = responsibilities(c, state)
    availability = np.minimum(0, state.total[c.column] - np.maximum(0, r))
    return c.value + np.where(c.is_self, state.support[c.row], availability)


def best_two(c: Candidates, offer: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return each row's best offer, its second best, and the place of the best."""
    best = np.maximum.reduceat(offer, c.first)
    last = int(c.place.max())
    winner = last - np.maximum.reduceat(np.where(offer == best[c.row], last - c.place, -1), c.first)
    others = np.where(c.place == winner[c.row], -np.inf, offer)
    return best, np.maximum.reduceat(others, c.first), winner


def remember(state: State, damping: float, winner: NDArray[np.int64], change: NDArray[np.float64]) -> State:
    """Decay both corrections and add the winner's; a new winner displaces the older, a tie nobody."""
    place1, place2 = state.place1.copy(), state.place2.copy()
    delta1, delta2 = damping * state.delta1, damping * state.delta2
    for i in np.flatnonzero(change):
        if winner[i] == place1[i]:
            delta1[i] += change[i]
            continue
        newest = (delta2[i] if winner[i] == place2[i] else 0.0) + change[i]
        place1[i], delta1[i], place2[i], delta2[i] = winner[i], newest, place1[i], delta1[i]
    return state._replace(place1=place1, delta1=delta1, place2=place2, delta2=delta2)


def sweep(c: Candidates, state: State, damping: float, total_damping: float) -> State:
    """Return the state after one more sweep. A row without an edge has no rival: D is infinite."""
    n, alone = len(c.first), np.bincount(c.row) == 1
    best, second, winner = best_two(c, offers(c, state))
    change = np.where(alone, 0, (1 - damping) * (np.where(alone, 0, second) - best))
    state = remember(state, damping, winner, change)
    state = state._replace(
        weight=damping * state.weight + (1 - damping),
        mean=np.where(alone, 0, damping * state.mean + (1 - damping) * best),
    )
    r = responsibilities(c, state)
    support = np.bincount(c.column, weights=np.where(c.is_self, 0, np.maximum(0, r)), minlength=n)
    self_responsibility = np.where(alone, np.inf, r[c.is_self])
    return state._replace(
        support=total_damping * state.support + (1 - total_damping) * support,
        self_responsibility=self_responsibility,
        total=total_damping * state.total + (1 - total_damping) * (support + self_responsibility),
    )


def compact(
    graph: csr_array, preference: NDArray[np.float64], dampings: Sequence[float], total_damping: float
) -> State:
    """Return the state after a sweep with each of the dampings."""
    c, state = candidates_of(graph, preference), at_rest(graph.shape[0])
    for damping in dampings:
        state = sweep(c, state, damping, total_damping)
    return state
