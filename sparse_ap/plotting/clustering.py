"""`plot_clustering`: points in the plane, with a line from each to its exemplar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.plotting.axes import checked_labels, ink_of, new_axes, palette_of, require_matplotlib
from sparse_ap.plotting.colours import spread_colours
from sparse_ap.plotting.pixels import draw_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PIXELS_FROM", "RASTERISED_FROM", "plot_clustering"]

RASTERISED_FROM = 20_000
"""Points from which a PDF or SVG is rasterised: files with so many single lines are slow to open."""

PIXELS_FROM = 200_000
"""Points from which dots and lines are accumulated in an image: seconds instead of half a minute."""


def plot_clustering(
    points: ArrayLike, clustering: Any, *, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw a clustering of points in the plane, with a line from each point to its exemplar.

    Exemplars have rings. Neighbouring clusters differ in colour; points that represent only themselves are
    grey. Dots and lines are finer the more points there are, and the colours suit the background of the
    axes, light or dark. From 200,000 points on, the members' dots and lines are an image of 200 pixels per
    inch, in which each pixel has the mean colour of everything drawn in it.

    Parameters
    ----------
    points : array-like of float, shape (n_points, 2)
        Position of each point, in the order of the clustering. For points in more dimensions, give an
        embedding in the plane.
    clustering : Clustering
        The result of `affinity_propagation`, or ``clustering_`` of a fitted estimator. Any object with
        ``labels``, shape (n_points,), and ``exemplars``, shape (n_clusters,), is accepted.
    ax : matplotlib Axes, optional
        Axes to draw on; their aspect becomes equal. None: axes of a new `matplotlib.pyplot` figure.
    title : str, optional
        A title for the axes.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        The points are not in the plane, or their number is not that of the clustering.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_clustering")
    web = _Web.of(points, clustering)
    if ax is None:
        ax = new_axes()
    style = _Style.of(ax, web)
    if len(web.points) < PIXELS_FROM:
        _draw_lines(ax, web, style)
        _draw_members(ax, web, style)
    elif len(web.members):
        _draw_pixels(ax, web, style)
    _draw_exemplars(ax, web, style)
    ax.set_aspect("equal")
    if title is not None:
        ax.set_title(title)
    return ax


@dataclass(frozen=True, slots=True, eq=False)
class _Web:
    """The points, with the exemplar of each.

    Attributes
    ----------
    points : ndarray of float64, shape (n_points, 2)
        Positions of the points.
    labels : ndarray of int, shape (n_points,)
        Position of each point's exemplar in ``exemplars``.
    exemplars : ndarray of int, shape (n_clusters,)
        Point numbers of the exemplars.
    members : ndarray of int
        Points that are not exemplars, but have one.
    lost : ndarray of int
        Points that nobody represents.
    alone : ndarray of bool, shape (n_clusters,)
        Whether each cluster is a single point.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.integer]
    exemplars: NDArray[np.integer]
    members: NDArray[np.integer]
    lost: NDArray[np.integer]
    alone: NDArray[np.bool_]

    @classmethod
    def of(cls, points: ArrayLike, clustering: Any) -> _Web:
        """Check that the points can be drawn with this clustering, and find the members."""
        labels, exemplars = checked_labels(clustering)
        plane = _checked_points(points, len(labels))
        there = labels >= 0
        is_exemplar = np.zeros(len(labels), np.bool_)
        is_exemplar[exemplars] = True
        members, lost = np.flatnonzero(there & ~is_exemplar), np.flatnonzero(~there)
        alone = np.bincount(labels[there], minlength=len(exemplars)) == 1
        return cls(plane, labels, exemplars, members, lost, alone)


@dataclass(frozen=True, slots=True, eq=False)
class _Style:
    """Colours and sizes of lines and dots; widths in points, areas in square points.

    Attributes
    ----------
    colours : ndarray of float64, shape (n_clusters, 4)
        Colour of each cluster.
    ink : str
        Colour of the rings.
    dot : float
        Area of a member's dot.
    mark : float
        Area of an exemplar's dot.
    ring : float
        Width of the ring around an exemplar.
    line : float
        Width of the lines.
    rasterised : bool
        Whether vector files get pixels instead of lines and dots.
    """

    colours: NDArray[np.float64]
    ink: str
    dot: float
    mark: float
    ring: float
    line: float
    rasterised: bool

    @classmethod
    def of(cls, ax: Any, web: _Web) -> _Style:
        """Choose colours for the background, and sizes for the area available to each point."""
        from matplotlib.colors import to_rgba_array

        palette = to_rgba_array(palette_of(ax))
        colours = np.repeat(to_rgba_array("0.5"), len(web.exemplars), axis=0)
        centres = web.points[web.exemplars[~web.alone]]
        colours[~web.alone] = palette[spread_colours(centres, len(palette))]
        # All dots together cover 12 % of the area with points in it, all exemplars' dots 3 %, within legible
        # limits.
        area = _area(ax) * _share_covered(web.points)
        dot = float(np.clip(0.12 * area / max(1, len(web.points)), 0.2, 10.0))
        mark = float(np.clip(0.03 * area / max(1, len(web.exemplars)), 2.5 * dot, 45.0))
        line = min(1.0, 0.45 * dot**0.5)
        # The smallest marks have no ring, which would cover them.
        ring = max(0.0, 0.15 * mark**0.5 - 0.1)
        rasterised = len(web.points) >= RASTERISED_FROM
        return cls(colours, ink_of(ax), dot, mark, ring, line, rasterised)


def _checked_points(points: ArrayLike, n_points: int) -> NDArray[np.float64]:
    try:
        plane = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The points cannot be read as numbers ({error}); an array of shape (n_points, 2) is needed."
        ) from error
    if plane.ndim != 2 or plane.shape[1] != 2:
        raise InvalidInputError(
            f"The points have the shape {plane.shape}; (n_points, 2) is needed to draw them. Give two of "
            "their columns, or an embedding in the plane, such as UMAP or two principal components."
        )
    if len(plane) != n_points:
        raise InvalidInputError(
            f"There are {len(plane):,} points, but the clustering is of {n_points:,}; those that were "
            "clustered are needed, in the same order."
        )
    unplaced = np.flatnonzero(~np.isfinite(plane).all(axis=1))
    if len(unplaced):
        raise InvalidInputError(
            f"{len(unplaced):,} points have a coordinate that is NaN or infinite, first point {unplaced[0]}; "
            "finite coordinates are needed."
        )
    return plane


def _area(ax: Any) -> float:
    """Return the area of the axes in square points (72² per square inch)."""
    width, height = ax.get_window_extent().size * (72.0 / ax.figure.dpi)
    return float(width * height)


def _share_covered(points: NDArray[np.float64]) -> float:
    """Return the approximate share of the axes' area that has points in it."""
    n_bins = int(np.clip(len(points) ** 0.5 / 3.0, 2, 32))
    filled = np.count_nonzero(np.histogram2d(points[:, 0], points[:, 1], bins=n_bins)[0])
    return float(filled / n_bins**2)


def _draw_lines(ax: Any, web: _Web, style: _Style) -> None:
    """Draw a line from each member to its exemplar."""
    from matplotlib.collections import LineCollection

    labels = web.labels[web.members]
    ends: Any = np.stack([web.points[web.members], web.points[web.exemplars[labels]]], axis=1)
    lines = LineCollection(
        ends,
        colors=style.colours[labels],
        linewidths=style.line,
        alpha=0.5,
        zorder=1,
        rasterized=style.rasterised,
    )
    # Lines end at points, which set the limits of the axes already.
    ax.add_collection(lines, autolim=False)


def _draw_members(ax: Any, web: _Web, style: _Style) -> None:
    """Draw the members as dots in the colour of their cluster."""
    ax.scatter(
        *web.points[web.members].T,
        c=style.colours[web.labels[web.members]],
        s=style.dot,
        linewidths=0,
        zorder=2,
        rasterized=style.rasterised,
    )


def _draw_pixels(ax: Any, web: _Web, style: _Style) -> None:
    """Draw the members and their lines as an image."""
    labels = web.labels[web.members]
    draw_pixels(
        ax,
        web.points[web.members],
        web.points[web.exemplars[labels]],
        style.colours[labels],
        style.dot,
        0.5 * style.line,
    )


def _draw_exemplars(ax: Any, web: _Web, style: _Style) -> None:
    """Draw the exemplars with rings, and points that represent only themselves as faint dots."""
    if len(web.lost):
        # Nobody's: crosses without a line.
        ax.scatter(*web.points[web.lost].T, marker="x", color="0.5", s=2.0 * style.dot, zorder=2)
    alone, others = web.exemplars[web.alone], web.exemplars[~web.alone]
    ax.scatter(
        *web.points[alone].T,
        c=style.colours[web.alone],
        s=style.dot,
        alpha=0.6,
        linewidths=0,
        zorder=2,
        rasterized=style.rasterised,
    )
    ax.scatter(
        *web.points[others].T,
        c=style.colours[~web.alone],
        s=style.mark,
        edgecolors=style.ink,
        linewidths=style.ring,
        zorder=3,
        rasterized=style.rasterised,
    )
