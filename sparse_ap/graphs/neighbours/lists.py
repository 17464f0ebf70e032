"""Lists of the best candidates of each query, and the kernels that fill them.

A list is sorted by falling score, equal scores by rising number. The best of a set under a total order do not
depend on the order in which the set is read; so lists do not depend on blocks or threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.stages import Stages, slabs
from sparse_ap.kernels.block import starts_of
from sparse_ap.kernels.compilation import helper, kernel

__all__ = ["GROUP", "CandidateLists", "NeighbourLists", "entries_of", "padded", "put"]

#: Scores that are compared with a threshold at a time; few such groups hold one that passes. Blocks of scores
#: are as wide as a multiple of it.
GROUP = 8


def padded(width: int) -> int:
    """Return the width of a block of scores of so many points."""
    return -(-width // GROUP) * GROUP


@dataclass(frozen=True, slots=True, eq=False)
class CandidateLists:
    """The best candidates of each query so far.

    Attributes
    ----------
    scores : ndarray of float, shape (n_queries, length)
        Falling; minus infinity where no candidate is known.
    numbers : ndarray of int32, shape (n_queries, length)
        Points; -1 where no candidate is known.
    worst : ndarray of float, shape (n_queries,)
        Score below which a candidate is passed over: the last of the list.
    """

    scores: NDArray[Any]
    numbers: NDArray[np.int32]
    worst: NDArray[Any]

    @classmethod
    def empty(cls, n_queries: int, length: int, dtype: Any) -> CandidateLists:
        """Return lists without candidates, for scores of ``dtype``."""
        scores = np.full((n_queries, length), -np.inf, dtype)
        return cls(scores, np.full((n_queries, length), -1, np.int32), np.full(n_queries, -np.inf, dtype))

    @classmethod
    def kept(cls, stages: Stages, name: str, n_queries: int, length: int, dtype: Any) -> CandidateLists:
        """Return lists to be written part by part, kept where a search keeps its arrays."""
        scores = stages.empty(f"{name}.scores", (n_queries, length), dtype)
        numbers = stages.empty(f"{name}.numbers", (n_queries, length), np.int32)
        return cls(scores, numbers, scores[:, -1])

    def part(self, rows: slice) -> CandidateLists:
        """Return a copy of some lists."""
        scores = np.array(self.scores[rows])
        return CandidateLists(scores, np.array(self.numbers[rows]), scores[:, -1].copy())

    def write(self, rows: slice, lists: CandidateLists) -> None:
        """Put lists, which have been read as a part, in their places."""
        self.scores[rows], self.numbers[rows] = lists.scores, lists.numbers

    def offer(self, block: NDArray[Any], first: int, lists: NDArray[Any], itself: NDArray[Any]) -> None:
        """Offer the points first, first + 1, ... to some lists.

        Parameters
        ----------
        block : ndarray, shape (m, width)
            Scores; minus infinity in columns without a point. The width is a multiple of `GROUP`.
        first : int
            Number of the first column's point.
        lists : ndarray of int64, shape (m,)
            The list to which each row is offered.
        itself : ndarray of int64, shape (m,)
            The point that is passed over in each row; -1 for none.
        """
        _offer_block(block, first, lists, itself, self.worst, self.scores, self.numbers)

    def offer_listed(
        self, values: NDArray[Any], candidates: NDArray[np.int32], indptr: NDArray[np.int64], first: int
    ) -> None:
        """Offer the candidates ``indptr[r]:indptr[r + 1]`` to list ``first + r``."""
        _offer_listed(values, candidates, indptr, first, self.worst, self.scores, self.numbers)


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourLists:
    """The neighbours of all points, nearest first, kept in an order of the points.

    Attributes
    ----------
    places : ndarray of int64, shape (n,)
        Place of each point in that order.
    lists : CandidateLists
        In that order; the numbers are the points' own. The scores are minus the distances.
    """

    places: NDArray[np.int64]
    lists: CandidateLists

    @classmethod
    def of(cls, lists: CandidateLists) -> NeighbourLists:
        """Return lists in the points' own order."""
        return cls(np.arange(len(lists.numbers)), lists)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of points, and of neighbours of each."""
        n, k = self.lists.numbers.shape
        return n, k

    def rows(self, part: slice | NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the neighbours of some points and their distances, shape (n_rows, k)."""
        places = self.places[part]
        # Read in the order in which they are kept.
        forth = np.argsort(places, kind="stable")
        numbers = np.empty((len(places), self.shape[1]), np.int32)
        distances = np.empty(numbers.shape)
        for some in slabs(len(places)):
            numbers[forth[some]] = self.lists.numbers[places[forth[some]]]
            distances[forth[some]] = -self.lists.scores[places[forth[some]]]
        return numbers, distances


def entries_of(table: NDArray[Any], there: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the entries of a table that are there, row by row, and where those of each row begin."""
    return table[there], starts_of(np.count_nonzero(there, axis=1))


@helper
def put(score, number, scores, numbers, r):  # type: ignore[no-untyped-def]
    """Put a candidate into list r, if it is better than the last entry and not in the list."""
    last = scores.shape[1] - 1
    place = last + 1
    while place > 0 and (
        scores[r, place - 1] < score or (scores[r, place - 1] == score and numbers[r, place - 1] > number)
    ):
        place -= 1
    if place > last or (place > 0 and numbers[r, place - 1] == number):
        return
    for p in range(last, place, -1):
        scores[r, p] = scores[r, p - 1]
        numbers[r, p] = numbers[r, p - 1]
    scores[r, place] = score
    numbers[r, place] = number


@kernel
def _offer_block(block, first, lists, itself, worst, scores, numbers):  # type: ignore[no-untyped-def]
    last = scores.shape[1] - 1
    for a in range(lists.size):
        r, own, t = lists[a], itself[a] - first, worst[lists[a]]
        for c in range(0, block.shape[1], GROUP):
            passing = 0
            for u in range(GROUP):
                passing += block[a, c + u] >= t
            if passing:
                for u in range(c, c + GROUP):
                    # Minus infinity stands in columns without a point.
                    if block[a, u] >= t and u != own and block[a, u] > -np.inf:
                        put(block[a, u], first + u, scores, numbers, r)
                        t = max(t, scores[r, last])
        worst[r] = t


@kernel
def _offer_listed(values, candidates, indptr, first, worst, scores, numbers):  # type: ignore[no-untyped-def]
    last = scores.shape[1] - 1
    for r in range(indptr.size - 1):
        row = first + r
        for e in range(indptr[r], indptr[r + 1]):
            if values[e] >= worst[row]:
                put(values[e], candidates[e], scores, numbers, row)
                worst[row] = max(worst[row], scores[row, last])
