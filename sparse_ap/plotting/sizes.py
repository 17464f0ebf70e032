"""`plot_sizes`: the sizes of the clusters."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.plotting.axes import (
    checked_labels,
    new_axes,
    number_wholly,
    palette_of,
    require_matplotlib,
    rule_faintly,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sizes"]

_IntArray = NDArray[np.integer[Any]]

APART = 30
"""Most clusters that have one bar each; up to half as many, the sizes are written on the bars."""

_DECADES = 30
"""Ratio of the largest value to the smallest from which a scale is logarithmic."""

_N_BINS = 30
"""Largest number of bars that stand for clusters of several sizes."""

_MAX_TICKS = 9


def plot_sizes(clustering: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the number of points in the clusters.

    Up to 30 clusters have a bar each, the largest first. For more clusters the bars show the number of
    clusters of each size. If sizes differ by orders of magnitude, each bar covers the sizes from a power of
    2 up to the next.

    Parameters
    ----------
    clustering : Clustering
        The result of `affinity_propagation`, or ``clustering_`` of a fitted estimator. Any object with
        ``labels``, shape (n_points,), and ``exemplars``, shape (n_clusters,), is accepted.
    ax : matplotlib Axes, optional
        Axes to draw on. None: axes of a new `matplotlib.pyplot` figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        ``clustering`` is not a clustering.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_sizes")
    labels, exemplars = checked_labels(clustering)
    sizes = np.bincount(labels[labels >= 0], minlength=len(exemplars))
    if ax is None:
        ax = new_axes()
    rule_faintly(ax)
    ax.grid(visible=False, axis="x")
    if len(sizes) <= APART:
        _draw_clusters(ax, -np.sort(-sizes))
    else:
        _draw_counts(ax, sizes)
    return ax


def _draw_clusters(ax: Any, sizes: _IntArray) -> None:
    """Draw a bar for each cluster."""
    bars = ax.bar(np.arange(len(sizes)) + 1, sizes, width=min(0.8, 0.1 * len(sizes)), color=palette_of(ax)[1])
    if len(sizes) <= APART // 2:
        ax.bar_label(bars, [f"{size:,}" for size in sizes], padding=2)
        ax.margins(y=0.1)
    ax.set(xlabel="clusters, the largest first", ylabel="points in the cluster")
    ax.set_xlim(0.25, len(sizes) + 0.75)
    number_wholly(ax.xaxis)
    _scale(ax, sizes)


def _draw_counts(ax: Any, sizes: _IntArray) -> None:
    """Draw a bar for each size, or bin of sizes, as high as its number of clusters."""
    smallest, largest = max(1, int(sizes.min())), int(sizes.max())
    if largest > max(_N_BINS, _DECADES * smallest):
        edges = _powers_of_two(smallest, largest)
        ax.set_xscale("log", base=2)
        ax.set_xticks(edges[:: -(-len(edges) // _MAX_TICKS)])
        ax.minorticks_off()
    else:
        edges = _equal_steps(smallest, largest, min(_N_BINS, isqrt(len(sizes))))
        # Wider limits: the bar of a single size would fill the axes.
        ax.set_xlim(max(0.0, edges[0] - 2), edges[-1] + 2)
        number_wholly(ax.xaxis)
    counts = np.histogram(sizes, edges)[0]
    widths = np.diff(edges)
    ax.bar(edges[:-1] + 0.04 * widths, counts, 0.92 * widths, align="edge", color=palette_of(ax)[1])
    ax.set(xlabel="points in a cluster", ylabel="clusters")
    ax.xaxis.set_major_formatter(thousands)
    _scale(ax, counts)


def _powers_of_two(smallest: int, largest: int) -> NDArray[np.float64]:
    """Return the edges of bins between powers of 2 that cover these sizes."""
    return np.exp2(np.arange(smallest.bit_length() - 1, largest.bit_length() + 1))


def _equal_steps(smallest: int, largest: int, n_bins: int) -> NDArray[np.float64]:
    """Return the edges of bins with equal numbers of sizes, halfway between whole numbers."""
    width = -(-(largest + 1 - smallest) // n_bins)
    return np.arange(smallest - 0.5, largest + width, width)


def _scale(ax: Any, heights: _IntArray) -> None:
    """Choose a linear or logarithmic scale, such that the smallest bar is visible."""
    seen = heights[heights > 0]
    # On a linear scale the smallest bars would be thinner than a line.
    if len(seen) and seen.max() >= _DECADES * seen.min():
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.6 * seen.min())
        ax.yaxis.set_major_formatter(thousands)
    else:
        number_wholly(ax.yaxis)
