"""Tables of points and metrics: checked, and laid out as the libraries compare them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import FloatArray

__all__ = ["METRICS", "Neighbours", "PointLayout", "checked_metric", "checked_points"]

METRICS = ("euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto")


def checked_metric(metric: str) -> str:
    """Return ``metric``.

    Raises
    ------
    InvalidInputError
        It is not known.
    """
    if not isinstance(metric, str) or metric not in METRICS:
        known = ", ".join(repr(name) for name in METRICS)
        raise InvalidInputError(
            f"metric={metric!r}; one of {known} is needed. For any other distance build neighbour lists with "
            "a library that has it, and give them to sparse_ap.graphs.from_knn."
        )
    return metric


def checked_points(X: ArrayLike, metric: str) -> NDArray[Any]:
    """Return a table that ``metric`` compares: floats, or for "tanimoto" bits (bool, or packed in uint8).

    Raises
    ------
    InvalidInputError
        ``X`` is no such table.
    """
    if scipy.sparse.issparse(X):
        raise InvalidInputError(
            "X is a sparse matrix; a dense table is needed. Build neighbour lists with "
            "sklearn.neighbors.NearestNeighbors and give them to sparse_ap.graphs.from_knn."
        )
    points = _table(X)
    if points.ndim != 2 or not points.shape[1]:
        raise InvalidInputError(
            f"X has shape {points.shape}; a table is needed, one row a point, one column a feature."
        )
    return _bits(points) if metric == "tanimoto" else _floats(points)


def _table(X: ArrayLike) -> NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray):
        raise InvalidInputError(
            "X is a masked array, whose mask would be lost; finite coordinates are needed. Drop these rows, "
            "or fill them in: X.filled(value)."
        )
    try:
        points = np.asarray(X)
        # Columns of different types come out of a data frame as objects.
        return points.astype(np.float64) if points.dtype == object else points
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"X has entries that are no table of real numbers ({error}).") from error


def _bits(points: NDArray[Any]) -> NDArray[Any]:
    if points.dtype not in (np.bool_, np.uint8):
        raise InvalidInputError(
            f"metric='tanimoto' was given X of dtype {points.dtype}; bits are needed: bool, or uint8 as "
            "numpy.packbits(X, axis=1) makes it."
        )
    if points.dtype == np.uint8 and points.size and points.max() <= 1:
        raise InvalidInputError(
            "metric='tanimoto' was given X of dtype uint8 with no value above 1, which looks like bits that "
            "are not packed; pass X.astype(bool), or numpy.packbits(X, axis=1)."
        )
    return points


def _floats(points: NDArray[Any]) -> NDArray[Any]:
    if points.dtype.kind not in "biuf":
        raise InvalidInputError(f"X has dtype {points.dtype}; real numbers are needed.")
    if points.dtype not in (np.float32, np.float64):
        small = points.dtype.kind == "f" and points.dtype.itemsize <= 4
        with np.errstate(over="ignore"):
            points = points.astype(np.float32 if small else np.float64)
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(wrong):
        raise InvalidInputError(
            f"X has {len(wrong)} rows with NaN or infinite entries, the first being row {wrong[0]}; finite "
            "coordinates are needed. Drop these rows, or fill them in."
        )
    return points


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
class PointLayout:
    """How points are laid out for a metric; Euclidean ones near the origin, and of moderate size.

    There a square of a small distance between large numbers is still told apart, in the expansions of
    scikit-learn and in the float32 of usearch. The scale is a power of two: nothing is rounded by it.
    """

    metric: str
    scale: float = 1.0
    centre: Any = 0.0

    @classmethod
    def of(cls, points: NDArray[Any], metric: str) -> PointLayout:
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
