"""`plot_coverage`: how many points the first exemplars of a ranking reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Float64Array
from sparse_ap.plotting.axes import (
    entitle,
    number_wholly,
    palette_of,
    require_matplotlib,
    ruled,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_coverage", "reaching"]

# Of more exemplars the first ones would be seen no more on a linear scale.
_MOST_LINEAR = 100


def plot_coverage(ranking: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the points that the first exemplars of a ranking reach, against their number.

    Parameters
    ----------
    ranking : Ranking
        What `Clustering.ranking` returns.
    ax : matplotlib Axes, optional
        Axes to draw on. None: axes of a new `matplotlib.pyplot` figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        ``ranking`` is no ranking.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_coverage")
    if not hasattr(ranking, "coverage"):
        raise InvalidInputError(
            f"The ranking is a {type(ranking).__name__}; what Clustering.ranking returns is needed."
        )
    coverage = np.asarray(ranking.coverage)
    ax = ruled(ax)
    ax.plot(np.arange(len(coverage)) + 1, coverage, color=palette_of(ax)[1], linewidth=1.6)
    ax.set(xlabel="exemplars kept", ylabel="points that they reach")
    _scale(ax, len(coverage))
    entitle(ax, _told(coverage))
    return ax


def _scale(ax: Any, n_clusters: int) -> None:
    from matplotlib.ticker import PercentFormatter

    if n_clusters > _MOST_LINEAR:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(thousands)
    else:
        number_wholly(ax.xaxis)
    ax.set_ylim(0, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def reaching(coverage: Float64Array) -> tuple[int, int]:
    """Return how many exemplars reach half of what all reach, and nine tenths."""
    half, most = np.searchsorted(coverage, np.multiply((0.5, 0.9), coverage[-1])) + 1
    return int(half), int(most)


def _told(coverage: Float64Array) -> str:
    if not len(coverage):
        return "no exemplars"
    half, most = reaching(coverage)
    return (
        f"{half:,} of {len(coverage):,} exemplars reach half of the points that all reach, "
        f"{most:,} nine tenths"
    )
