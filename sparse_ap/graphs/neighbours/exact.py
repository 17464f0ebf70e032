"""Exact nearest neighbours: products of whole numbers and a proof, or the distances of all pairs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import progress_bar
from sparse_ap.graphs.neighbours.lists import CandidateLists, entries_of
from sparse_ap.graphs.neighbours.points import Points, Rankable, Space
from sparse_ap.graphs.neighbours.stages import slabs
from sparse_ap.graphs.neighbours.vectors import WIDE
from sparse_ap.storage.mapped_arrays import relieve

__all__ = ["exact_neighbours", "ranked", "ranked_apart"]

# Candidates beyond those wanted: distances of float64 decide between them.
_EXTRA = 8
# Size of a block of scores.
_QUERIES, _POINTS = 256, 1024
# Queries whose candidates are ranked at a time, and pairs compared at a time if all are.
_RANKED, _PAIRS = 64, 1 << 20


def exact_neighbours(
    queries: Space,
    points: Space,
    k: int,
    itself: NDArray[np.int64],
    pool: ThreadPoolExecutor,
    *,
    verbose: bool = False,
) -> CandidateLists:
    """Return the k nearest points of each query, equally near ones by number.

    Parameters
    ----------
    queries, points : Space
        Laid out alike.
    k : int
        At most the number of points.
    itself : ndarray of int64, shape (n_queries,)
        The point that each query is, which is not its own neighbour; -1 for none.
    pool : ThreadPoolExecutor
    verbose : bool
        Whether to show progress.

    Returns
    -------
    CandidateLists
        The scores are minus the distances.
    """
    if not queries.n:
        return CandidateLists.empty(0, k, np.float64)
    if queries.metric in ("manhattan", "chebyshev"):
        return _by_all_distances(queries, points, k, itself, pool)
    asked = queries.coded(WIDE).searched()
    with progress_bar(verbose, points.n, "neighbours: all pairs", unit="point") as bar:
        found = _candidates(asked, points, min(points.n, k + _EXTRA), itself, pool, bar)
    lists = ranked_apart(queries, points, found.numbers, k, pool)
    complete = found.numbers[:, -1] < 0
    proven = complete | (queries.beyond(asked, found.scores[:, -1]) > -lists.scores[:, -1])
    unsure = np.flatnonzero(~proven)
    again = _by_all_distances(queries.taken(unsure), points, k, itself[unsure], pool)
    lists.scores[unsure], lists.numbers[unsure] = again.scores, again.numbers
    return lists


def ranked(
    queries: Rankable, points: Rankable, numbers: NDArray[np.int32], k: int, pool: ThreadPoolExecutor
) -> CandidateLists:
    """Return the k nearest of each query's candidates, shape (n_queries, m); -1 stands for none."""
    lists = CandidateLists.empty(queries.n, k, np.float64)

    def rank(first: int) -> None:
        rows = numbers[first : first + _RANKED]
        candidates, indptr = entries_of(rows, rows >= 0)
        values = -queries.distances(points, first, candidates, indptr)
        lists.offer_listed(values, candidates, indptr, first)
        # Candidates are anywhere, and of a mapped file much is read around each.
        relieve()

    for _ in pool.map(rank, range(0, queries.n, _RANKED)):
        pass
    return lists


def ranked_apart(
    queries: Rankable, points: Rankable, numbers: NDArray[np.int32], k: int, pool: ThreadPoolExecutor
) -> CandidateLists:
    """Return the k nearest of each query's candidates, as `ranked` does; the candidates are copied before.

    Of points in a file no more is read than these.
    """
    there = numbers >= 0
    wanted = np.unique(numbers[there]).astype(np.int64)
    places = np.where(there, np.searchsorted(wanted, numbers), -1).astype(np.int32)
    lists = ranked(queries, points.taken(wanted), places, k, pool)
    found = lists.numbers >= 0
    lists.numbers[found] = wanted[lists.numbers[found]]
    return lists


def _candidates(
    queries: Points,
    points: Space,
    length: int,
    itself: NDArray[np.int64],
    pool: ThreadPoolExecutor,
    bar: Any,
) -> CandidateLists:
    """Return the points of the highest scores for each query, among all points."""
    lists = CandidateLists.empty(queries.n, length, queries.score_type)
    for part in slabs(points.n):
        start, slab = part.start, points.taken(part).coded(WIDE).searched()
        blocks = {
            first: slab.columns(first, min(slab.n, first + _POINTS)) for first in range(0, slab.n, _POINTS)
        }

        def compare(lo: int, start: int = start, blocks: dict[int, Any] = blocks) -> None:
            rows = np.arange(lo, min(queries.n, lo + _QUERIES))
            for first, columns in blocks.items():
                lists.offer(queries.scores(rows, columns), start + first, rows, itself[rows])

        for _ in pool.map(compare, range(0, queries.n, _QUERIES)):
            pass
        bar.update(slab.n)
    return lists


def _by_all_distances(
    queries: Space, points: Space, k: int, itself: NDArray[np.int64], pool: ThreadPoolExecutor
) -> CandidateLists:
    """Return the k nearest points of each query, by the distances of all pairs."""
    lists, everybody = CandidateLists.empty(queries.n, k, np.float64), np.arange(points.n, dtype=np.int32)
    at_a_time = max(1, _PAIRS // points.n)

    def compare(first: int) -> None:
        others = everybody != itself[first : first + at_a_time, None]
        candidates, indptr = entries_of(np.broadcast_to(everybody, others.shape), others)
        values = -queries.distances(points, first, candidates, indptr)
        lists.offer_listed(values, candidates, indptr, first)

    for _ in pool.map(compare, range(0, queries.n, at_a_time)):
        pass
    return lists
