"""Exact search: every pair compared, in blocks, on threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.metrics import code_of, comparable, in_units, pair_distance

__all__ = ["Neighbours", "all_pairs", "nearest_of", "ranked"]

# Queries of a task, and points that are compared with all of them while they are in the cache.
N_QUERIES, N_TILE = 256, 128
NOBODY = -1


class Neighbours(NamedTuple):
    """Neighbour lists, nearest first and among equals the smallest number; -1 where none was found."""

    indices: NDArray[np.int32]
    distances: NDArray[np.float64]


def all_pairs(points: NDArray[Any], n_neighbors: int, metric: str, n_threads: int) -> Neighbours:
    """Find the nearest others of every point."""
    rows = comparable(points, metric)
    return _nearest(rows, rows, n_neighbors, metric, n_threads, others=True)


def nearest_of(queries: NDArray[Any], points: NDArray[Any], metric: str, n_threads: int) -> NDArray[np.int32]:
    """Return each query's nearest point."""
    rows, wanted = comparable(points, metric), comparable(queries, metric)
    return _nearest(wanted, rows, 1, metric, n_threads, others=False).indices[:, 0]


def ranked(
    rows: NDArray[Any], candidates: NDArray[np.int32], n_neighbors: int, metric: str, n_threads: int
) -> Neighbours:
    """Keep the nearest of each row's ``candidates``, by exact distances of `comparable` rows."""
    found = _nobody(len(rows), n_neighbors)

    def rank(start: int) -> None:
        stop = start + N_QUERIES
        _rank(rows, candidates[start:stop], start, code_of(metric), *(part[start:stop] for part in found))

    _on_threads(rank, range(0, len(rows), N_QUERIES), n_threads)
    return Neighbours(found.indices, in_units(found.distances, metric))


def _nearest(
    queries: NDArray[Any], rows: NDArray[Any], k: int, metric: str, n_threads: int, *, others: bool
) -> Neighbours:
    found = _nobody(len(queries), k)

    def compare(start: int) -> None:
        stop = start + N_QUERIES
        # The number of the first query among the rows, so that none finds itself.
        first = start if others else -len(queries)
        _compare(queries[start:stop], rows, first, code_of(metric), *(part[start:stop] for part in found))

    _on_threads(compare, range(0, len(queries), N_QUERIES), n_threads)
    return Neighbours(found.indices, in_units(found.distances, metric))


def _nobody(n: int, k: int) -> Neighbours:
    return Neighbours(np.full((n, k), NOBODY, np.int32), np.full((n, k), np.inf))


def _on_threads(work: Callable[[int], None], starts: Sequence[int], n_threads: int) -> None:
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for _ in pool.map(work, starts):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@numba.njit(nogil=True, cache=True)
def _compare(queries: Any, rows: Any, first: int, code: int, indices: Any, distances: Any) -> None:
    for start in range(0, rows.shape[0], N_TILE):
        stop = min(start + N_TILE, rows.shape[0])
        for i in range(queries.shape[0]):
            for j in range(start, stop):
                if j != first + i:
                    _offer(indices, distances, i, j, pair_distance(queries, i, rows, j, code))


@numba.njit(nogil=True, cache=True)
def _rank(rows: Any, candidates: Any, first: int, code: int, indices: Any, distances: Any) -> None:
    for i in range(candidates.shape[0]):
        for j in np.sort(candidates[i]):
            if j >= 0 and j != first + i:
                _offer(indices, distances, i, j, pair_distance(rows, first + i, rows, j, code))


@numba.njit(nogil=True, cache=True)
def _offer(indices: Any, distances: Any, i: int, j: int, distance: float) -> None:
    """Insert a neighbour where it belongs; offered in ascending order, so equals stay behind."""
    place = distances.shape[1] - 1
    if distance >= distances[i, place]:
        return
    while place > 0 and distances[i, place - 1] > distance:
        indices[i, place], distances[i, place] = indices[i, place - 1], distances[i, place - 1]
        place -= 1
    indices[i, place], distances[i, place] = j, distance
