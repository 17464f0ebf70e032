"""Pictures of hierarchies: which exemplars stand for which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array
from sparse_ap.plotting.axes import ink_of, palette_of, require_matplotlib, rule_faintly

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_tree"]

_READABLE = 60
"""Leaves up to which a level is chosen by itself."""

MOST = 200
"""Leaves up to which a level is drawn."""

_STUB = 0.5
"""How far the lines of the coarsest exemplars go on, in levels."""

LARGEST_DOT = 60.0
"""Area of the dot of the largest leaf, in square points."""


def plot_tree(
    hierarchy: Hierarchy, level: int | None = None, *, names: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the tree above a level: each exemplar's line up to the coarsest level on which it is one.

    The lines of the exemplars that it represents end at its own, which goes straight on and is wider from
    level to level. Dots, with areas as the sizes, are the clusters of the level itself; of those that are
    together the exemplar's is first, then the largest. What lies in one cluster of the coarsest level that
    has several is of one colour.

    Parameters
    ----------
    hierarchy : Hierarchy
        What `sparse_ap.hierarchy` returns.
    level : int, optional
        Its clusters are the leaves, at most 200. None: the finest level with at most 60 clusters, or else
        the coarsest.
    names : array-like of str, shape (n_points,), optional
        What the points are called. None: their numbers.
    ax : matplotlib Axes, optional
        Where to draw; the names are right of them, in letters as high as there is room. None: the axes
        of a new `matplotlib.pyplot` figure, as large as the tree and its names.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the new axes.

    Raises
    ------
    InvalidInputError
        It is no hierarchy, there is no such level or it has too many clusters, or the names are not
        those of the points.
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
    """The tree above a level, its leaves one below the other.

    Attributes
    ----------
    hierarchy : Hierarchy
        The whole tree.
    levels : range
        The levels drawn, the finest first.
    leaves : ndarray of int64, shape (n_leaves,)
        Clusters of the finest of them, from top to bottom.
    heights : tuple of ndarray of int64
        For each level, how many leaves are above the line of each cluster.
    """

    hierarchy: Hierarchy
    levels: range
    leaves: Int64Array
    heights: tuple[Int64Array, ...]

    @classmethod
    def of(cls, hierarchy: Hierarchy, level: int | None) -> _Drawing:
        """Choose a level if there is none, and put its clusters in order."""
        if not isinstance(hierarchy, Hierarchy):
            raise InvalidInputError(
                f"The hierarchy is a {type(hierarchy).__name__}; what sparse_ap.hierarchy returns is needed."
            )
        chosen = _readable_level(hierarchy) if level is None else level
        exemplars = hierarchy.exemplars(chosen)
        levels = range(chosen % hierarchy.n_levels, hierarchy.n_levels)
        _require_readable(hierarchy, levels.start)
        leaves = _in_order(hierarchy, levels)
        rank = np.argsort(leaves)
        heights = tuple(rank[np.searchsorted(exemplars, hierarchy.exemplars(above))] for above in levels)
        return cls(hierarchy, levels, leaves, heights)

    def lines(self, level: int) -> NDArray[np.float64]:
        """Return for each cluster the ends of its line and where it joins the next, (n_clusters, 3, 2)."""
        y = self.heights[level - self.levels.start]
        top = level == self.levels[-1]
        joined = y if top else self.heights[level + 1 - self.levels.start][self.hierarchy.parents(level)]
        end = np.full(len(y), level + (_STUB if top else 1.0))
        return np.stack([np.stack([np.full(len(y), level), end, end], 1), np.stack([y, y, joined], 1)], 2)

    def families(self) -> Iterator[tuple[int, Int64Array | None]]:
        """Yield each level, and the place of its clusters' colours; None where several have come together."""
        several = np.flatnonzero(self.hierarchy.n_clusters > 1)
        united = max(self.levels.start, int(several.max(initial=0)))
        places = np.argsort(np.argsort(self.heights[united - self.levels.start]))
        exemplars = self.hierarchy.exemplars
        for level in self.levels:
            in_united = self.hierarchy.labels(united)[exemplars(level)]
            yield level, places[in_united] if level <= united else None


def _readable_level(hierarchy: Hierarchy) -> int:
    """Return the finest level with few clusters, or else the coarsest."""
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
    """Return the clusters of the first level, each next to those that it is together with above."""
    keys: list[NDArray[Any]] = []
    cluster = np.arange(hierarchy.n_clusters[levels.start])
    for level in levels:
        keys += [cluster, -hierarchy.sizes(level)[cluster]]
        if level != levels[-1]:
            keys.append(~np.isin(cluster, hierarchy.clusterings[level + 1].exemplars))
            cluster = hierarchy.parents(level)[cluster]
    return np.lexsort(keys)


def _labels(tree: _Drawing, names: ArrayLike | None) -> list[str]:
    """Return what the leaves are called, from top to bottom, with their sizes."""
    level, n_points = tree.levels.start, len(tree.hierarchy.labels(0))
    called = np.arange(n_points) if names is None else np.asarray(names)
    if called.shape != (n_points,):
        raise InvalidInputError(
            f"The names have the shape {called.shape}, and the hierarchy is of {n_points:,} points; one "
            "name a point is needed, in the same order."
        )
    exemplars, sizes = tree.hierarchy.exemplars(level), tree.hierarchy.sizes(level)
    return [f"{called[exemplars[leaf]]} ({sizes[leaf]:,})" for leaf in tree.leaves]


def _draw(ax: Any, tree: _Drawing, labels: list[str]) -> None:
    palette = np.array(palette_of(ax))
    for level, family in tree.families():
        colours = ink_of(ax) if family is None else palette[family % len(palette)]
        _draw_lines(ax, tree.lines(level), colours, 1.0 + 0.6 * (level - tree.levels.start))
        if level == tree.levels.start:
            sizes = tree.hierarchy.sizes(level)
            areas = LARGEST_DOT * np.maximum(sizes / sizes.max(initial=1), 0.05)
            x = np.full(len(sizes), level)
            ax.scatter(x, tree.heights[0], areas, c=colours, linewidths=0, zorder=3, clip_on=False)
    _rule(ax, tree)
    _write_names(ax, labels)


def _draw_lines(ax: Any, lines: NDArray[np.float64], colours: Any, width: float) -> None:
    from matplotlib.collections import LineCollection

    # Lines that join another on the same way have a piece in common: the nearest shows there.
    order = np.argsort(-lines[:, 0, 1])
    shown = colours if isinstance(colours, str) else colours[order]
    ax.add_collection(
        LineCollection(list(lines[order]), colors=shown, linewidths=width, capstyle="projecting")
    )


def _rule(ax: Any, tree: _Drawing) -> None:
    """Draw a line at each level, the coarsest on the left, and say below how many clusters it has."""
    rule_faintly(ax)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    counts = tree.hierarchy.n_clusters
    said = [f"{k}: {counts[k]:,} {'cluster' if counts[k] == 1 else 'clusters'}" for k in tree.levels]
    # A letter is about as wide as .65 of its height.
    n_letters = sum(map(len, said)) + 2 * len(said)
    ax.set_xticks(tree.levels, said, fontsize=_letters(ax.get_window_extent().width, ax, 0.65 * n_letters))
    ax.set_xlabel("level")
    ax.set_xlim(tree.levels[-1] + _STUB, tree.levels.start - 0.05)
    ax.set_ylim(len(tree.leaves) - 0.4, -0.6)


def _write_names(ax: Any, labels: list[str]) -> None:
    """Name the leaves, in letters that leave room between the lines."""
    ax.yaxis.tick_right()
    size = _letters(ax.get_window_extent().height, ax, 1.25 * len(labels))
    # What is between two dollar signs is a part of a name, not a formula.
    ax.set_yticks(range(len(labels)), labels, fontsize=size, parse_math=False)
    ax.tick_params(axis="y", length=0, pad=6)


def _letters(pixels: float, ax: Any, n_heights: float) -> float:
    """Return the size of letters, so many of whose heights have to fit, in points."""
    return float(min(9.0, 72.0 * pixels / ax.figure.dpi / max(1.0, n_heights)))


def _high_axes(n_leaves: int) -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 1.5 + 0.2 * n_leaves), layout="constrained")[1]


def _widen(ax: Any, n_levels: int) -> None:
    """Make the figure as wide as the levels and the names need."""
    widths = [label.get_window_extent().width for label in ax.get_yticklabels()]
    figure = ax.figure
    figure.set_size_inches(
        0.7 + 1.3 * n_levels + max(widths, default=0.0) / figure.dpi, figure.get_figheight()
    )
