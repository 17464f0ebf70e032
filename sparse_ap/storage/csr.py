"""Conversions from and to scipy's sparse matrices."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int32Array, Int64Array, starts_of
from sparse_ap.storage.validation import as_float, require_structure, require_triplets

__all__ = [
    "LARGEST_INT32",
    "arrays_of",
    "csr_graph",
    "csr_of",
    "graph_in",
    "heaviest",
    "index_type",
    "inverse",
    "largest",
    "locality_order",
]

_Whole = TypeVar("_Whole", np.int32, np.int64)

# Names of the arrays in saved files too: changing them breaks old files.
_ARRAYS = ("indptr", "indices", "data")

LARGEST_INT32 = int(np.iinfo(np.int32).max)


def index_type(n_points: int, n_edges: int) -> np.dtype[Any]:
    """Return the narrowest dtype for both index arrays of a graph, which scipy requires to be equal."""
    return np.dtype(np.int32 if max(n_points, n_edges) <= LARGEST_INT32 else np.int64)


def csr_graph(indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]) -> scipy.sparse.csr_array:
    """Return the square CSR matrix of these arrays, with index arrays as narrow as possible."""
    # scipy copies and widens index arrays of different dtypes, so both get the same one.
    n = len(indptr) - 1
    width = index_type(n, len(data))
    return scipy.sparse.csr_array(
        (data, indices.astype(width, copy=False), indptr.astype(width, copy=False)), shape=(n, n)
    )


def arrays_of(graph: scipy.sparse.csr_array) -> dict[str, NDArray[Any]]:
    """Return the arrays of a graph by their names in a file."""
    return {f"graph.{name}": getattr(graph, name) for name in _ARRAYS}


def graph_in(arrays: Mapping[str, Any]) -> scipy.sparse.csr_array:
    """Return the graph whose arrays `arrays_of` gave."""
    return csr_graph(*(arrays[f"graph.{name}"] for name in _ARRAYS))


def locality_order(indptr: Int64Array, indices: Int32Array) -> Int32Array:
    """Return the points in reverse Cuthill-McKee order: entry j is the point with the new number j.

    The pattern is treated as symmetric: for directed k-NN graphs the order is as good as that of the
    symmetrised graph, at a fifteenth of the memory.
    """
    # Imported here: only large graphs are renumbered, and scipy's graph algorithms import its solvers.
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    if len(indptr) == 1:
        return np.empty(0, np.int32)  # which scipy refuses
    # The order needs the pattern alone: pages of these zeros that are never touched take no memory.
    matrix = csr_graph(indptr, indices, np.zeros(len(indices), np.int8))
    return np.asarray(reverse_cuthill_mckee(matrix, symmetric_mode=True), np.int32)


def heaviest(group: NDArray[Any], weight: NDArray[Any]) -> Int64Array:
    """Return the place of the largest weight of each group 0, 1, 2, ...; of equals the first."""
    # Backwards, so that the first of equals is written last.
    best = np.flatnonzero(weight == largest(group, weight))[::-1]
    place = np.full(int(group.max(initial=-1)) + 1, -1)
    place[group[best]] = best
    return place[place >= 0]


def largest(group: NDArray[Any], weight: NDArray[Any]) -> NDArray[np.float64]:
    """Return the largest weight in each entry's group."""
    most = np.full(int(group.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(most, group, weight)
    of_each: NDArray[np.float64] = most[group]
    return of_each


def inverse(order: NDArray[_Whole]) -> NDArray[_Whole]:
    """Return the inverse of an order: the place of each point in it."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order), dtype=order.dtype)
    return places


def csr_of(matrix: Any) -> Any:
    """Return a scipy sparse matrix as CSR, with duplicates and stored zeros.

    scipy would add up duplicates when it converts from COO; of duplicate similarities the largest counts.

    Raises
    ------
    InvalidInputError
        The entries are not real numbers; the index arrays are inconsistent, in which case scipy would read
        and write beyond them; or zeros in blocks (BSR) or diagonals (DIA) may be edges or padding.
    """
    if isinstance(getattr(matrix, "data", None), np.ma.MaskedArray):
        matrix = _without_masked(matrix)
    if matrix.format == "coo":
        require_triplets(matrix)
        triplets = scipy.sparse.coo_array((as_float(matrix.data), matrix.coords), shape=matrix.shape)
        # Pretended, so that scipy leaves duplicates alone.
        triplets.has_canonical_format = True
        return triplets.tocsr()
    if matrix.format in ("csc", "bsr"):
        require_structure(matrix)
    _require_no_padding(matrix)
    if matrix.format in ("csc", "bsr", "dia"):
        # scipy does not convert all dtypes of entries, so they are converted first.
        matrix = copy.copy(matrix)
        matrix.data = as_float(matrix.data)
    return matrix.tocsr()


def _without_masked(matrix: Any) -> Any:
    """Return a matrix without the entries whose number is masked."""
    mask, data = np.ma.getmaskarray(matrix.data), np.asarray(matrix.data)
    if matrix.format == "coo":
        require_triplets(matrix)
        return type(matrix)((data[~mask], tuple(ids[~mask] for ids in matrix.coords)), shape=matrix.shape)
    if matrix.format not in ("csr", "csc"):
        raise InvalidInputError(
            f"The entries of a matrix in scipy's format {matrix.format!r} are masked; in this format they "
            "cannot be left out. Give a CSR matrix of the entries that are not masked."
        )
    require_structure(matrix)
    # What follows the last row is no entry.
    kept = ~mask[: matrix.indptr[-1]]
    data, indices = data[: len(kept)][kept], matrix.indices[: len(kept)][kept]
    return type(matrix)((data, indices, starts_of(kept)[matrix.indptr]), shape=matrix.shape)


def _require_no_padding(matrix: Any) -> None:
    """Refuse blocks and diagonals with zeros: these formats cannot say whether a zero is an edge."""
    if matrix.format == "bsr" and matrix.blocksize != (1, 1):
        n_zeros = np.count_nonzero(matrix.data == 0)
    elif matrix.format == "dia":
        n_zeros = np.count_nonzero((matrix.data == 0) & _in_matrix(matrix))
    else:
        return
    if n_zeros:
        held = {"bsr": "blocks", "dia": "diagonals"}[matrix.format]
        raise InvalidInputError(
            f"The matrix is in scipy's format {matrix.format!r}, and {n_zeros} entries of its {held} are 0: "
            f"these may be edges of similarity 0, or no edges that fill up the {held}. Make it a CSR matrix "
            "of the edges alone: scipy.sparse.csr_array(matrix.toarray()) where no edge has similarity 0, "
            "else from (data, (rows, columns))."
        )


def _in_matrix(matrix: Any) -> NDArray[np.bool_]:
    """Return which places of the stored diagonals of a DIA matrix lie in the matrix."""
    n_rows, n_columns = matrix.shape
    column = np.arange(matrix.data.shape[1])
    row = column - matrix.offsets[:, None]
    inside: NDArray[np.bool_] = (row >= 0) & (row < n_rows) & (column < n_columns)
    return inside
