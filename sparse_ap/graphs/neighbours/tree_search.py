"""The exact search among points of few features, by scipy's k-d tree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sparse_ap.graphs.neighbours.lists import CandidateLists

__all__ = ["MINKOWSKI", "tree_neighbours"]

#: The metrics of the tree, and their exponents.
MINKOWSKI = {"euclidean": 2, "manhattan": 1, "chebyshev": np.inf}
# Queries at a time from each thread: Ctrl-C waits for their end, and every thread should have some.
_QUERIES = 2_000


def tree_neighbours(X: NDArray[Any], k: int, metric: str, pool: ThreadPoolExecutor) -> CandidateLists:
    """Return the k nearest points of each point; the scores are minus the distances."""
    tree = cKDTree(X)

    def ask(start: int) -> tuple[NDArray[Any], NDArray[Any]]:
        distances, numbers = tree.query(X[start : start + _QUERIES], k + 1, p=MINKOWSKI[metric])
        return distances, numbers

    # Not the tree's own threads, which after Ctrl-C go on writing to arrays that are freed by then.
    distances, numbers = zip(*pool.map(ask, range(0, len(X), _QUERIES)), strict=True)
    return _without_itself(np.concatenate(distances), np.concatenate(numbers))


def _without_itself(distances: NDArray[Any], numbers: NDArray[Any]) -> CandidateLists:
    """Remove each point from its own list, which has one entry too many.

    Among equal points the point itself need not be the first, and may be missing: then the last entry goes.
    """
    n, length = numbers.shape
    itself = numbers == np.arange(n)[:, None]
    itself[~itself.any(axis=1), -1] = True
    others, scores = (x[~itself].reshape(n, length - 1) for x in (numbers, -distances))
    return CandidateLists(scores, others.astype(np.int32), scores[:, -1])
