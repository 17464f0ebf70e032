"""The search among sparse rows, by an inverted index: features that few rows have lead to near ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.exact import ranked
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.neighbour_pass import improved
from sparse_ap.graphs.neighbours.recall import EXACT, ExactSample, Recall, sampled_rows
from sparse_ap.graphs.neighbours.sparse_space import Postings, SparseSpace
from sparse_ap.graphs.neighbours.stages import Stages

__all__ = ["exact_sparse_neighbours", "sparse_neighbours"]

# Candidates beyond those wanted: the distances decide between them.
_EXTRA = 8
# Rows whose lists are filled at a time.
_ROWS = 1024
# Features of at most so many rows are used first; then of so many times as many, until the recall is met.
_SHORT, _STEP = 64, 2
# The index alone may miss so many times the neighbours that may be missed in the end.
_FIRST_MISSES = 3.0


def exact_sparse_neighbours(
    queries: SparseSpace, points: SparseSpace, k: int, itself: NDArray[np.int64], pool: ThreadPoolExecutor
) -> CandidateLists:
    """Return the k nearest points of each query, equally near ones by number; see `exact_neighbours`."""
    return _exact(queries, points, Postings.of(points), k, itself, pool)


def sparse_neighbours(
    space: SparseSpace, k: int, recall: float, seed: int, stages: Stages
) -> tuple[CandidateLists, Recall]:
    """Return most of the k nearest neighbours of each row by cosine, and an estimate of how many.

    Parameters
    ----------
    space : SparseSpace
    k : int
    recall : float
        Below 1: the share of neighbours wanted.
    seed : int
        Of the sample.
    stages : Stages
    """
    postings, itself, pool = Postings.of(space), np.arange(space.n), stages.pool
    sample = _exact_sample(space, postings, k, seed, pool)
    few, longest = space.taken(sample.rows), _SHORT
    widest = int(np.diff(postings.starts).max(initial=0))
    while longest < widest:
        candidates = _candidates(few, space, postings, longest, k, sample.rows, pool)
        found = sample.recall(candidates.numbers, pool)
        if 1 - found.value <= _FIRST_MISSES * (1 - recall):
            lists = _candidates(space, space, postings, longest, k, itself, pool)
            # From here on the scores are minus the distances.
            lists = ranked(space, space, lists.numbers, lists.numbers.shape[1], pool)
            lists = improved(space, lists, f"round after {longest}", stages)
            reached = sample.recall(lists.numbers[sample.rows], pool)
            if reached.lower >= recall:
                return _ranked(space, space, lists.numbers, k, itself, pool), reached
        longest *= _STEP
    return _exact(space, space, postings, k, itself, pool), EXACT


def _exact_sample(
    space: SparseSpace, postings: Postings, k: int, seed: int, pool: ThreadPoolExecutor
) -> ExactSample:
    """Draw some rows and search their neighbours."""
    rows = sampled_rows(space.n, np.random.default_rng(seed % 2**64))
    return ExactSample(space, rows, _exact(space.taken(rows), space, postings, k, rows, pool))


def _exact(
    queries: SparseSpace, points: SparseSpace, postings: Postings, k: int, itself: NDArray[np.int64],
    pool: ThreadPoolExecutor,
) -> CandidateLists:  # fmt: skip
    """Return the k nearest points of each query, by the products over all features."""
    found = _candidates(queries, points, postings, points.n, k, itself, pool)
    return _ranked(queries, points, found.numbers, k, itself, pool)


def _candidates(
    queries: SparseSpace, points: SparseSpace, postings: Postings, longest: int, k: int,
    itself: NDArray[np.int64], pool: ThreadPoolExecutor,
) -> CandidateLists:  # fmt: skip
    """Return the points of the largest products, over features of at most ``longest`` points each."""
    lists = CandidateLists.empty(queries.n, min(points.n, k + _EXTRA), np.float64)

    def fill(start: int) -> None:
        part = slice(start, min(queries.n, start + _ROWS))
        postings.offer(queries, part, longest, itself, lists)

    for _ in pool.map(fill, range(0, queries.n, _ROWS)):
        pass
    return lists


def _ranked(
    queries: SparseSpace, points: SparseSpace, numbers: NDArray[np.int32], k: int, itself: NDArray[np.int64],
    pool: ThreadPoolExecutor,
) -> CandidateLists:  # fmt: skip
    """Rank candidates; where there are too few, the first points, which share no feature, fill the list."""
    short = numbers[:, min(k, numbers.shape[1]) - 1] < 0
    lists = ranked(queries, points, numbers, k, pool)
    if short.any():
        rows = np.flatnonzero(short)
        fillers = np.tile(np.arange(min(points.n, k + 1 + numbers.shape[1]), dtype=np.int32), (len(rows), 1))
        fillers[fillers == itself[rows, None]] = -1
        candidates = np.concatenate([numbers[rows], fillers], axis=1)
        again = ranked(queries.taken(rows), points, candidates, k, pool)
        lists.scores[rows], lists.numbers[rows] = again.scores, again.numbers
    return lists
