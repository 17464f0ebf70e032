"""`plot_path`: the number of clusters and the net similarity as functions of the preference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.plotting.axes import entitle, palette_of, require_matplotlib, rule_faintly, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_path"]


def plot_path(path: Any, *, axes: tuple[Axes, Axes] | None = None) -> tuple[Axes, Axes]:
    """Draw the number of clusters and the net similarity against the preference.

    Where the first curve is flat, the number of clusters hardly depends on the preference.

    Parameters
    ----------
    path : PreferencePath
        The result of `sparse_ap.preference_path`.
    axes : pair of matplotlib Axes, optional
        Axes for the two curves. None: in a new `matplotlib.pyplot` figure, one above the other.

    Returns
    -------
    pair of matplotlib.axes.Axes

    Raises
    ------
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_path")
    upper, lower = _new_pair() if axes is None else axes
    n_points = len(path.clusterings[0].labels)
    for ax, values, label in (
        (upper, path.n_clusters, "clusters"),
        (lower, path.net_similarities / max(1, n_points), "net similarity a point"),
    ):
        ax.plot(path.preferences, values, color=palette_of(ax)[1], marker="o", markersize=4, linewidth=1.6)
        ax.set_ylabel(label)
        rule_faintly(ax)
    _scale_logarithmically(upper.yaxis)
    for ax in (upper, lower):
        _scale_preferences(ax, path.preferences)
    lower.set_xlabel("preference")
    fewest, most = path.n_clusters.min(), path.n_clusters.max()
    entitle(upper, f"{fewest:,} to {most:,} clusters of {n_points:,} points")
    return upper, lower


def _new_pair() -> tuple[Axes, Axes]:
    from matplotlib import pyplot

    upper, lower = pyplot.subplots(2, sharex=True, layout="constrained")[1]
    return upper, lower


def _scale_preferences(ax: Axes, preferences: NDArray[np.float64]) -> None:
    """Use a logarithmic scale for preferences if all are negative, as they usually are."""
    if preferences.max() < 0.0:
        ax.set_xscale("symlog", linthresh=-preferences.max() / 1.2, subs=[2.0, 5.0])
        ax.set_xlim(preferences.min() * 1.2, preferences.max() / 1.2)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("{x:g}")


def _scale_logarithmically(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.axes.set_yscale("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(thousands)
    axis.set_minor_formatter(NullFormatter())
