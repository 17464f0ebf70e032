"""Order statistics of the similarities by counting, without a copy or a sort of the edges.

A float is mapped to an unsigned integer that sorts the same way. A histogram of its leading 16 bits, then of
the next 16 bits within the bins that hold the wanted ranks, and so on, leads to the exact values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, Float64Array, Int64Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import BasePass, Columns

__all__ = ["HistogramPass", "order_statistics", "quantiles"]

_DIGIT = 16
_BINS = 1 << _DIGIT


@dataclass(frozen=True, slots=True, eq=False)
class HistogramPass(BasePass):
    """Count the similarities by their next 16 bits, separately for each of some prefixes.

    Attributes
    ----------
    prefixes : ndarray of uint64, shape (m,)
        Leading bits to count under, ascending.
    shift : int
        Number of bits after the counted ones.
    """

    prefixes: NDArray[np.uint64]
    shift: int

    @property
    def nothing(self) -> Int64Array:
        """Counts of zero similarities."""
        return np.zeros((len(self.prefixes), _BINS), np.int64)

    def __call__(self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns) -> Int64Array:
        """Count the similarities of one block."""
        unsigned = np.uint32 if block.data.dtype == np.float32 else np.uint64
        counts = self.nothing
        _count(block.data.view(unsigned), 8 * block.data.itemsize, self.prefixes, self.shift, counts)
        return counts


@kernel
def _count(data_bits: Any, width: int, prefixes: Any, shift: int, counts: Any) -> None:
    sign = np.uint64(1) << np.uint64(width - 1)
    everything = (sign - np.uint64(1)) | sign
    for edge in range(len(data_bits)):
        bits = np.uint64(data_bits[edge])
        # -0.0 counts as 0.0: otherwise equal similarities would have different ranks.
        if bits == sign:
            bits = np.uint64(0)
        # By their bits negative floats sort in reverse, so all bits are flipped; others get the highest bit
        # set.
        key = everything ^ bits if bits & sign else sign | bits
        digits = key >> np.uint64(shift)
        # A linear search will do: there are two prefixes for each quantile.
        for slot in range(len(prefixes)):
            if prefixes[slot] == digits >> np.uint64(_DIGIT):
                counts[slot, digits & np.uint64(_BINS - 1)] += 1


def order_statistics(
    count: Callable[[HistogramPass], Int64Array], dtype: np.dtype[Any], ranks: Sequence[int]
) -> Float64Array:
    """Return the similarities at given ranks.

    Parameters
    ----------
    count : callable
        Function that runs a `HistogramPass` over the graph and returns its counts.
    dtype : dtype
        Dtype of the similarities: float32 or float64.
    ranks : sequence of int
        Ranks, counted from 0 for the smallest.

    Returns
    -------
    ndarray of float64, shape (len(ranks),)
    """
    width = 8 * dtype.itemsize
    found = np.zeros(len(ranks), np.uint64)
    left = np.asarray(ranks, np.int64).copy()
    for shift in range(width - _DIGIT, -1, -_DIGIT):
        prefixes = np.unique(found)
        below = np.cumsum(count(HistogramPass(prefixes, shift)), axis=1)
        for which, slot in enumerate(np.searchsorted(prefixes, found)):
            digit = int(np.searchsorted(below[slot], left[which], side="right"))
            left[which] -= below[slot, digit - 1] if digit else 0
            found[which] = (int(found[which]) << _DIGIT) | digit
    return _value_of(found, width)


def _value_of(keys: NDArray[np.uint64], width: int) -> Float64Array:
    sign = np.uint64(1 << (width - 1))
    everything = np.uint64((1 << width) - 1)
    bits = np.where(keys & sign, keys ^ sign, keys ^ everything)
    if width == 32:
        return bits.astype(np.uint32).view(np.float32).astype(np.float64)
    return bits.view(np.float64)


def quantiles(
    count: Callable[[HistogramPass], Int64Array], dtype: np.dtype[Any], n_edges: int, at: Sequence[float]
) -> Float64Array:
    """Return quantiles of the similarities, interpolated linearly as ``numpy.quantile`` does.

    Parameters
    ----------
    count, dtype
        As for `order_statistics`.
    n_edges : int
        Number of similarities, at least 1.
    at : sequence of float
        The wanted quantiles, in [0, 1].

    Returns
    -------
    ndarray of float64, shape (len(at),)
    """
    place = np.asarray(at, np.float64) * (n_edges - 1)
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, n_edges - 1)
    values = order_statistics(count, dtype, [*lower.tolist(), *upper.tolist()])
    low, high = np.split(values, 2)
    return np.asarray(low + (high - low) * (place - lower))
