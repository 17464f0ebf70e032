"""Pictures of the sizes of clusters."""

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
"""Clusters up to which each has a bar of its own, with its size on it up to half as many."""

_DECADES = 30
"""How many times the smallest the largest must be for a logarithmic scale."""

_N_BINS = 30
"""Bars at most, where each stands for clusters of several sizes."""

_MAX_TICKS = 9


def plot_sizes(clustering: Any, *, ax: Axes | None = None) -> Axes:
    """Draw how many points the clusters have.

    A few clusters are a bar each, the largest first. Of more, the bars say how many clusters there are of
    each size. Sizes of different magnitudes go together from a power of 2 to below the next.

    Parameters
    ----------
    clustering : Clustering
        What `affinity_propagation` returns; of a fitted estimator, its ``clustering_``. Anything
        with ``labels``, shape (n_points,), and ``exemplars``, shape (n_clusters,), will do.
    ax : matplotlib Axes, optional
        Where to draw. None: the axes of a new `matplotlib.pyplot` figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        It is no clustering.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_sizes")
    labels, exemplars = checked_labels(clustering)
    sizes = np.bincount(labels, minlength=len(exemplars))
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
    """Draw a bar a cluster."""
    bars = ax.bar(np.arange(len(sizes)) + 1, sizes, width=min(0.8, 0.1 * len(sizes)), color=palette_of(ax)[1])
    if len(sizes) <= APART // 2:
        ax.bar_label(bars, [f"{size:,}" for size in sizes], padding=2)
        ax.margins(y=0.1)
    ax.set(xlabel="clusters, the largest first", ylabel="points in the cluster")
    ax.set_xlim(0.25, len(sizes) + 0.75)
    number_wholly(ax.xaxis)
    _scale(ax, sizes)


def _draw_counts(ax: Any, sizes: _IntArray) -> None:
    """Draw how many clusters are of each size, or have a size in each bin."""
    smallest, largest = max(1, int(sizes.min())), int(sizes.max())
    if largest > max(_N_BINS, _DECADES * smallest):
        edges = _powers_of_two(smallest, largest)
        ax.set_xscale("log", base=2)
        ax.set_xticks(edges[:: -(-len(edges) // _MAX_TICKS)])
        ax.minorticks_off()
    else:
        edges = _equal_steps(smallest, largest, min(_N_BINS, isqrt(len(sizes))))
        # A single size would have a bar as wide as the axes.
        ax.set_xlim(max(0.0, edges[0] - 2), edges[-1] + 2)
        number_wholly(ax.xaxis)
    counts = np.histogram(sizes, edges)[0]
    widths = np.diff(edges)
    ax.bar(edges[:-1] + 0.04 * widths, counts, 0.92 * widths, align="edge", color=palette_of(ax)[1])
    ax.set(xlabel="points in a cluster", ylabel="clusters")
    ax.xaxis.set_major_formatter(thousands)
    _scale(ax, counts)


def _powers_of_two(smallest: int, largest: int) -> NDArray[np.float64]:
    """Return edges of bins that hold these sizes, each twice as wide as the one before."""
    return np.exp2(np.arange(smallest.bit_length() - 1, largest.bit_length() + 1))


def _equal_steps(smallest: int, largest: int, n_bins: int) -> NDArray[np.float64]:
    """Return edges of bins that hold as many sizes each, halfway between whole numbers."""
    width = -(-(largest + 1 - smallest) // n_bins)
    return np.arange(smallest - 0.5, largest + width, width)


def _scale(ax: Any, heights: _IntArray) -> None:
    """Choose a scale on which the smallest bar can be seen."""
    seen = heights[heights > 0]
    if len(seen) and seen.max() >= _DECADES * seen.min():
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.6 * seen.min())
        ax.yaxis.set_major_formatter(thousands)
    else:
        number_wholly(ax.yaxis)
