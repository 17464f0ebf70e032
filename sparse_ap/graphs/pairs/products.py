"""All pairs within a distance, by exact products of whole numbers or by counts of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.bits import Bits
from sparse_ap.graphs.neighbours.lists import entries_of
from sparse_ap.graphs.neighbours.points import Space
from sparse_ap.graphs.neighbours.space import space_of
from sparse_ap.graphs.neighbours.vectors import Vectors
from sparse_ap.graphs.pairs.common_bits import CommonBits
from sparse_ap.graphs.pairs.found import Pairs, within

__all__ = ["AllDistances", "Products"]

# Queries of a task, points that are compared with them at a time, and in the whole task.
_QUERIES, _POINTS, _SPAN = 512, 1024, 8192
# Pairs of a task whose distances are all computed.
_PAIRS = 1 << 20
# Codes are short enough if rounding moves a point by so small a share of the distance.
_SHARE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """The comparison of all pairs by a quick scan, and of those that may be near by distances.

    Attributes
    ----------
    space : Space
        The points, in an order of their own.
    numbers : ndarray of int32, shape (n,)
        The user's number of each.
    scan : CommonBits or Scores
        A quick comparison, of the points in the same order.
    reach : float
    """

    space: Space
    numbers: NDArray[np.int32]
    scan: CommonBits | Scores
    reach: float

    @classmethod
    def of(cls, X: NDArray[Any], rows: NDArray[np.int64], space: Space, reach: float) -> Self:
        """Lay out some rows of a table, whose distances are those of ``space``, for the comparison."""
        if isinstance(space, Bits):
            order = rows[np.argsort(space.counts[rows], kind="stable")]
            some = space.taken(order)
            return cls(some, order.astype(np.int32), CommonBits.of(some, reach), reach)
        laid_out = space if len(rows) == space.n else space_of(X[rows], space.metric)
        return cls(space.taken(rows), rows.astype(np.int32), Scores.of(laid_out, reach), reach)

    @property
    def tasks(self) -> list[tuple[int, int]]:
        """The first query and the first point of each task."""
        n = len(self.numbers)
        return [(q, p) for p in range(0, n, _SPAN) for q in range(0, min(n, p + _SPAN), _QUERIES)]

    def find(self, task: tuple[int, int]) -> Pairs:
        """Return the pairs of some queries and points of higher places."""
        n, (query, start) = len(self.numbers), task
        rows = np.arange(query, min(n, query + _QUERIES))
        found = [np.empty((2, 0), np.int64)]
        for first in range(start, min(n, start + _SPAN), _POINTS):
            last = min(n, first + _POINTS)
            if last > query + 1:
                one, other = self.scan.near(rows, first, last)
                higher = other + first > one + query
                found.append(np.stack([one[higher], other[higher] + first]))
        one, other = np.concatenate(found, axis=1)
        order = np.argsort(one, kind="stable")
        indptr = np.searchsorted(one[order], np.arange(len(rows) + 1))
        return within(self.space, self.reach, query, other[order].astype(np.int32), indptr, self.numbers)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The scan of vectors by scores of whole numbers.

    Attributes
    ----------
    points : Vectors
    least : ndarray of float, shape (n,)
        For each point, a score below which all others are out of reach.
    """

    points: Vectors
    least: NDArray[Any]

    @classmethod
    def of(cls, space: Any, reach: float) -> Self:
        """Turn points into the shortest whole numbers that tell apart points at this distance."""
        points = space.coded(space.codes_for(np.array([reach / _SHARE])))
        return cls(points, _least_scores(space, points, reach))

    def near(self, rows: NDArray[np.int64], first: int, last: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the places of all pairs that may be near; see `CommonBits.near`."""
        scores = self.points.scores(rows, self.points.columns(first, last))
        one, other = np.nonzero(scores >= self.least[rows, None])
        return one, other


def _least_scores(space: Space, points: Vectors, reach: float) -> NDArray[Any]:
    """Return the largest whole score of each point below which others are proven to be out of reach."""
    far, near = np.full(points.n, -2.0 * points.codes.radius**2), points.halves.astype(np.float64) + 1
    while (near - far > 1).any():
        middle = np.floor((near + far) / 2)
        proven = space.beyond(points, middle) > reach
        far, near = np.where(proven, middle, far), np.where(proven, near, middle)
    return far.astype(points.score_type)


@dataclass(frozen=True, slots=True, eq=False)
class AllDistances:
    """The comparison of some points with all by their distances.

    Attributes
    ----------
    space : Space
    queries : ndarray of int64, shape (m,)
        Rising.
        Each is compared with all points that are no queries, and with the queries of higher numbers.
    reach : float
    """

    space: Space
    queries: NDArray[np.int64]
    reach: float

    @property
    def tasks(self) -> list[slice]:
        """Slices of the queries."""
        at_a_time = max(1, _PAIRS // max(1, self.space.n))
        return [slice(start, start + at_a_time) for start in range(0, len(self.queries), at_a_time)]

    def find(self, task: slice) -> Pairs:
        """Return the pairs of some queries."""
        queries = self.queries[task]
        everybody = np.arange(self.space.n, dtype=np.int32)
        # A pair of two queries belongs to the first of them.
        compared = (everybody > queries[:, None]) | ~np.isin(everybody, self.queries)
        candidates, indptr = entries_of(np.broadcast_to(everybody, compared.shape), compared)
        distances = self.space.taken(queries).distances(self.space, 0, candidates, indptr)
        near = distances <= self.reach
        rows = queries.repeat(np.diff(indptr))[near].astype(np.int32)
        return Pairs(rows, candidates[near], distances[near])
