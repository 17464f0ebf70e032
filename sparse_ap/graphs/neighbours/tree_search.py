"""The exact search among points of few features, by scipy's k-d tree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sparse_ap.graphs.neighbours.exact import ranked
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.vector_space import VectorSpace

__all__ = ["MINKOWSKI", "suits_tree", "tree_neighbours"]

#: The metrics of the tree, and their exponents.
MINKOWSKI = {"euclidean": 2, "manhattan": 1, "chebyshev": np.inf}
# Most features for a k-d tree (docs/design/0007-knn-search.md).
_FEATURES = 8
# Queries at a time from each thread: Ctrl-C waits for their end, and every thread should have some.
_QUERIES = 2_000
# Candidates beyond those wanted; more are asked for where these are equally near.
_EXTRA = 2
# The tree's distances and ours differ by rounding, by less than this share.
_ROUNDING = 1e-9


def suits_tree(metric: str, n_features: int) -> bool:
    """Return whether points under this metric, of so many features, are searched in a k-d tree."""
    return metric in MINKOWSKI and n_features <= _FEATURES


def tree_neighbours(points: VectorSpace, k: int, pool: ThreadPoolExecutor) -> CandidateLists:
    """Return the k nearest points of each point, equally near ones by number.

    The tree names candidates; our own distances decide among them.

    Returns
    -------
    CandidateLists
        The scores are minus the distances.
    """
    # Scaled by a power of two, so that no square leaves the range.
    tree, lists = cKDTree(points.scaled()), CandidateLists.empty(points.n, k, np.float64)
    rows, length = np.arange(points.n), k + 1 + _EXTRA
    while len(rows):
        length = min(length, points.n)
        numbers, reach = _candidates(tree, rows, length, MINKOWSKI[points.metric], pool)
        found = ranked(points.taken(rows), points, numbers, k, pool)
        lists.scores[rows], lists.numbers[rows] = found.scores, found.numbers
        # Points beyond the last candidate may be as near as the last of the list.
        tied = reach * (1 - _ROUNDING) <= -found.scores[:, -1] * points.scale
        rows, length = rows[tied & (length < points.n)], 2 * length
    return lists


def _candidates(
    tree: Any, rows: NDArray[np.int64], length: int, exponent: float, pool: ThreadPoolExecutor
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the points next to each row but itself (-1), and the distance of the last, by the tree."""
    numbers, reach = np.empty((len(rows), length), np.int32), np.empty(len(rows))

    def ask(start: int) -> tuple[NDArray[Any], NDArray[Any]]:
        distances, nearest = tree.query(tree.data[rows[start : start + _QUERIES]], length, p=exponent)
        return distances[:, -1], nearest

    # Not the tree's own threads, nor results written by others: after Ctrl-C they would go on writing to
    # arrays that are freed by then.
    starts = range(0, len(rows), _QUERIES)
    for start, (last, nearest) in zip(starts, pool.map(ask, starts), strict=True):
        reach[start : start + _QUERIES], numbers[start : start + _QUERIES] = last, nearest
    numbers[numbers == rows[:, None]] = -1
    return numbers, reach
