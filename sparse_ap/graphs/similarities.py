"""How distances become similarities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import FloatArray

__all__ = ["SIMILARITIES", "Similarity", "float_type", "similarities_of", "similarity_function"]

Similarity = str | Callable[[NDArray[Any]], NDArray[Any]]


def _minus_squares(d: NDArray[Any]) -> NDArray[Any]:
    try:
        with np.errstate(over="raise"):
            squares = d * d
    except FloatingPointError as error:
        raise InvalidInputError(
            f"The squares of the distances, which reach {np.abs(d).max():g}, leave the range of {d.dtype}. "
            "Give the distances as float64, divide them by one number, or use similarity='-d'."
        ) from error
    return np.asarray(np.negative(squares, out=squares))


SIMILARITIES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "-d": np.negative,
    "-d**2": _minus_squares,
    "1-d": lambda d: 1 - d,
}


def similarity_function(similarity: Similarity) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the function that turns distances into similarities.

    Raises
    ------
    InvalidInputError
        The name is not known.
    """
    if callable(similarity):
        return similarity
    if not isinstance(similarity, str) or similarity not in SIMILARITIES:
        known = ", ".join(repr(name) for name in SIMILARITIES)
        raise InvalidInputError(f"similarity={similarity!r}; one of {known} is needed, or a function.")
    return SIMILARITIES[similarity]


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which distances of a type become similarities: float64 only for float64."""
    return np.dtype(np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32)


def similarities_of(distances: FloatArray, similarity: Similarity) -> FloatArray:
    """Turn distances into as many similarities.

    Parameters
    ----------
    distances : ndarray of float32 or float64, shape (n_edges,)
        No NaN and nothing infinite. A callable may write to it.
    similarity : {"-d", "-d**2", "1-d"} or callable

    Raises
    ------
    InvalidInputError
        ``similarity`` is not known, squares negative distances, or does not return one similarity, finite
        or -inf, for each distance.
    """
    function = similarity_function(similarity)
    if function is _minus_squares:
        _require_no_negative(distances)
    values = np.asarray(function(distances))
    if values.shape != distances.shape:
        raise InvalidInputError(
            f"similarity returned an array of shape {values.shape} for distances of shape {distances.shape}; "
            "one similarity for each distance is needed, in the same order."
        )
    if values.dtype.kind not in "biuf":
        raise InvalidInputError(f"similarity returned dtype {values.dtype}; real numbers are needed.")
    wrong = ~(values < np.inf)
    if wrong.any():
        raise InvalidInputError(
            f"similarity returned NaN or +inf {np.count_nonzero(wrong)} times, the first being "
            f"{values[wrong][0]}. Finite numbers are needed, or -inf for no edge."
        )
    return values if values.dtype in (np.float32, np.float64) else values.astype(distances.dtype)


def _require_no_negative(distances: FloatArray) -> None:
    lowest = distances.min(initial=0)
    if lowest < 0:
        raise InvalidInputError(
            f"similarity='-d**2' was given negative distances, down to {lowest}; squaring would turn their "
            "order around. For one minus an inner product use '-d' or '1-d'; for inner products themselves "
            "similarity=lambda s: s; set rounding errors below 0 to 0, with numpy.maximum(distances, 0)."
        )
