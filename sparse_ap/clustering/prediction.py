"""Labels of new samples, from their similarities to the exemplars."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.masks import array_of
from sparse_ap.storage.validation import as_float, require_ids, require_structure

__all__ = ["most_similar", "warn_of_unreached"]


def most_similar(similarity: Any, exemplars: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the label of each row's most similar exemplar; -1 where the row has an entry for no exemplar.

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
    return np.where(values.max(axis=1) > -np.inf, values.argmax(axis=1), -1)


def _most_similar_stored(similarity: Any, exemplars: NDArray[np.int64]) -> NDArray[np.int64]:
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
    found = np.full(csr.shape[0], -1)
    found[rows[order]] = labels[order]
    return found


def _require_numbers(values: NDArray[Any]) -> None:
    n_nan = np.count_nonzero(np.isnan(values))
    if n_nan:
        raise InvalidInputError(
            f"X has {n_nan} NaN similarities to exemplars; numbers are needed, or -inf for no entry."
        )


def warn_of_unreached(labels: NDArray[np.int64]) -> None:
    """Warn of samples without an entry for any exemplar, which are labelled -1."""
    n_unreached = np.count_nonzero(labels < 0)
    if n_unreached:
        warn(
            f"{n_unreached} of {len(labels)} samples have no entry for any exemplar; they are labelled -1. "
            "Store more entries a row to reach them.",
            ConvergenceWarning,
        )
