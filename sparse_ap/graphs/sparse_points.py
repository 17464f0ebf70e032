"""Checks of points: of tables, and of sparse rows, with few features that are not 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.metrics import checked_points, require_no_mask, warn_of_packed_bits
from sparse_ap.graphs.neighbours.sparse_space import SPARSE_METRICS
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.validation import as_float, require_ids, require_structure

__all__ = ["checked_rows", "checked_vectors"]

# Squares of larger features, and their sums, would leave the range of float64.
_LARGEST = 1e150


def checked_vectors(X: Any, metric: str) -> Any:
    """Return a checked table of points, or checked sparse rows; warn of bytes that look like packed bits.

    Raises
    ------
    InvalidInputError
        As in `checked_points`, or in `checked_rows`.
    """
    check = checked_rows if scipy.sparse.issparse(X) else checked_points
    points = check(X, metric)
    warn_of_packed_bits(X, metric)
    return points


def checked_rows(X: Any, metric: str) -> Any:
    """Return sparse rows as CSR of floats, every feature stored once; what is not stored is 0.

    Raises
    ------
    InvalidInputError
        The metric does not take sparse rows, features are masked, or the matrix is damaged.
    """
    if metric not in SPARSE_METRICS:
        raise InvalidInputError(
            f"metric={metric!r} was given a sparse matrix of features; with it the rows must be dense: "
            f"X.toarray(). Sparse rows are compared by {', '.join(map(repr, SPARSE_METRICS))}."
        )
    if len(X.shape) != 2:
        raise InvalidInputError(
            f"X has shape {X.shape}; a table is needed, one row a point, one column a feature."
        )
    require_no_mask(getattr(X, "data", None))
    try:
        # Zeros that fill up blocks or diagonals are zeros here.
        rows = X.tocsr() if X.format in ("bsr", "dia") else csr_of(X)
        require_structure(rows)
        require_ids("Column", rows.indices[: rows.indptr[-1]], rows.shape[1])
        data = as_float(rows.data)
    except InvalidInputError as error:
        raise InvalidInputError(f"X cannot be read as sparse rows of features: {error}") from error
    largest = float(np.abs(data).max(initial=0))
    if _LARGEST < largest < np.inf:
        raise InvalidInputError(
            f"X reaches {largest:g}, whose square float64 cannot hold. Divide the features by one number."
        )
    # Made anew, since scipy remembers of a matrix how its entries once were.
    rows = scipy.sparse.csr_array((data, rows.indices, rows.indptr), rows.shape)
    if rows.has_canonical_format:
        return rows
    rows = rows.copy()
    rows.sum_duplicates()
    return rows
