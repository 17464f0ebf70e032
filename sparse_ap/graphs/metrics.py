"""Metrics, and checks of tables of points."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.neighbours.bits import BIT_METRICS
from sparse_ap.graphs.neighbours.space import INNER_PRODUCT
from sparse_ap.storage.masks import is_masked

__all__ = [
    "DISTANCES",
    "METRICS",
    "checked_metric",
    "checked_points",
    "require_no_mask",
    "require_points",
    "warn_of_packed_bits",
]

#: Distances, all at least 0.
DISTANCES = ("euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming")
METRICS = (*DISTANCES, INNER_PRODUCT)
_SOME_ROWS = 1000


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
    """Return a checked table for ``metric``: floats; bits (bool, or packed in uint8) for metrics of bits.

    Raises
    ------
    InvalidInputError
        ``X`` is not a table of finite numbers, or of bits for a metric of bits.
    """
    if scipy.sparse.issparse(X):
        raise InvalidInputError("X is a sparse matrix; a dense table is needed: X.toarray().")
    require_points(X)
    points = _table(X)
    if points.ndim != 2 or not points.shape[1]:
        raise InvalidInputError(
            f"X has shape {points.shape}; a table is needed, one row a point, one column a feature."
        )
    return _bits(points, metric) if metric in BIT_METRICS else _floats(points)


def require_points(X: Any) -> None:
    """Refuse what holds points, and other things beside them.

    Raises
    ------
    InvalidInputError
        ``X`` is the path of a file, or an AnnData.
    """
    if isinstance(X, str | PathLike):
        raise InvalidInputError(
            f"X is the path {str(X)!r}; the points are needed: numpy.load(path, mmap_mode='r') of an .npy "
            "file. sparse-ap knn takes the path itself."
        )
    if any(kind.__name__ == "AnnData" for kind in type(X).__mro__):
        raise InvalidInputError(
            "X is an AnnData, which holds several tables; one is needed, such as adata.obsm['X_pca']. "
            "sparse_ap.graphs.from_anndata(adata) takes the graph of scanpy.pp.neighbors."
        )


def warn_of_packed_bits(points: Any, metric: str) -> None:
    """Warn where bytes that are to be compared as numbers look like packed bits, such as fingerprints.

    Of fingerprints most bytes have few bits; of pictures and counts most bytes of 16 and more have several.
    """
    if metric in BIT_METRICS or getattr(points, "dtype", None) != np.uint8 or scipy.sparse.issparse(points):
        return
    some = np.asarray(points[:_SOME_ROWS])
    large = some[some >= 16]
    if 2 * np.count_nonzero(large & (large - 1) == 0) > len(large):
        warn(
            f"X has dtype uint8 and looks like packed bits, such as fingerprints, but metric={metric!r} "
            "takes its bytes as numbers from 0 to 255. For bits pass metric='tanimoto'."
        )


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


def _bits(points: NDArray[Any], metric: str) -> NDArray[Any]:
    if points.dtype not in (np.bool_, np.uint8):
        raise InvalidInputError(
            f"metric={metric!r} was given X of dtype {points.dtype}; bits are needed: bool, or uint8 as "
            "numpy.packbits(X, axis=1) makes it."
        )
    if points.dtype == np.uint8 and points.size and points.max() <= 1:
        raise InvalidInputError(
            f"metric={metric!r} was given X of dtype uint8 with no value above 1, which looks like bits that "
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
        column = int(np.argmin(np.isfinite(points[wrong[0]])))
        raise InvalidInputError(
            f"X has {len(wrong)} rows with NaN or infinite entries, the first in row {wrong[0]}, column "
            f"{column}; finite coordinates are needed. Drop these rows, or fill them in."
        )
    return points
