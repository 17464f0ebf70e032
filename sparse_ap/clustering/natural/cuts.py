"""`Cut`: a clustering taken from a hierarchy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparse_ap.kernels.block import Int64Array
from sparse_ap.storage.csr import heaviest, inverse

__all__ = ["Cut"]


class Cut(NamedTuple):
    """A clustering of the points, cut from a hierarchy.

    Attributes
    ----------
    labels : ndarray of int64, shape (n_points,)
        ``exemplars[labels[i]]`` represents point i.
    exemplars : ndarray of int64, shape (n_clusters,)
        The exemplars' point numbers, ascending.
    nested : bool
        Whether each cluster lies in one of every coarser level of the hierarchy.
    """

    labels: Int64Array
    exemplars: Int64Array
    nested: bool = True

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.exemplars)

    @property
    def sizes(self) -> Int64Array:
        """Points in each cluster, shape (n_clusters,)."""
        return np.bincount(self.labels, minlength=self.n_clusters)

    def joined(self, label: Int64Array) -> Cut:
        """Return clusters put together; the exemplar of the largest represents those with the same label."""
        exemplars = self.exemplars[heaviest(label, self.sizes)]
        order = np.argsort(exemplars)
        return Cut(inverse(order)[label][self.labels], exemplars[order], self.nested)


Cut.__module__ = "sparse_ap"
