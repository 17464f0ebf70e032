"""A graph of clusters: the edges between them counted, and how alike two clusters are by that.

Of the edges that begin or end in cluster a the share P(a, c) leads to cluster c, or stays inside for c = a.
Two clusters are alike by how much their shares overlap: s(a, b) = log Σ over c of √(P(a, c) P(b, c)), minus
their Bhattacharyya distance (Bulletin of the Calcutta Mathematical Society 35, 1943). Counts are whole
numbers, and their sums exact: the same in whatever order edges are read, and however many clusters at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.graphs.edges import keep_top_k
from sparse_ap.kernels.block import Block, Float64Array, Int32Array, Int64Array
from sparse_ap.kernels.coarsening import ClusterVectors, CoarseningPass, Links
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.sorting import ascending
from sparse_ap.storage.csr import csr_graph

__all__ = ["LinkedGraph", "Shares", "overlap_similarity"]

# Of each cluster, the largest shares that are compared, and the most similar clusters that are kept.
_N_KEPT = 15


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Where the edges of each cluster lead.

    Attributes
    ----------
    roots : csr_array of float64, shape (n_clusters, n_clusters)
        Square roots of each cluster's largest shares.
    n_inner : int
        Edges that stay inside a cluster, or their weight.
    n_edges : int
        All of them.
    """

    roots: scipy.sparse.csr_array
    n_inner: int
    n_edges: int


@dataclass(frozen=True, slots=True, eq=False)
class LinkedGraph:
    """A graph whose edges are the links between points.

    Attributes
    ----------
    graph : BlockedGraph
    user_id : ndarray of int32, shape (n_points,), or None
        The user's number of each point; None: its own.
    most_pairs : callable
        Of how many pairs of clusters edges may be counted at a time, given the number of clusters.
    weigh : callable, optional
        What to add up instead of edges, as `CoarseningPass` takes it.
    """

    graph: BlockedGraph
    user_id: Int32Array | None
    most_pairs: Callable[[int], int]
    weigh: Callable[[Block], Int64Array] | None = None

    def shares(self, labels: Int64Array, n_clusters: int) -> Shares:
        """Return where the edges of each cluster lead; ``labels`` are the user's points'."""
        label = (labels if self.user_id is None else labels[self.user_id]).astype(np.int32)
        parts: list[tuple[Int64Array, Int32Array, Float64Array]] = []
        n_inner = n_edges = 0
        for links in self._links(label, n_clusters):
            part = _Part.of(links)
            parts.append(part.roots())
            n_inner, n_edges = n_inner + part.n_inner, n_edges + part.n_edges
        degree, indices, roots = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
        return Shares(csr_graph(np.append(0, np.cumsum(degree)), indices, roots), n_inner, n_edges)

    def _links(self, label: Int32Array, n_clusters: int) -> Iterator[Links]:
        """Count edges for one range of clusters after the other, as many as fit."""
        most = self.most_pairs(n_clusters)
        n_edges = max(1, int(self.graph.store.indptr[-1]))
        # There are no more pairs than edges.
        width = max(1, n_clusters * min(n_edges, most) // n_edges)
        start = 0
        while start < max(1, n_clusters):
            begun = Links(n_clusters, start, min(n_clusters, start + width), most)
            links = self.graph.run(CoarseningPass(begun, self.weigh), ClusterVectors(label), ())[1]
            yield links
            start, width = max(1, links.stop), links.stop - links.start
            if 2 * links.n_pairs <= most:
                width *= 2


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The edges of some clusters, as rows: columns ascending."""

    rows: scipy.sparse.csr_array
    n_inner: int
    n_edges: int

    @classmethod
    def of(cls, links: Links) -> _Part:
        """Take each pair for the rows of both clusters, where those are in the range."""
        pair, n_edges = links.merged()
        lower, upper = np.divmod(pair, max(1, links.n_clusters))
        inner = lower == upper
        # Edges inside a cluster begin there and end there.
        begin, end = links.start <= lower, (upper < links.stop) & (links.start <= upper) & ~inner
        begin &= lower < links.stop
        row = np.concatenate([lower[begin], upper[end]]) - links.start
        column = np.concatenate([upper[begin], lower[end]])
        value = np.concatenate([(n_edges * (1 + inner))[begin], n_edges[end]])
        shape = (links.stop - links.start, links.n_clusters)
        rows = scipy.sparse.coo_array((value, (row, column)), shape=shape).tocsr()
        # Links may weigh nothing.
        rows.eliminate_zeros()
        rows.sort_indices()
        return cls(rows, int(n_edges[inner & begin].sum()), int(n_edges[begin].sum()))

    def roots(self) -> tuple[Int64Array, Int32Array, Float64Array]:
        """Return how many of each row's shares are kept, their columns, and their square roots."""
        rows = self.rows
        shares = rows.data / np.repeat(rows.sum(axis=1), np.diff(rows.indptr))
        degree = np.minimum(np.diff(rows.indptr), _N_KEPT)
        indptr = np.append(0, np.cumsum(degree))
        indices, largest = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
        keep_top_k(rows.indptr, rows.indices, shares, indptr, indices, largest)
        return degree, indices, np.sqrt(largest)


def overlap_similarity(roots: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Return how far the shares of each cluster overlap with those of its most similar others.

    Parameters
    ----------
    roots : csr_array of float64, shape (n_clusters, n_clusters)
        As in `Shares`.

    Returns
    -------
    csr_array of float32, shape (n_clusters, n_clusters)
        The logarithm: 0 where they are the same, without an entry where nothing overlaps. Of each row the 15
        largest.
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
    """The arrays of a sparse matrix."""

    indptr: Any
    indices: Any
    data: Any


class _Scratch(NamedTuple):
    """What is known of a cluster while its most similar ones are found.

    Attributes
    ----------
    total : ndarray of float64
        Its overlap with each other cluster.
    seen_from : ndarray of int32
        From which cluster each other one was met last.
    others : ndarray of int32
        Those met.
    kept, overlap, room : ndarray
        The most similar ones, how far they overlap, and where they are sorted.
    """

    total: Float64Array
    seen_from: Int32Array
    others: Int32Array
    kept: Int32Array
    overlap: Float64Array
    room: Int64Array

    @classmethod
    def of(cls, n: int) -> _Scratch:
        """Return what the search among so many clusters needs."""
        met = np.empty(n), np.full(n, -1, np.int32), np.empty(n, np.int32)
        return cls(*met, np.empty(_N_KEPT, np.int32), np.empty(_N_KEPT), np.empty((2, _N_KEPT), np.int64))


@kernel
def _keep_most_alike(
    rows: Any, columns: Any, scratch: Any, indptr: Any, indices: Any, similarity: Any
) -> None:
    """Add up products of roots; keep the largest sums of each row off the diagonal, columns ascending."""
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
            # Roots are rounded. float32 has fewer digits than those in which logarithms may differ.
            similarity[begin] = np.log(min(overlap[place], 1.0))
            begin += 1
        indptr[a + 1] = begin


@helper
def _keep_largest(total: Any, others: Any, kept: Any, overlap: Any) -> int:
    """Insert each where it belongs, the largest first; of equals the one with the smaller number."""
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
