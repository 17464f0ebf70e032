"""`from_knn`: a graph from neighbour lists, the pair (indices, distances) of k-NN libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.distances import Similarity, similarities_of, similarity_dtype, similarity_function
from sparse_ap.kernels.block import BoolArray, FloatArray, Int64Array
from sparse_ap.storage.csr import csr_graph, index_type

__all__ = [
    "ROWS_LOOKED_AT",
    "check_pair",
    "edges_of_rows",
    "from_knn",
    "require_no_inner_products",
    "slabs",
    "table",
]

# Entries processed at a time, so that no temporary array is as large as the tables.
_ENTRIES_AT_A_TIME = 2**20

# Lists count as inner products if this share of the examined rows falls, and at least so many rows: fewer
# could fall by chance, as half of all unsorted rows of two entries do.
ROWS_LOOKED_AT = 1000
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
        that mean "not found", which are negative or the largest number of their dtype; and entries at an
        infinite distance, whatever their id. A neighbour listed twice is kept twice; of duplicates
        `sparse_ap.affinity_propagation` uses the largest.
    distances : array-like of real numbers, shape (n_points, k)
        Distances to these neighbours; zeros count.
    similarity : {"-d", "-d**2", "1-d"} or callable
        Conversion of a distance d to a similarity. A callable receives the array of all kept distances and
        returns one similarity for each; -inf is no edge. For squared distances use "-d"; for inner products
        and cosine similarities ``lambda s: s``.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)
        Float64 for distances in float64. Rows keep the order of the lists. Index arrays are int32, or int64
        above 2,147,483,647 edges.

    Raises
    ------
    InvalidInputError
        The tables do not match, an id is not a point's, a distance is NaN or -inf, the lists look like inner
        products (nearly all rows fall) while ``similarity`` is a name, or ``similarity`` is unknown, cannot
        convert these distances, or does not return similarities.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> graph = sparse_ap.graphs.from_knn([[1], [0], [1]], [[0.5], [0.5], [2.0]])
    >>> graph.toarray()
    array([[ 0. , -0.5,  0. ],
           [-0.5,  0. ,  0. ],
           [ 0. , -2. ,  0. ]])
    """
    ids, d = table(indices, "indices"), table(distances, "distances")
    check_pair(ids, d)
    similarity_function(similarity)
    kept = _edges_among(ids, d)
    indptr = np.zeros(len(ids) + 1, np.int64)
    np.cumsum(np.count_nonzero(kept, axis=1), out=indptr[1:])
    columns, values = _gather(ids, d, kept, indptr)
    _require_numbers(values, ids, kept, indptr)
    if not callable(similarity):
        require_no_inner_products(values, indptr)
    return csr_graph(indptr, columns, similarities_of(values, similarity))


def table(values: ArrayLike, what: str) -> NDArray[Any]:
    """Return rows of neighbours as a table; ``what`` names them in the message.

    Raises
    ------
    InvalidInputError
        The rows differ in length.
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(
            f"The rows of {what} differ in length; a table of shape (n_points, n_neighbors) is needed. Fill "
            "short rows up, with the id -1."
        ) from error


def check_pair(ids: NDArray[Any], distances: NDArray[Any]) -> None:
    """Refuse tables of ids and distances that do not match.

    Raises
    ------
    InvalidInputError
        Their shapes differ, or a dtype is wrong.
    """
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


def slabs(n: int, k: int) -> Iterator[slice]:
    """Yield ranges of rows with about a million entries each, for ``n`` rows of ``k`` entries."""
    step = max(1, _ENTRIES_AT_A_TIME // max(k, 1))
    return (slice(start, start + step) for start in range(0, n, step))


def _edges_among(ids: NDArray[Any], distances: NDArray[Any]) -> BoolArray:
    """Return which entries are edges; refuse ids that are not points'."""
    n, k = ids.shape
    kept = np.empty((n, k), np.bool_)
    for rows in slabs(n, k):
        kept[rows] = edges_of_rows(ids[rows], distances[rows], np.arange(rows.start, min(rows.stop, n)), n)
    return kept


def edges_of_rows(ids: NDArray[Any], distances: NDArray[Any], rows: Int64Array, n: int) -> BoolArray:
    """Return which entries of some rows are edges of a graph of ``n`` points; refuse wrong ids."""
    largest = np.iinfo(ids.dtype).max
    # Mixed with uint64, int64 would be compared as float64, which rounds large ids.
    itself = rows.astype(np.uint64 if ids.dtype == np.uint64 else np.int64)[:, None]
    edges: BoolArray = ids != itself
    edges &= ids >= 0
    edges &= distances != np.inf
    if largest >= n:
        edges &= ids != largest
        _require_points(ids, edges & (ids >= n), int(rows[0]) if len(rows) else 0, n)
    return edges


def _require_points(ids: NDArray[Any], wrong: BoolArray, first_row: int, n: int) -> None:
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"indices name point {ids[row, position]} (row {first_row + row}, position {position}), but "
            f"there are only {n} rows; ids must lie in 0 to {n - 1}, or be negative for a neighbour that was "
            "not found."
        )


def _gather(
    ids: NDArray[Any], distances: NDArray[Any], kept: BoolArray, indptr: Int64Array
) -> tuple[NDArray[Any], FloatArray]:
    """Return the ids and the distances of the edges, row by row."""
    n, k = ids.shape
    n_edges = int(indptr[-1])
    # Filled slab by slab: a single boolean index would need temporaries as large as the tables.
    columns = np.empty(n_edges, index_type(n, n_edges))
    values: FloatArray = np.empty(n_edges, similarity_dtype(distances.dtype))
    for rows in slabs(n, k):
        edges = slice(indptr[rows.start], indptr[min(rows.stop, n)])
        columns[edges] = ids[rows][kept[rows]]
        values[edges] = distances[rows][kept[rows]]
    return columns, values


def _require_numbers(values: FloatArray, ids: NDArray[Any], kept: BoolArray, indptr: Int64Array) -> None:
    wrong = ~(values > -np.inf)
    if not wrong.any():
        return
    edge = int(np.argmax(wrong))
    row = int(np.searchsorted(indptr, edge, side="right")) - 1
    position = np.flatnonzero(kept[row])[edge - indptr[row]]
    raise InvalidInputError(
        f"Of the distances {np.count_nonzero(wrong)} are NaN or -inf; the first is {values[edge]}, in row "
        f"{row} at position {position}, for the id {ids[row, position]}. Where no neighbour was found give "
        "the id -1. (usearch fills short lists with key 0 and NaN: only as many entries of a row as its "
        "`counts` says are neighbours.)"
    )


def require_no_inner_products(values: FloatArray, indptr: Int64Array) -> None:
    """Refuse lists in which nearly all rows fall, as inner products listed nearest first do."""
    n_points = len(indptr) - 1
    looked_at = np.linspace(0, n_points - 1, min(n_points, ROWS_LOOKED_AT)).astype(np.int64)
    steps = [np.diff(values[indptr[row] : indptr[row + 1]]) for row in looked_at]
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
