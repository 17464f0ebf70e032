"""Exemplars of new points, by their similarities to the exemplars or by distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import is_finite, require, usable_threads
from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.distances import conversion_of
from sparse_ap.graphs.metrics import checked_metric, checked_points, warn_of_packed_bits
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbours.bits import BIT_METRICS
from sparse_ap.graphs.neighbours.search import nearest_of
from sparse_ap.graphs.neighbours.space import INNER_PRODUCT
from sparse_ap.graphs.pairs.threshold import Threshold, checked_conversion, checked_least, falling
from sparse_ap.graphs.sparse_points import checked_rows
from sparse_ap.kernels.block import FloatArray
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.masks import array_of
from sparse_ap.storage.validation import as_float, require_ids, require_structure

__all__ = ["Prediction", "comparable", "most_similar", "predicted", "warn_of_unreached"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The exemplars of new points.

    Attributes
    ----------
    labels : ndarray of int64, shape (n_new,)
        ``exemplars[labels[i]]`` of the clustering represents new point i; -1: nobody does.
    exemplars : ndarray of int64, shape (n_new,)
        The number of that exemplar among the points of the clustering; -1 for none.
    similarities : ndarray of float32 or float64, shape (n_new,)
        To that exemplar; NaN for none.
    """

    __module__ = "sparse_ap"

    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]
    similarities: FloatArray

    @classmethod
    def of(
        cls,
        labels: NDArray[np.int64],
        values: FloatArray,
        exemplars: NDArray[np.int64],
        least: np.floating[Any] | None,
    ) -> Self:
        """Return the prediction for best labels, of which those less similar than ``least`` are dropped."""
        near = labels >= 0
        if least is not None:
            near &= values >= least
        labels = np.where(near, labels, -1)
        return cls(labels, np.where(near, exemplars[labels], -1), np.where(near, values, np.nan))


def predicted(
    X: Any,
    points: Any,
    exemplars: NDArray[np.int64],
    n_points: int,
    *,
    metric: str | None,
    similarity: str | None,
    min_similarity: Any,
    n_jobs: int | None,
) -> Prediction:
    """Return the exemplars of new points; see `Clustering.predict`."""
    if points is not None:
        rows, known = _rows_of_exemplars(points, exemplars, n_points), metric or "euclidean"
        return _by_points(X, rows, exemplars, known, similarity, min_similarity, n_jobs)
    for name, given in {"metric": metric, "similarity": similarity, "n_jobs": n_jobs}.items():
        if given is not None:
            raise InvalidInputError(f"{name}={given!r} is for points: give points, those of the clustering.")
    X = X if scipy.sparse.issparse(X) else array_of(X)
    if X.ndim != 2 or X.shape[1] != n_points:
        raise InvalidInputError(
            f"X has shape {X.shape}; similarities of shape (n_new, {n_points}) to the points of the "
            "clustering are needed. New points are compared with those of the clustering: give points."
        )
    return _by_similarities(X, exemplars, min_similarity)


def _rows_of_exemplars(points: Any, exemplars: NDArray[np.int64], n_points: int) -> Any:
    """Return the exemplars' rows of the points of a clustering; these may be the exemplars alone."""
    table = points.tocsr() if scipy.sparse.issparse(points) else array_of(points)
    if table.ndim == 2 and table.shape[0] == n_points:
        return table[exemplars]
    if table.ndim == 2 and table.shape[0] == len(exemplars):
        return table
    raise InvalidInputError(
        f"points has shape {table.shape}; the {n_points} points that were clustered are needed, or their "
        f"{len(exemplars)} exemplars, one a row."
    )


def _by_similarities(X: Any, exemplars: NDArray[np.int64], min_similarity: Any) -> Prediction:
    """Return the most similar exemplars, by similarities of shape (n_new, n_points)."""
    labels, values = most_similar(X, exemplars)
    if min_similarity is None:
        warn_of_unreached(labels)
        return Prediction.of(labels, values, exemplars, None)
    require("min_similarity", min_similarity, is_finite(min_similarity), "a finite number, or None")
    # As narrow as the similarities, so that one that was equal stays.
    return Prediction.of(labels, values, exemplars, values.dtype.type(min_similarity))


def _by_points(
    new: Any, of_exemplars: Any, exemplars: NDArray[np.int64], metric: str, similarity: str | None,
    min_similarity: Any, n_jobs: int | None,
) -> Prediction:  # fmt: skip
    """Return the nearest exemplars of new points, by the points of the exemplars."""
    conversion = checked_conversion(similarity, checked_metric(metric))
    # Refuses conversions that inner products do not have.
    conversion_of(similarity, metric)
    least = None if min_similarity is None else _least(min_similarity, conversion, metric)
    asked, points = comparable(new, of_exemplars, metric)
    labels, distances = nearest_of(asked, points, metric, usable_threads(n_jobs))
    narrowing = Narrowing(np.dtype(np.float32), "Divide the points by one number.")
    return Prediction.of(labels, narrowing(falling(conversion, distances)), exemplars, least)


def _least(min_similarity: Any, conversion: str, metric: str) -> np.float32:
    """Return the least similarity in float32; by inner products any number may be one."""
    if metric == INNER_PRODUCT:
        return checked_least(min_similarity)
    return Threshold.of(min_similarity, conversion).least


def comparable(new: Any, old: Any, metric: str) -> tuple[Any, Any]:
    """Return two checked tables, or two tables of checked sparse rows, of the same features."""
    if any(map(scipy.sparse.issparse, (new, old))):
        asked, points = (checked_rows(scipy.sparse.csr_array(table), metric) for table in (new, old))
    else:
        asked, points = (checked_points(table, metric) for table in (new, old))
    warn_of_packed_bits(old, metric)
    same_bits = metric not in BIT_METRICS or asked.dtype == points.dtype
    if asked.shape[1] != points.shape[1] or not same_bits:
        forms = [f"{table.shape[1]} columns of {table.dtype}" for table in (asked, points)]
        raise InvalidInputError(
            f"The new points have {forms[0]}, the points of the clustering {forms[1]}; the same features, in "
            "the same form, are needed."
        )
    return asked, points


def most_similar(similarity: Any, exemplars: NDArray[np.int64]) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the label of each row's most similar exemplar, -1 without an entry for any, and the similarity.

    Parameters
    ----------
    similarity : ndarray or scipy sparse matrix, shape (n_new, n_samples)
        A zero of a sparse matrix counts only if it is stored; -inf counts as no entry.
    exemplars : ndarray of int64, shape (n_clusters,)

    Raises
    ------
    InvalidInputError
        A similarity to an exemplar is NaN, or the index arrays do not fit together.
    """
    if scipy.sparse.issparse(similarity):
        return _most_similar_stored(similarity, exemplars)
    values = as_float(array_of(similarity)[:, exemplars])
    _require_numbers(values)
    best = values.max(axis=1)
    return np.where(best > -np.inf, values.argmax(axis=1), -1), best


def _most_similar_stored(
    similarity: Any, exemplars: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray]:
    csr = csr_of(similarity)
    require_structure(csr)
    columns = csr.indices[: csr.indptr[-1]]
    require_ids("Column", columns, csr.shape[1])
    label_of = np.full(csr.shape[1], -1)
    label_of[exemplars] = np.arange(len(exemplars))
    values, labels = as_float(csr.data[: len(columns)]), label_of[columns]
    rows = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr.astype(np.int64)))
    _require_numbers(values[labels >= 0])
    known = (labels >= 0) & (values > -np.inf)
    rows, labels, values = rows[known], labels[known], values[known]
    # Within each row the best entry comes last and so is the one that stays; of equals, the first exemplar.
    order = np.lexsort((-labels, values, rows))
    found, best = np.full(csr.shape[0], -1), np.full(csr.shape[0], -np.inf, values.dtype)
    found[rows[order]], best[rows[order]] = labels[order], values[order]
    return found, best


def _require_numbers(values: NDArray[Any]) -> None:
    n_nan = np.count_nonzero(np.isnan(values))
    if n_nan:
        raise InvalidInputError(
            f"X has {n_nan} NaN similarities to exemplars; numbers are needed, or -inf for no entry."
        )


def warn_of_unreached(labels: NDArray[np.int64]) -> None:
    """Warn of samples without an entry for any exemplar, which are labelled -1."""
    # Imported here: commands that assign nothing need not load it.
    from sklearn.exceptions import ConvergenceWarning

    n_unreached = np.count_nonzero(labels < 0)
    if n_unreached:
        warn(
            f"{n_unreached} of {len(labels)} samples have no entry for any exemplar; they are labelled -1. "
            "Store more entries a row to reach them.",
            ConvergenceWarning,
        )
