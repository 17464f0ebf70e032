"""Rows of a dense array of similarities as a block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.storage.validation import as_float

__all__ = ["dense_block"]


def dense_block(
    values: NDArray[Any], rows: RowCut, threshold: float | None = None, top_k: int | None = None
) -> Block:
    """Return the entries of some rows that are edges.

    Parameters
    ----------
    values : ndarray of numbers, shape (rows, n_points)
        NaN and -inf: no edge.
    rows : RowCut
    threshold, top_k
        As for `sparse_ap.graphs.open_graph`.
    """
    values = as_float(values)
    kept = _edges(values, rows, threshold, top_k)
    indptr = np.zeros(len(values) + 1, np.int64)
    np.cumsum(kept.sum(axis=1), out=indptr[1:])
    columns = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
    return Block(rows, values.shape[1], indptr, columns[kept], values[kept])


def _edges(
    values: NDArray[Any], rows: RowCut, threshold: float | None, top_k: int | None
) -> NDArray[np.bool_]:
    """Say which entries of some rows are edges."""
    kept = values > -np.inf
    if threshold is not None:
        kept &= values >= threshold
    kept[np.arange(len(values)), np.arange(rows.start, rows.stop)] = False
    if top_k is not None and top_k < values.shape[1]:
        candidates = np.where(kept, values, -np.inf)
        best = np.argsort(-candidates, axis=1, kind="stable")[:, :top_k]
        strongest = np.zeros_like(kept)
        np.put_along_axis(strongest, best, True, axis=1)
        kept &= strongest
    return kept
