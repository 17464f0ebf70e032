"""A graph in this process's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.model import Block, FloatArray, Int32Array, Int64Array, RowCut

__all__ = ["MemoryStore", "csr_of"]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryStore:
    """The three arrays of a CSR matrix; never written to.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    indices : ndarray of int32, shape (n_edges,)
    data : ndarray of float32 or float64, shape (n_edges,)
    """

    indptr: Int64Array
    indices: Int32Array
    data: FloatArray

    @classmethod
    def from_sparse(cls, matrix: Any) -> MemoryStore:
        """Take a scipy sparse matrix or array; a canonical float32 or float64 CSR is not copied.

        Raises
        ------
        InvalidInputError
            The matrix is not square, its entries are not real numbers, or its index arrays do not
            fit together.
        """
        _require_square(matrix.shape)
        csr = csr_of(matrix)
        _check_structure(csr)
        n_entries = int(csr.indptr[-1])
        return cls(
            np.asarray(csr.indptr, np.int64),
            np.asarray(csr.indices[:n_entries], np.int32),
            _as_float(csr.data[:n_entries]),
        )

    @classmethod
    def from_dense(cls, matrix: NDArray[Any]) -> MemoryStore:
        """Take every entry off the diagonal of a matrix as an edge.

        Raises
        ------
        InvalidInputError
            The matrix is not square, or its entries are not real numbers.
        """
        _require_square(matrix.shape)
        n = len(matrix)
        _require_ids_fit(n)
        columns = np.broadcast_to(np.arange(n, dtype=np.int32), (n, n))
        return cls(
            np.arange(n + 1, dtype=np.int64) * max(0, n - 1),
            _off_diagonal(columns),
            _off_diagonal(_as_float(matrix)),
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities."""
        return self.data.dtype

    def block(self, rows: RowCut) -> Block:
        """Return views of some consecutive rows."""
        indptr = self.indptr[rows.start : rows.stop + 1]
        edges = slice(indptr[0], indptr[-1])
        return Block(rows, len(self.indptr) - 1, indptr, self.indices[edges], self.data[edges])


def csr_of(matrix: Any) -> Any:
    """Return a scipy sparse matrix as CSR, duplicates and stored zeros kept.

    scipy adds duplicates up when it converts from COO; of similarities, the largest counts.
    """
    if matrix.format != "coo":
        return matrix.tocsr()
    triplets = scipy.sparse.coo_array((matrix.data, matrix.coords), shape=matrix.shape)
    triplets.has_canonical_format = True
    return triplets.tocsr()


def _off_diagonal(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return the entries off the diagonal of a square matrix, row by row."""
    n = len(matrix)
    if n < 2:
        return np.empty(0, matrix.dtype)
    # Seen from entry (0, 1) on, the diagonal is the last of every n + 1 entries.
    flat = np.ascontiguousarray(matrix).reshape(-1)[1:]
    return flat.reshape(n - 1, n + 1)[:, :-1].reshape(-1)


def _require_square(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInputError(
            f"The similarities have shape {shape}; a square matrix is needed, with one row and one "
            "column a point. For a table of points, build their k-nearest-neighbour graph first "
            "(sparse_ap.graphs.knn_graph)."
        )


def _require_ids_fit(n_points: int) -> None:
    if n_points > np.iinfo(np.int32).max:
        raise InvalidInputError(
            f"The graph has {n_points} points; at most {np.iinfo(np.int32).max} are supported, because "
            "column ids are kept in 32 bits."
        )


def _as_float(data: NDArray[Any]) -> FloatArray:
    """Return similarities as float32 or float64, whichever holds them; float arrays are not copied."""
    if data.dtype in (np.float32, np.float64):
        return np.ascontiguousarray(data)
    if data.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"The similarities have dtype {data.dtype}; real numbers are needed. "
            "Convert them, for example with .astype(numpy.float32)."
        )
    return data.astype(np.float32 if np.can_cast(data.dtype, np.float32) else np.float64)


def _check_structure(csr: Any) -> None:
    """Check what reading rows relies on; column ids are checked when the edges are looked at."""
    n, indptr = csr.shape[0], csr.indptr
    _require_ids_fit(n)
    if len(indptr) != n + 1:
        raise InvalidInputError(
            f"indptr has {len(indptr)} entries; {n + 1} are needed for {n} rows. Rebuild the matrix."
        )
    falls = np.flatnonzero(indptr[1:] < indptr[:-1])
    if indptr[0] != 0 or len(falls):
        where = f"falls after row {falls[0]}" if len(falls) else f"begins at {indptr[0]}"
        raise InvalidInputError(
            f"indptr {where}; it must begin at 0 and never fall. Rebuild the matrix, for example from "
            "its (row, column, similarity) triplets with scipy.sparse.coo_array."
        )
    stored = min(len(csr.indices), len(csr.data))
    if indptr[-1] > stored:
        raise InvalidInputError(
            f"indptr ends at {indptr[-1]}, but there are only {len(csr.indices)} indices and "
            f"{len(csr.data)} similarities. Rebuild the matrix."
        )
    # Ids of 64 bits would wrap around when they are narrowed.
    if csr.indices.dtype.itemsize > 4 and stored and not 0 <= csr.indices.min() <= csr.indices.max() < n:
        wrong = csr.indices.max() if csr.indices.max() >= n else csr.indices.min()
        raise InvalidInputError(
            f"Column id {wrong} is no point of a graph of {n}; ids must lie in 0 to {n - 1}."
        )
