"""`plot_convergence`: the progress of a run, sweep by sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sparse_ap.plotting.axes import (
    entitle,
    ink_of,
    number_wholly,
    palette_of,
    require_matplotlib,
    required,
    ruled,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_convergence"]

_MARKED = 30
"""Largest number of sweeps for which the curves have dots."""

_CURVES = {"exemplars": 1, "unsettled": 3, "changed in the sweep": 0}
"""Label of each curve, in the order of a report's counts, and the place of its colour in the palette."""


def plot_convergence(clustering: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the numbers of exemplars, changed points and unsettled points after each sweep.

    All three are numbers of points, on a logarithmic scale that includes 0. A run has converged when at most
    a share `tol` of all points is unsettled.

    Parameters
    ----------
    clustering : Clustering
        The result of `affinity_propagation`, or ``clustering_`` of a fitted estimator. Any object with
        ``history``, a sequence of `SweepReport`, and ``n_clusters`` is accepted.
    ax : matplotlib Axes, optional
        Axes to draw on. None: axes of a new `matplotlib.pyplot` figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes. The ring at the end marks the number of clusters returned, which may
        differ from the number of exemplars after the last sweep.

    Raises
    ------
    InvalidInputError
        ``clustering`` is not a clustering.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_convergence")
    history, n_clusters = required(clustering, "history", "n_clusters")
    ax = ruled(ax)
    ax.set_xlabel("sweep")
    ax.set_ylabel("points")
    if len(history):
        _draw_curves(ax, history)
        _draw_result(ax, history[-1].sweep, n_clusters)
        _scale(ax)
        # Above the axes, where it covers no curve.
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1),
            ncols=4,
            frameon=False,
            borderaxespad=0.2,
            fontsize="small",
            handlelength=1.2,
            columnspacing=1.2,
        )
        entitle(ax, _told(history[-1], n_clusters), above_legend=True)
    else:
        ax.text(0.5, 0.5, "no sweep was made", transform=ax.transAxes, ha="center", va="center")
        ax.set(xticks=[], yticks=[])
    return ax


def _told(last: Any, n_clusters: int) -> str:
    """Return what is seen, in words."""
    left = f"{last.n_unsettled:,} points unsettled" if last.n_unsettled else "all points settled"
    sweeps = f"{last.sweep:,} sweep{'s' if last.sweep != 1 else ''}"
    return f"{sweeps}, {left}; {n_clusters:,} clusters returned"


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
    """Draw a ring at the number of clusters returned."""
    ax.plot(
        [last], [n_clusters], "o", markersize=7, markerfacecolor="none", markeredgecolor=ink_of(ax),
        label="clusters returned", clip_on=False, zorder=4,
    )  # fmt: skip


def _scale(ax: Any) -> None:
    from matplotlib.ticker import NullLocator

    # The scale is linear from 0 to 1, so that 0 can be shown.
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    ax.set_ylim(bottom=-0.15)
    ax.margins(x=0.02)
    ax.yaxis.set_major_formatter(thousands)
    ax.yaxis.set_minor_locator(NullLocator())
    number_wholly(ax.xaxis)
