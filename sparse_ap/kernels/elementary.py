"""Logarithm and exponential with the same bits on every machine.

The last bits of those of the C library and of numpy depend on the processor and the library's version. These
are made of additions, products and divisions, which IEEE 754 rounds in one way only, and of scaling by powers
of two.
"""

from __future__ import annotations

import math

import numpy as np

from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.compilation import helper

__all__ = ["exponential", "exponentials", "logarithm"]

_LOG_2 = 0.6931471805599453
_ROOT_OF_HALF = 0.7071067811865476


@helper
def logarithm(x: float) -> float:
    """Return the natural logarithm of a positive finite number, to about 1e-15 of its value."""
    fraction, exponent = math.frexp(x)
    if fraction < _ROOT_OF_HALF:
        fraction, exponent = 2.0 * fraction, exponent - 1
    # log f = 2 artanh t = 2 (t + t³ / 3 + t⁵ / 5 + ...), where |t| < .172.
    t = (fraction - 1.0) / (fraction + 1.0)
    square, total = t * t, 0.0
    for n in range(21, 0, -2):
        total = 1.0 / n + square * total
    return exponent * _LOG_2 + 2.0 * t * total


def exponential(x: float) -> float:
    """Return e to the power of x, from -700 to 700, to about 1e-15 of its value, times 1 + |x|."""
    return float(exponentials(np.array([x]))[0])


def exponentials(x: Float64Array) -> Float64Array:
    """Return e to the powers of an array, as `exponential`."""
    n_doublings = np.floor(x / _LOG_2 + 0.5)
    # At most log(2) / 2, whose 14th power over 14! is below 1e-17.
    rest, total = x - n_doublings * _LOG_2, np.ones_like(x)
    for n in range(14, 0, -1):
        total = 1.0 + rest / n * total
    return np.ldexp(total, n_doublings.astype(np.int32))
