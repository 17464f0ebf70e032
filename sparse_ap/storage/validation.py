"""Checks that arrays form a graph (shapes, dtypes, ids), made before anything relies on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import FloatArray, Int32Array
from sparse_ap.storage.masks import filled

__all__ = [
    "as_float",
    "as_ids",
    "float_dtype",
    "n_points_of",
    "require_ids",
    "require_ids_fit",
    "require_indptr",
    "require_structure",
    "require_triplets",
]


def n_points_of(shape: tuple[int, ...]) -> int:
    """Return the number of points of a matrix of similarities.

    Raises
    ------
    InvalidInputError
        The matrix is not square, or has too many points.
    """
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInputError(
            f"The similarities have shape {shape}; a square matrix is needed, with one row and one "
            "column a point. For a table of points, build their k-nearest-neighbour graph first "
            "(sparse_ap.graphs.knn_graph)."
        )
    require_ids_fit(int(shape[0]))
    return int(shape[0])


def require_ids_fit(n_points: int) -> None:
    """Check that point numbers fit into 32 bits."""
    if n_points > np.iinfo(np.int32).max:
        raise InvalidInputError(
            f"The graph has {n_points} points; at most {np.iinfo(np.int32).max} are supported, because "
            "column ids are kept in 32 bits."
        )


def as_float(data: NDArray[Any]) -> FloatArray:
    """Return similarities as float32 if that is exact, else as float64; float arrays are not copied.

    Masked similarities become -inf, which is no edge.
    """
    data = filled(data, -np.inf)
    if data.dtype in (np.float32, np.float64):
        return np.ascontiguousarray(data)
    if data.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"The similarities have dtype {data.dtype}; real numbers are needed. "
            "Convert them, for example with .astype(numpy.float32)."
        )
    return _narrowed(data, np.float32 if np.can_cast(data.dtype, np.float32) else np.float64)


def as_ids(ids: NDArray[Any], n_points: int) -> Int32Array:
    """Return column ids as int32; 32-bit ids are checked later, when the edges are examined."""
    if ids.dtype.itemsize > 4 or ids.dtype.kind == "u":
        require_ids("Column", ids, n_points)
    return ids.astype(np.int32, copy=False)


def float_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype to which `as_float` converts."""
    return as_float(np.empty(0, dtype)).dtype


def _narrowed(data: NDArray[Any], dtype: Any) -> FloatArray:
    with np.errstate(over="ignore"):
        narrow = data.astype(dtype)
    # Only floats wider than float64 can overflow here; an overflow to -inf would pass for an absent edge.
    lost = np.flatnonzero(np.isinf(narrow) & np.isfinite(data))
    if len(lost):
        raise InvalidInputError(
            f"The similarities have dtype {data.dtype} and reach {data.flat[lost[0]]}; float64 cannot hold "
            "that. Divide them all by one number: the clustering stays the same."
        )
    return narrow


def require_triplets(matrix: Any) -> None:
    """Check that every stored entry of a COO matrix has a valid row and column."""
    for name, ids, n in zip(("row", "column"), matrix.coords, matrix.shape, strict=True):
        if len(ids) != len(matrix.data):
            raise InvalidInputError(
                f"There are {len(ids)} {name} ids, but {len(matrix.data)} similarities. Rebuild the matrix."
            )
        _require_whole(f"The {name} ids", ids)
        require_ids(name.capitalize(), ids, n)


def _require_whole(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise InvalidInputError(
            f"{name} have dtype {array.dtype} and shape {array.shape}; whole numbers in one dimension are "
            "needed. Rebuild the matrix."
        )


def require_ids(kind: str, ids: NDArray[Any], n: int) -> None:
    """Check that ids are point numbers, from 0 to n - 1."""
    if not len(ids) or 0 <= ids.min() <= ids.max() < n:
        return
    wrong = ids.max() if ids.max() >= n else ids.min()
    raise InvalidInputError(f"{kind} id {wrong} is no point of a graph of {n}; ids must lie in 0 to {n - 1}.")


def require_structure(matrix: Any) -> None:
    """Check the arrays of a compressed matrix; column ids of CSR are checked when edges are examined."""
    n, n_ids = _extent(matrix)
    indptr, indices = matrix.indptr, matrix.indices
    _require_whole("The entries of indptr", indptr)
    _require_whole("The entries of indices", indices)
    require_indptr(indptr, n, len(indices), len(matrix.data))
    # 64-bit ids are checked here: they would wrap around when they are converted to 32 bits.
    if matrix.format != "csr" or indices.dtype.itemsize > 4:
        require_ids("Row" if matrix.format == "csc" else "Column", indices[: indptr[-1]], n_ids)


def require_indptr(indptr: NDArray[Any], n: int, n_indices: int, n_data: int) -> None:
    """Check that rows follow each other within arrays of these lengths."""
    if len(indptr) != n + 1:
        raise InvalidInputError(
            f"indptr has {len(indptr)} entries; {n + 1} are needed for {n} rows. Rebuild the matrix."
        )
    # By comparison, not by difference, which overflows for damaged arrays.
    falls = np.flatnonzero(indptr[1:] < indptr[:-1])
    if indptr[0] != 0 or len(falls):
        where = f"falls after row {falls[0]}" if len(falls) else f"begins at {indptr[0]}"
        raise InvalidInputError(
            f"indptr {where}; it must begin at 0 and never fall. Rebuild the matrix, for example from "
            "its (row, column, similarity) triplets with scipy.sparse.coo_array."
        )
    if indptr[-1] > min(n_indices, n_data):
        raise InvalidInputError(
            f"indptr ends at {indptr[-1]}, but there are only {n_indices} indices and {n_data} similarities. "
            "Rebuild the matrix."
        )


def _extent(matrix: Any) -> tuple[int, int]:
    """Return the number of rows of ids in a CSR, CSC or BSR matrix, and the bound on its ids."""
    n_rows, n_columns = matrix.shape
    if matrix.format == "bsr":
        return n_rows // matrix.blocksize[0], n_columns // matrix.blocksize[1]
    return (n_columns, n_rows) if matrix.format == "csc" else (n_rows, n_columns)
