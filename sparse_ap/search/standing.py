"""The pass that tells what every point has in a clustering, and what it would fall back on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.kernels.assignment import RankedVectors
from sparse_ap.kernels.block import Block, Float64Array, Int32Array
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns

__all__ = ["StandingPass", "StandingRows"]


class StandingRows(NamedTuple):
    """What each point has.

    Attributes
    ----------
    preference : ndarray of float64
        Read.
    first : ndarray of int32
        Its exemplar; itself where it is one.
    value : ndarray of float64
        The similarity to that, or its own preference.
    second : ndarray of int32
        The next best exemplar, -1: it has an edge to no other.
    fallback : ndarray of float64
        What it would have without ``first``: at least that.
    """

    preference: Float64Array
    first: Int32Array
    value: Float64Array
    second: Int32Array
    fallback: Float64Array


@dataclass(frozen=True, slots=True)
class StandingPass:
    """Give every point to its best exemplar, among equals to the user's first, and note the second best.

    A point that no exemplar reaches, or that is better off alone, is made an exemplar.

    Attributes
    ----------
    lowest : float
        What an exemplar falls back on that has an edge to no other: no similarity and no preference is
        below it.
    """

    lowest: float

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ("preference",)
    writes: ClassVar[tuple[str, ...]] = ("first", "value", "second", "fallback")
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: RankedVectors, rows: StandingRows, columns: Columns) -> int:
        """Do so for one block's points."""
        _stand(block.rows.start, block.indptr, block.indices, block.data, *vectors, rows, self.lowest)
        return 0


@numba.njit(nogil=True, cache=True)
def _stand(
    start: int, indptr: Any, indices: Any, data: Any, exemplar: Any, user_id: Any, rows: Any, lowest: float
) -> None:
    for i in range(len(rows.first)):
        first, second = np.int32(-1), np.int32(-1)
        value, fallback = -np.inf, -np.inf
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if not exemplar[k] or k == start + i:
                continue
            s = np.float64(data[edge])
            if s > value or (s == value and user_id[k] < user_id[first]):
                first, value, second, fallback = k, s, first, value
            elif s > fallback or (s == fallback and user_id[k] < user_id[second]):
                second, fallback = k, s
        alone = rows.preference[i]
        if exemplar[start + i] or value < alone:
            first, value, second, fallback = np.int32(start + i), alone, first, max(value, lowest)
        else:
            fallback = max(fallback, alone)
        rows.first[i], rows.value[i], rows.second[i], rows.fallback[i] = first, value, second, fallback
