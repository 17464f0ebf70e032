"""From the similarities of a conversion, in float64, to those of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.kernels.block import FloatArray

__all__ = ["AS_FLOAT64", "Narrowing"]

AS_FLOAT64 = "Give the distances as float64: distances.astype(numpy.float64)."

# Of so many similarities it is looked at how many float32 can tell apart, ...
_LOOKED_AT = 1000
# ... and if it cannot tell this share of them from the next, the user is told.
_MERGED_SHARE = 0.1
# Relative differences below this are rounding errors, such as between the two directions of a pair.
_ROUNDING = 1e-10


class Narrowing:
    """Conversion of similarities to a graph's dtype, which warns once if different ones become equal.

    Parameters
    ----------
    dtype : float32 or float64
        The graph's dtype; values that are narrower are left as they are.
    remedy : str
        What to do to get a graph of float64.
    """

    def __init__(self, dtype: np.dtype[Any], remedy: str) -> None:
        self.dtype, self._remedy, self._told = dtype, remedy, False
        self._seen: FloatArray = np.empty(0)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return the similarities in the graph's dtype.

        Raises
        ------
        InvalidInputError
            A similarity is out of the dtype's range.
        """
        if values.dtype.itemsize <= self.dtype.itemsize:
            return values
        with np.errstate(over="ignore", under="ignore"):
            narrow = values.astype(self.dtype)
        lost = np.flatnonzero(np.isinf(narrow) & np.isfinite(values))
        if len(lost):
            raise InvalidInputError(
                f"A similarity is {values[lost[0]]:g}, which float32 cannot hold. {self._remedy}"
            )
        if not self._told:
            self._look(values, narrow)
        return narrow

    def _look(self, values: FloatArray, narrow: FloatArray) -> None:
        """Warn if values that are different become equal, among these and some of those seen before."""
        tiny = np.flatnonzero((np.abs(narrow) < np.finfo(narrow.dtype).tiny) & (narrow != values))
        self._seen = np.concatenate([self._seen, values[tiny[:_LOOKED_AT]], _some_of(values)])
        pair = _made_equal(self._seen, self.dtype)
        self._seen = _some_of(self._seen)
        if pair is not None:
            self._told = True
            warn(
                f"Different similarities become equal in float32, such as {pair[0]} and {pair[1]}. "
                f"{self._remedy}"
            )


def _some_of(values: FloatArray) -> FloatArray:
    """Return some values, from everywhere in an array."""
    return values[np.linspace(0, max(0, len(values) - 1), min(len(values), _LOOKED_AT)).astype(np.int64)]


def _made_equal(values: FloatArray, dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """Return two different values that are equal in a narrower dtype; None if there are hardly any."""
    values = np.sort(values[np.isfinite(values)])
    with np.errstate(under="ignore"):
        narrow = values.astype(dtype)
    apart = values[1:] - values[:-1] > _ROUNDING * np.abs(values[1:])
    merged = apart & (narrow[1:] == narrow[:-1])
    # Near 0 numbers are lost by their size, which rounding never does.
    lost = np.flatnonzero(merged & (np.abs(narrow[1:]) < np.finfo(dtype).tiny))
    if not len(lost) and np.count_nonzero(merged) > _MERGED_SHARE * np.count_nonzero(apart):
        lost = np.flatnonzero(merged)
    return (float(values[lost[0]]), float(values[lost[0] + 1])) if len(lost) else None
