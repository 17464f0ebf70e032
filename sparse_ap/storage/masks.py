"""Masked arrays: what is masked is no edge, in every reader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_of", "filled", "is_masked"]


def is_masked(values: Any) -> bool:
    """Whether values are a masked array, or rows of which one is."""
    if isinstance(values, list | tuple):
        return any(isinstance(row, np.ma.MaskedArray) for row in values)
    return isinstance(values, np.ma.MaskedArray)


def array_of(values: Any) -> NDArray[Any]:
    """Return values as an array; a masked one where they have a mask, which numpy's asarray would lose."""
    return np.ma.asarray(values) if is_masked(values) else np.asarray(values)


def filled(values: NDArray[Any], value: float) -> NDArray[Any]:
    """Return real numbers as a plain array, with an infinite ``value`` where they are masked."""
    if not isinstance(values, np.ma.MaskedArray) or values.dtype.kind not in "biuf":
        return values
    if not np.ma.is_masked(values):
        return values.data
    # Whole numbers have no infinity.
    return np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), value)
