"""The Equal Earth map projection.

References
----------
B. Šavrič, T. Patterson and B. Jenny (2018), "The Equal Earth map projection", International Journal of
Geographical Information Science 33(3), 454-465, https://doi.org/10.1080/13658816.2018.1504949
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CENTRAL_MERIDIAN", "equal_earth", "relative_longitude"]

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
"""The polynomial's coefficients, from the paper."""

CENTRAL_MERIDIAN = 11.0
"""Degrees east: the edge of the map then runs through the Bering Strait and cuts no continent."""


def relative_longitude(longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return degrees east of the central meridian, from -180 (inclusive) to 180."""
    return (longitude - CENTRAL_MERIDIAN + 180.0) % 360.0 - 180.0


def equal_earth(latitude: NDArray[np.float64], relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project degrees north and degrees east of the central meridian, preserving the ratios of areas.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        x and y from the centre of the map, in units of the sphere's radius.
    """
    theta = np.arcsin(np.sqrt(3.0) / 2.0 * np.sin(np.radians(latitude)))
    square = theta * theta
    sixth = square**3
    y = theta * (_A1 + _A2 * square + sixth * (_A3 + _A4 * square))
    slope = _A1 + 3.0 * _A2 * square + sixth * (7.0 * _A3 + 9.0 * _A4 * square)
    x = 2.0 * np.sqrt(3.0) / 3.0 * np.radians(relative) * np.cos(theta) / slope
    return np.column_stack([x, y])
