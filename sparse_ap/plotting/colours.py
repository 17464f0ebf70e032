"""Palettes, and an assignment of colours in which neighbouring clusters differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Int64Array
from sparse_ap.kernels.compilation import kernel

__all__ = ["ON_DARK", "ON_LIGHT", "spread_colours", "with_tones"]

ON_DARK = (
    "#ff5d5d",  # coral
    "#45b8ff",  # sky
    "#8fe05a",  # leaf
    "#ffb02e",  # amber
    "#c77dff",  # orchid
    "#2fd6b5",  # jade
    "#ff7ac6",  # rose
    "#f7ec59",  # lemon
    "#8a8fff",  # indigo
    "#d8a878",  # umber
    "#c4fff0",  # pine
    "#ffb9c4",  # wine
)
"""Twelve colours of about equal strength on a dark background; the first few differ most."""

ON_LIGHT = (
    "#d92f3c",  # coral
    "#1583d8",  # sky
    "#459a22",  # leaf
    "#ee7d0f",  # amber
    "#9140c4",  # orchid
    "#009c86",  # jade
    "#da3d94",  # rose
    "#b89600",  # lemon
    "#4a4fb8",  # indigo
    "#8a5a2b",  # umber
    "#14594f",  # pine
    "#7d1935",  # wine
)
"""The same hues for a light background."""

_TONES = ((255, 0.35), (0, 0.3))
"""Lighter and darker: what a colour's channels go towards, and by which share."""


_N_NEAR = 32
"""Neighbours considered for each point: enough that each colour can keep its distance."""


def with_tones(palette: Sequence[str]) -> tuple[str, ...]:
    """Return a palette, then all its colours lighter, then darker: three times as many to tell apart."""
    return (*palette, *(_toned(colour, *tone) for tone in _TONES for colour in palette))


def _toned(colour: str, towards: int, share: float) -> str:
    channels = bytes.fromhex(colour[1:])
    return f"#{bytes(round(value + share * (towards - value)) for value in channels).hex()}"


def spread_colours(points: NDArray[np.float64], n_colours: int) -> NDArray[np.int64]:
    """Colour points such that points of the same colour are far apart.

    The points are coloured in order. Each takes the colour whose nearest use so far is farthest away; among
    the colours that no neighbour has, it takes the one used least.

    Parameters
    ----------
    points : ndarray of float64, shape (n_points, n_dimensions)
        Finite positions. On a sphere, straight distances order neighbours as distances along the surface do.
    n_colours : int
        Number of colours, positive.

    Returns
    -------
    ndarray of int64, shape (n_points,)
        Index of the colour of each point.
    """
    # Imported here: callers that draw nothing need not load it.
    from scipy.spatial import cKDTree

    if not len(points):
        return np.empty(0, dtype=np.int64)
    n_near = min(len(points), _N_NEAR + 1)
    _, near = cKDTree(points).query(points, k=np.arange(1, n_near + 1))
    colours = np.full(len(points), -1, np.int64)
    _spread(near, colours, np.zeros(n_colours, np.int64), np.empty(n_colours, np.int64))
    return colours


@kernel
def _spread(near: Int64Array, colours: Int64Array, used: Int64Array, room: Int64Array) -> None:
    """Colour points in order, given the neighbours of each, the nearest first.

    Each colour depends on the ones before, so the loop cannot be parallel. ``used`` and ``room`` have an
    entry for each colour; ``colours`` begins with -1.
    """
    n_points, n_near = near.shape
    for point in range(n_points):
        # For each colour, the rank of its nearest use: from far to near, so that the nearest rank remains.
        for colour in range(len(room)):
            room[colour] = _N_NEAR + 2
        for rank in range(n_near, 0, -1):
            colour = colours[near[point, rank - 1]]
            if colour >= 0:
                room[colour] = rank
        best = 0
        for colour in range(1, len(room)):
            # Lexicographic: one rank outweighs any difference between the numbers of uses.
            if room[colour] * n_points - used[colour] > room[best] * n_points - used[best]:
                best = colour
        colours[point] = best
        used[best] += 1
