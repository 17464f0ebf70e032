"""Colours for the regions, such that neighbours never look alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PALETTE", "spread_colours"]

PALETTE = (
    "#ff5d5d",  # coral
    "#ffb02e",  # amber
    "#f7ec59",  # lemon
    "#8fe05a",  # leaf
    "#2fd6b5",  # jade
    "#45b8ff",  # sky
    "#6f7bff",  # iris
    "#c77dff",  # orchid
    "#ff7ac6",  # rose
)
"""Nine hues of about the same strength on a dark ground."""


def spread_colours(vectors: NDArray[np.float64], n_colours: int = len(PALETTE)) -> NDArray[np.int64]:
    """Colour points of the sphere so that points of one colour are far apart.

    Each point in turn takes the colour whose nearest bearer so far is farthest from it.

    Parameters
    ----------
    vectors : ndarray of float64, shape (n_points, 3)
        Unit vectors.
    n_colours : int
        Number of colours to use.

    Returns
    -------
    ndarray of int64, shape (n_points,)
        Index of each point's colour.
    """
    colours = np.empty(len(vectors), dtype=np.int64)
    # Closeness (the cosine) of each point to the nearest bearer of each colour: -2 where there is none.
    closeness = np.full((n_colours, len(vectors)), -2.0)
    for point, vector in enumerate(vectors):
        colour = int(closeness[:, point].argmin())
        colours[point] = colour
        np.maximum(closeness[colour], vectors @ vector, out=closeness[colour])
    return colours
