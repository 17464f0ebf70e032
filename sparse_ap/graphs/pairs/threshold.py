"""`Threshold`: the similarity that edges have at least, and the distance that this means."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import require
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.distances import SIMILARITIES, default_similarity, in_precision

__all__ = ["Threshold", "checked_conversion", "checked_least", "falling"]

# The bits of positive floats, as whole numbers, rise with them.
_INFINITY = int(np.array(np.inf).view(np.int64))


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least similarity of an edge, in the graph's float32.

    Attributes
    ----------
    similarity : {"-d", "-d**2", "1-d"}
        Conversion of distances to similarities.
    least : float32
    reach : float
        The largest distance whose similarity, in float32, is at least ``least``.
    """

    similarity: str
    least: np.float32
    reach: float

    @classmethod
    def of(cls, min_similarity: Any, similarity: str) -> Self:
        """Return the threshold for a checked conversion.

        Raises
        ------
        InvalidInputError
            ``min_similarity`` is no number of float32's range, or above every similarity.
        """
        least = checked_least(min_similarity)
        highest = falling(similarity, np.zeros(1))[0]
        if least > highest:
            raise InvalidInputError(
                f"min_similarity={min_similarity} is above every similarity: similarity={similarity!r} makes "
                f"{highest:g} of equal points, and less of others. For a distance of at most d give "
                f"min_similarity={_OF_D[similarity]}; a share from 0 to 1 is similarity='1-d'."
            )
        return cls(similarity, least, _farthest(similarity, least))

    @property
    def below(self) -> np.float32:
        """The largest similarity below the threshold: what an edge that is missing can have."""
        return np.float32(np.nextafter(self.least, np.float32(-np.inf)))


_OF_D = {"-d": "-d", "-d**2": "-d**2", "1-d": "1 - d"}


def checked_least(min_similarity: Any) -> np.float32:
    """Return the least similarity in float32.

    Raises
    ------
    InvalidInputError
        It is no number of float32's range.
    """
    least = _narrow(min_similarity)
    require("min_similarity", min_similarity, bool(np.isfinite(least)), "a number that float32 can hold")
    return least


def _narrow(number: Any) -> np.float32:
    """Return a real number in float32; NaN for what is none."""
    if not isinstance(number, Real) or isinstance(number, bool):
        return np.float32(np.nan)
    with np.errstate(over="ignore"):
        return np.float32(float(number))


def checked_conversion(similarity: Any, metric: str) -> str:
    """Return the name of a conversion that falls with the distance; the default of the metric for None.

    Raises
    ------
    InvalidInputError
        ``similarity`` is unknown, or a function.
    """
    if similarity is None:
        return default_similarity(metric)
    names = ", ".join(map(repr, SIMILARITIES))
    if callable(similarity):
        raise InvalidInputError(
            f"similarity is a function, which need not fall with the distance; one of {names} is needed."
        )
    known = isinstance(similarity, str) and similarity in SIMILARITIES
    require("similarity", similarity, known, f"one of {names}")
    return str(similarity)


def falling(similarity: str, distances: NDArray[np.float64]) -> NDArray[Any]:
    """Convert distances as `knn_graph` does, by way of float32 but for "1-d"; to be narrowed to float32."""
    return SIMILARITIES[similarity](in_precision(distances, similarity).astype(np.float64))


def _farthest(similarity: str, least: np.float32) -> float:
    """Return the largest distance whose similarity is at least ``least``, by bisection of its bits."""
    near, far = 0, _INFINITY
    while far - near > 1:
        middle = (near + far) // 2
        distance = np.array([middle]).view(np.float64)
        with np.errstate(over="ignore"):
            within = falling(similarity, distance).astype(np.float32)[0] >= least
        near, far = (middle, far) if within else (near, middle)
    return float(np.array(near).view(np.float64))
