"""`plot_clustering`: points in the plane, with a line from each to its exemplar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.plotting.axes import (
    checked_names,
    entitle,
    ink_of,
    new_axes,
    palette_of,
    require_matplotlib,
)
from sparse_ap.plotting.colours import spread_colours
from sparse_ap.plotting.labels import Box, place_labels
from sparse_ap.plotting.pixels import draw_pixels
from sparse_ap.plotting.web import Web

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PIXELS_FROM", "RASTERISED_FROM", "plot_clustering"]

RASTERISED_FROM = 20_000
"""Points from which a PDF or SVG is rasterised: files with so many single lines are slow to open."""

PIXELS_FROM = 200_000
"""Points from which dots and lines are accumulated in an image: seconds instead of half a minute."""


N_NAMED = 20
"""Largest number of clusters that get a name."""

TOLD_APART = 300
"""Largest number of clusters that a reader can tell apart by neighbouring colours."""


def plot_clustering(
    points: ArrayLike,
    clustering: Any,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    names: ArrayLike | None = None,
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
        A title for the axes. None: the numbers of clusters and points; for more than 300 clusters, advice to
        cut a hierarchy into fewer. An empty text: no title.
    names : array-like of str, shape (n_points,), optional
        Name of each point. The exemplars of the 20 largest clusters have theirs beside them, the largest
        first, if there is room that no other name takes.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        The points are not in the plane, or their number or that of the names is not the clustering's.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_clustering")
    web = Web.of(points, clustering)
    called = None if names is None else checked_names(names, len(web.points))
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
    # Coordinates of an embedding mean nothing.
    ax.set(xticks=[], yticks=[])
    entitle(ax, _told(web) if title is None else title)
    if called is not None:
        _write_names(ax, web, called)
    return ax


def _told(web: Web) -> str:
    """Return what is seen, in words."""
    number = f"{len(web.exemplars):,} clusters of {len(web.points):,} points"
    if len(web.exemplars) <= TOLD_APART:
        return f"{number}, each joined with its exemplar"
    return f"{number}: too many to tell apart.\nA hierarchy's cut_exactly(20) has fewer."


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
    def of(cls, ax: Any, web: Web) -> _Style:
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


def _area(ax: Any) -> float:
    """Return the area of the axes in square points (72² per square inch)."""
    width, height = ax.get_window_extent().size * (72.0 / ax.figure.dpi)
    return float(width * height)


def _share_covered(points: NDArray[np.float64]) -> float:
    """Return the approximate share of the axes' area that has points in it."""
    n_bins = int(np.clip(len(points) ** 0.5 / 3.0, 2, 32))
    filled = np.count_nonzero(np.histogram2d(points[:, 0], points[:, 1], bins=n_bins)[0])
    return float(filled / n_bins**2)


def _draw_lines(ax: Any, web: Web, style: _Style) -> None:
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


def _draw_members(ax: Any, web: Web, style: _Style) -> None:
    """Draw the members as dots in the colour of their cluster."""
    ax.scatter(
        *web.points[web.members].T,
        c=style.colours[web.labels[web.members]],
        s=style.dot,
        linewidths=0,
        zorder=2,
        rasterized=style.rasterised,
    )


def _draw_pixels(ax: Any, web: Web, style: _Style) -> None:
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


def _draw_exemplars(ax: Any, web: Web, style: _Style) -> None:
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


def _write_names(ax: Any, web: Web, names: NDArray[Any]) -> None:
    """Write the names of the largest clusters' exemplars beside them, as far as there is room."""
    from matplotlib.patheffects import withStroke

    ground = "black" if ink_of(ax) == "white" else "white"
    named = web.exemplars[np.argsort(-web.sizes, kind="stable")[:N_NAMED]]
    halo = [withStroke(linewidth=2.5, foreground=ground)]
    # The axes have their final place and size only once they are drawn.
    ax.figure.draw_without_rendering()
    texts = [
        ax.annotate(
            str(names[exemplar]), web.points[exemplar], (0, 0), textcoords="offset points", fontsize=9,
            color=ink_of(ax), va="bottom", path_effects=halo, zorder=4, parse_math=False,
        )
        for exemplar in named
    ]  # fmt: skip
    anchors = ax.transData.transform(web.points[named])
    extents = [text.get_window_extent().size for text in texts]
    pixel = 72.0 / ax.figure.dpi
    gap = 5.0 / pixel
    marks = [Box(x, y, 0.0, 0.0).padded(0.5 * gap) for x, y in anchors]
    frame = Box(*ax.get_window_extent().bounds)
    placed = place_labels(anchors, extents, frame, gap=gap, margin=1.0, limit=len(texts), marks=marks)
    for text in texts:
        text.set_visible(False)
    for label in placed:
        # In points, which files with more dots per inch keep.
        offset = pixel * np.subtract(label.box[:2], anchors[label.index])
        texts[label.index].set(position=offset, visible=True)
