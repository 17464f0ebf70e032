"""Seeds: one number from all that a user may give as ``random_state``."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from sparse_ap.errors import InvalidInputError

__all__ = ["seed_of"]


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
