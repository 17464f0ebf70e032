"""The largest clusters of a clustering, described."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparse_ap.propagation.result import Clustering

__all__ = ["LargeCluster", "largest_clusters"]


@dataclass(frozen=True, slots=True)
class LargeCluster:
    """A cluster with its exemplar and its least similar member.

    Attributes
    ----------
    exemplar : int
        Point number of the exemplar.
    size : int
        Number of points in the cluster, including the exemplar.
    mean_similarity : float or None
        Mean similarity of the other members to the exemplar, as far as known; None without others.
    least_similar : int or None
        The member least similar to the exemplar; among equals the first.
    least_similarity : float or None
        Similarity of that member to the exemplar.
    """

    exemplar: int
    size: int
    mean_similarity: float | None = None
    least_similar: int | None = None
    least_similarity: float | None = None


def largest_clusters(clustering: Clustering, count: int) -> list[LargeCluster]:
    """Describe the ``count`` largest clusters, the largest first; of equals the smaller label first."""
    sizes = clustering.sizes
    order = np.argsort(-sizes, kind="stable")[:count]
    return [_described(clustering, int(cluster), int(sizes[cluster])) for cluster in order]


def _described(clustering: Clustering, cluster: int, size: int) -> LargeCluster:
    exemplar = int(clustering.exemplars[cluster])
    if size == 1:
        return LargeCluster(exemplar, size)
    members = np.flatnonzero(clustering.labels == cluster)
    # Those that are not known are NaN.
    others = members[(members != exemplar) & ~np.isnan(clustering.similarities[members])]
    if not len(others):
        return LargeCluster(exemplar, size)
    similarities = clustering.similarities[others].astype(np.float64)
    least = int(similarities.argmin())
    return LargeCluster(
        exemplar, size, float(similarities.mean()), int(others[least]), float(similarities[least])
    )
