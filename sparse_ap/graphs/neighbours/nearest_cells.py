"""The cells nearest to points: the columns of the largest scores, without sorting all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.lists import GROUP
from sparse_ap.graphs.neighbours.points import Points
from sparse_ap.kernels.compilation import kernel

__all__ = ["Shortlists"]

# Queries at a time: their scores stay in a processor's cache.
_QUERIES = 256
# Scores sampled to guess the last of the wanted ones.
_SAMPLED = 400


@dataclass(frozen=True, slots=True, eq=False)
class Shortlists:
    """The centres that points look through: those near the home of each point.

    Attributes
    ----------
    centres : Points
    near : ndarray of int64, shape (n_homes, length) or (1, n_centres)
        For each home the centres near it, by rising number; or, for all homes, all centres.
    """

    centres: Points
    near: NDArray[np.int64]

    @classmethod
    def of(cls, homes: Points, centres: Points, length: int) -> Shortlists:
        """List the ``length`` centres nearest to each home; all if there are no more."""
        whole = cls(centres, np.arange(centres.n)[None])
        if length >= centres.n:
            return whole
        near = whole.nearest(homes, np.arange(homes.n), np.zeros(homes.n, np.int64), [length])
        return cls(centres, np.sort(near, axis=1).astype(np.int64))

    def nearest(
        self, points: Points, queries: NDArray[np.int64], homes: NDArray[Any], cuts: Sequence[int]
    ) -> NDArray[np.int32]:
        """Return the centres nearest to some points, up to the order within groups.

        Parameters
        ----------
        points : Points
        queries : ndarray of int64, shape (m,)
        homes : ndarray of int, shape (m,)
            Of the queries; rising.
        cuts : sequence of int
            Rising, at least 1: the centres nearest to a query stand before the first cut, the next before the
            second, and so on; equally near ones by number.

        Returns
        -------
        ndarray of int32, shape (m, cuts[-1])
        """
        found = np.empty((len(queries), cuts[-1]), np.int32)
        for near, part in self._runs(homes):
            columns = self.centres.taken(near).columns(0, len(near))
            for start in range(part.start, part.stop, _QUERIES):
                some = slice(start, min(start + _QUERIES, part.stop))
                _choose(points.scores(queries[some], columns), np.asarray(cuts), found[some])
            found[part] = near[found[part]]
        return found

    def _runs(self, homes: NDArray[Any]) -> Iterator[tuple[NDArray[np.int64], slice]]:
        """Yield lists of centres, and the queries that look through each."""
        # Where lists hold all centres, all are one.
        whole = self.near.shape[1] == self.centres.n
        ends = np.empty(0, np.int64) if whole else np.flatnonzero(np.diff(homes)) + 1
        for start, stop in pairwise([0, *ends.tolist(), len(homes)]):
            if stop > start:
                yield self.near[0 if whole else homes[start]], slice(start, stop)


def _choose(block: NDArray[Any], cuts: NDArray[np.int64], found: NDArray[np.int32]) -> None:
    """Write the columns of the largest scores of each row."""
    guess, room = _guess(block, int(cuts[-1]))
    missed = _choose_above(block, guess, room, cuts, found)
    if len(missed):
        everything, again = np.full(len(missed), -np.inf, block.dtype), found[missed]
        _choose_above(block[missed], everything, block.shape[1], cuts, again)
        found[missed] = again


def _guess(block: NDArray[Any], wanted: int) -> tuple[NDArray[Any], int]:
    """Guess a score of each row that somewhat more than the wanted columns reach, and how many at most."""
    stride = max(1, block.shape[1] // _SAMPLED)
    sample = block[:, ::stride]
    expected = wanted / block.shape[1] * sample.shape[1]
    place = int(expected + 2 * math.sqrt(expected)) + 2
    if place >= sample.shape[1]:
        return np.full(len(block), -np.inf, block.dtype), block.shape[1]
    room = min(block.shape[1], int(stride * (place + 4 * math.sqrt(place) + 4)))
    return np.partition(sample, -place, axis=1)[:, -place], room


def _choose_above(
    block: NDArray[Any], least: NDArray[Any], room: int, cuts: NDArray[np.int64], found: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Choose among the columns of a score of at least ``least``; return the rows with too few or too many."""
    values = np.full((len(block), room), -np.inf, block.dtype)
    numbers, counts = np.empty((len(block), room), np.int32), np.empty(len(block), np.int64)
    _collect(block, least, values, numbers, counts)
    thresholds = np.partition(values, room - cuts, axis=1)[:, room - cuts]
    right = (counts >= cuts[-1]) & (counts <= room)
    _write(values, numbers, counts, thresholds, cuts, right, found)
    return np.flatnonzero(~right)


@kernel
def _collect(block, least, values, numbers, counts):  # type: ignore[no-untyped-def]
    room = values.shape[1]
    for a in range(block.shape[0]):
        n = 0
        for first in range(0, block.shape[1], GROUP):
            passing = 0
            for c in range(first, first + GROUP):
                passing += block[a, c] >= least[a]
            if passing:
                for c in range(first, first + GROUP):
                    # Minus infinity stands in columns without a point.
                    if block[a, c] >= least[a] and block[a, c] > -np.inf:
                        if n < room:
                            values[a, n] = block[a, c]
                            numbers[a, n] = c
                        n += 1
        counts[a] = n


@kernel
def _write(values, numbers, counts, thresholds, cuts, right, found):  # type: ignore[no-untyped-def]
    for a in range(values.shape[0]):
        if not right[a]:
            continue
        n = 0
        for g in range(cuts.size):
            for tied in (False, True):
                for e in range(counts[a]):
                    passes = values[a, e] == thresholds[a, g] if tied else values[a, e] > thresholds[a, g]
                    if passes and n < cuts[g]:
                        found[a, n] = numbers[a, e]
                        values[a, e] = -np.inf
                        n += 1
