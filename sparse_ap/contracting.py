"""A graph of clusters: the edges between them counted, and how alike two clusters are by that.

Of the edges that begin or end in cluster a the share P(a, c) leads to cluster c, or stays inside for c = a.
Two clusters are alike by how much their shares overlap: s(a, b) = log Σ over c of √(P(a, c) P(b, c)), minus
their Bhattacharyya distance (Bulletin of the Calcutta Mathematical Society 35, 1943). Counts are whole
numbers, and their sums exact: the same in whatever order edges are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import scipy.sparse

from sparse_ap.graphs.edges import keep_top_k
from sparse_ap.model import Block, Clustering, Int32Array, Int64Array
from sparse_ap.passes.contraction import ClusterVectors, ContractionPass
from sparse_ap.plan import Execution

__all__ = ["contracted", "linked", "overlap_similarity"]

# Of each cluster, the largest shares that are compared, and the most similar clusters that are kept.
_N_KEPT = 15


def linked(
    execution: Execution,
    user_id: Int32Array | None,
    clustering: Clustering,
    weigh: Callable[[Block], Int64Array] | None = None,
) -> scipy.sparse.csr_array:
    """Count the edges that lead from each cluster to each other, and to itself.

    Parameters
    ----------
    execution : Execution
    user_id : ndarray of int32, shape (n_points,), or None
        The user's number of each point; None: its own.
    clustering : Clustering
    weigh : callable, optional
        What to add up instead, as `ContractionPass` takes it.

    Returns
    -------
    csr_array of int64, shape (n_clusters, n_clusters)
    """
    n = clustering.n_clusters
    label = (clustering.labels if user_id is None else clustering.labels[user_id]).astype(np.int32)
    pair, n_edges = execution.run(ContractionPass(n, weigh), ClusterVectors(label), ())[1].merged()
    return _counted(pair // n, pair % n, n_edges, n)


def contracted(counts: scipy.sparse.csr_array, clustering: Clustering) -> scipy.sparse.csr_array:
    """Count the same edges for clusters of clusters.

    Parameters
    ----------
    counts : csr_array of int64, shape (n, n)
    clustering : Clustering
        Of these n.
    """
    counted = counts.tocoo()
    label = clustering.labels
    return _counted(label[counted.row], label[counted.col], counted.data, clustering.n_clusters)


def _counted(row: Int64Array, column: Int64Array, n_edges: Int64Array, n: int) -> scipy.sparse.csr_array:
    counts = scipy.sparse.coo_array((n_edges, (row, column)), shape=(n, n)).tocsr()
    counts.sort_indices()
    return counts


def overlap_similarity(counts: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Return how far the shares of each cluster overlap with those of its most similar others.

    Parameters
    ----------
    counts : csr_array of int64, shape (n_clusters, n_clusters)
        Edges from each cluster to each other and to itself.

    Returns
    -------
    csr_array of float32, shape (n_clusters, n_clusters)
        The logarithm: 0 where they are the same, without an entry where nothing overlaps. Of each row the 15
        largest.
    """
    roots = _roots_of_shares(counts)
    columns = roots.T.tocsr()
    n = len(roots.indptr) - 1
    n_kept = np.empty(n, np.int64)
    indices, overlap = np.full((n, _N_KEPT), n, np.int32), np.empty((n, _N_KEPT))
    _keep_most_alike(
        roots.indptr,
        roots.indices,
        roots.data,
        columns.indptr,
        columns.indices,
        columns.data,
        indices,
        overlap,
        n_kept,
    )
    kept = indices < n
    # Of fewer digits than those in which logarithms may differ between machines. Roots are rounded.
    similarity = np.log(np.minimum(overlap[kept], 1.0)).astype(np.float32)
    return scipy.sparse.csr_array(
        (similarity, indices[kept], np.append(0, np.cumsum(n_kept))), shape=roots.shape
    )


def _roots_of_shares(counts: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Return the square roots of each cluster's largest shares; of equals, those of the smaller numbers."""
    links = (counts + counts.T).tocsr()
    links.sort_indices()
    shares = links.data / np.repeat(links.sum(axis=1), np.diff(links.indptr))
    indptr = np.append(0, np.cumsum(np.minimum(np.diff(links.indptr), _N_KEPT)))
    indices, largest = np.empty(indptr[-1], np.int32), np.empty(indptr[-1])
    keep_top_k(links.indptr, links.indices, shares, indptr, indices, largest)
    return scipy.sparse.csr_array((np.sqrt(largest), indices, indptr), shape=links.shape)


@numba.njit(nogil=True, cache=True)
def _keep_most_alike(
    indptr: Any,
    indices: Any,
    root: Any,
    column_indptr: Any,
    column_indices: Any,
    column_root: Any,
    kept: Any,
    overlap: Any,
    n_kept: Any,
) -> None:
    """Add up products of roots; keep the largest sums of each row off the diagonal, columns ascending."""
    n = len(n_kept)
    total, seen_from, others = np.empty(n), np.full(n, -1, np.int32), np.empty(n, np.int32)
    for a in range(n):
        n_others = 0
        for share in range(indptr[a], indptr[a + 1]):
            c = indices[share]
            for other in range(column_indptr[c], column_indptr[c + 1]):
                b, product = column_indices[other], root[share] * column_root[other]
                if seen_from[b] == a:
                    total[b] += product
                elif b != a:
                    seen_from[b], total[b], others[n_others] = a, product, b
                    n_others += 1
        n_kept[a] = _keep_largest(total, others[:n_others], kept[a], overlap[a])
        order = np.argsort(kept[a])
        kept[a], overlap[a] = kept[a][order], overlap[a][order]


@numba.njit(nogil=True, cache=True)
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
