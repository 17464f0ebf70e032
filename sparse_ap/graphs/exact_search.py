"""Exact neighbour searches: scipy's k-d tree, and all pairs by scikit-learn or, for bits, by usearch.

scikit-learn is imported where it is used, since its import takes longer than all others together.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from sparse_ap.graphs.approximate_search import interruptible, require_usearch
from sparse_ap.graphs.metrics import Neighbours, PointLayout

__all__ = ["MINKOWSKI", "all_pairs", "by_tree", "nearest_of"]

MINKOWSKI = {"euclidean": 2, "manhattan": 1, "chebyshev": np.inf}
_IN_SCIKIT_LEARN = {"correlation": "cosine"}
# Queries at a time: usearch keeps the distances from all of them to all points.
_BITS_AT_A_TIME = 500
_ROWS_AT_A_TIME = 20_000
# Queries at a time from each thread: Ctrl-C waits for their end, and every thread should have some.
_ASKED_AT_A_TIME = 2_000


def by_tree(points: NDArray[Any], n_neighbors: int, metric: str, n_threads: int) -> Neighbours:
    """Return the nearest neighbours of points with few features."""
    tree = cKDTree(points)

    def ask(start: int) -> tuple[NDArray[Any], NDArray[Any]]:
        asked = points[start : start + _ASKED_AT_A_TIME]
        distances, indices = tree.query(asked, n_neighbors + 1, p=MINKOWSKI[metric])
        return indices, distances

    # Not the tree's own threads, which after Ctrl-C go on writing to arrays that are freed by then.
    with ThreadPoolExecutor(n_threads) as pool:
        indices, distances = zip(*pool.map(ask, range(0, len(points), _ASKED_AT_A_TIME)), strict=True)
    return Neighbours(np.concatenate(indices), np.concatenate(distances)).without_itself()


def all_pairs(points: NDArray[Any], n_neighbors: int, metric: str, n_threads: int) -> Neighbours:
    """Return the nearest neighbours of every point, by comparing all pairs."""
    from sklearn.neighbors import NearestNeighbors

    layout = PointLayout.of(points, metric)
    rows = layout.rows(points)
    # usearch compares packed bits directly.
    if metric == "tanimoto":
        return _by_bits(rows, rows, n_neighbors + 1, n_threads).without_itself()
    search = NearestNeighbors(
        n_neighbors=n_neighbors, algorithm="brute", metric=_IN_SCIKIT_LEARN.get(metric, metric)
    )
    with _on_one_thread():
        distances, indices = search.fit(rows).kneighbors()
    return Neighbours(indices, layout.distances(rows, distances))


def nearest_of(queries: NDArray[Any], points: NDArray[Any], metric: str, n_threads: int) -> NDArray[Any]:
    """Return the number of each query's nearest point, shape (n_queries,)."""
    from sklearn.metrics import pairwise_distances_argmin

    layout = PointLayout.of(points, metric)
    rows = layout.rows(points)
    if metric == "tanimoto":
        return _by_bits(layout.rows(queries), rows, 1, n_threads).indices[:, 0]
    found = np.empty(len(queries), np.int64)
    with _on_one_thread():
        for start in range(0, len(queries), _ROWS_AT_A_TIME):
            asked = slice(start, start + _ROWS_AT_A_TIME)
            found[asked] = pairwise_distances_argmin(
                layout.rows(queries[asked]), rows, metric=_IN_SCIKIT_LEARN.get(metric, metric)
            )
    return found


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Run scikit-learn on one thread: its choice among equally near points depends on the number."""
    import sklearn

    with threadpool_limits(1), sklearn.config_context(working_memory=128):
        yield


def _by_bits(queries: NDArray[Any], rows: NDArray[Any], k: int, n_threads: int) -> Neighbours:
    usearch = require_usearch("metric='tanimoto'")
    slabs = [queries[start : start + _BITS_AT_A_TIME] for start in range(0, len(queries), _BITS_AT_A_TIME)]
    tanimoto = usearch.MetricKind.Tanimoto
    with interruptible():
        found = [usearch.search(rows, slab, k, tanimoto, exact=True, threads=n_threads) for slab in slabs]
    indices = np.vstack([np.asarray(matches.keys).astype(np.int64) for matches in found])
    return Neighbours(indices, np.vstack([matches.distances for matches in found]))
