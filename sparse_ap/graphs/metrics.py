"""Metrics, checks of tables of points, and their layout for the libraries that compare them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import FloatArray
from sparse_ap.storage.masks import is_masked

__all__ = ["METRICS", "Neighbours", "PointLayout", "checked_metric", "checked_points", "require_no_mask"]

METRICS = ("euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto")


def checked_metric(metric: str) -> str:
    """Return ``metric`` if it is known.

    Raises
    ------
    InvalidInputError
        The metric is unknown.
    """
    if not isinstance(metric, str) or metric not in METRICS:
        known = ", ".join(repr(name) for name in METRICS)
        raise InvalidInputError(
            f"metric={metric!r}; one of {known} is needed. For any other distance build neighbour lists with "
            "a library that has it, and give them to sparse_ap.graphs.from_knn."
        )
    return metric


def checked_points(X: ArrayLike, metric: str) -> NDArray[Any]:
    """Return a checked table for ``metric``: floats; for "tanimoto" bits (bool, or packed in uint8).

    Raises
    ------
    InvalidInputError
        ``X`` is not a table of finite numbers, or of bits for "tanimoto".
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


def require_no_mask(X: Any) -> None:
    """Refuse masked coordinates."""
    if is_masked(X):
        raise InvalidInputError(
            "X is a masked array, whose mask would be lost; finite coordinates are needed. Drop these rows, "
            "or fill them in: X.filled(value)."
        )


def _table(X: ArrayLike) -> NDArray[Any]:
    require_no_mask(X)
    try:
        points = np.asarray(X)
        # Data frames with columns of different dtypes become arrays of objects.
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
    """Neighbour lists, the nearest first; -1, at a distance of NaN, for a neighbour that was not found.

    Attributes
    ----------
    indices : ndarray of int, shape (n_points, k)
    distances : ndarray of float, shape (n_points, k)
    """

    indices: NDArray[np.integer[Any]]
    distances: FloatArray

    def without_itself(self) -> Neighbours:
        """Remove each point from its own list, which has one entry too many.

        Among duplicates the point itself need not be the first, and may be missing: then the last entry goes.
        """
        n, k = self.indices.shape
        itself = self.indices == np.arange(n)[:, None]
        itself[~itself.any(axis=1), -1] = True
        return Neighbours(*(x[~itself].reshape(n, k - 1) for x in (self.indices, self.distances)))


@dataclass(frozen=True, slots=True, eq=False)
class PointLayout:
    """The layout of points for a metric; Euclidean points are shifted and scaled.

    The libraries expand squared distances, usearch in float32, which cancels digits for points far from the
    origin. So points are centred, and scaled by a power of two, which rounds nothing.

    Attributes
    ----------
    metric : str
    scale : float
    centre : ndarray of float64, shape (n_features,), or 0.0
    """

    metric: str
    scale: float = 1.0
    centre: Any = 0.0

    @classmethod
    def of(cls, points: NDArray[Any], metric: str) -> PointLayout:
        """Choose the layout for a table of points."""
        if metric != "euclidean" or not len(points):
            return cls(metric)
        reach = max(float(points.max()), -float(points.min()))
        # The bound keeps the scale finite if all coordinates are tiny or 0.
        scale = 2.0 ** -max(math.frexp(reach)[1], -1000)
        slabs = [points[start : start + _ROWS_AT_A_TIME] for start in range(0, len(points), _ROWS_AT_A_TIME)]
        sums = [np.multiply(slab, scale, dtype=np.float64).sum(axis=0) for slab in slabs]
        return cls(metric, scale, np.sum(sums, axis=0) / len(points))

    def rows(self, points: NDArray[Any]) -> NDArray[Any]:
        """Return points in this layout."""
        if self.metric == "tanimoto":
            return np.packbits(points, axis=1) if points.dtype == np.bool_ else np.ascontiguousarray(points)
        if self.metric == "euclidean":
            rows = np.multiply(points, self.scale, dtype=np.float64) - self.centre
        else:
            rows = _directions(points, self.metric) if self.metric in _DIRECTIONS else points
        return np.ascontiguousarray(rows)

    def distances(self, rows: NDArray[Any], found: FloatArray) -> FloatArray:
        """Return distances between the original points; ``rows`` are the laid out queries."""
        distances = np.maximum(found, 0) / self.scale
        if self.metric in _DIRECTIONS:
            # The libraries disagree about two rows without a direction: 0 or 1.
            distances[~rows.any(axis=1)] = 1
        return distances


def _directions(points: NDArray[Any], metric: str) -> NDArray[Any]:
    """Divide rows by their largest entry, so that squares stay in range and equal entries stay equal."""
    largest = np.abs(points).max(axis=1, keepdims=True)
    rows = points / np.where(largest > 0, largest, 1)
    return rows - rows.mean(axis=1, keepdims=True) if metric == "correlation" else rows
