"""One round over neighbours' neighbours, from the lists before the round only.

Neighbours of neighbours are often neighbours (Dong, Moses and Li, 2011: NN-descent). Here each point is
offered all its followers (the points in whose lists it is), and the nearest neighbours and followers of its
nearest neighbours and followers. All come from the lists before the round, so the order does not matter.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import progress_bar
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.points import ListedPoints
from sparse_ap.kernels.compilation import kernel

__all__ = ["improved"]

_ROWS = 256
# Nearest neighbours and followers of a point that are looked through.
_FAN = 10


def improved(
    points: ListedPoints, lists: CandidateLists, pool: ThreadPoolExecutor, *, verbose: bool
) -> CandidateLists:
    """Return lists with what is better among neighbours' neighbours.

    Parameters
    ----------
    points : Points
    lists : CandidateLists
        Of all points; they stay as they are.
    pool : ThreadPoolExecutor
    verbose : bool
        Whether to show progress.
    """
    better, fan = lists.copy(), min(_FAN, lists.numbers.shape[1])
    starts, followers = _followers(lists.numbers)
    local = threading.local()

    def improve(start: int) -> int:
        stop = min(points.n, start + _ROWS)
        if not hasattr(local, "seen"):
            local.seen = np.full(points.n, -1, np.int32)
        room = (stop - start) * (2 * fan) ** 2 + int(starts[stop] - starts[start])
        candidates, indptr = np.empty(room, np.int32), np.zeros(stop - start + 1, np.int64)
        _collect(start, lists.numbers, starts, followers, fan, local.seen, candidates, indptr)
        found = candidates[: indptr[-1]]
        better.offer_listed(points.listed_scores(start, found, indptr), found, indptr, start)
        return stop - start

    with progress_bar(verbose, points.n, "neighbours' neighbours", unit="point") as bar:
        for n in pool.map(improve, range(0, points.n, _ROWS)):
            bar.update(n)
    return better


def _followers(numbers: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the points in whose lists each point is, those that are nearest first, as starts and numbers."""
    counts = np.bincount(numbers.ravel()[numbers.ravel() >= 0], minlength=len(numbers))
    starts = np.concatenate([[0], np.cumsum(counts)])
    followers = np.empty(starts[-1], np.int32)
    _fill_followers(numbers, starts[:-1].copy(), followers)
    return starts, followers


@kernel
def _fill_followers(numbers, ends, followers):  # type: ignore[no-untyped-def]
    for place in range(numbers.shape[1]):
        for r in range(numbers.shape[0]):
            if numbers[r, place] >= 0:
                followers[ends[numbers[r, place]]] = r
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
