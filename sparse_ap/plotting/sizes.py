"""`plot_sizes`: the sizes of the clusters."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.plotting.axes import (
    LETTER,
    checked_labels,
    entitle,
    number_wholly,
    palette_of,
    require_matplotlib,
    ruled,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_sizes"]

_IntArray = NDArray[np.integer[Any]]

APART = 30
"""Most clusters that have one bar each."""

_MOST_STEPS = 16
"""Largest number of sizes that have one bar each; of more, a bar has those up to the next power of 2."""

_LETTERS = 8
"""Size of the letters on the bars and below them, in points."""


def plot_sizes(clustering: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the number of points in the clusters.

    Up to 30 clusters have a bar each, the largest first. For more clusters the bars show the number of
    clusters of each size, or of the sizes from a power of 2 up to the next if there are more than 16 sizes.
    Single points are grey. Every bar begins at 0, and what it stands for is written on it,
    as far as there is room.

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
    ax = ruled(ax)
    ax.grid(visible=False, axis="x")
    if len(sizes) <= APART:
        _draw_clusters(ax, -np.sort(-sizes))
    else:
        _draw_counts(ax, sizes)
    number_wholly(ax.yaxis)
    ax.margins(y=0.12)
    entitle(ax, _told(sizes))
    return ax


def _told(sizes: _IntArray) -> str:
    """Return what is seen, in words."""
    if not len(sizes):
        return "no clusters"
    number, alone = f"{len(sizes):,} clusters of {sizes.sum():,} points", np.count_nonzero(sizes == 1)
    return f"{number}, {alone:,} of them single points" if alone else number


def _draw_clusters(ax: Any, sizes: _IntArray) -> None:
    """Draw a bar for each cluster."""
    _draw_bars(ax, sizes, sizes == 1)
    ax.set(xlabel="clusters, the largest first", ylabel="points in the cluster")
    number_wholly(ax.xaxis)


def _draw_counts(ax: Any, sizes: _IntArray) -> None:
    """Draw a bar for each size, or bin of sizes, as high as its number of clusters."""
    smallest, largest = max(1, int(sizes.min())), int(sizes.max())
    if largest - smallest < _MOST_STEPS:
        starts = np.arange(smallest, largest + 2)
    else:
        starts = 2 ** np.arange(smallest.bit_length() - 1, largest.bit_length() + 1)
    # numpy counts the last end as a size of the last bin; no cluster has that many points.
    _draw_bars(ax, np.histogram(sizes, starts)[0], starts[:-1] == 1)
    ax.set(xlabel="points in a cluster", ylabel="clusters")
    told = [_range_told(start, end - 1) for start, end in pairwise(starts.tolist())]
    told = _where_room_is(ax, told)
    ax.set_xticks([k + 1 for k, text in enumerate(told) if text], filter(None, told), fontsize=_LETTERS)


def _draw_bars(ax: Any, heights: _IntArray, alone: NDArray[np.bool_]) -> None:
    """Draw bars beside each other, with their heights on them; those of single points in grey."""
    colours = np.where(alone, "0.6", palette_of(ax)[1])
    bars = ax.bar(
        np.arange(len(heights)) + 1, heights, width=min(0.8, 0.1 * max(1, len(heights))), color=colours
    )
    ax.set_xlim(0.25, len(heights) + 0.75)
    told = [thousands(height) if height else "" for height in heights]
    ax.bar_label(bars, _where_room_is(ax, told), padding=2, fontsize=_LETTERS)


def _range_told(first: int, last: int) -> str:
    return thousands(first) if first == last else f"{thousands(first)}–{thousands(last)}"


def _where_room_is(ax: Any, told: list[str]) -> list[str]:
    """Return texts beside each other, without those for which the ones before leave no room."""
    pitch = 72.0 * ax.get_window_extent().width / ax.figure.dpi / max(1, len(told))
    shown, end = [], -np.inf
    for place, text in enumerate(told):
        # A space keeps texts apart.
        width = LETTER * _LETTERS * len(text)
        fits = (place + 0.5) * pitch - width / 2 >= end
        end = (place + 0.5) * pitch + width / 2 + 0.5 * _LETTERS if text and fits else end
        shown.append(text if fits else "")
    return shown
