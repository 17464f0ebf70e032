"""What a page tells of each of its clusters, in arrays over its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.kernels.block import Float64Array, Int64Array
from sparse_ap.plotting.explorer.held import HeldClusters, ranks

__all__ = ["N_NEAR", "N_VALUES", "cluster_facts", "frequent_values", "means"]

N_NEAR = 3
"""Neighbouring clusters told of each cluster."""

N_VALUES = 3
"""Most frequent values of a column of text told of each cluster."""


def cluster_facts(tree: Hierarchy, held: HeldClusters) -> dict[str, NDArray[Any]]:
    """Return what is known of each node.

    Returns
    -------
    dict of ndarray, each with a row for each node
        ``parent``; ``exemplar``, a point, -1 for the whole; ``size`` in points; ``parts``, clusters of the
        next finer level, on the page or not; ``similarity``, the mean of the points to their exemplars of
        level 0, without these, NaN where there is no other; ``near`` and ``share``: clusters of the same
        level that are linked most, and the percentage of the links that leave the cluster, 255 where not
        known; ``lives``, as of `Hierarchy.persistence`.
    """
    levels, n_points = held.levels, len(tree.labels(0))
    others = tree.clusterings[0].similarities.copy()
    # An exemplar's similarity to itself says nothing of its members.
    others[tree.exemplars(0)] = np.nan

    def nodes(of_level: Callable[[int], Any], whole: Any) -> NDArray[Any]:
        return np.concatenate(
            [[whole], *(of_level(k)[c] for k, c in zip(levels, held.clusters, strict=True))]
        )

    near = [_near(tree, held, k) for k in range(len(levels))]
    return {
        "parent": np.concatenate([[0], *held.parents]).astype(np.uint32),
        "exemplar": nodes(tree.exemplars, -1),
        "size": nodes(tree.sizes, n_points).astype(np.uint32),
        "parts": nodes(
            lambda k: (
                np.bincount(tree.parents(k - 1), minlength=tree.n_clusters[k])
                if k
                else np.zeros(tree.n_clusters[0], np.int64)
            ),
            tree.n_clusters[levels[0]] if levels else 0,
        ).astype(np.uint32),
        "similarity": means(tree, held, others),
        "near": np.concatenate([np.full((1, N_NEAR), -1), *(found for found, _ in near)]).astype(np.int32),
        "share": np.concatenate([np.full((1, N_NEAR), 255), *(part for _, part in near)]).astype(np.uint8),
        "lives": nodes(tree.persistence, [np.nan, np.nan]).astype(np.float32),
    }


def _near(tree: Hierarchy, held: HeldClusters, place: int) -> tuple[Int64Array, Int64Array]:
    """Return the nodes linked most with each node of a level, and percentages of its links."""
    level, clusters = held.levels[place], held.clusters[place]
    graph = tree.graphs[level].tocoo()
    row, column = graph.coords
    between = row != column
    row, column, weight = row[between], column[between], graph.data[between]
    order = np.lexsort((column, -weight, row))
    row, column, weight = row[order], column[order], weight[order]
    rank = ranks(row)
    first = rank < N_NEAR
    found = np.full((tree.n_clusters[level], N_NEAR), -1)
    share = np.full(found.shape, 255)
    node = np.full(len(found), -1)
    node[clusters] = held.starts[place] + np.arange(len(clusters))
    found[row[first], rank[first]] = node[column[first]]
    if level and tree.resolutions is not None:
        leaving = np.bincount(row, weight, minlength=len(found))
        share[row[first], rank[first]] = np.round(100.0 * weight[first] / leaving[row[first]])
    return found[clusters], share[clusters]


def means(tree: Hierarchy, held: HeldClusters, values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the mean over the points of each node; NaNs are left out."""
    there = np.isfinite(values)
    labels = tree.labels(0)[there]
    count = np.bincount(labels, minlength=tree.n_clusters[0]).astype(np.float64)
    total = np.bincount(labels, values[there], minlength=len(count)).astype(np.float64)
    found: list[Float64Array] = [np.array([total.sum() / count.sum() if count.sum() else np.nan])]
    sums = dict(zip(range(tree.n_levels), _upwards(tree, total, count), strict=True))
    for level, clusters in zip(held.levels, held.clusters, strict=True):
        above, below = (each[clusters] for each in sums[level])
        found.append(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))
    return np.concatenate(found).astype(np.float32)


def _upwards(tree: Hierarchy, *sums: Float64Array) -> Iterator[tuple[Float64Array, ...]]:
    """Yield sums over each cluster of each level, the finest first."""
    yield sums
    for level in range(tree.n_levels - 1):
        n = int(tree.n_clusters[level + 1])
        sums = tuple(np.bincount(tree.parents(level), part, minlength=n).astype(np.float64) for part in sums)
        yield sums


def frequent_values(tree: Hierarchy, held: HeldClusters, codes: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the most frequent values of each node, and the percentage of its points that have each.

    Parameters
    ----------
    codes : ndarray of int64, shape (n_points,)
        The value of each point, as a number from 0 on.

    Returns
    -------
    values, percentages : ndarray of int64, each of shape (n_nodes, N_VALUES)
        -1 and 0 where there are fewer values.
    """
    n_codes = int(codes.max(initial=-1)) + 1
    pairs, counts = np.unique(tree.labels(0) * n_codes + codes, return_counts=True)
    cluster, code = np.divmod(pairs, max(1, n_codes))
    each: dict[int, tuple[Int64Array, Int64Array]] = {}
    for level in range(tree.n_levels):
        if level:
            pairs, place = np.unique(tree.parents(level - 1)[cluster] * n_codes + code, return_inverse=True)
            counts = np.bincount(place, counts).astype(np.int64)
            cluster, code = np.divmod(pairs, max(1, n_codes))
        if level in held.levels:
            each[level] = _first_of_each(cluster, code, counts, int(tree.n_clusters[level]))
    whole = np.bincount(codes, minlength=n_codes)
    shown = [_first_of_each(np.zeros(n_codes, np.int64), np.arange(n_codes), whole, 1)]
    for level, clusters in zip(held.levels, held.clusters, strict=True):
        values, percentages = each[level]
        shown.append((values[clusters], percentages[clusters]))
    return np.concatenate([v for v, _ in shown]), np.concatenate([p for _, p in shown])


def _first_of_each(
    cluster: Int64Array, code: Int64Array, counts: Int64Array, n_clusters: int
) -> tuple[Int64Array, Int64Array]:
    order = np.lexsort((code, -counts, cluster))
    cluster, code, counts = cluster[order], code[order], counts[order]
    rank = ranks(cluster)
    first = rank < N_VALUES
    values, percentages = np.full((n_clusters, N_VALUES), -1), np.zeros((n_clusters, N_VALUES), np.int64)
    sizes = np.bincount(cluster, counts, minlength=n_clusters)
    values[cluster[first], rank[first]] = code[first]
    percentages[cluster[first], rank[first]] = np.round(100.0 * counts[first] / sizes[cluster[first]])
    return values, percentages
