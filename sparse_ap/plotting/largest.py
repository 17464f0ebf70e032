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
    rank = np.full(clustering.n_clusters + 1, -1)
    rank[order] = np.arange(len(order))
    # The last entry is that of the label -1.
    place = rank[clustering.labels]
    place[clustering.exemplars] = -1
    # Similarities that are not known are NaN.
    members = np.flatnonzero((place >= 0) & ~np.isnan(clustering.similarities))
    place, similarities = place[members], clustering.similarities[members].astype(np.float64)
    number = np.bincount(place, minlength=len(order))
    means = np.bincount(place, similarities, minlength=len(order)) / np.maximum(1, number)
    first = np.lexsort((members, similarities, place))
    least = first[np.minimum(np.cumsum(number) - number, max(0, len(first) - 1))] if len(first) else first
    return [
        LargeCluster(int(clustering.exemplars[k]), int(sizes[k]))
        if not number[i]
        else LargeCluster(
            int(clustering.exemplars[k]),
            int(sizes[k]),
            float(means[i]),
            int(members[least[i]]),
            float(similarities[least[i]]),
        )
        for i, k in enumerate(order)
    ]
