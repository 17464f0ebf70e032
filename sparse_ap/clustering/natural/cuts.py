"""`Cut`: a clustering taken from a hierarchy, and how its clusters are merged to a number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse

from sparse_ap.clustering.natural.merging import merged_freely, merged_to
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array
from sparse_ap.storage.csr import heaviest, inverse

__all__ = ["Cut", "Linked", "merged_cut", "too_few"]


class Cut(NamedTuple):
    """A clustering of the points, cut from a hierarchy.

    Attributes
    ----------
    labels : ndarray of int64, shape (n_points,)
        ``exemplars[labels[i]]`` represents point i.
    exemplars : ndarray of int64, shape (n_clusters,)
        The exemplars' point numbers, ascending.
    nested : bool
        Whether each cluster is a union of clusters of every finer level of the hierarchy, and lies in one
        of every coarser level.
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


class Linked(NamedTuple):
    """Clusters and the links between them.

    Attributes
    ----------
    cut : Cut
    links : csr_array of float64, shape (n_clusters, n_clusters)
        Weights; the diagonal holds twice the weight inside each cluster.
    """

    cut: Cut
    links: scipy.sparse.csr_array


def merged_cut(
    finer: Linked, parents: Int64Array | None, natural: Linked | None, n_clusters: int, name: str
) -> Cut:
    """Merge clusters to a number, inside their parents; or natural groups freely, where that gains more.

    Parameters
    ----------
    finer : Linked
        The clusters of a level, at least ``n_clusters``.
    parents : ndarray of int64, shape (n_finer,), or None
        The cluster of the next coarser level in which each lies; None: there is no coarser level.
    natural : Linked, or None
        The groups at resolution 1, which are the level or finer; None: the level is finer than these.
    n_clusters : int
    name : str
        How the error names the clusters of the level.

    Raises
    ------
    InvalidInputError
        Parts of the graph that no edge links are more than ``n_clusters``.
    """
    label = merged_to(finer.links, parents, n_clusters)
    if label.max() + 1 > n_clusters:
        raise InvalidInputError(too_few(n_clusters, f"{finer.cut.n_clusters} {name}"))
    cut, free = finer.cut.joined(label), None
    if natural is not None:
        free = merged_freely(natural.links, cut.labels[natural.cut.exemplars], n_clusters)
    return cut if free is None or natural is None else natural.cut.joined(free)._replace(nested=False)


def too_few(n_clusters: int, finer: str) -> str:
    """Return the words of the error for a number that was not reached."""
    return (
        f"n_clusters={n_clusters}, but the {finer}, the next finer one, were not to be put together into so "
        "few. Parts of the graph that no edge links stay apart."
    )
