"""`Roles`: which points are always exemplars, which never, and which nobody can represent."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import real_numbers
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array

__all__ = ["PointsError", "Roles", "candidate_mask", "has_roles", "listed"]

# Points named in an error.
_NAMED = 5


class PointsError(InvalidInputError):
    """Some points cannot be represented as was asked for.

    Attributes
    ----------
    points : ndarray of int, shape (n_left_out,)
        Their numbers, ascending.
    text : str
        The message, with ``{points}`` where the first of them are listed.
    """

    def __init__(self, points: Any, text: str, names: Any = None) -> None:
        self.points, self.text = points, text
        super().__init__(text.replace("{points}", listed(points if names is None else names[points])))

    def named(self, names: Any) -> PointsError:
        """Return the error with the names of the points instead of their numbers."""
        return PointsError(self.points, self.text, names)

    def __reduce__(self) -> Any:
        """Return how the error is made again from a pickle."""
        return type(self), (self.points, self.text)


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """The points that have no choice, each an array of bool of shape (n_points,), in the order of the graph.

    Attributes
    ----------
    pinned : ndarray of bool
        Always exemplars. They add nothing to the net similarity.
    forbidden : ndarray of bool
        Never exemplars, and each has an edge to a candidate. The graph has no edges to them.
    unrepresented : ndarray of bool
        Never exemplars, without an edge to any candidate. The steps of a run take them for exemplars without
        edges and with a preference of 0, so that they change no sum; results leave them out.
    """

    pinned: BoolArray
    forbidden: BoolArray
    unrepresented: BoolArray

    @property
    def fixed(self) -> BoolArray:
        """Whether a point has no choice."""
        return self.pinned | self.forbidden | self.unrepresented

    @property
    def n_pinned(self) -> int:
        """Number of points that are always exemplars."""
        return int(np.count_nonzero(self.pinned))

    @property
    def n_unrepresented(self) -> int:
        """Number of points that nobody can represent."""
        return int(np.count_nonzero(self.unrepresented))

    @property
    def n_candidates(self) -> int:
        """Number of points that may be exemplars."""
        return len(self.pinned) - int(np.count_nonzero(self.forbidden | self.unrepresented))

    def renumbered(self, order: Int32Array) -> Roles:
        """Return the roles of a graph in which point ``order[j]`` has the number j."""
        return Roles(self.pinned[order], self.forbidden[order], self.unrepresented[order])

    def applied(self, exemplar: BoolArray) -> BoolArray:
        """Return a set of exemplars with those that must be in it, without those that must not."""
        return (exemplar | self.pinned | self.unrepresented) & ~self.forbidden

    def preferences(self, free: Float64Array, pinned: float, forbidden: float) -> Float64Array:
        """Return the preferences of the free points, with the numbers given for all others; a copy."""
        preference = np.array(free, np.float64)
        preference[self.pinned], preference[self.forbidden] = pinned, forbidden
        preference[self.unrepresented] = 0.0
        return preference

    def checksum(self, user_id: Int32Array) -> int:
        """Return a checksum of all roles, in the user's order."""
        code = np.empty(len(user_id), np.int8)
        code[user_id] = self.pinned + 2 * self.forbidden + 3 * self.unrepresented
        return zlib.crc32(code.tobytes())


def has_roles(preference: ArrayLike | None, candidates: ArrayLike | None) -> bool:
    """Whether arguments, checked later, give some points a role."""
    if candidates is not None:
        return True
    try:
        return bool(np.isinf(real_numbers(preference)).any()) if preference is not None else False
    except (TypeError, ValueError, OverflowError):
        return False


def candidate_mask(candidates: ArrayLike, n_points: int) -> BoolArray:
    """Return which points may be exemplars, in the user's order.

    Parameters
    ----------
    candidates : array-like of bool, shape (n_points,), or of int
        A mask, or the numbers of the points.
    n_points : int

    Raises
    ------
    InvalidInputError
        It is neither, a number is no point's or is there twice.
    """
    given = np.asarray(candidates)
    if given.shape == (0,) and n_points:
        # An empty list has no numbers to tell its type by.
        given = given.astype(np.int64)
    if given.dtype == np.bool_ and given.shape == (n_points,):
        return given.copy()
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InvalidInputError(
            f"candidates has shape {given.shape} and dtype {given.dtype}; True or False for each of the "
            f"{n_points} points is needed, or a list of the numbers of those that may be exemplars."
        )
    outside = given[(given < 0) | (given >= n_points)]
    if len(outside):
        raise InvalidInputError(
            f"candidates holds {outside[0]}; the points have the numbers 0 to {n_points - 1}. Give those."
        )
    mask = np.zeros(n_points, np.bool_)
    mask[given] = True
    if np.count_nonzero(mask) < len(given):
        values, counts = np.unique(given, return_counts=True)
        raise InvalidInputError(
            f"candidates names {values[np.argmax(counts)]} {counts.max()} times; name each point once. "
            "(Numbers 0 and 1 for all points are not taken for a mask: give an array of bool.)"
        )
    return mask


def listed(points: Any) -> str:
    """Return a list of points for an error: the first few, and dots for the others."""
    return ", ".join(map(str, points[:_NAMED])) + ", ..." * (len(points) > _NAMED)
