"""`from_knn`: a graph from neighbour lists, the pair (indices, distances) of k-NN libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.distances import (
    Similarity,
    exact_dtype,
    similarities_of,
    similarity_dtype,
    similarity_function,
)
from sparse_ap.graphs.narrowing import AS_FLOAT64, Narrowing
from sparse_ap.kernels.block import BoolArray, FloatArray, Int32Array, Int64Array, RowCut, starts_of
from sparse_ap.storage.csr import csr_graph, index_type
from sparse_ap.storage.masks import array_of, is_masked

__all__ = ["checked_lists", "edges_by_rows", "from_knn", "look_at_some_rows"]

# Entries processed at a time, so that no temporary array is as large as the tables.
_ENTRIES_AT_A_TIME = 2**20

# Lists count as inner products if this share of the examined rows falls, and at least so many rows: fewer
# could fall by chance, as half of all unsorted rows of two entries do.
_ROWS_LOOKED_AT = 1000
_FALLING_SHARE = 0.95
_FALLING_ROWS = 30


def from_knn(
    indices: ArrayLike, distances: ArrayLike, *, similarity: Similarity = "-d"
) -> scipy.sparse.csr_array:
    """Build a similarity graph from every point's nearest neighbours.

    Parameters
    ----------
    indices : array-like of int, shape (n_points, k)
        Row i lists the neighbours of point i, in any order, with or without i. Left out are i itself; ids
        that mean "not found", which are negative or the largest number of their dtype; entries at an
        infinite distance, whatever their id; and what is masked in either table. A neighbour listed twice is
        kept twice; of duplicates `sparse_ap.affinity_propagation` uses the largest.
    distances : array-like of real numbers, shape (n_points, k)
        Distances to these neighbours; zeros count.
    similarity : {"-d", "-d**2", "1-d"} or callable
        Conversion of a distance d to a similarity. A callable receives the array of all kept distances, in
        float64, and returns one similarity for each; -inf is no edge. It decides what negative numbers mean,
        which the names refuse. For squared distances use "-d"; for inner products and cosine similarities
        ``lambda s: s``; for one minus an inner product ``lambda d: -d``.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)
        Float64 for distances in float64. Rows keep the order of the lists. Index arrays are int32, or int64
        above 2,147,483,647 edges.

    Raises
    ------
    InvalidInputError
        The tables do not match, an id is not a point's, a distance is NaN or -inf, the lists look like inner
        products (nearly all rows fall, or distances are negative) while ``similarity`` is a name, or
        ``similarity`` is unknown, cannot convert these distances, or does not return similarities.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> graph = sparse_ap.graphs.from_knn([[1], [0], [1]], [[0.5], [0.5], [2.0]])
    >>> graph.toarray()
    array([[ 0. , -0.5,  0. ],
           [-0.5,  0. ,  0. ],
           [ 0. , -2. ,  0. ]])
    """
    ids, d = checked_lists(indices, distances, similarity)
    narrowed = Narrowing(similarity_dtype(d.dtype), AS_FLOAT64)
    if callable(similarity):
        # A function may compare all distances, so it is given them at once.
        indptr, columns, values = _filled(ids, d, np.dtype(np.float64), lambda some: some)
        return csr_graph(indptr, columns, narrowed(similarities_of(values, similarity)))
    look_at_some_rows(ids, d)
    return csr_graph(
        *_filled(ids, d, narrowed.dtype, lambda some: narrowed(similarities_of(some, similarity)))
    )


def _filled(
    ids: NDArray[Any], distances: NDArray[Any], dtype: np.dtype[Any], value_of: Callable[[Any], FloatArray]
) -> tuple[Int64Array, NDArray[Any], FloatArray]:
    """Return indptr, columns and the values of the distances of all rows."""
    indptr = np.zeros(len(ids) + 1, np.int64)
    # The unused end of these arrays takes address space, but no memory.
    columns = np.empty(ids.size, index_type(len(ids), ids.size))
    values: FloatArray = np.empty(ids.size, dtype)
    for rows, begin, some_columns, some in edges_by_rows(ids, distances):
        indptr[rows.start : rows.stop + 1] = indptr[rows.start] + begin
        edges = slice(indptr[rows.start], indptr[rows.stop])
        columns[edges], values[edges] = some_columns, value_of(some)
    return indptr, columns[: indptr[-1]], values[: indptr[-1]]


def checked_lists(
    indices: ArrayLike, distances: ArrayLike, similarity: Similarity
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return neighbour lists as two tables of equal shape; entries are checked later, as they are read.

    Raises
    ------
    InvalidInputError
        The tables do not match, or ``similarity`` is unknown.
    """
    ids, d = _table(indices, "indices"), _table(distances, "distances")
    _check_pair(ids, d)
    similarity_function(similarity)
    mask = np.ma.getmaskarray(ids) | np.ma.getmaskarray(d) if is_masked(ids) or is_masked(d) else None
    return _with_missing(np.asarray(ids), mask), np.asarray(d)


def _with_missing(ids: NDArray[Any], mask: BoolArray | None) -> NDArray[Any]:
    """Return ids, those that are masked replaced by one that means "not found"."""
    if mask is None or not mask.any():
        return ids
    if ids.dtype == np.uint64:
        return np.where(mask, np.iinfo(np.uint64).max, ids)
    # In a byte, say, the largest number may be a point.
    return np.where(mask, -1, ids.astype(np.int64))


def _table(values: ArrayLike, what: str) -> NDArray[Any]:
    try:
        return array_of(values)
    except ValueError as error:
        raise InvalidInputError(
            f"The rows of {what} differ in length; a table of shape (n_points, n_neighbors) is needed. Fill "
            "short rows up, with the id -1."
        ) from error


def _check_pair(ids: NDArray[Any], distances: NDArray[Any]) -> None:
    if ids.ndim != 2 or ids.shape != distances.shape:
        raise InvalidInputError(
            f"indices have shape {ids.shape} and distances {distances.shape}; two tables of the same shape "
            "(n_points, n_neighbors) are needed."
        )
    if ids.dtype.kind not in "iu":
        raise InvalidInputError(
            f"indices have dtype {ids.dtype}; whole numbers are needed. Mind the order: indices first, "
            "distances second."
        )
    if distances.dtype.kind not in "biuf":
        raise InvalidInputError(f"distances have dtype {distances.dtype}; real numbers are needed.")


class _RowEdges(NamedTuple):
    """The edges of consecutive rows; ``indptr`` begins at 0."""

    rows: RowCut
    indptr: Int64Array
    columns: Int32Array
    distances: FloatArray


def edges_by_rows(ids: NDArray[Any], distances: NDArray[Any]) -> Iterator[_RowEdges]:
    """Yield the edges of all rows, in ranges of rows with about a million entries.

    Raises
    ------
    InvalidInputError
        An id is not a point's, or a distance is NaN or -inf.
    """
    n, k = ids.shape
    step = max(1, _ENTRIES_AT_A_TIME // max(k, 1))
    for start in range(0, n, step):
        rows = RowCut(start, min(start + step, n))
        yield _RowEdges(rows, *_edges_of(ids, distances, np.arange(*rows)))


def _edges_of(
    ids: NDArray[Any], distances: NDArray[Any], rows: Int64Array
) -> tuple[Int64Array, Int32Array, FloatArray]:
    """Return indptr, columns and distances of some rows, without missing or infinitely far neighbours."""
    some, values = ids[rows], distances[rows]
    kept = _edges_among(some, values, rows, len(ids))
    _require_numbers(some, values, kept, rows)
    indptr = starts_of(np.count_nonzero(kept, axis=1))
    return indptr, some[kept].astype(np.int32), values[kept].astype(exact_dtype(distances.dtype))


def _edges_among(ids: NDArray[Any], distances: NDArray[Any], rows: Int64Array, n: int) -> BoolArray:
    """Return which entries of some rows are edges of a graph of ``n`` points; refuse wrong ids."""
    largest = np.iinfo(ids.dtype).max
    # Mixed with uint64, int64 would be compared as float64, which rounds large ids.
    itself = rows.astype(np.uint64 if ids.dtype == np.uint64 else np.int64)[:, None]
    edges: BoolArray = ids != itself
    edges &= ids >= 0
    edges &= distances != np.inf
    if largest >= n:
        edges &= ids != largest
        wrong = edges & (ids >= n)
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise InvalidInputError(
                f"indices name point {ids[row, position]} (row {rows[row]}, position {position}), but there "
                f"are only {n} rows; ids must lie in 0 to {n - 1}, or be negative for a neighbour that was "
                "not found."
            )
    return edges


def _require_numbers(ids: NDArray[Any], values: NDArray[Any], kept: BoolArray, rows: Int64Array) -> None:
    wrong = kept & ~(values > -np.inf)
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"Among the distances of rows {rows[0]} to {rows[-1]} are {np.count_nonzero(wrong)} that are NaN "
            f"or -inf; the first is {values[row, position]}, in row {rows[row]} at position {position}, for "
            f"the id {ids[row, position]}. Where no neighbour was found give the id -1. (usearch fills short "
            "lists with key 0 and NaN: only as many entries of a row as its `counts` says are neighbours.)"
        )


def look_at_some_rows(ids: NDArray[Any], distances: NDArray[Any]) -> None:
    """Refuse lists that look like inner products, by a sample of rows, before the conversion."""
    rows = np.unique(_looked_at(len(ids)))
    indptr, _, values = _edges_of(ids, distances, rows)
    _require_no_inner_products(values, indptr)


def _looked_at(n_rows: int) -> Int64Array:
    return np.linspace(0, max(0, n_rows - 1), min(n_rows, _ROWS_LOOKED_AT)).astype(np.int64)


def _require_no_inner_products(values: FloatArray, indptr: Int64Array) -> None:
    """Refuse lists in which nearly all rows fall, as inner products listed nearest first do."""
    steps = [np.diff(values[indptr[row] : indptr[row + 1]]) for row in _looked_at(len(indptr) - 1)]
    # Rows of equal values say nothing about the direction.
    uneven = [row for row in steps if row.any()]
    n_falling = sum(row.max() <= 0 for row in uneven)
    if n_falling >= _FALLING_ROWS and n_falling >= _FALLING_SHARE * len(uneven):
        raise InvalidInputError(
            f"The distances fall along the rows, in {n_falling} of {len(uneven)} rows looked at: they look "
            "like inner products or cosine similarities, of which the largest is the nearest. Pass "
            "similarity=lambda s: s for those; for distances that are listed farthest first pass "
            "similarity=lambda d: -d."
        )
