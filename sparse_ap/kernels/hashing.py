"""Random numbers that depend on a point and a seed only, not on the order of drawing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["hashed"]


def hashed(ids: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Hash integers into [0, 1), by the finaliser of splitmix64 (Steele, Lea & Flood 2014).

    Parameters
    ----------
    ids : ndarray of int, shape (n,)
    seed : int

    Returns
    -------
    ndarray of float64, shape (n,)
        Multiples of 2**-53.
    """
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64)
        # From 1: splitmix64 advances its state before the first draw.
        x += np.uint64(1)
        # 2**64 over the golden ratio, splitmix64's increment; the seed is spread by another odd multiplier
        # before it enters.
        x *= np.uint64(0x9E3779B97F4A7C15)
        x ^= np.uint64((seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    x >>= np.uint64(11)
    return np.asarray(x * 2.0**-53)
