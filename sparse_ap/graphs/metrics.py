"""The distances: what each name means, in every search alike."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError

__all__ = ["METRICS", "checked_metric", "comparable", "in_units", "pair_distance"]

METRICS = ("euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto")
MANHATTAN, CHEBYSHEV = 1, 2
_CODES = {"manhattan": MANHATTAN, "chebyshev": CHEBYSHEV}
# Sums may be taken in any order, which lets them be vectorised.
_VECTORISED = {"reassoc", "contract", "nsz"}


def checked_metric(metric: str) -> str:
    """Return ``metric``.

    Raises
    ------
    InvalidInputError
        It is not known.
    """
    if metric not in METRICS:
        known = ", ".join(repr(name) for name in METRICS)
        raise InvalidInputError(
            f"metric={metric!r}; one of {known} is needed. For any other distance build neighbour lists with "
            "a library that has it, and give them to sparse_ap.graphs.from_knn."
        )
    return metric


def code_of(metric: str) -> int:
    """Return what `pair_distance` takes for ``metric``; 0 is the squared Euclidean distance."""
    return _CODES.get(metric, 0)


def comparable(points: NDArray[Any], metric: str) -> NDArray[Any]:
    """Return rows that `pair_distance` compares in the order of ``metric``.

    Cosine and correlation become the Euclidean distance of unit vectors. A zero vector (for correlation: a
    constant one) has no direction: it gets one of its own, at right angles to all others. Bits become words.
    """
    if metric == "tanimoto":
        return _words(points)
    if metric in ("cosine", "correlation"):
        return _directions(points, centred=metric == "correlation")
    return np.ascontiguousarray(points)


def in_units(compared: NDArray[Any], metric: str) -> NDArray[Any]:
    """Turn what `pair_distance` gave into distances by ``metric``; in place."""
    if metric == "euclidean":
        np.sqrt(compared, out=compared)
    if metric in ("cosine", "correlation"):
        compared *= 0.5
    return compared


def pair_distance(a: Any, i: int, b: Any, j: int, code: int) -> float:
    """Compare row i of ``a`` with row j of ``b``; compiled only."""
    # Not rows cut out of the tables: counting references to a table is what threads would then wait for.
    raise NotImplementedError


@overload(pair_distance, jit_options={"fastmath": _VECTORISED})
def _pair_distance(a, i, b, j, code):  # type: ignore[no-untyped-def]
    if isinstance(a.dtype, numba.types.Integer):
        return lambda a, i, b, j, code: _tanimoto(a, i, b, j)

    def of_floats(a, i, b, j, code):  # type: ignore[no-untyped-def]
        if code == MANHATTAN:
            return _manhattan(a, i, b, j)
        if code == CHEBYSHEV:
            return _chebyshev(a, i, b, j)
        return _squared_euclidean(a, i, b, j)

    return of_floats


@numba.njit(nogil=True, cache=True, fastmath=_VECTORISED)
def _squared_euclidean(a: Any, i: int, b: Any, j: int) -> float:
    total = 0.0
    for c in range(a.shape[1]):
        difference = np.float64(a[i, c]) - np.float64(b[j, c])
        total += difference * difference
    return total


@numba.njit(nogil=True, cache=True, fastmath=_VECTORISED)
def _manhattan(a: Any, i: int, b: Any, j: int) -> float:
    total = 0.0
    for c in range(a.shape[1]):
        total += abs(np.float64(a[i, c]) - np.float64(b[j, c]))
    return total


@numba.njit(nogil=True, cache=True, fastmath=_VECTORISED | {"nnan"})
def _chebyshev(a: Any, i: int, b: Any, j: int) -> float:
    largest = 0.0
    for c in range(a.shape[1]):
        largest = max(largest, abs(np.float64(a[i, c]) - np.float64(b[j, c])))
    return largest


@numba.njit(nogil=True, cache=True)
def _bits_of(word: Any) -> int:
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)  # type: ignore[no-any-return]


@numba.njit(nogil=True, cache=True)
def _tanimoto(a: Any, i: int, b: Any, j: int) -> float:
    """Return 1 - |both| / |either|; 0 for two rows without any bit, which are equal."""
    both, either = np.uint64(0), np.uint64(0)
    for c in range(a.shape[1]):
        both += _bits_of(a[i, c] & b[j, c])
        either += _bits_of(a[i, c] | b[j, c])
    return 1.0 - both / either if either else 0.0


def _words(bits: NDArray[Any]) -> NDArray[np.uint64]:
    packed = np.packbits(bits, axis=1) if bits.dtype == bool else bits
    n, width = packed.shape
    padded = np.zeros((n, 8 * math.ceil(width / 8)), np.uint8)
    padded[:, :width] = packed
    return padded.view(np.uint64)


def _directions(points: NDArray[Any], *, centred: bool) -> NDArray[Any]:
    """Return unit vectors, with a last coordinate that is 1 where there is no direction."""
    n, width = points.shape
    rows = np.zeros((n, width + 1), points.dtype)
    unit = rows[:, :width]
    # Divided by the largest entry first, so that no square is out of range.
    largest = np.abs(points).max(axis=1, initial=0)
    np.divide(points, largest[:, None], out=unit, where=(largest > 0)[:, None])
    directed = largest > 0
    if centred:
        directed &= points.max(axis=1, initial=-np.inf) > points.min(axis=1, initial=np.inf)
        unit -= unit.mean(axis=1, dtype=np.float64, keepdims=True).astype(unit.dtype)
        unit[~directed] = 0
    norms = np.sqrt(np.einsum("ij,ij->i", unit, unit, dtype=np.float64))
    unit /= np.where(directed, norms, 1)[:, None].astype(unit.dtype)
    rows[~directed, width] = 1
    return rows
