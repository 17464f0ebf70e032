"""Operations on the edges of a graph: symmetric edges, or the largest edges of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import require, require_count
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.missing_edges import inherited
from sparse_ap.kernels.block import Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.sorting import ascending, room_for_rows
from sparse_ap.storage.csr import csr_graph
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.validation import require_ids

__all__ = ["keep_top_k", "largest_of_rows", "symmetrise", "top_k"]


def symmetrise(similarity: Any, *, how: str = "max") -> scipy.sparse.csr_array:
    """Return a graph with every edge in both directions, with the same similarity.

    Parameters
    ----------
    similarity : sparse matrix or array, shape (n_points, n_points)
        Similarities, of any format and sign; never written to. An absent edge is -inf, a stored 0 is a
        similarity of 0.
    how : {"max", "min"}
        "max": join pairs that have an edge in either direction, with the larger similarity. "min": join
        pairs that have edges in both directions (mutual neighbours), with the smaller similarity.

    Returns
    -------
    csr_array of float32 or float64, shape (n_points, n_points)
        Canonical: without diagonal, -inf and duplicates (the largest counts); columns ascending.
        Of a `KNNGraph` a `KNNGraph`: the similarity of two points is taken to be the same from either side,
        as that of a distance is, so that each row's ``missing_at_most`` stays true with "max"; with "min" it
        is raised to the largest similarity that the row loses.

    Raises
    ------
    InvalidInputError
        The matrix is dense, not square or damaged, has NaN, or ``how`` is unknown.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> graph = sparse_ap.graphs.from_knn([[1], [0], [1]], [[5.0], [2.0], [3.0]])
    >>> sparse_ap.graphs.symmetrise(graph).toarray()
    array([[ 0., -2.,  0.],
           [-2.,  0., -3.],
           [ 0., -3.,  0.]])
    >>> sparse_ap.graphs.symmetrise(graph, how="min").nnz
    2
    """
    require("how", how, how in ("max", "min"), "'max' or 'min'")
    there = _canonical(similarity)
    # Rows of the transpose are sorted as well, which the merge below relies on.
    back = there.T.tocsr()
    arrays = (there.indptr, there.indices, there.data, back.indptr, back.indices, back.data)
    indptr = np.zeros(len(there.indptr), np.int64)
    # The unused end of these arrays takes address space, but no memory.
    n_edges = 2 * there.nnz if how == "max" else there.nnz
    indices, data = np.empty(n_edges, there.indices.dtype), np.empty(n_edges, there.data.dtype)
    _merge(*arrays, how == "max", indptr, indices, data)
    return inherited(similarity, there, csr_graph(indptr, indices[: indptr[-1]], data[: indptr[-1]]))


def top_k(similarity: Any, k: int) -> scipy.sparse.csr_array:
    """Return a graph with the ``k`` largest similarities of each row.

    Parameters
    ----------
    similarity : sparse matrix or array, shape (n_points, n_points)
        As for `symmetrise`.
    k : int
        At least 1. Shorter rows are kept whole; among equal similarities, those to the smaller column ids
        are kept.

    Returns
    -------
    csr_array of float32 or float64, shape (n_points, n_points)
        Canonical: without diagonal, -inf and duplicates (the largest counts); columns ascending.
        Of a `KNNGraph` a `KNNGraph`, with ``missing_at_most`` raised to the largest similarity that each row
        loses.

    Raises
    ------
    InvalidInputError
        The matrix is dense, not square or damaged, has NaN, or ``k`` is not a positive integer.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> graph = sparse_ap.graphs.from_knn([[1, 2], [0, 2], [0, 1]], [[1.0, 2.0], [1.0, 1.0], [2.0, 1.0]])
    >>> sparse_ap.graphs.top_k(graph, 1).toarray()
    array([[ 0., -1.,  0.],
           [-1.,  0.,  0.],
           [ 0., -1.,  0.]])
    """
    require_count("k", k)
    graph = _canonical(similarity)
    kept = csr_graph(*largest_of_rows(graph.indptr, graph.indices, graph.data, k))
    return inherited(similarity, graph, kept)


def largest_of_rows(
    indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any], k: int
) -> tuple[Int64Array, NDArray[Any], NDArray[Any]]:
    """Return the CSR arrays of a canonical graph with each row's ``k`` largest similarities."""
    to_indptr = starts_of(np.minimum(np.diff(indptr), k))
    to_indices, to_data = np.empty(to_indptr[-1], indices.dtype), np.empty(to_indptr[-1], data.dtype)
    keep_top_k(indptr, indices, data, to_indptr, to_indices, to_data)
    return to_indptr, to_indices, to_data


def _canonical(similarity: Any) -> scipy.sparse.csr_array:
    """Return a checked copy of the graph, with every edge once and columns ascending."""
    if not scipy.sparse.issparse(similarity):
        raise InvalidInputError(
            f"The similarities are a {type(similarity).__name__}; a scipy sparse matrix is needed. For a "
            "dense matrix S there are numpy.maximum(S, S.T), numpy.minimum(S, S.T) and numpy.partition."
        )
    store = MemoryStore.from_sparse(similarity)
    require_ids("Column", store.indices, len(store.indptr) - 1)
    n_nan = np.count_nonzero(np.isnan(store.data))
    if n_nan:
        raise InvalidInputError(
            f"Of the similarities {n_nan} are NaN; numbers are needed, or -inf for no edge. Remove these "
            "edges (an absent edge is -inf)."
        )
    each_once = store.canonical()
    return csr_graph(each_once.indptr, each_once.indices, each_once.data)


@kernel
def _merge(
    a_indptr: Any, a_indices: Any, a: Any, b_indptr: Any, b_indices: Any, b: Any, either: bool,
    indptr: Any, indices: Any, data: Any,
) -> None:  # fmt: skip
    """Merge the sorted rows of two graphs.

    Edges of ``either`` get the larger similarity; else edges of both get the smaller one.
    """
    to, no_column = 0, len(indptr)
    for row in range(len(indptr) - 1):
        x, y = a_indptr[row], b_indptr[row]
        x_end, y_end = a_indptr[row + 1], b_indptr[row + 1]
        while x < x_end or y < y_end:
            one = a_indices[x] if x < x_end else no_column
            two = b_indices[y] if y < y_end else no_column
            if one == two:
                indices[to], data[to] = one, max(a[x], b[y]) if either else min(a[x], b[y])
            elif either:
                indices[to], data[to] = (one, a[x]) if one < two else (two, b[y])
            to += either or one == two
            x += one <= two
            y += two <= one
        indptr[row + 1] = to


def keep_top_k(
    from_indptr: Any, from_indices: Any, from_data: Any, indptr: Int64Array, indices: Any, data: Any
) -> None:
    """Copy the largest entries of each row, as many as ``indptr`` has room for."""
    from_indptr = np.asarray(from_indptr, np.int64)
    _keep_top_k(from_indptr, from_indices, from_data, room_for_rows(from_indptr), indptr, indices, data)


@kernel
def _keep_top_k(
    from_indptr: Any, from_indices: Any, from_data: Any, room: Any, indptr: Any, indices: Any, data: Any
) -> None:
    for row in range(len(indptr) - 1):
        first, last = from_indptr[row], from_indptr[row + 1]
        to, left_out = indptr[row], (last - first) - (indptr[row + 1] - indptr[row])
        least, n_equal = -np.inf, last - first
        if left_out > 0:
            # Of those equal to the least kept, the first are kept.
            order = room[ascending(from_data[first:last], room)]
            least, n_equal = from_data[first + order[left_out]], 0
            for place in range(left_out, last - first):
                n_equal += from_data[first + order[place]] == least
        for edge in range(first, last):
            s = from_data[edge]
            if s > least or (s == least and n_equal > 0):
                n_equal -= s == least
                indices[to], data[to] = from_indices[edge], s
                to += 1
