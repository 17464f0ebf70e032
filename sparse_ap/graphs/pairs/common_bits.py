"""The scan for pairs of points with enough bits in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.bits import Bits, count_common
from sparse_ap.kernels.compilation import kernel

__all__ = ["CommonBits"]

# What is let through beyond the threshold, for the rounding of floats; the distances decide.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class CommonBits:
    """The scan of points that are sorted by their numbers of bits.

    Two points of a and b bits may be near if they have at least ``slope`` · (a + b) + ``offset`` in common.

    Attributes
    ----------
    bits : Bits
        By rising ``counts``.
    slope, offset : float
    """

    bits: Bits
    slope: float
    offset: float

    @classmethod
    def of(cls, bits: Bits, reach: float) -> Self:
        """Return the scan for points within a distance."""
        share = min(reach, 1.0)
        if bits.metric == "hamming":
            # a + b - 2 common bits differ.
            return cls(bits, 0.5, -share * bits.n_bits / 2 * (1 + _SLACK) - _SLACK)
        # common / (a + b - common) is the similarity.
        least = 1 - share
        return cls(bits, least / (1 + least), -_SLACK * bits.n_bits)

    def near(self, rows: NDArray[np.int64], first: int, last: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the places of all pairs that may be near, of consecutive rows and of the points first:last.

        Both arrays are of shape (n_pairs,): places among the rows, and among the points compared.
        """
        # No more bits are common than the smaller point has.
        few, more = (float(self.bits.counts[place]) for place in (rows[-1], first))
        if first > rows[-1] and few < self.slope * (few + more) + self.offset:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        columns = self.bits.columns(first, last)
        width = columns.words.shape[1]
        hits = np.empty(len(rows) * (last - first), np.int32)
        n = _enough_in_common(
            self.bits.words, self.bits.counts, rows, columns.words, columns.counts, columns.n, self.slope,
            self.offset, np.empty(width, np.int64), hits,
        )  # fmt: skip
        one, other = np.divmod(hits[:n].astype(np.int64), width)
        return one, other


@kernel
def _enough_in_common(  # type: ignore[no-untyped-def]
    points, counts, queries, words, other_counts, n_columns, slope, offset, common, hits
):
    n = 0
    for a in range(queries.size):
        count_common(points, queries[a], words, common)
        own = np.float64(counts[queries[a]])
        for c in range(n_columns):
            if common[c] >= slope * (own + other_counts[c]) + offset:
                hits[n] = a * words.shape[1] + c
                n += 1
    return n
