"""Old points among those of a new graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import BoolArray, Int64Array
from sparse_ap.propagation.outcome import Recourse
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.roles import listed

__all__ = ["OldPoints"]

# In place of an exemplar: of a point that is new, whose exemplar was left out, or who had none.
_NEW, _LEFT_OUT, _NOBODY = -3, -2, -1


@dataclass(frozen=True, slots=True, eq=False)
class OldPoints:
    """The old points that are left, and their exemplars, in the user's order of the new graph.

    Attributes
    ----------
    exemplar : ndarray of bool, shape (n_points,)
        Whether the point was an exemplar.
    exemplar_of : ndarray of int64, shape (n_points,)
        Row of the exemplar that the point had; negative: it is not there, or the point is new.
    """

    exemplar: BoolArray
    exemplar_of: Int64Array

    @classmethod
    def of(cls, clustering: Clustering, old: Any, n_points: int) -> Self:
        """Return the old points, from the row of each; None: they are the first rows.

        Raises
        ------
        InvalidInputError
            The rows do not fit the clustering, or the graph.
        """
        row = _rows(old, len(clustering.labels), n_points)
        of_exemplars = np.where(row[clustering.exemplars] < 0, _LEFT_OUT, row[clustering.exemplars])
        left = row >= 0
        exemplar_of = np.full(n_points, _NEW, np.int64)
        # The last place of an extended array is that of the label -1.
        exemplar_of[row[left]] = np.append(of_exemplars, _NOBODY)[clustering.labels[left]]
        exemplar = np.zeros(n_points, np.bool_)
        exemplar[of_exemplars[of_exemplars >= 0]] = True
        return cls(exemplar, exemplar_of)

    def recourse(self, found: Clustering) -> Recourse:
        """Return what a clustering of the new graph has changed."""
        exemplar = np.zeros_like(self.exemplar)
        exemplar[found.exemplars] = True
        exemplar_of = np.append(found.exemplars, _NOBODY)[found.labels]
        moved = (self.exemplar_of != _NEW) & (self.exemplar_of != exemplar_of)
        sets = exemplar & ~self.exemplar, self.exemplar & ~exemplar, moved
        return Recourse(*(np.flatnonzero(points).astype(np.int64) for points in sets))


def _rows(old: Any, n_old: int, n_points: int) -> Int64Array:
    """Return the row of each old point, -1 for none; checked."""
    needed = f"the row of each of the {n_old:,} old points is needed, from 0 to {n_points - 1}, or -1"
    if old is None:
        if n_old > n_points:
            raise InvalidInputError(
                f"The clustering is of {n_old:,} points, and the graph has {n_points:,}, so some were left "
                f"out. Give old=... (--old-column): {needed}."
            )
        return np.arange(n_old)
    given = np.asarray(old)
    if given.shape == (0,):
        # An empty list has no numbers to tell its type by.
        given = given.astype(np.int64)
    if given.shape != (n_old,) or given.dtype.kind not in "iu":
        raise InvalidInputError(f"old has shape {given.shape} and dtype {given.dtype}; {needed}.")
    outside = given[(given < -1) | (given >= n_points)]
    if len(outside):
        raise InvalidInputError(f"old holds {outside[0]}; {needed}.")
    row = given.astype(np.int64)
    rows, counts = np.unique(row[row >= 0], return_counts=True)
    if (counts > 1).any():
        raise InvalidInputError(
            f"old has rows twice: {listed(rows[counts > 1])}; each point has its own row."
        )
    return row
