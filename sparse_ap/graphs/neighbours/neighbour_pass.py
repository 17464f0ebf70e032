"""One round over neighbours' neighbours, from the lists before the round only.

Neighbours of neighbours are often neighbours (Dong, Moses and Li, 2011: NN-descent). Here each point is
offered all its followers (the points in whose lists it is), and the nearest neighbours and followers of its
nearest neighbours and followers. All come from the lists before the round, so the order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.points import ListedPoints
from sparse_ap.graphs.neighbours.stages import Stages, Step, slabs
from sparse_ap.kernels.block import starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.storage.mapped_arrays import relieve

__all__ = ["improved"]

# Points whose candidates are compared at a time, and least points of a step.
_ROWS, _TILE = 256, 16_384
# Nearest neighbours and followers of a point that are looked through.
_FAN = 10


def improved(points: ListedPoints, before: CandidateLists, name: str, stages: Stages) -> CandidateLists:
    """Return lists with what is best in the lists before and among neighbours' neighbours.

    Parameters
    ----------
    points : ListedPoints
    before : CandidateLists
        Of all points; they stay as they are.
    name : str
        Of this round, and of its lists.
    stages : Stages
    """
    n, length = before.numbers.shape
    after = CandidateLists.kept(stages, name, n, length, before.scores.dtype)

    def step() -> Step:
        (starts,) = stages.kept(f"{name}, starts", lambda: (_starts(before.numbers),))
        followers = stages.empty(f"{name}, followers", (int(starts[-1]),), np.int32)
        _note_followers(before.numbers, starts, followers)
        return _Round(points, before, after, starts, followers)

    tile = max(_TILE, points.n >> 10)
    stages.run(name, step, points.n, tile, "neighbours' neighbours")
    stages.drop(f"{name}, followers")
    return after


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    """A step that offers points their neighbours' neighbours."""

    points: ListedPoints
    before: CandidateLists
    after: CandidateLists
    starts: NDArray[np.int64]
    followers: NDArray[np.int32]

    def __call__(self, rows: slice) -> None:
        lists, fan = self.before.part(rows), min(_FAN, self.before.numbers.shape[1])
        seen = np.full(len(self.starts) - 1, -1, np.int32)
        for start in range(rows.start, rows.stop, _ROWS):
            stop = min(rows.stop, start + _ROWS)
            room = (stop - start) * (2 * fan) ** 2 + int(self.starts[stop] - self.starts[start])
            candidates, indptr = np.empty(room, np.int32), np.zeros(stop - start + 1, np.int64)
            _collect(start, self.before.numbers, self.starts, self.followers, fan, seen, candidates, indptr)
            found = candidates[: indptr[-1]]
            values = self.points.listed_scores(start, found, indptr)
            lists.offer_listed(values, found, indptr, start - rows.start)
            relieve()
        self.after.write(rows, lists)


def _starts(numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where the followers of each point start, if they are listed point by point."""
    counts = np.zeros(len(numbers), np.int64)
    for part in slabs(len(numbers)):
        _count_followers(numbers[part], counts)
    return starts_of(counts)


def _note_followers(
    numbers: NDArray[np.int32], starts: NDArray[np.int64], followers: NDArray[np.int32]
) -> None:
    """List the points in whose lists each point is, those that are nearest first."""
    ends = np.array(starts[:-1])
    for place in range(numbers.shape[1]):
        for part in slabs(len(numbers)):
            _fill_followers(numbers[part], place, part.start, ends, followers)


@kernel
def _count_followers(numbers, counts):  # type: ignore[no-untyped-def]
    for r in range(numbers.shape[0]):
        for place in range(numbers.shape[1]):
            if numbers[r, place] >= 0:
                counts[numbers[r, place]] += 1


@kernel
def _fill_followers(numbers, place, first, ends, followers):  # type: ignore[no-untyped-def]
    for r in range(numbers.shape[0]):
        if numbers[r, place] >= 0:
            followers[ends[numbers[r, place]]] = first + r
            ends[numbers[r, place]] += 1


@kernel
def _collect(start, numbers, starts, followers, fan, seen, candidates, indptr):  # type: ignore[no-untyped-def]
    n = 0
    for row in range(start, start + indptr.size - 1):
        seen[row] = row
        for place in range(numbers.shape[1]):
            if numbers[row, place] >= 0:
                seen[numbers[row, place]] = row
        for e in range(starts[row], starts[row + 1]):
            if seen[followers[e]] != row:
                seen[followers[e]] = row
                candidates[n] = followers[e]
                n += 1
        for a in range(fan + min(fan, starts[row + 1] - starts[row])):
            near = numbers[row, a] if a < fan else followers[starts[row] + a - fan]
            if near < 0:
                continue
            for b in range(fan + min(fan, starts[near + 1] - starts[near])):
                other = numbers[near, b] if b < fan else followers[starts[near] + b - fan]
                if other >= 0 and seen[other] != row:
                    seen[other] = row
                    candidates[n] = other
                    n += 1
        indptr[row - start + 1] = n
