"""Lines and dots of very many points, accumulated in one image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PER_INCH", "draw_pixels"]

PER_INCH = 200
"""Pixels of the image per inch of the axes."""

_SAMPLES = 16
"""Samples on each line that are accumulated."""

# Fractional part of the golden ratio: its multiples are spread evenly over [0, 1).
_GOLDEN = 0.6180339887498949

_FloatArray = NDArray[np.float64]


def draw_pixels(
    ax: Any, points: _FloatArray, ends: _FloatArray, colours: _FloatArray, dot: float, line: float
) -> None:
    """Draw a dot for each point and a line from it to its exemplar, as an image.

    Each pixel has the mean colour of everything in it, and is more opaque the more is in it.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    points, ends : ndarray of float64, shape (n_points, 2)
        Positions of the points, and of the exemplar of each.
    colours : ndarray of float64, shape (n_points, 4)
        Colour of each point; the opacity is ignored.
    dot : float
        Area of a dot in square points (72² per square inch).
    line : float
        Width of a line in points, multiplied by its opacity.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    inches = ax.get_window_extent().size / ax.figure.dpi
    pixel = float(((high - low) / (PER_INCH * inches)).max()) or 1.0
    shape = tuple(int(n) for n in np.floor((high - low) / pixel).astype(np.int64) + 1)
    paint = np.zeros((4, shape[0] * shape[1]))
    scale = PER_INCH / 72
    _add(paint, _pixels(points, low, pixel, shape), colours, np.full(len(points), dot * scale**2))
    weights = np.linalg.norm(ends - points, axis=1) / pixel * (line * scale / _SAMPLES)
    # Staggered starts: otherwise the samples of all lines would form rings around the exemplars.
    starts = np.arange(len(points)) * _GOLDEN % 1.0
    for sample in range(_SAMPLES):
        share = ((sample + starts) / _SAMPLES)[:, None]
        _add(paint, _pixels(points + share * (ends - points), low, pixel, shape), colours, weights)
    _show(ax, paint.reshape(4, *shape), low, pixel)


def _pixels(
    places: _FloatArray, low: _FloatArray, pixel: float, shape: tuple[int, ...]
) -> NDArray[np.integer[Any]]:
    """Return the index of the pixel in which each place lies."""
    columns, rows = np.floor((places - low) / pixel).astype(np.int64).T
    pixels: NDArray[np.integer[Any]]
    pixels = np.clip(columns, 0, shape[0] - 1) * shape[1] + np.clip(rows, 0, shape[1] - 1)
    return pixels


def _add(
    paint: _FloatArray, pixels: NDArray[np.integer[Any]], colours: _FloatArray, weights: _FloatArray
) -> None:
    """Add weighted red, green and blue to pixels, and the weights themselves."""
    for channel in range(3):
        paint[channel] += np.bincount(pixels, weights * colours[:, channel], paint.shape[1])
    paint[3] += np.bincount(pixels, weights, paint.shape[1])


def _show(ax: Any, paint: _FloatArray, low: _FloatArray, pixel: float) -> None:
    amount = paint[3]
    image = paint / np.where(amount > 0, amount, 1.0)
    # Opacity of many thin layers, one above the other.
    image[3] = 1.0 - np.exp(-amount)
    high = low + pixel * np.array(amount.shape)
    shown = ax.imshow(
        np.clip(image, 0.0, 1.0).transpose(2, 1, 0),
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        zorder=1,
    )
    # Without sticky edges the axes keep a margin around the image, as around dots.
    shown.sticky_edges.x.clear()
    shown.sticky_edges.y.clear()
