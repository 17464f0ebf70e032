"""Points in the plane, each with its exemplar, checked for drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.plotting.axes import checked_labels

__all__ = ["Web", "checked_plane"]


@dataclass(frozen=True, slots=True, eq=False)
class Web:
    """The points, with the exemplar of each.

    Attributes
    ----------
    points : ndarray of float64, shape (n_points, 2)
        Positions of the points.
    labels : ndarray of int, shape (n_points,)
        Position of each point's exemplar in ``exemplars``.
    exemplars : ndarray of int, shape (n_clusters,)
        Point numbers of the exemplars.
    members : ndarray of int
        Points that are not exemplars, but have one.
    lost : ndarray of int
        Points that nobody represents.
    sizes : ndarray of int, shape (n_clusters,)
        Number of points in each cluster.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.integer]
    exemplars: NDArray[np.integer]
    members: NDArray[np.integer]
    lost: NDArray[np.integer]
    sizes: NDArray[np.integer]

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Whether each cluster is a single point."""
        alone: NDArray[np.bool_] = self.sizes == 1
        return alone

    @classmethod
    def of(cls, points: ArrayLike, clustering: Any) -> Web:
        """Check that the points can be drawn with this clustering, and find the members."""
        labels, exemplars = checked_labels(clustering)
        plane = checked_plane(points, len(labels))
        there = labels >= 0
        is_exemplar = np.zeros(len(labels), np.bool_)
        is_exemplar[exemplars] = True
        members, lost = np.flatnonzero(there & ~is_exemplar), np.flatnonzero(~there)
        sizes = np.bincount(labels[there], minlength=len(exemplars))
        return cls(plane, labels, exemplars, members, lost, sizes)


def checked_plane(points: ArrayLike, n_points: int) -> NDArray[np.float64]:
    """Return positions in the plane, one for each point.

    Raises
    ------
    InvalidInputError
        They are no finite numbers of shape (n_points, 2).
    """
    try:
        plane = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The points cannot be read as numbers ({error}); an array of shape (n_points, 2) is needed."
        ) from error
    if plane.ndim != 2 or plane.shape[1] != 2:
        raise InvalidInputError(
            f"The points have the shape {plane.shape}; (n_points, 2) is needed to draw them. Give two of "
            "their columns, or an embedding in the plane, such as UMAP or two principal components."
        )
    if len(plane) != n_points:
        raise InvalidInputError(
            f"There are {len(plane):,} points, but the clustering is of {n_points:,}; those that were "
            "clustered are needed, in the same order."
        )
    unplaced = np.flatnonzero(~np.isfinite(plane).all(axis=1))
    if len(unplaced):
        raise InvalidInputError(
            f"{len(unplaced):,} points have a coordinate that is NaN or infinite, first point {unplaced[0]}; "
            "finite coordinates are needed."
        )
    return plane
