"""What a page holds of a tree: all clusters of its coarse levels, and a sample of fine ones and of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.kernels.block import Int64Array

__all__ = ["HeldClusters", "held_points", "ranks"]


@dataclass(frozen=True, slots=True, eq=False)
class HeldClusters:
    """The clusters on a page, its nodes: first the whole, then the levels, the coarsest first.

    Nodes of a level stand in the order of their parents, so that what lies in a cluster is one range of each
    finer level.

    Attributes
    ----------
    levels : range
        The levels on the page, the coarsest first.
    clusters : tuple of ndarray of int64
        Of each of these levels, the clusters held, in the order of the page.
    parents : tuple of ndarray of int64
        Of each of these levels, the node of the parent of each cluster held.
    homes : ndarray of int64, shape (n_clusters of level 0,)
        The finest node in which each cluster of level 0 lies.
    """

    levels: range
    clusters: tuple[Int64Array, ...]
    parents: tuple[Int64Array, ...]
    homes: Int64Array

    @property
    def starts(self) -> Int64Array:
        """The first node of each level, and at last the number of nodes."""
        return np.cumsum([1, *map(len, self.clusters)])

    @classmethod
    def of(cls, tree: Hierarchy, most: int) -> HeldClusters:
        """Hold whole levels as long as they fit; of the next, the largest clusters of each parent.

        Parameters
        ----------
        tree : Hierarchy
        most : int
            Largest number of clusters.
        """
        counts = tree.n_clusters
        # A single cluster of everything is the whole.
        top = tree.n_levels - 1 - int(tree.n_levels > 1 and counts[-1] == 1)
        clusters: list[Int64Array] = []
        parents: list[Int64Array] = []
        node, n_nodes, above = np.zeros(counts[top], np.int64), 1, np.empty(0, np.int64)
        whole = True
        for level in range(top, -1, -1):
            if level < top:
                node = node[tree.parents(level)]
            if not whole:
                continue
            exemplars = tree.exemplars(level)
            # The parent's own exemplar comes first, then the largest.
            order = np.lexsort((-tree.sizes(level), ~np.isin(exemplars, above), node))
            each = np.bincount(node, minlength=n_nodes)
            quota = _quota(each, most - n_nodes + 1)
            whole = bool(quota >= each.max(initial=0))
            if not whole and quota < 2:
                continue
            held = order[ranks(node[order]) < quota]
            clusters.append(held)
            parents.append(node[held])
            node[held] = n_nodes + np.arange(len(held))
            n_nodes, above = n_nodes + len(held), exemplars
        return cls(range(top, top - len(clusters), -1), tuple(clusters), tuple(parents), node)


def held_points(
    homes: Int64Array, similarities: NDArray[np.floating], exemplars: Int64Array, most: int
) -> Int64Array:
    """Return points for a page: the exemplars, and of each node a sample from the nearest to the furthest.

    Parameters
    ----------
    homes : ndarray of int64, shape (n_points,)
        The finest node in which each point lies.
    similarities : ndarray, shape (n_points,)
        Similarity of each point to its exemplar; of NaNs nothing is known, and they come last.
    exemplars : ndarray of int64
        Points that are held in any case.
    most : int
        Largest number of points, exemplars included.

    Returns
    -------
    ndarray of int64, shape (n_held,)
        In the order of their nodes, and there from the nearest to the furthest.
    """
    order = np.lexsort((-similarities, homes))
    is_exemplar = np.zeros(len(homes), np.bool_)
    is_exemplar[exemplars] = True
    chosen = is_exemplar[order]
    others = np.flatnonzero(~chosen)
    home = homes[order[others]]
    each = np.bincount(home)
    rank, there = ranks(home), each[home]
    taken = np.minimum(there, _quota(each, most - len(exemplars)))
    # The j-th of t stands at rank j (n - 1) / (t - 1), rounded down; a single one is the furthest.
    steps = np.maximum(1, taken - 1)
    gaps = np.maximum(1, there - 1)
    nearest_slot = -(-rank * steps // gaps)
    fits = nearest_slot * gaps // steps == rank
    chosen[others] = (taken > 0) & np.where(taken == 1, rank == there - 1, fits)
    return order[chosen]


def _quota(each: Int64Array, room: int) -> int:
    """Return how many of each group fit at most, if small groups are taken whole."""
    low, high = 0, int(each.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(each, middle).sum()) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def ranks(groups: Int64Array) -> Int64Array:
    """Return the place of each entry in its group; equal groups stand together, ascending."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)
