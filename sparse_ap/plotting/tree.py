"""`plot_tree`: the tree of exemplars of a hierarchy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array
from sparse_ap.plotting.axes import (
    LETTER,
    checked_names,
    entitle,
    ink_of,
    palette_of,
    require_matplotlib,
    rule_faintly,
)
from sparse_ap.plotting.colours import with_tones

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST", "lifetime", "plot_tree", "readable_level"]

_READABLE = 60
"""Most leaves of a level that is chosen automatically."""

MOST = 200
"""Most leaves of a level that can be drawn."""

_STUB = 0.5
"""Length of the lines beyond the coarsest level, in levels."""

_WIDTHS = (0.9, 4.0)
"""Widths in points of the line of a cluster of no points, and of all points."""

LARGEST_DOT = 60.0
"""Area of the dot of the largest cluster, in square points."""


def plot_tree(
    hierarchy: Hierarchy, level: int | None = None, *, names: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the tree above a level: each exemplar has a line up to the coarsest level where it is one.

    The lines of the exemplars that it represents join its own line, which continues straight; lines are
    wider for more points. Dots with areas in proportion to the sizes mark the clusters of the finest level
    drawn; of clusters that are joined above, the exemplar's comes first, then the largest. Everything in one
    cluster of the coarsest level with several clusters has the same colour, of 36. Below each level stand
    its number of clusters and the resolutions γ between which it lives, as of `Hierarchy.lives`, if any.

    Parameters
    ----------
    hierarchy : Hierarchy
        The result of `sparse_ap.hierarchy`.
    level : int, optional
        The level whose clusters are the leaves, at most 200. None: the finest level with at most 60
        clusters, or the coarsest level if none has so few.
    names : array-like of str, shape (n_points,), optional
        Names of the points. None: their numbers.
    ax : matplotlib Axes, optional
        Axes to draw on; names are to their right, in letters that fit the height. None: axes of a new
        `matplotlib.pyplot` figure, sized for the tree and its names.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        ``hierarchy`` is not a hierarchy, the level does not exist or has too many clusters, or there is
        not one name per point.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    require_matplotlib("plot_tree")
    tree = _Drawing.of(hierarchy, level)
    labels = _labels(tree, names)
    if ax is not None:
        _draw(ax, tree, labels)
        return ax
    ax = _high_axes(len(labels))
    _draw(ax, tree, labels)
    _widen(ax, len(tree.levels))
    return ax


@dataclass(frozen=True, slots=True, eq=False)
class _Drawing:
    """The tree above a level, with the vertical positions of its clusters.

    Attributes
    ----------
    hierarchy : Hierarchy
        The whole tree.
    levels : range
        The levels drawn, the finest first.
    leaves : ndarray of int64, shape (n_leaves,)
        The clusters of the finest level drawn, from top to bottom.
    heights : tuple of ndarray of int64
        For each level, the vertical position of each cluster: the number of leaves above its line.
    """

    hierarchy: Hierarchy
    levels: range
    leaves: Int64Array
    heights: tuple[Int64Array, ...]

    @classmethod
    def of(cls, hierarchy: Hierarchy, level: int | None) -> _Drawing:
        """Choose a level if none is given, and order its clusters."""
        if not isinstance(hierarchy, Hierarchy):
            raise InvalidInputError(
                f"The hierarchy is a {type(hierarchy).__name__}; what sparse_ap.hierarchy returns is needed."
            )
        chosen = readable_level(hierarchy) if level is None else level
        exemplars = hierarchy.exemplars(chosen)
        levels = range(chosen % hierarchy.n_levels, hierarchy.n_levels)
        _require_readable(hierarchy, levels.start)
        leaves = _in_order(hierarchy, levels)
        rank = np.argsort(leaves)
        heights = tuple(rank[np.searchsorted(exemplars, hierarchy.exemplars(above))] for above in levels)
        return cls(hierarchy, levels, leaves, heights)

    def lines(self, level: int) -> NDArray[np.float64]:
        """Return the ends of each cluster's line and the place where it joins, shape (n_clusters, 3, 2)."""
        y = self.heights[level - self.levels.start]
        top = level == self.levels[-1]
        # On the coarsest level lines end in stubs, since nothing joins them.
        joined = y if top else self.heights[level + 1 - self.levels.start][self.hierarchy.parents(level)]
        end = np.full(len(y), level + (_STUB if top else 1.0))
        return np.stack([np.stack([np.full(len(y), level), end, end], 1), np.stack([y, y, joined], 1)], 2)

    def families(self) -> Iterator[tuple[int, Int64Array | None]]:
        """Yield each level with the colour index of its clusters; None above the level with the colours."""
        several = np.flatnonzero(self.hierarchy.n_clusters > 1)
        united = max(self.levels.start, int(several.max(initial=0)))
        places = np.argsort(np.argsort(self.heights[united - self.levels.start]))
        exemplars = self.hierarchy.exemplars
        for level in self.levels:
            in_united = self.hierarchy.labels(united)[exemplars(level)]
            yield level, places[in_united] if level <= united else None


def readable_level(hierarchy: Hierarchy) -> int:
    """Return the finest level with at most 60 clusters, or the coarsest level."""
    few = np.flatnonzero(hierarchy.n_clusters <= _READABLE)
    return int(few[0]) if len(few) else hierarchy.n_levels - 1


def _require_readable(hierarchy: Hierarchy, level: int) -> None:
    counts = hierarchy.n_clusters
    if counts[level] <= MOST:
        return
    fewer = np.flatnonzero(counts <= MOST)
    advice = (
        f"Give a coarser level: level={fewer[0]} has {counts[fewer[0]]}."
        if len(fewer)
        else "No level of this hierarchy has so few: allow more levels (max_levels), or link the parts of "
        "the graph with more edges."
    )
    raise InvalidInputError(
        f"Level {level} has {counts[level]:,} clusters; a tree of at most {MOST} can be read. {advice}"
    )


def _in_order(hierarchy: Hierarchy, levels: range) -> Int64Array:
    """Return the clusters of the first level, such that clusters joined above are next to each other."""
    keys: list[NDArray[Any]] = []
    cluster = np.arange(hierarchy.n_clusters[levels.start])
    for level in levels:
        keys += [cluster, -hierarchy.sizes(level)[cluster]]
        if level != levels[-1]:
            keys.append(~np.isin(cluster, hierarchy.clusterings[level + 1].exemplars))
            cluster = hierarchy.parents(level)[cluster]
    return np.lexsort(keys)


def _labels(tree: _Drawing, names: ArrayLike | None) -> list[str]:
    """Return the names of the leaves with their sizes, from top to bottom."""
    level, n_points = tree.levels.start, len(tree.hierarchy.labels(0))
    called = np.arange(n_points) if names is None else checked_names(names, n_points)
    exemplars, sizes = tree.hierarchy.exemplars(level), tree.hierarchy.sizes(level)
    return [f"{called[exemplars[leaf]]} ({sizes[leaf]:,})" for leaf in tree.leaves]


def _draw(ax: Any, tree: _Drawing, labels: list[str]) -> None:
    palette = np.array(with_tones(palette_of(ax)))
    for level, family in tree.families():
        sizes = tree.hierarchy.sizes(level)
        colours = np.full(len(sizes), ink_of(ax)) if family is None else palette[family % len(palette)]
        thin, thick = _WIDTHS
        widths = thin + (thick - thin) * np.sqrt(sizes / max(1, len(tree.hierarchy.labels(0))))
        _draw_lines(ax, tree.lines(level), colours, widths)
        if level == tree.levels.start:
            areas = LARGEST_DOT * np.maximum(sizes / sizes.max(initial=1), 0.05)
            x = np.full(len(sizes), level)
            ax.scatter(x, tree.heights[0], areas, c=colours, linewidths=0, zorder=3, clip_on=False)
    _rule(ax, tree)
    _write_names(ax, labels)
    entitle(ax, _told(tree))


def _told(tree: _Drawing) -> str:
    """Return what is seen, in words."""
    first, *above = (f"{tree.hierarchy.n_clusters[level]:,}" for level in tree.levels)
    number = f"{first} cluster{'s' if first != '1' else ''} of {len(tree.hierarchy.labels(0)):,} points"
    return f"{number}, joined into {', '.join(above)}" if above else number


def _draw_lines(
    ax: Any, lines: NDArray[np.float64], colours: NDArray[Any], widths: NDArray[np.float64]
) -> None:
    from matplotlib.collections import LineCollection

    # Lines that join the same one overlap on their last piece; the nearest is drawn last, on top.
    order = np.argsort(-lines[:, 0, 1])
    ax.add_collection(
        LineCollection(
            list(lines[order]), colors=colours[order], linewidths=widths[order], capstyle="round",
            joinstyle="round",
        )
    )  # fmt: skip


def _rule(ax: Any, tree: _Drawing) -> None:
    """Draw a line at each level, the coarsest on the left, with the number of clusters below it."""
    rule_faintly(ax)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    counts = tree.hierarchy.n_clusters
    lives = tree.hierarchy.lives
    said = [
        f"level {k}\n{counts[k]:,} {'cluster' if counts[k] == 1 else 'clusters'}{_lives_told(lives[k])}"
        for k in tree.levels
    ]
    n_letters = sum(max(map(len, text.splitlines())) for text in said) + 2 * len(said)
    ax.set_xticks(tree.levels, said, fontsize=_letters(ax.get_window_extent().width, ax, LETTER * n_letters))
    ax.set_xlim(tree.levels[-1] + _STUB, tree.levels.start - 0.05)
    ax.set_ylim(len(tree.leaves) - 0.4, -0.6)


def lifetime(lives: NDArray[np.float64]) -> str:
    """Return the resolutions between which a cluster lives, in words; a dash where they are not known."""
    low, high = lives
    if np.isnan(low):
        return "–"
    if low > high:
        return "never the best"
    if np.isnan(high) or np.isinf(high):
        return f"from {_two_digits(low)}"
    return f"{_two_digits(low)} to {_two_digits(high)}"


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}"


def _lives_told(lives: NDArray[np.float64]) -> str:
    low, high = lives
    return "" if np.isnan(low) or low > high else f"\nγ {lifetime(lives)}"


def _write_names(ax: Any, labels: list[str]) -> None:
    """Write the names of the leaves, in letters that fit between the lines."""
    ax.yaxis.tick_right()
    size = _letters(ax.get_window_extent().height, ax, 1.25 * len(labels))
    # Dollar signs in names must not start a formula.
    ax.set_yticks(range(len(labels)), labels, fontsize=size, parse_math=False)
    ax.tick_params(axis="y", length=0, pad=6)


def _letters(pixels: float, ax: Any, n_heights: float) -> float:
    """Return the font size in points at which ``n_heights`` letters fit into a length in pixels."""
    return float(min(9.0, 72.0 * pixels / ax.figure.dpi / max(1.0, n_heights)))


def _high_axes(n_leaves: int) -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 1.5 + 0.2 * n_leaves), layout="constrained")[1]


def _widen(ax: Any, n_levels: int) -> None:
    """Make the figure wide enough for the levels and the names."""
    widths = [label.get_window_extent().width for label in ax.get_yticklabels()]
    figure = ax.figure
    figure.set_size_inches(
        0.7 + 1.3 * n_levels + max(widths, default=0.0) / figure.dpi, figure.get_figheight()
    )
