"""The compact scheme: damped affinity propagation whose edges carry no state.

In row i every responsibility is s - best but the winner's, which is s - second. So the damped
responsibilities of a row are a damped mean of its best (one number) and a correction for the few edges
that have lately been winners; two are kept. With w from w <- damping w + (1 - damping), at first 0::

    r(i,k) = w s(i,k) - mean_i - (delta1_i if k is edge1_i, delta2_i if k is edge2_i, else 0)

which is exactly the damped r of the classic scheme while a row has had at most two winners in memory.
Availabilities come from the damped column totals G: a(i,k) = min(0, G_k - max(0, r(i,k))). At a fixed
point w = 1, mean = best and delta = second - best, so the fixed points are those of the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, Float64Array, FloatArray, Int32Array
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.kernels.sorting import longest_row

__all__ = ["DIAGONAL", "NOBODY", "CompactRows", "CompactSweep", "SweepVectors"]

# Places in a row that are no edge: the diagonal, and none.
DIAGONAL = -1
NOBODY = -2


class SweepVectors(NamedTuple):
    """What a sweep gathers by column: the damped totals G, in the precision of the similarities."""

    total: FloatArray


class CompactRows(NamedTuple):
    """What a sweep reads and writes by row.

    Attributes
    ----------
    preference, support : ndarray of float64
        p_i and T_i; only read.
    self_responsibility : ndarray of float64
        D_i = r(i,i); only written.
    mean : ndarray of the similarities' type
        Damped mean of the row's best.
    edge1, edge2 : ndarray of int32
        The row's last winner and the winner before it: places within the row, or DIAGONAL, or NOBODY.
    delta1, delta2 : ndarray of the similarities' type
        Their corrections, never positive.
    """

    preference: Float64Array
    support: Float64Array
    self_responsibility: Float64Array
    mean: FloatArray
    edge1: Int32Array
    delta1: FloatArray
    edge2: Int32Array
    delta2: FloatArray

    @classmethod
    def at_rest(
        cls, preference: Float64Array, support: Float64Array, self_responsibility: Float64Array, dtype: Any
    ) -> CompactRows:
        """Return the state before the first sweep, in which every message is zero."""
        n = len(preference)
        return cls(
            preference,
            support,
            self_responsibility,
            mean=np.zeros(n, dtype),
            edge1=np.full(n, NOBODY, np.int32),
            delta1=np.zeros(n, dtype),
            edge2=np.full(n, NOBODY, np.int32),
            delta2=np.zeros(n, dtype),
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the loop has not, by its names in checkpoints, which are part of the format."""
        return {
            "mean": self.mean,
            "edge1": self.edge1,
            "delta1": self.delta1,
            "edge2": self.edge2,
            "delta2": self.delta2,
        }


class SweepWeights(NamedTuple):
    """The damping of a sweep in the precision of the similarities, and w before and after it."""

    damping: Any
    undamped: Any
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class CompactSweep(PlainPass):
    """One update of every message.

    Attributes
    ----------
    damping : float
        Share of the old responsibility that is kept, in [0.5, 1).
    weight_before, weight : float
        w before and after this sweep.
    grid : Grid
        For the column totals.
    """

    damping: float
    weight_before: float
    weight: float
    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("preference", "support", "mean", "edge1", "delta1", "edge2", "delta2")
    writes = ("self_responsibility", "mean", "edge1", "delta1", "edge2", "delta2")

    def __call__(self, block: Block, vectors: SweepVectors, rows: CompactRows, columns: Columns) -> int:
        """Update one block's rows, and add the positive responsibilities to the columns."""
        _sweep(
            *block.csr,
            vectors.total,
            rows,
            self._in_precision(block.data.dtype.type),
            self.grid.shift,
            4.0 * self.grid.limit,
            np.empty(longest_row(block.indptr), block.data.dtype),
            columns[0],
        )
        return 0

    def _in_precision(self, real: type[np.floating[Any]]) -> SweepWeights:
        return SweepWeights(
            real(self.damping), real(1.0 - self.damping), real(self.weight_before), real(self.weight)
        )


# The work of a sweep is done row by row, in a buffer that stays in the first-level cache. Every
# candidate's value is first computed as if no edge had a correction, then the two corrected edges are
# patched: loops without branches. The totals are patched in the same way, by subtracting and adding,
# which is exact on the grid. Similarities stay in their own precision, hence `zero`: a float literal
# would promote float32 to float64. Unsigned places spare the test for negative indices. The checks on
# e1 and e2 stand here and not in the functions called, which would then not be inlined (a third slower).


@kernel
def _sweep(
    indptr: Any,
    indices: Any,
    data: Any,
    total: Any,
    rows: Any,
    weights: Any,
    shift: float,
    no_rival: float,
    values: Any,
    totals: Any,
) -> None:
    for i in range(len(rows.mean)):
        first = np.uint64(indptr[i] - indptr[0])
        degree = np.uint64(indptr[i + 1] - indptr[i])
        if degree == 0:
            rows.self_responsibility[i] = no_rival
            continue
        u, e1, d1, e2, d2 = rows.mean[i], rows.edge1[i], rows.delta1[i], rows.edge2[i], rows.delta2[i]
        for j in range(degree):
            values[j] = _value(indices, data, total, first + j, weights.before, u)
        if e1 >= 0:
            values[e1] = _value(indices, data, total, first + np.uint64(e1), weights.before, u + d1)
        if e2 >= 0:
            values[e2] = _value(indices, data, total, first + np.uint64(e2), weights.before, u + d2)
        diagonal = data.dtype.type(rows.support[i] + rows.preference[i])
        best, second, winner = _top_two(values, degree, diagonal)

        u = weights.damping * u + weights.undamped * best
        change = weights.undamped * (second - best)
        e1, d1, e2, d2 = _remember(e1, weights.damping * d1, e2, weights.damping * d2, winner, change)
        rows.mean[i], rows.edge1[i], rows.delta1[i], rows.edge2[i], rows.delta2[i] = u, e1, d1, e2, d2

        _add_support(indices, data, first, degree, weights.after, u, shift, totals)
        if e1 >= 0:
            _correct_support(indices, data, first + np.uint64(e1), d1, weights.after, u, shift, totals)
        if e2 >= 0:
            _correct_support(indices, data, first + np.uint64(e2), d2, weights.after, u, shift, totals)
        own = np.float64(weights.after) * rows.preference[i] - np.float64(u)
        rows.self_responsibility[i] = own - (d1 if e1 == DIAGONAL else d2 if e2 == DIAGONAL else 0.0)


@helper
def _value(indices: Any, data: Any, total: Any, edge: Any, weight: Any, u: Any) -> Any:
    """Return a + s of one edge, whose damped responsibility is weight * s - u."""
    zero = data.dtype.type(0)
    s = data[edge]
    r = weight * s - u
    a = total[np.uint64(indices[edge])] - (r if r > zero else zero)
    return (a if a < zero else zero) + s


@helper
def _top_two(values: Any, degree: Any, diagonal: Any) -> Any:
    """Return the largest value, the second largest, and the place of the first; no branches."""
    best, second, winner = diagonal, -values.dtype.type(np.inf), np.int32(DIAGONAL)
    for j in range(degree):
        v = values[j]
        loser = v if v < best else best
        winner = np.int32(j) if v > best else winner
        best = v if v > best else best
        second = loser if loser > second else second
    return best, second, winner


@helper
def _remember(e1: Any, d1: Any, e2: Any, d2: Any, winner: Any, change: Any) -> Any:
    """Add the winner's change; a new winner takes the place of the older of the two.

    Where best and second are tied nobody has won: the result must not depend on which is named.
    """
    if change == 0:
        return e1, d1, e2, d2
    if winner == e1:
        return e1, d1 + change, e2, d2
    if winner == e2:
        return e2, d2 + change, e1, d1
    return winner, change, e1, d1


@helper
def _add_support(
    indices: Any, data: Any, first: Any, degree: Any, weight: Any, u: Any, shift: float, totals: Any
) -> None:
    zero = data.dtype.type(0)
    for j in range(first, first + degree):
        r = weight * data[j] - u
        if r > zero:
            totals[np.uint64(indices[j])] += on_grid(np.float64(r), shift)


@helper
def _correct_support(
    indices: Any, data: Any, edge: Any, delta: Any, weight: Any, u: Any, shift: float, totals: Any
) -> None:
    """Replace what `_add_support` added for an edge by what its correction makes of it."""
    zero = data.dtype.type(0)
    r = weight * data[edge] - u
    corrected = weight * data[edge] - (u + delta)
    added = on_grid(np.float64(r if r > zero else zero), shift)
    wanted = on_grid(np.float64(corrected if corrected > zero else zero), shift)
    totals[np.uint64(indices[edge])] += wanted - added
