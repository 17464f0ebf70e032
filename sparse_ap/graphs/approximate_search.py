"""Approximate neighbour search for many points, with usearch's HNSW graph index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import progress_bar
from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.metrics import Neighbours, PointLayout

__all__ = ["approximate", "interruptible", "require_index", "require_usearch"]

# Candidates that the index keeps while it searches, up to a number of points and beyond;
# docs/design/0007-knn-search.md has the measurements.
_BREADTH, _WIDE = 64, 128
_NARROW_POINTS = 100_000
_ROWS_AT_A_TIME = 20_000
_KINDS = {"euclidean": "L2sq", "cosine": "Cos", "correlation": "Cos", "tanimoto": "Tanimoto"}


def require_usearch(purpose: str) -> Any:
    """Return usearch's module of indexes; ``purpose`` names the caller in the message.

    Raises
    ------
    MissingDependencyError
        usearch is not installed.
    """
    return optional_modules(purpose, "knn", "usearch.index")[0]


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the RuntimeError that usearch raises on Ctrl-C into a KeyboardInterrupt."""
    try:
        yield
    except RuntimeError as error:
        if "terminated" not in str(error):
            raise
        raise KeyboardInterrupt from None


def require_index(metric: str) -> None:
    """Refuse a metric that the index lacks, or an installation without it.

    Raises
    ------
    InvalidInputError
        The index does not have this metric.
    MissingDependencyError
        usearch is not installed.
    """
    if metric not in _KINDS:
        known = ", ".join(repr(name) for name in _KINDS)
        raise InvalidInputError(
            f"metric={metric!r} was given for more than 10,000 points of more than 8 features, among which "
            f"neighbours are searched by {known} only. Build neighbour lists with a library that has it, "
            "such as pynndescent, and give them to sparse_ap.graphs.from_knn."
        )
    require_usearch("knn_graph of so many points")


def approximate(
    points: NDArray[Any], n_neighbors: int, metric: str, n_threads: int, seed: int, *, verbose: bool
) -> Neighbours:
    """Return most of the nearest neighbours of every point; see `knn_graph`."""
    n = len(points)
    layout = PointLayout.of(points, metric)
    # The order of insertion shapes the index, so it depends on the seed alone.
    order = np.random.default_rng(seed % 2**64).permutation(n).astype(np.uint64)
    index = _index(metric, layout.rows(points[:1]).shape[1], n, n_neighbors + 1)
    # One more neighbour than wanted, since each point finds itself too.
    found = Neighbours(np.full((n, n_neighbors + 1), -1, np.int32), np.full((n, n_neighbors + 1), np.nan))
    with interruptible(), progress_bar(verbose, 2 * n, "neighbours", unit="step") as bar:
        for start in range(0, n, _ROWS_AT_A_TIME):
            ids = order[start : start + _ROWS_AT_A_TIME]
            # One thread: the index depends on the order of insertion.
            index.add(ids, _compact(layout.rows(points[ids])), threads=1)
            bar.update(len(ids))
        # Slabs of about equal size, since usearch answers a single row in another form.
        bounds = np.linspace(0, n, -(-n // _ROWS_AT_A_TIME) + 1).astype(int).tolist()
        for asked in starmap(slice, pairwise(bounds)):
            _ask(index, layout, points[asked], n_threads, found.indices[asked], found.distances[asked])
            bar.update(asked.stop - start)
    return found.without_itself()


def _ask(
    index: Any, layout: PointLayout, points: NDArray[Any], n_threads: int, indices: Any, distances: Any
) -> None:
    """Write the results of the index, the points themselves included; it may find fewer than wanted."""
    rows = _compact(layout.rows(points))
    matches = index.search(rows, indices.shape[1], threads=n_threads)
    there = np.arange(indices.shape[1]) < np.asarray(matches.counts)[:, None]
    found = np.asarray(matches.distances)
    # usearch returns squared Euclidean distances.
    if layout.metric == "euclidean":
        found = np.sqrt(found)
    np.copyto(indices, np.asarray(matches.keys).astype(np.int32), where=there)
    np.copyto(distances, layout.distances(rows, found), where=there)


def _compact(rows: NDArray[Any]) -> NDArray[Any]:
    return rows if rows.dtype == np.uint8 else rows.astype(np.float32)


def _index(metric: str, width: int, n_points: int, wanted: int) -> Any:
    usearch = require_usearch("knn_graph of so many points")
    breadth = _BREADTH if n_points <= _NARROW_POINTS else _WIDE
    bits = metric == "tanimoto"
    return usearch.Index(
        ndim=8 * width if bits else width,
        metric=getattr(usearch.MetricKind, _KINDS[metric]),
        dtype="b1" if bits else "f32",
        expansion_add=breadth,
        expansion_search=max(breadth, 2 * wanted),
    )
