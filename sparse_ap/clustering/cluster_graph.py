"""The coarsened graph, whose points are clusters, and the similarity between two clusters.

P(a, c) is the share of the edges with an end in cluster a whose other end is in cluster c; P(a, a) is the
share inside a. Two clusters are similar if their shares overlap: s(a, b) = log Σ_c √(P(a, c) P(b, c)), minus
their Bhattacharyya distance (Bulletin of the Calcutta Mathematical Society 35, 1943). Edge counts are
integers, so their sums are exact: the result depends neither on the order in which edges are read nor on the
number of clusters counted in one reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.graphs.edges import keep_top_k
from sparse_ap.kernels.block import Block, Float64Array, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.coarsening import CoarseningPass, Links
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import LabelVectors, Pass
from sparse_ap.kernels.elementary import logarithm
from sparse_ap.kernels.grouping import InnerShares, InsidePass
from sparse_ap.kernels.sorting import ascending
from sparse_ap.storage.csr import csr_graph

__all__ = ["LinkRows", "LinkedGraph", "Shares", "counted", "overlap_similarity"]

# Largest shares compared per cluster, and most similar clusters kept per cluster;
# docs/design/0015-hierarchy.md has the measurements.
_N_KEPT = 15


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """The clusters that the edges of each cluster lead to, as shares of its edges.

    Attributes
    ----------
    roots : csr_array of float64, shape (n_clusters, n_clusters)
        Square roots of each cluster's largest shares P(a, c).
    n_inner : int
        Number of edges that stay inside a cluster; with weights, their total weight.
    n_edges : int
        Number, or total weight, of all edges.
    """

    roots: scipy.sparse.csr_array
    n_inner: int
    n_edges: int


@dataclass(frozen=True, slots=True, eq=False)
class LinkedGraph:
    """A graph of links between points, and the limits for counting them between clusters.

    Attributes
    ----------
    graph : BlockedGraph
    user_id : ndarray of int32, shape (n_points,), or None
        The user's number of each point; None: points are numbered as the user numbers them.
    most_pairs : callable
        Function from the number of clusters to the number of pairs of clusters whose counts fit into memory.
    weigh : callable, optional
        Function from a block to the integer weight of each of its edges, as `CoarseningPass` takes it.
        None: every edge counts 1.
    """

    graph: BlockedGraph
    user_id: Int32Array | None
    most_pairs: Callable[[int], int]
    weigh: Callable[[Block], Int64Array] | None = None

    def shares(self, labels: Int64Array, n_clusters: int) -> Shares:
        """Return the shares of each cluster's edges.

        Parameters
        ----------
        labels : ndarray of int64, shape (n_points,)
            The cluster of each point, in the user's order.
        n_clusters : int
        """
        parts: list[tuple[Int64Array, Int32Array, Float64Array]] = []
        n_inner = n_edges = 0
        for part in self.parts(labels, n_clusters):
            parts.append(part.roots())
            n_inner, n_edges = n_inner + part.n_inner, n_edges + part.n_edges
        degree, indices, roots = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
        return Shares(csr_graph(starts_of(degree), indices, roots), n_inner, n_edges)

    def parts(
        self,
        labels: Int64Array | Int32Array,
        n_clusters: int,
        count: Callable[..., Iterator[LinkRows]] | None = None,
    ) -> Iterator[LinkRows]:
        """Yield the weights of links between clusters, one range of clusters after the other.

        Parameters
        ----------
        labels, n_clusters
            As for `shares`.
        count : callable, optional
            What counts them; default: `counted`.
        """
        begin = partial(CoarseningPass, weigh=self.weigh)
        return (count or counted)(self.graph, begin, self._in_order(labels), n_clusters, self.most_pairs)

    def inside(self, labels: Int64Array | Int32Array) -> InnerShares:
        """Return the number, or the weight, of edges inside the clusters of all points, and of all edges."""
        return self.graph.run(InsidePass(self.weigh), LabelVectors(self._in_order(labels)), ())[1]

    def _in_order(self, labels: Int64Array | Int32Array) -> Int32Array:
        """Return labels in the order of the graph, which may be renumbered."""
        return (labels if self.user_id is None else labels[self.user_id]).astype(np.int32)


def counted(
    graph: BlockedGraph,
    begin: Callable[[Links], Pass[LabelVectors, tuple[()], Links]],
    label: Int32Array,
    n_clusters: int,
    most_pairs: Callable[[int], int],
) -> Iterator[LinkRows]:
    """Yield the weights of links between clusters, one range of clusters after the other, as wide as fits.

    Parameters
    ----------
    graph : BlockedGraph
    begin : callable
        Function from links without edges to the pass that adds edges to them.
    label : ndarray of int32, shape (n_points,)
    n_clusters : int
    most_pairs : callable
        As in `LinkedGraph`.
    """
    most = most_pairs(n_clusters)
    n_edges = max(1, int(graph.store.indptr[-1]))
    # Without this cap a small graph would be split into ranges: there are never more pairs than edges.
    width = max(1, n_clusters * min(n_edges, most) // n_edges)
    start = 0
    while start < max(1, n_clusters):
        begun = Links(n_clusters, start, min(n_clusters, start + width), most)
        links = graph.run(begin(begun), LabelVectors(label), ())[1]
        yield LinkRows.of(links)
        # A range that did not fit was cut short by the pass; a half-empty table allows twice the width
        # next time.
        start, width = max(1, links.stop), links.stop - links.start
        if 2 * links.n_pairs <= most:
            width *= 2


@dataclass(frozen=True, slots=True, eq=False)
class LinkRows:
    """The edge counts of a range of clusters, as CSR rows with ascending columns."""

    rows: scipy.sparse.csr_array
    n_inner: int
    n_edges: int

    @classmethod
    def of(cls, links: Links) -> LinkRows:
        """Build rows from counted pairs: a pair (a, b) enters row a and row b, if these lie in the range."""
        pair, n_edges = links.merged()
        lower, upper = np.divmod(pair, max(1, links.n_clusters))
        inner = lower == upper
        # An edge inside a cluster has both ends there, and counts twice; it must not be added as two entries.
        begin, end = links.start <= lower, (upper < links.stop) & (links.start <= upper) & ~inner
        begin &= lower < links.stop
        row = np.concatenate([lower[begin], upper[end]]) - links.start
        column = np.concatenate([upper[begin], lower[end]])
        value = np.concatenate([(n_edges * (1 + inner))[begin], n_edges[end]])
        shape = (links.stop - links.start, links.n_clusters)
        rows = scipy.sparse.coo_array((value, (row, column)), shape=shape).tocsr()
        # Weights of links may be 0; an explicit zero would take the place of one of the largest shares.
        rows.eliminate_zeros()
        rows.sort_indices()
        return cls(rows, int(n_edges[inner & begin].sum()), int(n_edges[begin].sum()))

    def roots(self) -> tuple[Int64Array, Int32Array, Float64Array]:
        """Return the number of shares kept in each row, their columns, and their square roots."""
        rows = self.rows
        # Shares of all edges of a cluster, computed before the small ones are dropped.
        shares = rows.data / np.repeat(rows.sum(axis=1), np.diff(rows.indptr))
        degree = np.minimum(np.diff(rows.indptr), _N_KEPT)
        indptr = starts_of(degree)
        indices, largest = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
        keep_top_k(rows.indptr, rows.indices, shares, indptr, indices, largest)
        return degree, indices, np.sqrt(largest)


def overlap_similarity(roots: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Return the similarity log Σ_c √(P(a, c) P(b, c)) of each cluster to its most similar clusters.

    Parameters
    ----------
    roots : csr_array of float64, shape (n_clusters, n_clusters)
        As in `Shares`.

    Returns
    -------
    csr_array of float32, shape (n_clusters, n_clusters)
        0 for clusters with equal shares; no entry for clusters without a common share. Each row keeps its
        15 largest entries.
    """
    columns = roots.T.tocsr()
    n = len(roots.indptr) - 1
    indptr = np.zeros(n + 1, np.int64)
    indices, overlap = np.empty(n * _N_KEPT, np.int32), np.empty(n * _N_KEPT, np.float32)
    rows = _Entries(roots.indptr, roots.indices, roots.data)
    by_column = _Entries(columns.indptr, columns.indices, columns.data)
    _keep_most_alike(rows, by_column, _Scratch.of(n), indptr, indices, overlap)
    return csr_graph(indptr, indices[: indptr[-1]], overlap[: indptr[-1]])


class _Entries(NamedTuple):
    """The three arrays of a sparse matrix, in a form that numba accepts."""

    indptr: Any
    indices: Any
    data: Any


class _Scratch(NamedTuple):
    """Memory for finding the most similar clusters of a cluster.

    Attributes
    ----------
    total : ndarray of float64
        Overlap of the cluster with each other one.
    seen_from : ndarray of int32
        Cluster from which each entry of ``total`` was set last, so that no row need clear them all.
    others : ndarray of int32
        Clusters that share a neighbour with the cluster.
    kept, overlap, room : ndarray
        The most similar clusters, their overlaps, and memory for sorting them.
    """

    total: Float64Array
    seen_from: Int32Array
    others: Int32Array
    kept: Int32Array
    overlap: Float64Array
    room: Int64Array

    @classmethod
    def of(cls, n: int) -> _Scratch:
        """Return the memory for ``n`` clusters."""
        met = np.empty(n), np.full(n, -1, np.int32), np.empty(n, np.int32)
        return cls(*met, np.empty(_N_KEPT, np.int32), np.empty(_N_KEPT), np.empty((2, _N_KEPT), np.int64))


@kernel
def _keep_most_alike(
    rows: Any, columns: Any, scratch: Any, indptr: Any, indices: Any, similarity: Any
) -> None:
    """Sum the products of roots of each pair; keep the largest sums of each row, columns ascending."""
    total, seen_from, others, kept, overlap, room = scratch
    for a in range(len(indptr) - 1):
        n_others = 0
        for share in range(rows.indptr[a], rows.indptr[a + 1]):
            c = rows.indices[share]
            for other in range(columns.indptr[c], columns.indptr[c + 1]):
                b, product = columns.indices[other], rows.data[share] * columns.data[other]
                if seen_from[b] == a:
                    total[b] += product
                elif b != a:
                    seen_from[b], total[b], others[n_others] = a, product, b
                    n_others += 1
        n_kept = _keep_largest(total, others[:n_others], kept, overlap)
        begin = indptr[a]
        order = room[ascending(kept[:n_kept], room)]
        for place in order[:n_kept]:
            indices[begin] = kept[place]
            # Rounded roots can give an overlap above 1.
            similarity[begin] = logarithm(min(overlap[place], 1.0))
            begin += 1
        indptr[a + 1] = begin


@helper
def _keep_largest(total: Any, others: Any, kept: Any, overlap: Any) -> int:
    """Insert each cluster into a list sorted by descending overlap, then by number; return its length."""
    n_kept = 0
    for b in others:
        x, place = total[b], n_kept
        while place > 0 and (overlap[place - 1] < x or (overlap[place - 1] == x and kept[place - 1] > b)):
            place -= 1
            if place + 1 < len(kept):
                kept[place + 1], overlap[place + 1] = kept[place], overlap[place]
        if place < len(kept):
            kept[place], overlap[place] = b, x
            n_kept = min(n_kept + 1, len(kept))
    return n_kept
