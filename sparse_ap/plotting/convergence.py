"""Pictures of how a run went, sweep by sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sparse_ap.plotting.axes import (
    ink_of,
    new_axes,
    number_wholly,
    palette_of,
    require_matplotlib,
    required,
    rule_faintly,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_convergence"]

_MARKED = 30
"""Sweeps up to which each has a dot on the curves."""

_CURVES = {"exemplars": 1, "unsettled": 3, "changed in the sweep": 0}
"""What is drawn, in the order of a report's counts, and the place of its colour in the palette."""


def plot_convergence(clustering: Any, *, ax: Axes | None = None) -> Axes:
    """Draw how many points were exemplars, had changed and were unsettled after each sweep.

    All three are numbers of points, on a logarithmic scale that has a place for 0. A run has settled
    when the points that are unsettled are few: a share ``tol`` of all of them.

    Parameters
    ----------
    clustering : Clustering
        What `affinity_propagation` returns; of a fitted estimator, its ``clustering_``. Anything with
        ``history``, a sequence of `SweepReport`, and ``n_clusters`` will do.
    ax : matplotlib Axes, optional
        Where to draw. None: the axes of a new `matplotlib.pyplot` figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes. The ring at the end stands for the clusters returned, which need not
        be as many as there were exemplars after the last sweep.

    Raises
    ------
    InvalidInputError
        It is no clustering.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_convergence")
    history, n_clusters = required(clustering, "history", "n_clusters")
    if ax is None:
        ax = new_axes()
    rule_faintly(ax)
    ax.set_xlabel("sweep")
    ax.set_ylabel("points")
    if len(history):
        _draw_curves(ax, history)
        _draw_result(ax, history[-1].sweep, n_clusters)
        _scale(ax)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
    else:
        ax.text(0.5, 0.5, "no sweep was made", transform=ax.transAxes, ha="center", va="center")
        ax.set(xticks=[], yticks=[])
    return ax


def _draw_curves(ax: Any, history: Any) -> None:
    sweeps = np.array([report.sweep for report in history])
    counts = [(report.n_exemplars, report.n_unsettled, report.n_changed) for report in history]
    marker = "o" if len(sweeps) <= _MARKED else ""
    for (label, colour), values in zip(_CURVES.items(), np.transpose(counts), strict=True):
        ax.plot(
            sweeps,
            values,
            color=palette_of(ax)[colour],
            label=label,
            marker=marker,
            markersize=3,
            linewidth=1.6,
        )


def _draw_result(ax: Any, last: int, n_clusters: int) -> None:
    """Ring what was returned in the end."""
    ax.plot(
        [last], [n_clusters], "o", markersize=7, markerfacecolor="none", markeredgecolor=ink_of(ax),
        label="clusters returned", clip_on=False, zorder=4,
    )  # fmt: skip


def _scale(ax: Any) -> None:
    from matplotlib.ticker import NullLocator

    # Linear from 0 to 1, so that 0 has a place.
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    ax.set_ylim(bottom=-0.15)
    ax.margins(x=0.02)
    ax.yaxis.set_major_formatter(thousands)
    ax.yaxis.set_minor_locator(NullLocator())
    number_wholly(ax.xaxis)
