"""Seeds: one number from all that a user may give as ``random_state``; lots drawn by point, not by turn."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError

__all__ = ["hashed", "seed_of"]


def seed_of(random_state: Any) -> int:
    """Return a number: the one given, one drawn from a generator, or for None a new one.

    Raises
    ------
    InvalidInputError
        It is none of these.
    """
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63 - 1))
    if random_state is None:
        return int(np.random.default_rng().integers(2**63 - 1))
    if not isinstance(random_state, Integral):
        raise InvalidInputError(
            f"random_state={random_state!r}; it must be a whole number, a numpy generator or None."
        )
    return int(random_state)


def hashed(ids: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Hash integers into [0, 1): the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64)
        x += np.uint64(1)
        x *= np.uint64(0x9E3779B97F4A7C15)
        x ^= np.uint64((seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    x >>= np.uint64(11)
    return np.asarray(x * 2.0**-53)
