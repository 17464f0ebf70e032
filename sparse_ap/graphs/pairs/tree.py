"""All pairs within a distance among points of few features, by scipy's k-d tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sparse_ap.graphs.neighbours.points import Space
from sparse_ap.graphs.neighbours.tree_search import MINKOWSKI
from sparse_ap.graphs.pairs.found import Pairs, within

__all__ = ["TreeSearch"]

# Points of a task, which lie side by side in the tree.
_POINTS = 256
# What the tree may round, more than enough.
_SLACK = 1 + 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class TreeSearch:
    """The search in a k-d tree; the distances of what it finds are computed anew.

    Attributes
    ----------
    space : Space
        The points in the order of the tree.
    numbers : ndarray of int32, shape (n,)
        The user's number of each.
    rows : ndarray of float64, shape (n, n_features)
        The points, below 1.
    tree : cKDTree
        Of ``rows``.
    radius : float
        Of the search in the tree.
    reach : float
    """

    space: Space
    numbers: NDArray[np.int32]
    rows: NDArray[np.float64]
    tree: Any
    radius: float
    reach: float

    @classmethod
    def of(cls, space: Any, reach: float) -> Self:
        """Put the points into a tree."""
        # Scaled, so that squares stay in range.
        rows = space.scaled()
        order = cKDTree(rows).indices.astype(np.int64)
        rows = np.ascontiguousarray(rows[order])
        radius = min(reach * space.scale * _SLACK + 1e-150, 1e150)
        return cls(space.taken(order), order.astype(np.int32), rows, cKDTree(rows), radius, reach)

    @property
    def tasks(self) -> list[int]:
        """First places of the tasks."""
        return list(range(0, len(self.rows), _POINTS))

    def find(self, task: int) -> Pairs:
        """Return the pairs of some points and those of higher places."""
        some = self.rows[task : task + _POINTS]
        found = cKDTree(some).sparse_distance_matrix(
            self.tree, self.radius, p=MINKOWSKI[self.space.metric], output_type="ndarray"
        )
        higher = found["j"] > found["i"] + task
        one, other = found["i"][higher], found["j"][higher]
        order = np.lexsort((other, one))
        indptr = np.searchsorted(one[order], np.arange(len(some) + 1))
        return within(self.space, self.reach, task, other[order].astype(np.int32), indptr, self.numbers)
