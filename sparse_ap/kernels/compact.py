"""The compact scheme: damped affinity propagation whose edges carry no state.

In row i every responsibility is s - best, except that of the winner, s - second. So the damped
responsibilities of a row are a damped mean of its best (one number) and a correction for the few edges
that were winners lately; two are kept. With w from w <- damping w + (1 - damping), at first 0::

    r(i,k) = w s(i,k) - mean_i - (delta1_i if k is edge1_i, delta2_i if k is edge2_i, else 0)

which is exactly the damped r of the classic scheme (Frey & Dueck 2007), as long as a row had at most two
winners within memory. Availabilities come from the damped column totals G: a(i,k) = min(0, G_k - max(0,
r(i,k))). At a fixed point w = 1, mean = best and delta = second - best, so the fixed points are those of the
paper. docs/design/0004-kernel.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, Float64Array, FloatArray, Int32Array
from sparse_ap.kernels.compilation import helper, kernel, prefetch
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.kernels.sorting import largest_of, longest_row, place_of

__all__ = ["DIAGONAL", "NOBODY", "CompactRows", "CompactSweep", "CompactVectors"]

# Places in a row that are not edges: the diagonal, and no place at all.
DIAGONAL = -1
NOBODY = -2

# Edges of a row before the test whether it may end; rows between two tests where few end there; and the
# largest surplus of rows that did. docs/design/0004-kernel.md has the measurements.
_HEAD, _TESTED, _MOST_CONFIDENCE = 8, 32, 32
# Points from which on totals are fetched ahead: fewer are in the second-level cache. Rows ahead; edges of a
# row at most; and those whose totals it adds to.
_DISTANT, _AHEAD, _FETCHED, _SUPPORTED = 1 << 19, 2, 64, 3


class CompactVectors(NamedTuple):
    """Vectors of a sweep: the damped totals G, in the precision of the similarities."""

    total: FloatArray


class CompactRows(NamedTuple):
    """Rows of a sweep: the state of every row.

    Attributes
    ----------
    preference, support : ndarray of float64
        p_i and T_i; read only.
    self_responsibility : ndarray of float64
        D_i = r(i,i); written only.
    mean : ndarray, in the dtype of the similarities
        Damped mean of the row's best value.
    edge1, edge2 : ndarray of int32
        Place within the row of the last winner and of the one before; or DIAGONAL, or NOBODY.
    delta1, delta2 : ndarray, in the dtype of the similarities
        Corrections of these two winners, never positive.
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
        """Return the arrays that the loop lacks, by their names in checkpoints (part of the format)."""
        return {
            "mean": self.mean,
            "edge1": self.edge1,
            "delta1": self.delta1,
            "edge2": self.edge2,
            "delta2": self.delta2,
        }


class SweepWeights(NamedTuple):
    """Damping, 1 - damping, and w before and after a sweep, in the precision of the similarities."""

    damping: Any
    undamped: Any
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class CompactSweep(PlainPass):
    """The pass that updates every message once.

    Attributes
    ----------
    damping : float
        Share of the old responsibility that is kept, in [0.5, 1).
    weight_before, weight : float
        w before and after this sweep.
    grid : Grid
        Grid of the column totals.
    falling : bool
        Whether the similarities of each row fall from edge to edge. The result is the same, sooner.
    """

    damping: float
    weight_before: float
    weight: float
    grid: Grid
    falling: bool = False

    column_reductions = (EXACT_SUM,)
    reads = ("preference", "support", "mean", "edge1", "delta1", "edge2", "delta2")
    writes = ("self_responsibility", "mean", "edge1", "delta1", "edge2", "delta2")

    def __call__(self, block: Block, vectors: CompactVectors, rows: CompactRows, columns: Columns) -> int:
        """Update one block's rows, and add the positive responsibilities to the columns."""
        _sweep(
            *block.csr,
            vectors.total,
            rows,
            self._in_precision(block.data.dtype.type),
            self.grid.shift,
            4.0 * self.grid.limit,
            self.falling,
            len(vectors.total) >= _DISTANT,
            np.empty(longest_row(block.indptr), block.data.dtype),
            columns[0],
        )
        return 0

    def _in_precision(self, real: type[np.floating[Any]]) -> SweepWeights:
        return SweepWeights(
            real(self.damping), real(1.0 - self.damping), real(self.weight_before), real(self.weight)
        )


# A sweep works row by row, in a buffer that stays in the first-level cache. It first computes every
# candidate's value as if no edge had a correction, then patches the two corrected edges: loops without
# branches. The totals are patched in the same way, by subtracting and adding, which is exact on the grid.
# Nearly always the last winner, e1 or the diagonal, wins again. So its value is `held`, apart from the
# `others` in the buffer: if the largest of these is smaller, that is the second best, and no place is asked
# for. Otherwise the new winner is looked up. Which of two equals it is cannot matter: a tie has no winner.
# Similarities keep their precision, hence `zero`: a float literal would promote float32 to float64. Unsigned
# places avoid the test for negative indices. The checks of e1 and e2 are here, not in the functions called:
# these would not be inlined then, and the sweep would take a third longer.
#
# Where rows fall, a + s <= s ends a row at the first s that the second best so far reaches. One test, after
# the head of the row, costs less than it saves if most rows end there: so the sweep tests while they do, and
# otherwise one row in 32.


@kernel
def _sweep(
    indptr: Any, indices: Any, data: Any, total: Any, rows: Any, weights: Any, shift: float, no_rival: float,
    falling: bool, distant: bool, values: Any, totals: Any,
) -> None:  # fmt: skip
    confidence, lowest = 0, -values.dtype.type(np.inf)
    for i in range(len(rows.mean)):
        first, degree = np.uint64(indptr[i] - indptr[0]), np.uint64(indptr[i + 1] - indptr[i])
        if distant and i + _AHEAD < len(rows.mean):
            # The processor fetches what a later row gathers, and the totals that it most likely adds to.
            ahead = np.uint64(indptr[i + _AHEAD] - indptr[0])
            last = np.uint64(indptr[i + _AHEAD + 1] - indptr[0])
            most = np.uint64(_HEAD if falling and confidence >= 0 else _FETCHED)
            for j in range(ahead, min(last, ahead + most)):
                prefetch(total, np.uint64(indices[j]))
            for j in range(ahead, min(last, ahead + np.uint64(_SUPPORTED))):
                prefetch(totals, np.uint64(indices[j]))
        if degree == 0:
            # A point without candidates has an infinite r(i,i): a finite number beyond all totals.
            rows.self_responsibility[i] = no_rival
            continue
        u, e1, d1, e2, d2 = rows.mean[i], rows.edge1[i], rows.delta1[i], rows.edge2[i], rows.delta2[i]
        own = data.dtype.type(rows.support[i] + rows.preference[i])
        held, others = own, lowest
        if e1 >= 0:
            held = _value(indices, data, total, first + np.uint64(e1), weights.before, u + d1)
            others = own
        tested = falling and (confidence >= 0 or i % _TESTED == 0)
        begin, end = np.uint64(0), min(degree, np.uint64(_HEAD)) if tested else degree
        while begin < degree:
            for j in range(begin, end):
                values[j] = _value(indices, data, total, first + j, weights.before, u)
            if e1 >= 0:
                values[e1] = lowest
            if e2 >= 0:
                values[e2] = _value(indices, data, total, first + np.uint64(e2), weights.before, u + d2)
            others = largest_of(values, begin, end, others)
            begin, end = end, degree
            if begin < degree:
                if data[first + begin] <= min(held, others):
                    confidence = min(confidence + 1, _MOST_CONFIDENCE)
                    break
                confidence = max(confidence - 1, -1)
        best, second, winner = held, others, max(e1, np.int32(DIAGONAL))
        if others > held:
            best = others
            second, winner = _new_winner(values, begin, others, own if e1 >= 0 else lowest, held)

        u = weights.damping * u + weights.undamped * best
        change = weights.undamped * (second - best)
        e1, d1, e2, d2 = _remember(e1, weights.damping * d1, e2, weights.damping * d2, winner, change)
        rows.mean[i], rows.edge1[i], rows.delta1[i], rows.edge2[i], rows.delta2[i] = u, e1, d1, e2, d2

        _add_support(indices, data, first, degree, weights.after, u, shift, falling, totals)
        if e1 >= 0:
            _correct_support(indices, data, first + np.uint64(e1), d1, weights.after, u, shift, totals)
        if e2 >= 0:
            _correct_support(indices, data, first + np.uint64(e2), d2, weights.after, u, shift, totals)
        full = np.float64(weights.after) * rows.preference[i] - np.float64(u)
        rows.self_responsibility[i] = full - (d1 if e1 == DIAGONAL else d2 if e2 == DIAGONAL else 0.0)


@helper
def _value(indices: Any, data: Any, total: Any, edge: Any, weight: Any, u: Any) -> Any:
    """Return a + s of an edge, whose damped responsibility is weight * s - u."""
    zero = data.dtype.type(0)
    s = data[edge]
    r = weight * s - u
    a = total[np.uint64(indices[edge])] - (r if r > zero else zero)
    return (a if a < zero else zero) + s


@helper
def _new_winner(values: Any, end: Any, best: Any, own: Any, held: Any) -> Any:
    """Return the second best, and the place of the best: of an edge, or else the diagonal.

    The value held apart is not in the buffer, nor is the diagonal's own; it takes the place of the best.
    """
    winner = place_of(values, end, best)
    if winner >= 0:
        values[winner] = own
    return largest_of(values, np.uint64(0), end, held), winner


@helper
def _remember(e1: Any, d1: Any, e2: Any, d2: Any, winner: Any, change: Any) -> Any:
    """Add the winner's change to its correction; a new winner replaces the older of the two.

    With a tie between best and second there is no winner: which one comes first must not matter.
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
    indices: Any, data: Any, first: Any, degree: Any, weight: Any, u: Any, shift: float, falling: bool,
    totals: Any,
) -> None:  # fmt: skip
    """Add the positive responsibilities of a row to the totals, as if no edge had a correction.

    Where rows fall, three edges are taken at a time, and 0 is added for those of the last three that are
    not positive: so the end, which the processor predicts wrongly, comes at fewer places.
    """
    zero = data.dtype.type(0)
    begin, end = first, first + degree
    while falling and begin + np.uint64(_SUPPORTED) <= end and weight * data[begin] - u > zero:
        for j in range(begin, begin + np.uint64(_SUPPORTED)):
            r = weight * data[j] - u
            totals[np.uint64(indices[j])] += on_grid(np.float64(r if r > zero else zero), shift)
        begin += np.uint64(_SUPPORTED)
    for j in range(begin, end):
        r = weight * data[j] - u
        if r > zero:
            totals[np.uint64(indices[j])] += on_grid(np.float64(r), shift)
        elif falling:
            break


@helper
def _correct_support(
    indices: Any, data: Any, edge: Any, delta: Any, weight: Any, u: Any, shift: float, totals: Any
) -> None:
    """Replace the summand that `_add_support` added for an edge by the corrected one."""
    zero = data.dtype.type(0)
    r = weight * data[edge] - u
    corrected = weight * data[edge] - (u + delta)
    added = on_grid(np.float64(r if r > zero else zero), shift)
    wanted = on_grid(np.float64(corrected if corrected > zero else zero), shift)
    totals[np.uint64(indices[edge])] += wanted - added
