"""Points as the libraries compare them, so that every search means the same by a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import FloatArray

__all__ = ["Frame", "Neighbours"]

_DIRECTIONS = ("cosine", "correlation")
_ROWS_AT_A_TIME = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Neighbour lists, nearest first; -1, at a distance of NaN, where none was found."""

    indices: NDArray[np.integer[Any]]
    distances: FloatArray

    def without_itself(self) -> Neighbours:
        """Leave each point out of its own list of one too many: not always the first, among duplicates."""
        n, k = self.indices.shape
        itself = self.indices == np.arange(n)[:, None]
        itself[~itself.any(axis=1), -1] = True
        return Neighbours(*(x[~itself].reshape(n, k - 1) for x in (self.indices, self.distances)))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """How points are laid out for a metric; Euclidean ones near the origin, and of moderate size.

    There a square of a small distance between large numbers is still told apart, in the expansions of
    scikit-learn and in the float32 of usearch. The scale is a power of two: nothing is rounded by it.
    """

    metric: str
    scale: float = 1.0
    centre: Any = 0.0

    @classmethod
    def of(cls, points: NDArray[Any], metric: str) -> Frame:
        """Fit a frame to points."""
        if metric != "euclidean" or not len(points):
            return cls(metric)
        reach = max(float(points.max()), -float(points.min()))
        scale = 2.0 ** -max(math.frexp(reach)[1], -1000)
        slabs = [points[start : start + _ROWS_AT_A_TIME] for start in range(0, len(points), _ROWS_AT_A_TIME)]
        sums = [np.multiply(slab, scale, dtype=np.float64).sum(axis=0) for slab in slabs]
        return cls(metric, scale, np.sum(sums, axis=0) / len(points))

    def rows(self, points: NDArray[Any]) -> NDArray[Any]:
        """Return points in the frame."""
        if self.metric == "tanimoto":
            return np.packbits(points, axis=1) if points.dtype == np.bool_ else np.ascontiguousarray(points)
        if self.metric == "euclidean":
            rows = np.multiply(points, self.scale, dtype=np.float64) - self.centre
        else:
            rows = _directions(points, self.metric) if self.metric in _DIRECTIONS else points
        return np.ascontiguousarray(rows)

    def distances(self, rows: NDArray[Any], found: FloatArray) -> FloatArray:
        """Return distances between the points as given; ``rows`` are those whose neighbours were found."""
        distances = np.maximum(found, 0) / self.scale
        if self.metric in _DIRECTIONS:
            # The libraries differ about two rows without direction: 0 or 1.
            distances[~rows.any(axis=1)] = 1
        return distances


def _directions(points: NDArray[Any], metric: str) -> NDArray[Any]:
    """Divide by the largest entry, so that no square is out of range and equal entries are exactly equal."""
    largest = np.abs(points).max(axis=1, keepdims=True)
    rows = points / np.where(largest > 0, largest, 1)
    return rows - rows.mean(axis=1, keepdims=True) if metric == "correlation" else rows
