"""Pairs of points, and the protocol of the searches that find them block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.points import Rankable

__all__ = ["NearPairs", "PairSearch", "Pairs", "within"]


class Pairs(NamedTuple):
    """Pairs of points, each once, and their distances."""

    one: NDArray[np.int32]
    other: NDArray[np.int32]
    distances: NDArray[np.float64]


class NearPairs(NamedTuple):
    """Pairs of points, each once, and their similarities."""

    one: NDArray[np.int32]
    other: NDArray[np.int32]
    similarities: NDArray[np.float32]

    @classmethod
    def none(cls) -> Self:
        """Return no pair."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


class PairSearch(Protocol):
    """A search for all pairs within a distance, in tasks of their own; every pair is found by one of them."""

    @property
    def tasks(self) -> Sequence[Any]:
        """What `find` takes, one after the other, in any threads."""
        ...

    def find(self, task: Any) -> Pairs:
        """Return the pairs of one task, in an order that does not depend on threads."""
        ...


def within(
    points: Rankable,
    reach: float,
    first: int,
    candidates: NDArray[np.int32],
    indptr: NDArray[np.int64],
    numbers: NDArray[np.int32],
) -> Pairs:
    """Return the candidates that are within reach, by the distances of float64.

    Parameters
    ----------
    points : Rankable
    reach : float
    first, candidates, indptr
        The candidates ``indptr[r]:indptr[r + 1]`` of point ``first + r``.
    numbers : ndarray of int32, shape (n_points,)
        The user's number of each point.
    """
    distances = points.distances(points, first, candidates, indptr)
    near = distances <= reach
    rows = np.arange(first, first + len(indptr) - 1).repeat(np.diff(indptr))
    return Pairs(numbers[rows[near]], numbers[candidates[near]], distances[near])
