"""Colours for clusters, such that neighbouring clusters never look alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Int64Array
from sparse_ap.kernels.compilation import kernel

__all__ = ["ON_DARK", "ON_LIGHT", "spread_colours"]

ON_DARK = (
    "#ff5d5d",  # coral
    "#45b8ff",  # sky
    "#8fe05a",  # leaf
    "#ffb02e",  # amber
    "#c77dff",  # orchid
    "#2fd6b5",  # jade
    "#ff7ac6",  # rose
    "#f7ec59",  # lemon
)
"""Eight hues of about the same strength on a dark ground; the first few differ most."""

ON_LIGHT = (
    "#d92f3c",  # coral
    "#1583d8",  # sky
    "#459a22",  # leaf
    "#ee7d0f",  # amber
    "#9140c4",  # orchid
    "#009c86",  # jade
    "#da3d94",  # rose
    "#b89600",  # lemon
)
"""The same hues for a light ground."""

_N_NEAR = 32
"""How many neighbours a point looks at; enough that each of the colours can keep out of sight."""


def spread_colours(points: NDArray[np.float64], n_colours: int) -> NDArray[np.int64]:
    """Colour points so that those of one colour are far apart.

    Each point in turn takes the colour whose nearest bearer so far is farthest from it; of colours
    that none of its neighbours bears, the one that is used least.

    Parameters
    ----------
    points : ndarray of float64, shape (n_points, n_dimensions)
        Finite. On a sphere, straight distances order neighbours as those along the surface do.
    n_colours : int
        Number of colours to use, positive.

    Returns
    -------
    ndarray of int64, shape (n_points,)
        Index of each point's colour.
    """
    # Here, so that what draws nothing does not load it.
    from scipy.spatial import cKDTree

    if not len(points):
        return np.empty(0, dtype=np.int64)
    n_near = min(len(points), _N_NEAR + 1)
    _, near = cKDTree(points).query(points, k=np.arange(1, n_near + 1))
    return np.asarray(_spread(near, n_colours))


@kernel
def _spread(near: Int64Array, n_colours: int) -> Int64Array:
    """Colour points of which each row has the neighbours, the nearest first; in turn, so not in parallel."""
    n_points, n_near = near.shape
    colours = np.full(n_points, -1, dtype=np.int64)
    used = np.zeros(n_colours, dtype=np.int64)
    for point in range(n_points):
        # Rank of the nearest bearer of each colour: from far to near, so that the nearest one stays.
        room = np.full(n_colours, _N_NEAR + 2)
        for rank in range(n_near, 0, -1):
            colour = colours[near[point, rank - 1]]
            if colour >= 0:
                room[colour] = rank
        # A rank counts more than any difference in use.
        colours[point] = (room * n_points - used).argmax()
        used[colours[point]] += 1
    return colours
