"""Neighbours that are known without a search: those of rows without direction, and of many equal points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.points import Space
from sparse_ap.graphs.neighbours.stages import slabs
from sparse_ap.kernels.compilation import kernel

__all__ = ["known_neighbours"]


def known_neighbours(space: Space, k: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Return the points that must be searched, and neighbours that are known beforehand.

    A row without direction is at one distance from all others: its neighbours are the first k points, and it
    may itself be a neighbour of any point. So may each of a few points far away from all others, which would
    coarsen the whole numbers of the rest. Of more than k + 1 equal points the first k + 1 stand for all: they
    are as near to the others as any of them, and nobody's neighbour is among the others.

    Returns
    -------
    searched : ndarray of int64, shape (m,)
        Points to search among, for their neighbours among themselves.
    known : ndarray of int32, shape (n, n_known), or (n, 0) if m = n
        Candidates of each point beside what a search finds; -1 for none.
    places : ndarray of int64, shape (n,)
        Whose list a point takes from the search, by its place among the points searched: its own; of many
        equal points the last of those that are searched lends its list to the others; -1 for none.

    Notes
    -----
    By inner products a point may have nearer ones than its equals, hence the list that is lent.
    """
    lost, remote = space.directionless(), space.remote()
    apart = np.union1d(lost, remote)
    crowds = [crowd for crowd in _equal_points(space, k + 2) if crowd[0] not in apart]
    searched = np.setdiff1d(
        np.arange(space.n), np.concatenate([apart, *(crowd[k + 1 :] for crowd in crowds)])
    )
    places = np.full(space.n, -1)
    places[searched] = np.arange(len(searched))
    if len(searched) == space.n:
        return searched, np.empty((space.n, 0), np.int32), places
    everybodys = np.union1d(lost[:k], remote)
    known = np.full((space.n, k + len(everybodys)), -1, np.int32)
    known[:, k:] = everybodys
    for crowd in crowds:
        known[crowd[k + 1 :], :k], places[crowd[k + 1 :]] = crowd[:k], places[crowd[k]]
    known[apart] = -1
    known[lost, :k] = _first_others(lost, k)
    for point in remote:
        known[point, :k] = _nearest_to(space, point, k)
    return searched, known, places


def _nearest_to(space: Space, point: int, k: int) -> NDArray[np.int64]:
    """Return the k nearest points of one, by its distances to all others."""
    others = np.delete(np.arange(space.n, dtype=np.int32), point)
    distances = space.taken(np.array([point])).distances(space, 0, others, np.array([0, len(others)]))
    return others[np.argsort(distances, kind="stable")[:k]].astype(np.int64)


def _first_others(points: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the first k points other than each of these, shape (n_points, k)."""
    first = np.arange(k)
    return first + (first >= points[:, None])


def _equal_points(space: Space, least: int) -> list[NDArray[np.int64]]:
    """Return the groups of at least so many equal points."""
    keys = np.empty(space.n, np.uint64)
    for part in slabs(space.n):
        _hash_rows(space.taken(part).row_words(), keys[part])
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    bounds = np.concatenate([[0], ends, [space.n]])
    large = np.flatnonzero(np.diff(bounds) >= least)
    groups = [order[bounds[g] : bounds[g + 1]] for g in large]
    return [group for group in groups if _are_equal(space.taken(group).row_words())]


def _are_equal(rows: NDArray[Any]) -> bool:
    return bool((rows == rows[0]).all())


@kernel
def _hash_rows(words, keys):  # type: ignore[no-untyped-def]
    for r in range(words.shape[0]):
        key = np.uint64(0x9E3779B97F4A7C15)
        for f in range(words.shape[1]):
            key = (key ^ np.uint64(words[r, f])) * np.uint64(0xBF58476D1CE4E5B9)
            key ^= key >> np.uint64(29)
        keys[r] = key
