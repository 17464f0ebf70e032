"""Equal points, of which one stands in the graph for all; and how they are found.

Points are candidates for being equal if an edge of a given similarity, the largest of both, leads from one to
the other. They are equal if nothing contradicts: the entries that both rows have, and both columns, are the
same; and what one row lacks is no more than its smallest entry. A complete row lacks nothing; the row of a
graph of nearest neighbours, or of all pairs above a threshold, lacks only what is below its end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array, Int64Array
from sparse_ap.kernels.equal_rows import (
    GROUP,
    POINT,
    ContradictionPass,
    GroupVectors,
    HeldRowsPass,
    LinkPass,
    LinkVectors,
    RowEnds,
    join,
)
from sparse_ap.kernels.exact_sum import exact_sum
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.csr import heaviest, inverse

__all__ = ["Duplicates", "stand_ins"]


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """Equal points, of which one stands in the graph for all; arrays are in the user's order.

    Attributes
    ----------
    similarity : float
        Of equal points to each other.
    stand_in : ndarray of int64, shape (n_points,)
        The point whose edges stand for those of each point; a point that equals no other stands for itself.
    exemplar : ndarray of int64, shape (n_points,)
        Which point of its group is the exemplar if one is; the same for all of them.
    preference : ndarray of float64, shape (n_points,)
        As given; -inf for points that are no candidates.
    weights : ndarray of float64, shape (n_points,), or None
        As given.
    """

    similarity: float
    stand_in: Int64Array
    exemplar: Int64Array
    preference: Float64Array
    weights: Float64Array | None

    @classmethod
    def of(
        cls, similarity: float, stand_in: Int64Array, preference: Float64Array, weights: Float64Array | None
    ) -> Duplicates:
        """Return equal points; the exemplar of each group is the one that adds most, of equals the first."""
        n = len(stand_in)
        # The others each add their weight times the similarity.
        gain = preference - similarity * (1.0 if weights is None else weights)
        first = heaviest(stand_in, gain)
        exemplar = np.empty(n, np.int64)
        exemplar[stand_in[first]] = first
        return cls(similarity, stand_in, exemplar[stand_in], preference, weights)

    @property
    def n_collapsed(self) -> int:
        """Number of points for which another one stands."""
        return int(np.count_nonzero(self.collapsed))

    @property
    def collapsed(self) -> BoolArray:
        """Whether another point stands for each."""
        collapsed: BoolArray = self.stand_in != np.arange(len(self.stand_in))
        return collapsed

    @property
    def each_weight(self) -> Float64Array:
        """The weight of each point by itself."""
        return np.ones(len(self.stand_in)) if self.weights is None else self.weights

    @property
    def joint_weights(self) -> Float64Array:
        """The weight of each point, or of all that it stands for; 1 where another stands for it."""
        joint = np.bincount(self.stand_in, self.each_weight, len(self.stand_in))
        return np.where(self.collapsed, 1.0, joint)

    @property
    def joint_preference(self) -> Float64Array:
        """The preference of each point, or of all that it stands for: the others join the exemplar."""
        others = self.joint_weights - self.each_weight[self.exemplar]
        joint = self.preference[self.exemplar]
        return np.where(others > 0, joint + others * self.similarity, joint)

    def all_of(self, points: Any) -> Any:
        """Return the numbers of some points and of all that they stand for, ascending."""
        return np.flatnonzero(np.isin(self.stand_in, points))

    def expanded(self, found: Clustering, *, shared_preference: bool = False) -> Clustering:
        """Return the clustering of all points, from that of the graph in which one stands for several.

        Parameters
        ----------
        found : Clustering
        shared_preference : bool
            Whether all preferences that are not infinite are now that of the clustering.
        """
        p = self.preference
        if shared_preference and found.preference is not None:
            p = np.where(np.isfinite(p), found.preference, p)
        labels = found.labels[self.stand_in]
        chosen = self.exemplar[found.exemplars]
        order = np.argsort(chosen)
        rank = inverse(order)
        similarities = found.similarities[self.stand_in]
        there = labels >= 0
        inside = there.copy()
        inside[there] = found.exemplars[labels[there]] == self.stand_in[there]
        similarities[inside] = self.similarity
        similarities[chosen] = 0
        labels[there] = rank[labels[there]]
        data = exact_sum(self.each_weight[there] * similarities[there].astype(np.float64))
        preferences = p[chosen]
        cost = exact_sum(preferences[np.isfinite(preferences)])
        free = p[np.isfinite(p)]
        return replace(
            found,
            labels=labels,
            exemplars=chosen[order],
            similarities=similarities,
            net_similarity=data + cost,
            data_similarity=data,
            exemplar_preference=cost,
            net_similarity_bound=self._bound(found, data + cost),
            preference=float(free[0]) if len(free) and (free == free[0]).all() else None,
            weighted_sizes=self._weighted_sizes(labels, len(chosen)),
            n_collapsed=self.n_collapsed,
        )

    def _bound(self, found: Clustering, net_similarity: float) -> float | None:
        """Return the bound, raised by what the joint preferences may have lost by rounding."""
        if found.net_similarity_bound is None:
            return None
        joint = np.abs(self.joint_preference[~self.collapsed])
        lost = 0.0 if self.similarity == 0 else 4 * np.finfo(float).eps * joint[np.isfinite(joint)].sum()
        return max(net_similarity, float(found.net_similarity_bound + lost))

    def _weighted_sizes(self, labels: Int64Array, n_clusters: int) -> Float64Array | None:
        if self.weights is None:
            return None
        there = labels >= 0
        sizes = np.bincount(labels[there], weights=self.weights[there], minlength=n_clusters)
        return sizes.astype(np.float64, copy=False)


def stand_ins(graph: BlockedGraph, may: BoolArray, similarity: float, user_id: Int32Array) -> Int32Array:
    """Return the point that stands for each one: of equal points that whose row reaches farthest.

    Parameters
    ----------
    graph : BlockedGraph
        Canonical.
    may : ndarray of bool, shape (n_points,)
        Points that may be equal to others; the largest similarity of their rows is ``similarity``.
    similarity : float
        Of equal points to each other, in the precision of the graph.
    user_id : ndarray, shape (n_points,)
        The user's numbers: of rows that reach as far the one with the smallest stands for all.

    Returns
    -------
    ndarray of int32, shape (n_points,)
        In the order of the graph.
    """
    smallest = np.empty(graph.n_points)
    _, linked = graph.run(LinkPass(similarity), LinkVectors(may), RowEnds(smallest))
    root = np.arange(graph.n_points, dtype=np.int32)
    join(root, linked.points, linked.others)
    order = np.lexsort((user_id, smallest, root))
    first = order[np.flatnonzero(np.diff(root[order], prepend=-1))]
    stand_in = np.empty(graph.n_points, np.int32)
    stand_in[root[first]] = first
    stand_in = stand_in[root]
    while (size := np.bincount(stand_in, minlength=graph.n_points)).max(initial=0) > 1:
        held = graph.run(HeldRowsPass(), LinkVectors(size > 1), ())[1].csr(graph.dtype)
        check = ContradictionPass(similarity, *held)
        (wrong,), _ = graph.run(check, GroupVectors(stand_in, size.astype(np.int32)), RowEnds(smallest))
        alone = (wrong == POINT) | (wrong[stand_in] == GROUP)
        if not alone.any():
            break
        stand_in = np.where(alone, np.arange(graph.n_points, dtype=np.int32), stand_in)
    return stand_in
