"""Sums that do not depend on the order of the summands.

Floating-point sums depend on the order of the summands, and this order on threads and blocks. So each
summand is first rounded to a multiple of a quantum q, a power of two. Multiples of q add without error in
float64 while the total stays below 2**53 q, so such a sum is the same in every order (the pre-rounding of
Demmel & Nguyen, ARITH 2013; docs/design/0002-exact-sums.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import FloatArray
from sparse_ap.kernels.compilation import helper

__all__ = ["Grid", "exact_sum", "grid_sum", "on_grid"]

# With a smaller limit the quantum would be no number of float64: the smallest are multiples of 2**-1074.
_LEAST_EXPONENT = -1022


@dataclass(frozen=True, slots=True)
class Grid:
    """The multiples of a quantum q = 2**-51 * ``limit``, on which sums are exact.

    Attributes
    ----------
    limit : float
        A power of two. Summands up to ``limit`` in absolute value are rounded to nearest; totals up to
        twice ``limit`` are exact, with a bit to spare.
    """

    limit: float

    @classmethod
    def for_totals(cls, bound: float) -> Grid:
        """Return the finest grid on which totals up to ``bound`` are exact."""
        # frexp: bound < 2**exponent, the power of two that becomes the limit.
        _, exponent = math.frexp(bound)
        return cls(math.ldexp(1.0, max(exponent, _LEAST_EXPONENT)))

    @property
    def shift(self) -> float:
        """The constant C = 1.5 * 2**52 * q: ``(x + C) - C`` is x rounded to a multiple of q."""
        return 3.0 * self.limit

    @property
    def quantum(self) -> float:
        """The distance q between neighbouring points of the grid."""
        return self.limit * 2.0**-51

    @property
    def least_gain(self) -> float:
        """Gains up to this value may be rounding errors: 2**12 summands, each off by half a quantum."""
        return self.limit * 2.0**-40


@helper
def on_grid(x: float, shift: float) -> float:
    """Round x to the grid. Never compile this with fastmath, which would cancel the shift."""
    return (x + shift) - shift


def grid_sum(values: NDArray[np.float64]) -> float:
    """Return the sum of an array, rounded to a grid: the same in every order."""
    most = float(np.abs(values).max(initial=0.0))
    shift = Grid.for_totals(most * len(values)).shift
    return float(((values + shift) - shift).sum())


# Values converted to Python floats at a time: this bounds the memory of the list.
_SUM_CHUNK = 1 << 14


def exact_sum(values: FloatArray) -> float:
    """Return the sum of an array, rounded once (`math.fsum`): the same in every order."""
    return math.fsum(_as_floats(values))


def _as_floats(values: FloatArray) -> Iterator[float]:
    for start in range(0, len(values), _SUM_CHUNK):
        yield from values[start : start + _SUM_CHUNK].tolist()
