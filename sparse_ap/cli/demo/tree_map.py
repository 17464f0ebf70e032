"""The map of a hierarchy: places in the colours of the coarsest clusters, and the tree of exemplars."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.cli.demo.map import INK, Caption, blank_map, draw_globe, write_map, write_names
from sparse_ap.cli.demo.places import Places, unit_vectors
from sparse_ap.cli.demo.projection import equal_earth, relative_longitude
from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.plotting.colours import ON_DARK, spread_colours
from sparse_ap.plotting.labels import Box

__all__ = ["RING", "Sheet", "continent_level", "draw_names", "draw_tree", "largest_first", "tree_caption"]

_N_CONTINENTS = 8
"""Approximate number of clusters, each with its colour, on the coarsest level drawn."""

RING = 10.0
"""Radius in pixels of the rings around the coarsest exemplars."""

_SHADES = (0.62, 0.95, 0.42)
"""Brightness of the parts of a cluster, by which they can be told apart."""


def continent_level(tree: Hierarchy) -> int:
    """Return the coarsest level to draw."""
    return tree.nearest_level(_N_CONTINENTS)


def tree_caption(tree: Hierarchy) -> Caption:
    """Return the caption of the map, with the number of clusters on each level."""
    coarsest = continent_level(tree)
    counts = [f"{n:,}" for n in tree.n_clusters[: coarsest + 1]]
    facts = (
        f"{len(tree.labels(0)):,} places",
        f"{counts[0]} exemplars",
        *(f"{n} of these" for n in counts[1:]),
    )
    note = (
        "Lines lead to the exemplars of\nthe next level. Each of the "
        f"{counts[-1]} has\na colour; shades tell apart\nthe {counts[-2:][0]} below them."
    )
    return Caption(f"The world in {counts[-1]} places", facts, note)


def draw_tree(places: Places, tree: Hierarchy, caption: Caption, path: Path) -> None:
    """Draw the levels of a hierarchy of places on a map of the world, and write it as a PNG file."""
    require_matplotlib("The map")
    axes = blank_map()
    sheet = Sheet.of(places, tree)
    draw_globe(axes)
    _draw_places(axes, sheet)
    for level in range(sheet.coarsest):
        _draw_branches(axes, sheet, level)
    for level in range(sheet.coarsest + 1):
        _draw_exemplars(axes, sheet, level)
    draw_names(axes, sheet)
    write_map(axes.figure, caption, path)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """The hierarchy, projected onto the map.

    Attributes
    ----------
    names : tuple of str
        Of the places.
    tree : Hierarchy
    coarsest : int
        The coarsest level drawn.
    east : ndarray of float64, shape (n_places,)
        Degrees east of the central meridian.
    points : ndarray of float64, shape (n_places, 2)
    colours : ndarray of float64, shape (n_places, 3)
        Colour of each place's cluster on the coarsest level: red, green and blue.
    shades : ndarray of float64, shape (n_places,)
        Brightness of each place, by its cluster on the level below the coarsest.
    """

    names: tuple[str, ...]
    tree: Hierarchy
    coarsest: int
    east: NDArray[np.float64]
    points: NDArray[np.float64]
    colours: NDArray[np.float64]
    shades: NDArray[np.float64]

    @classmethod
    def of(cls, places: Places, tree: Hierarchy) -> Sheet:
        """Project the places, colour the coarsest clusters and shade their parts."""
        from matplotlib.colors import to_rgba_array

        coarsest = continent_level(tree)
        vectors = unit_vectors(places)
        hue, shade = (
            spread_colours(vectors[tree.exemplars(level)], n)[tree.labels(level)]
            for level, n in ((coarsest, len(ON_DARK)), (max(0, coarsest - 1), len(_SHADES)))
        )
        east = relative_longitude(places.longitude)
        colours = to_rgba_array(ON_DARK)[hue, :3]
        return cls(
            places.names,
            tree,
            coarsest,
            east,
            equal_earth(places.latitude, east),
            colours,
            np.array(_SHADES)[shade],
        )


def _draw_places(axes: Any, sheet: Sheet) -> None:
    """Draw each place as a dot in the colour and brightness of its clusters."""
    colours = sheet.colours * sheet.shades[:, None]
    axes.scatter(*sheet.points.T, c=colours, s=0.5, linewidths=0, alpha=0.8, zorder=2)


def _draw_branches(axes: Any, sheet: Sheet, level: int) -> None:
    """Draw a line from each exemplar of a level to its own exemplar on the next level."""
    from matplotlib.collections import LineCollection

    start = sheet.tree.exemplars(level)
    stop = sheet.tree.exemplars(level + 1)[sheet.tree.parents(level)]
    # A line across the map's edge would be drawn through the whole map.
    whole = (np.abs(sheet.east[start] - sheet.east[stop]) < 180.0) & (start != stop)
    start, stop = start[whole], stop[whole]
    lines = np.stack([sheet.points[start], sheet.points[stop]], axis=1)
    below = sheet.coarsest - 1 - level
    colours = INK if below == 0 else sheet.colours[start]
    axes.add_collection(
        LineCollection(
            list(lines),
            colors=colours,
            linewidths=0.75 / 2**below,
            alpha=0.85,
            zorder=3 + level,
            capstyle="round",
        )
    )


def _draw_exemplars(axes: Any, sheet: Sheet, level: int) -> None:
    """Draw each exemplar of a level as a dot, larger on coarser levels."""
    exemplars = sheet.tree.exemplars(level)
    below = sheet.coarsest - level
    axes.scatter(
        *sheet.points[exemplars].T, c=sheet.colours[exemplars], s=26.0 / 3.2**below,
        edgecolors="white", linewidths=0.9 / 2**below, zorder=10 + level,
    )  # fmt: skip


def draw_names(axes: Any, sheet: Sheet) -> None:
    """Write the names of the coarsest exemplars, and of visible ones below as far as there is room."""
    coarse = largest_first(sheet.tree, sheet.coarsest)
    finer = [i for i in largest_first(sheet.tree, max(0, sheet.coarsest - 1)) if i not in coarse]
    rings = _boxes(axes, sheet.points[coarse], RING)
    names = _place_names(axes, sheet, coarse, rings, fontsize=8.0, fontweight="bold")
    dots = _boxes(axes, sheet.points[finer], 0.5 * RING)
    seen = [i for i, dot in zip(finer, dots, strict=True) if not any(map(dot.overlaps, names))]
    _place_names(axes, sheet, seen, [*rings, *dots, *names], fontsize=4.8, fontweight="normal")


def _boxes(axes: Any, points: NDArray[np.float64], radius: float) -> list[Box]:
    """Return squares around points of the map, in pixels."""
    return [Box(x, y, 0.0, 0.0).padded(radius) for x, y in axes.transData.transform(points)]


def _place_names(
    axes: Any, sheet: Sheet, exemplars: list[int], marks: list[Box], fontsize: float, fontweight: str
) -> list[Box]:
    """Write names that cover neither each other nor the marks; return their rectangles."""
    room = {"gap": RING + 2.0, "margin": 5.0, "limit": len(exemplars), "marks": marks}
    return write_names(
        axes, [sheet.names[i] for i in exemplars], sheet.points[exemplars], room,
        halo=0.25 * fontsize, fontsize=fontsize, fontweight=fontweight, zorder=30,
    )  # fmt: skip


def largest_first(tree: Hierarchy, level: int) -> list[int]:
    """Return the exemplars of a level, in descending order of their clusters' sizes."""
    return [int(i) for i in tree.exemplars(level)[np.argsort(-tree.sizes(level), kind="stable")]]
