"""`MemoryStore`: a graph in this process's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, FloatArray, Int32Array, Int64Array, RowCut
from sparse_ap.kernels.rows import canonical_block
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.store import AS_GIVEN, HeldPart, Holding, Origin
from sparse_ap.storage.validation import as_float, n_points_of, require_structure

__all__ = ["MemoryStore"]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryStore:
    """A graph in the three arrays of a CSR matrix, which are never written to.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_points + 1,)
    indices : ndarray of int32, shape (n_edges,)
    data : ndarray of float32 or float64, shape (n_edges,)
    origin : Origin
    """

    indptr: Int64Array
    indices: Int32Array
    data: FloatArray
    origin: Origin = AS_GIVEN

    chunk_edges: ClassVar[None] = None
    divisions: ClassVar[None] = None
    holding: ClassVar[Holding] = Holding(
        copies=1,
        reason="that is sent to them",
        remedy="Write it to disk with sparse_ap.graphs.write_graph, where all workers can open it, and give "
        "its path: edges that do not fit are then read from there in each sweep.",
    )

    @classmethod
    def from_sparse(cls, matrix: Any) -> MemoryStore:
        """Return the graph of a scipy sparse matrix; a CSR matrix of float32 or float64 is not copied.

        Raises
        ------
        InvalidInputError
            The matrix is not square, its entries are not real numbers, or its index arrays do not
            fit together.
        """
        n_points_of(matrix.shape)
        csr = csr_of(matrix)
        require_structure(csr)
        # scipy accepts arrays longer than indptr says; the rest is no entry.
        n_entries = int(csr.indptr[-1])
        return cls(
            np.asarray(csr.indptr, np.int64),
            np.asarray(csr.indices[:n_entries], np.int32),
            as_float(csr.data[:n_entries]),
        )

    @classmethod
    def from_dense(cls, matrix: NDArray[Any]) -> MemoryStore:
        """Return the graph of a dense matrix: every entry off the diagonal is an edge.

        Raises
        ------
        InvalidInputError
            The matrix is not square, or its entries are not real numbers.
        """
        n = n_points_of(matrix.shape)
        # A view: only the entries off the diagonal are copied.
        columns = np.broadcast_to(np.arange(n, dtype=np.int32), (n, n))
        return cls(
            np.arange(n + 1, dtype=np.int64) * max(0, n - 1),
            _off_diagonal(columns),
            _off_diagonal(as_float(matrix)),
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the similarities."""
        return self.data.dtype

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield blocks, which are views."""
        return map(self._block, cuts)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> HeldPart:
        """Return consecutive rows as views, to be sent to another process."""
        return HeldPart(tuple(self.read(cuts)))

    def canonical(self) -> MemoryStore:
        """Return a copy in which every stored entry is an edge of its own."""
        return self.changed(canonical_block)

    def changed(self, change: Callable[[Block], Block]) -> MemoryStore:
        """Return the graph whose only block is that of this one, changed: a copy."""
        return MemoryStore(*change(self._block(RowCut(0, len(self.indptr) - 1))).csr, self.origin)

    def _block(self, rows: RowCut) -> Block:
        indptr = self.indptr[rows.start : rows.stop + 1]
        edges = slice(indptr[0], indptr[-1])
        return Block(rows, len(self.indptr) - 1, indptr, self.indices[edges], self.data[edges])


def _off_diagonal(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return the entries off the diagonal of a square matrix, row by row."""
    n = len(matrix)
    if n < 2:
        return np.empty(0, matrix.dtype)
    # Counted from entry (0, 1), every (n + 1)-th entry is on the diagonal: drop the last column.
    flat = np.ascontiguousarray(matrix).reshape(-1)[1:]
    return flat.reshape(n - 1, n + 1)[:, :-1].reshape(-1)
