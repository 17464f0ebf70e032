"""Links of both directions: every linked pair once, in the rows of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.block import Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel

__all__ = ["linked_pairs"]


def linked_pairs(
    indptr: Int64Array, indices: Int32Array, number: Int32Array
) -> tuple[Int64Array, Int32Array]:
    """Return the rows of an undirected graph, with the points renumbered.

    Parameters
    ----------
    indptr, indices : ndarray
        The rows of a directed graph: no row has its own point, or a point twice.
    number : ndarray of int32, shape (n_points,)
        The new number of each point, each once.

    Returns
    -------
    indptr : ndarray of int64, shape (n_points + 1,)
    indices : ndarray of int32
        Of each row first those that the row has, then, ascending, others whose rows have it.
    """
    n = len(number)
    row_of = np.empty(n, np.int32)
    row_of[number] = np.arange(n, dtype=np.int32)
    degree = np.zeros(n, np.int64)
    _count_ends(indices, number, degree)
    begin = starts_of(degree)
    back = np.empty(len(indices), np.int32)
    _turn_back(indptr, indices, number, row_of, begin[:-1].copy(), back)
    met = np.full(n, -1, np.int32)
    _count_pairs(indptr, indices, number, row_of, begin, back, met, degree)
    starts = starts_of(degree)
    linked = np.empty(starts[-1], np.int32)
    met[:] = -1
    _write_pairs(indptr, indices, number, row_of, begin, back, met, starts, linked)
    return starts, linked


@kernel
def _count_ends(indices: Any, number: Any, degree: Any) -> None:
    for edge in range(len(indices)):
        degree[number[indices[edge]]] += 1


@kernel
def _turn_back(indptr: Any, indices: Any, number: Any, row_of: Any, place: Any, back: Any) -> None:
    for i in range(len(row_of)):
        for edge in range(indptr[row_of[i]], indptr[row_of[i] + 1]):
            j = number[indices[edge]]
            back[place[j]] = i
            place[j] += 1


@kernel
def _count_pairs(
    indptr: Any, indices: Any, number: Any, row_of: Any, begin: Any, back: Any, met: Any, degree: Any
) -> None:
    for i in range(len(row_of)):
        first, last = indptr[row_of[i]], indptr[row_of[i] + 1]
        for edge in range(first, last):
            met[number[indices[edge]]] = i
        n = last - first
        for edge in range(begin[i], begin[i + 1]):
            n += met[back[edge]] != i
        degree[i] = n


@kernel
def _write_pairs(
    indptr: Any, indices: Any, number: Any, row_of: Any, begin: Any, back: Any, met: Any, starts: Any,
    linked: Any,
) -> None:  # fmt: skip
    for i in range(len(row_of)):
        to = starts[i]
        for edge in range(indptr[row_of[i]], indptr[row_of[i] + 1]):
            j = number[indices[edge]]
            met[j] = i
            linked[to] = j
            to += 1
        for edge in range(begin[i], begin[i + 1]):
            if met[back[edge]] != i:
                linked[to] = back[edge]
                to += 1
