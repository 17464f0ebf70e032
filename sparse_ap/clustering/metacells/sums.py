"""Sums of the rows of a matrix, or of a table, group by group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.kernels.block import Float64Array, Int64Array

__all__ = ["group_sums", "require_counts", "summed_counts"]

# Rows that are read together: matrices on disk, and dense ones, need not be copied as a whole.
_ROWS = 16_384


def summed_counts(
    counts: Any, labels: Int64Array, n_groups: int, where: str, *, warned: bool = False
) -> scipy.sparse.csr_matrix:
    """Return the sum of the rows of each group, int64 for whole numbers' dtypes, else float64.

    Parameters
    ----------
    counts : ndarray, sparse matrix, or an AnnData's matrix on disk
    labels : ndarray of int64
        The group of each row.
    n_groups : int
    where : str
        The name of the matrix, for errors.
    warned : bool
        Whether fractions have been told of.

    Warns
    -----
    UserWarning
        There are fractions: logarithms, perhaps.

    Raises
    ------
    InvalidInputError
        There are negative numbers, NaN or infinity, or no real numbers.
    """
    total = scipy.sparse.csr_array((n_groups, counts.shape[1]), dtype=_dtype(counts))
    start = 0
    for part in _blocks(counts, where):
        warned = warned or _warned(part.data, where)
        group = labels[start : start + part.shape[0]]
        start += len(group)
        member = (np.ones(len(group), part.dtype), group, np.arange(len(group) + 1))
        total = total + scipy.sparse.csc_array(member, shape=(n_groups, len(group))) @ part
    return scipy.sparse.csr_matrix(total)


def group_sums(values: Float64Array, labels: Int64Array, sizes: Int64Array) -> Float64Array:
    """Return the sum of the rows of each group, of which none is empty."""
    starts = np.cumsum(sizes) - sizes
    return np.asarray(np.add.reduceat(values[np.argsort(labels, kind="stable")], starts, axis=0))


def require_counts(counts: Any, where: str) -> bool:
    """Refuse, before a run, what is seen to be no counts; warn of fractions. Return whether it warned.

    Of what is dense, or on disk, the first rows are looked at.
    """
    _require_numbers(counts, where)
    seen = counts if scipy.sparse.issparse(counts) else counts[:_ROWS]
    values = seen.data if scipy.sparse.issparse(seen) else np.asarray(seen)
    _require_values(values, where)
    return _warned(values, where)


def _warned(values: NDArray[Any], where: str) -> bool:
    """Warn of fractions; return whether there are any."""
    if values.dtype.kind != "f" or (values == np.floor(values)).all():
        return False
    warn(
        f"{where} has fractions, which are added up as counts. If they are logarithms, or normalised, "
        "give the counts instead, with layer= or use_raw=True."
    )
    return True


def _require_numbers(counts: Any, where: str) -> None:
    if counts.dtype.kind not in "biuf":
        raise InvalidInputError(f"{where} has dtype {counts.dtype}; counts, real numbers, are needed.")


def _require_values(values: NDArray[Any], where: str) -> None:
    if not np.isfinite(values).all() or values.min(initial=0) < 0:
        raise InvalidInputError(
            f"{where} has negative numbers, NaN or infinity; counts are needed, 0 or more. Scaled data "
            "have no sums that mean anything: give the counts, with layer= or use_raw=True."
        )


def _blocks(counts: Any, where: str) -> Iterator[scipy.sparse.csr_array]:
    """Yield some rows after the other, checked, as int64 or float64."""
    _require_numbers(counts, where)
    if scipy.sparse.issparse(counts):
        counts = counts.tocsr()
    for start in range(0, counts.shape[0], _ROWS):
        rows = counts[start : start + _ROWS]
        rows = rows if scipy.sparse.issparse(rows) else np.asarray(rows)
        part = scipy.sparse.csr_array(rows.astype(_dtype(counts)))
        _require_values(part.data, where)
        yield part


def _dtype(counts: Any) -> type:
    return np.float64 if counts.dtype.kind == "f" else np.int64
