"""Approximate search for many points: usearch's graph index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sparse_ap.errors import MissingDependencyError
from sparse_ap.graphs.exact import NOBODY, Neighbours, ranked
from sparse_ap.graphs.metrics import comparable

__all__ = ["approximate", "require_usearch"]

_ROWS_AT_A_TIME = 20_000


def require_usearch() -> Any:
    """Return the package's index module.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        import usearch.index
    except ImportError as error:
        raise MissingDependencyError.of("knn_graph of so many points", "usearch", "knn") from error
    return usearch.index


def approximate(
    points: NDArray[Any], n_neighbors: int, metric: str, n_threads: int, seed: int, *, verbose: bool
) -> Neighbours:
    """Find most of the nearest others of every point; distances are exact."""
    rows = comparable(points, metric)
    candidates = _candidates(rows, n_neighbors, metric, n_threads, seed, verbose=verbose)
    return ranked(rows, candidates, n_neighbors, metric, n_threads)


def _candidates(
    rows: NDArray[Any], n_neighbors: int, metric: str, n_threads: int, seed: int, *, verbose: bool
) -> NDArray[np.int32]:
    n = len(rows)
    order = np.random.default_rng(seed).permutation(n).astype(np.uint64)
    centre, scale = _frame(rows, metric)

    def part(ids: Any) -> Any:
        if metric == "tanimoto":
            return rows[ids].view(np.uint8)
        return ((rows[ids] - centre) * scale).astype(np.float32)

    # The point itself is found too.
    wanted = min(n, n_neighbors + 1)
    index = _index(rows, metric, wanted)
    candidates = np.full((n, wanted), NOBODY, np.int32)
    with tqdm(
        total=2 * n, desc="neighbours", unit="step", leave=False, disable=None if verbose else True
    ) as bar:
        for start in range(0, n, _ROWS_AT_A_TIME):
            ids = order[start : start + _ROWS_AT_A_TIME]
            # One thread: what is in the index depends on the order of insertion.
            index.add(ids, part(ids), threads=1)
            bar.update(len(ids))
        for start in range(0, n, _ROWS_AT_A_TIME):
            asked = slice(start, min(start + _ROWS_AT_A_TIME, n))
            found = index.search(part(asked), wanted, threads=n_threads)
            there = np.arange(wanted) < np.asarray(found.counts)[:, None]
            np.copyto(candidates[asked], np.asarray(found.keys).astype(np.int32), where=there)
            bar.update(asked.stop - start)
    return candidates


def _frame(rows: NDArray[Any], metric: str) -> tuple[Any, float]:
    """Return a centre to subtract and a power of two to multiply with, so that float32 is enough."""
    if metric == "tanimoto":
        return 0, 1.0
    centre = rows.mean(axis=0, dtype=np.float64).astype(rows.dtype)
    reach = max(float(np.max(rows.max(axis=0) - centre)), float(np.max(centre - rows.min(axis=0))))
    return centre, 2.0 ** -math.frexp(reach)[1]


def _index(rows: NDArray[Any], metric: str, wanted: int) -> Any:
    usearch = require_usearch()
    breadth = {"expansion_add": 128, "expansion_search": max(64, 2 * wanted)}
    if metric == "tanimoto":
        return usearch.Index(
            ndim=64 * rows.shape[1], metric=usearch.MetricKind.Tanimoto, dtype="b1", **breadth
        )
    return usearch.Index(ndim=rows.shape[1], metric=_usearch_metric(usearch, metric), dtype="f32", **breadth)


def _usearch_metric(usearch: Any, metric: str) -> Any:
    if metric not in ("manhattan", "chebyshev"):
        return usearch.MetricKind.L2sq
    from sparse_ap.graphs.compiled import METRIC_FUNCTIONS

    return usearch.CompiledMetric(
        pointer=METRIC_FUNCTIONS[metric].address,
        kind=usearch.MetricKind.Unknown,
        signature=usearch.MetricSignature.ArrayArraySize,
    )
