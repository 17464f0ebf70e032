"""What there is to say of the largest clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparse_ap.kernels.block import Clustering

__all__ = ["LargeCluster", "largest_clusters"]


@dataclass(frozen=True, slots=True)
class LargeCluster:
    """A cluster, its exemplar and the member that suits it least.

    Attributes
    ----------
    exemplar : int
        The exemplar's point.
    size : int
        Points in the cluster, the exemplar among them.
    mean_similarity : float or None
        Of the other members to the exemplar; None where there are none.
    least_similar : int or None
        The member that is least similar to the exemplar, the first of equal ones.
    least_similarity : float or None
        How similar it is.
    """

    exemplar: int
    size: int
    mean_similarity: float | None = None
    least_similar: int | None = None
    least_similarity: float | None = None


def largest_clusters(clustering: Clustering, count: int) -> list[LargeCluster]:
    """Describe so many clusters, the largest first, of equal ones that with the smaller label."""
    sizes = clustering.sizes
    order = np.argsort(-sizes, kind="stable")[:count]
    return [_described(clustering, int(cluster), int(sizes[cluster])) for cluster in order]


def _described(clustering: Clustering, cluster: int, size: int) -> LargeCluster:
    exemplar = int(clustering.exemplars[cluster])
    if size == 1:
        return LargeCluster(exemplar, size)
    members = np.flatnonzero(clustering.labels == cluster)
    others = members[members != exemplar]
    similarities = clustering.similarities[others].astype(np.float64)
    least = int(similarities.argmin())
    return LargeCluster(
        exemplar, size, float(similarities.mean()), int(others[least]), float(similarities[least])
    )
