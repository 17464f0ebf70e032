"""Distances as C functions, for the index that does not have them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["METRIC_FUNCTIONS"]

_SIGNATURE = "float32(CPointer(float32), CPointer(float32), uint64)"
_compiled = numba.cfunc(_SIGNATURE, cache=True, fastmath={"reassoc", "nsz", "nnan"})


@_compiled
def _manhattan(a: Any, b: Any, size: int) -> Any:
    total = np.float32(0)
    for j in range(size):
        total += abs(a[j] - b[j])
    return total


@_compiled
def _chebyshev(a: Any, b: Any, size: int) -> Any:
    largest = np.float32(0)
    for j in range(size):
        largest = max(largest, abs(a[j] - b[j]))
    return largest


METRIC_FUNCTIONS = {"manhattan": _manhattan, "chebyshev": _chebyshev}
