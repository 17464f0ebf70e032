"""Passes for the dual of the clustering problem: what every point would have to be offered.

With any offer u_i to each point i, no clustering has a larger net similarity than

    L(u) = sum of u_i + sum over k of max(0, p_k - u_k + sum over i != k of max(0, s(i,k) - u_i))

since an exemplar k with its members brings their offers and at most the k-th summand (weak duality of
uncapacitated facility location; Erlenkotter, Operations Research 26, 1978). The smallest L(u) is the
optimum of the linear relaxation.

To make L smaller by gradients, max(0, x) is replaced by a parabola within a width w around 0::

    h(x) = 0 for x < -w,   (x + w)**2 / (4 w) for -w <= x <= w,   x for x > w
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.kernels.block import Block, Float64Array
from sparse_ap.kernels.edge_pass import EXACT_SUM, ColumnReduction, Columns
from sparse_ap.kernels.exact_sum import Grid, on_grid

__all__ = ["CoverPass", "CoverRows", "OfferRows", "OpenVectors", "ProvenGainPass", "SmoothGainPass"]


class OfferRows(NamedTuple):
    """Read: what each point is offered."""

    offer: Float64Array


class OpenVectors(NamedTuple):
    """How far each point is an exemplar, in [0, 1]."""

    opened: Float64Array


class CoverRows(NamedTuple):
    """Read: what each point is offered. Written: how far exemplars outbid that."""

    offer: Float64Array
    covered: Float64Array


@dataclass(frozen=True, slots=True)
class SmoothGainPass:
    """Add up h(s(i,k) - u_i) over the edges that end at each point k.

    Attributes
    ----------
    width : float
        w, above 0.
    grid : Grid
    """

    width: float
    grid: Grid

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = (EXACT_SUM,)
    reads: ClassVar[tuple[str, ...]] = ("offer",)
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: tuple[()], rows: OfferRows, columns: Columns) -> int:
        """Add one block's edges."""
        _add_smooth_gains(
            block.indptr, block.indices, block.data, rows.offer, self.width, self.grid.shift, columns[0]
        )
        return 0


@dataclass(frozen=True, slots=True)
class CoverPass:
    """Add up h'(s(i,k) - u_i) times how far k is open, over the edges of each row i."""

    width: float
    grid: Grid

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ("offer",)
    writes: ClassVar[tuple[str, ...]] = ("covered",)
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: OpenVectors, rows: CoverRows, columns: Columns) -> int:
        """Do so for one block."""
        _cover(
            block.indptr,
            block.indices,
            block.data,
            vectors.opened,
            rows,
            self.width,
            self.grid.shift,
        )
        return 0


@dataclass(frozen=True, slots=True)
class ProvenGainPass:
    """Add up max(0, s(i,k) - u_i) over the edges that end at each point k, each summand rounded up."""

    grid: Grid

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = (EXACT_SUM,)
    reads: ClassVar[tuple[str, ...]] = ("offer",)
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: tuple[()], rows: OfferRows, columns: Columns) -> int:
        """Add one block's edges."""
        _add_proven_gains(
            block.indptr,
            block.indices,
            block.data,
            rows.offer,
            self.grid.shift,
            self.grid.quantum,
            columns[0],
        )
        return 0


@numba.njit(nogil=True, cache=True)
def _add_smooth_gains(
    indptr: Any, indices: Any, data: Any, offer: Any, width: float, shift: float, gain: Any
) -> None:
    steepness = 0.25 / width
    for i in range(len(offer)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            over = np.float64(data[edge]) - offer[i]
            if over > -width:
                h = over if over > width else steepness * (over + width) ** 2
                gain[indices[edge]] += on_grid(h, shift)


@numba.njit(nogil=True, cache=True)
def _cover(indptr: Any, indices: Any, data: Any, opened: Any, rows: Any, width: float, shift: float) -> None:
    for i in range(len(rows.offer)):
        covered = 0.0
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            over = np.float64(data[edge]) - rows.offer[i]
            if over > -width:
                slope = 1.0 if over > width else 0.5 * (over + width) / width
                covered += on_grid(slope * opened[indices[edge]], shift)
        rows.covered[i] = covered


@numba.njit(nogil=True, cache=True)
def _add_proven_gains(
    indptr: Any, indices: Any, data: Any, offer: Any, shift: float, quantum: float, gain: Any
) -> None:
    for i in range(len(offer)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            # A difference is 0 or below exactly where the rounded one is.
            over = np.float64(data[edge]) - offer[i]
            if over > 0.0:
                least = np.nextafter(over, np.inf)
                rounded = on_grid(least, shift)
                gain[indices[edge]] += rounded if rounded >= least else rounded + quantum
