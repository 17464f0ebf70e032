"""The classic scheme: the updates of Frey & Dueck (2007), every responsibility and availability damped.

It is the reference: it gives the same exemplars as scikit-learn and R on the same input. It keeps two float64
numbers for each edge, so the graph must be in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, Float64Array, FloatArray
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import EXACT_SUM, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid

__all__ = ["ClassicRows", "ClassicSweep", "ClassicVectors", "Messages"]


class ClassicVectors(NamedTuple):
    """Vectors of a sweep: the column totals D + T of the sweep before."""

    total: FloatArray


class ClassicRows(NamedTuple):
    """Rows of a sweep: p and T, which it reads, and D = r(i,i), which it damps and updates."""

    preference: Float64Array
    support: Float64Array
    self_responsibility: Float64Array

    def state(self) -> dict[str, NDArray[Any]]:
        """Return an empty dictionary: the loop has these arrays, and messages are not saved."""
        return {}


class Messages(NamedTuple):
    """The damped messages of every stored edge, in storage order; updated in place.

    Attributes
    ----------
    responsibility, availability : ndarray of float64, shape (n_edges,)
        r(i,k) of this sweep and a(i,k) of the sweep before; a(i,k) is updated when its row is read again.
    """

    responsibility: Float64Array
    availability: Float64Array

    @classmethod
    def at_rest(cls, n_edges: int) -> Messages:
        """Return the messages before the first sweep: all zero."""
        return cls(np.zeros(n_edges), np.zeros(n_edges))


@dataclass(frozen=True, slots=True, eq=False)
class ClassicSweep(PlainPass):
    """The pass that updates every message once.

    The availabilities of a sweep need column totals, which are complete only when every row has been
    read. So they are updated at the beginning of the next sweep, while their row is in cache anyway:
    every edge is read once per sweep, not twice.
    """

    damping: float
    messages: Messages
    grid: Grid

    column_reductions = (EXACT_SUM,)
    reads = ("preference", "support", "self_responsibility")
    writes = ("self_responsibility",)

    def __call__(self, block: Block, vectors: ClassicVectors, rows: ClassicRows, columns: Columns) -> int:
        """Update the messages of one block's rows, and add positive responsibilities to the columns."""
        edges = slice(block.indptr[0], block.indptr[-1])
        _sweep(
            *block.csr,
            vectors.total,
            rows,
            Messages(*(message[edges] for message in self.messages)),
            self.damping,
            self.grid.shift,
            4.0 * self.grid.limit,
            columns[0],
        )
        return 0


@kernel
def _sweep(
    indptr: Any,
    indices: Any,
    data: Any,
    total: Any,
    rows: Any,
    messages: Any,
    damping: float,
    shift: float,
    no_rival: float,
    totals: Any,
) -> None:
    for i in range(len(rows.preference)):
        first, last = np.uint64(indptr[i] - indptr[0]), np.uint64(indptr[i + 1] - indptr[0])
        if first == last:
            # A point without candidates has an infinite r(i,i); a finite number beyond all totals stands for
            # it.
            rows.self_responsibility[i] = no_rival
            continue
        _update_availabilities(indices, total, messages, first, last, damping)
        diagonal = rows.support[i] + rows.preference[i]
        best, second, winner = _top_two(data, messages.availability, first, last, diagonal)
        _update_responsibilities(data, messages, first, last, damping, best, second, winner)
        _add_support(indices, messages.responsibility, first, last, shift, totals)
        own = rows.preference[i] - (second if winner == last else best)
        rows.self_responsibility[i] = damping * rows.self_responsibility[i] + (1.0 - damping) * own


@helper
def _update_availabilities(
    indices: Any, total: Any, messages: Any, first: Any, last: Any, damping: float
) -> None:
    for j in range(first, last):
        r = messages.responsibility[j]
        # Equation 2 of Frey & Dueck (2007), with the sum over other points as total minus own share.
        a = total[np.uint64(indices[j])] - (r if r > 0.0 else 0.0)
        messages.availability[j] = damping * messages.availability[j] + (1.0 - damping) * (
            a if a < 0.0 else 0.0
        )


@helper
def _top_two(data: Any, availability: Any, first: Any, last: Any, diagonal: float) -> Any:
    """Return the two largest a + s of a row, and the place of the first; ``last`` is the diagonal."""
    best, second, winner = diagonal, -np.inf, last
    for j in range(first, last):
        v = availability[j] + np.float64(data[j])
        loser = v if v < best else best
        winner = j if v > best else winner
        best = v if v > best else best
        second = loser if loser > second else second
    return best, second, winner


@helper
def _update_responsibilities(
    data: Any, messages: Any, first: Any, last: Any, damping: float, best: float, second: float, winner: Any
) -> None:
    for j in range(first, last):
        # Equation 1 of Frey & Dueck (2007): s minus the best a + s of all other candidates.
        rival = second if j == winner else best
        messages.responsibility[j] = damping * messages.responsibility[j] + (1.0 - damping) * (
            np.float64(data[j]) - rival
        )


@helper
def _add_support(indices: Any, responsibility: Any, first: Any, last: Any, shift: float, totals: Any) -> None:
    for j in range(first, last):
        r = responsibility[j]
        if r > 0.0:
            totals[np.uint64(indices[j])] += on_grid(r, shift)
