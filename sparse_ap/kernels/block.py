"""`Block`: consecutive rows of a graph with their edges; and the types of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Block",
    "BoolArray",
    "Float64Array",
    "FloatArray",
    "Int32Array",
    "Int64Array",
    "RowCut",
    "starts_of",
]

FloatArray = NDArray[np.floating[Any]]
Float64Array = NDArray[np.float64]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def starts_of(lengths: NDArray[Any]) -> Int64Array:
    """Return where rows of these lengths begin, one after the other, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, dtype=np.int64, out=starts[1:])
    return starts


class RowCut(NamedTuple):
    """Consecutive rows from ``start`` up to but excluding ``stop``."""

    start: int
    stop: int

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the rows' part of an array over all points, as a view."""
        return values[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of the graph with all their stored edges.

    Attributes
    ----------
    rows : RowCut
        Numbers of these rows in the whole graph.
    n_points : int
        Number of rows, and of columns, of the whole graph.
    indptr : ndarray of int64, shape (rows + 1,)
        Start of each row's edges *in the whole graph*: ``indptr[0]`` is the number of edges stored before
        this block.
    indices : ndarray of int32, shape (edges,)
        Column of each edge: the candidate exemplar k of s(i, k).
    data : ndarray of float32 or float64, shape (edges,)
        Similarity s(i, k) of each edge.
    """

    rows: RowCut
    n_points: int
    indptr: Int64Array
    indices: Int32Array
    data: FloatArray

    @property
    def csr(self) -> tuple[Int64Array, Int32Array, FloatArray]:
        """The arrays (indptr, indices, data), in the order of the kernels' parameters."""
        return self.indptr, self.indices, self.data

    def __sizeof__(self) -> int:
        """Return the bytes of the arrays, which dask uses to estimate memory."""
        return sum(array.nbytes for array in self.csr)
