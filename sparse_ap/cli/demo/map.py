"""The map of the demonstration: every place in its region's colour, with a line to its exemplar.

It has no coastlines: the places themselves show the continents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.cli.demo.places import unit_vectors
from sparse_ap.cli.demo.projection import equal_earth, relative_longitude
from sparse_ap.cli.demo.regions import Regions
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.plotting.colours import ON_DARK, spread_colours
from sparse_ap.plotting.labels import Box, place_labels

__all__ = [
    "HEIGHT",
    "INK",
    "WIDTH",
    "Caption",
    "blank_map",
    "draw_globe",
    "draw_map",
    "say_where",
    "write_map",
    "write_names",
]

WIDTH, HEIGHT = 2400, 1300
"""Size of the picture in pixels."""

DOTS_PER_INCH = 200
_MAX_NAMES = 30
_KM_OF_A_RING = 120.0
"""Mean distance in a region from which its exemplar has the whole ring."""

_CANDIDATES_PER_NAME = 10
"""Regions tried per name, from the largest, to find those whose names have room."""

SPACE, _OCEAN, _GRID, INK, FAINT = "#05070d", "#0b1220", "#18233a", "#f4f6fb", "#8b98b3"


@dataclass(frozen=True, slots=True)
class Caption:
    """The texts in the corners of a map.

    Attributes
    ----------
    title : str
        Text at the top left, on one line.
    facts : tuple of str
        Short lines below the title, beside the edge of the map.
    note : str
        Text at the bottom left: how to read the map.
    credit : str
        Text at the bottom right: the source of the data.
    """

    title: str
    facts: tuple[str, ...]
    note: str
    credit: str = "Places: GeoNames, CC BY 4.0"


def draw_map(regions: Regions, caption: Caption, path: Path) -> None:
    """Draw the regions on a map of the world, and write it as a PNG file."""
    require_matplotlib("The map")
    axes = blank_map()
    sheet = _Sheet.of(regions)
    draw_globe(axes)
    _draw_spokes(axes, sheet)
    _draw_places(axes, sheet)
    _draw_exemplars(axes, sheet)
    _draw_names(axes, sheet)
    write_map(axes.figure, caption, path)


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """The regions, projected onto the map.

    Attributes
    ----------
    regions : Regions
    east : ndarray of float64, shape (n_places,)
        Degrees east of the central meridian.
    points : ndarray of float64, shape (n_places, 2)
    colours : ndarray of float64, shape (n_regions, 4)
        Colour of each region: red, green, blue and opacity.
    """

    regions: Regions
    east: NDArray[np.float64]
    points: NDArray[np.float64]
    colours: NDArray[np.float64]

    @classmethod
    def of(cls, regions: Regions) -> _Sheet:
        """Project the places and colour the regions."""
        from matplotlib.colors import to_rgba_array

        places = regions.places
        east = relative_longitude(places.longitude)
        centres = unit_vectors(places)[regions.exemplars]
        colours = to_rgba_array(ON_DARK)[spread_colours(centres, len(ON_DARK))]
        return cls(regions, east, equal_earth(places.latitude, east), colours)


def blank_map() -> Any:
    """Return axes, in a new figure, that show the whole width of the map."""
    # Not with pyplot, which would change the caller's figures and may need a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DOTS_PER_INCH, HEIGHT / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.010, 0.035, 0.980, 0.895))
    axes.set_axis_off()
    axes.set_aspect("equal")
    # The map spans 2.707 to both sides and 1.317 up and down, in units of the sphere's radius.
    axes.set_xlim(-2.72, 2.72)
    axes.set_ylim(-1.33, 1.33)
    return axes


def draw_globe(axes: Any) -> None:
    """Fill the outline of the globe, and draw meridians and parallels every 30 degrees."""
    latitudes = np.linspace(-90.0, 90.0, 181)
    edge = equal_earth(latitudes, np.full(181, 180.0))
    axes.fill(
        *np.vstack([edge, edge[::-1] * (-1.0, 1.0)]).T,
        facecolor=_OCEAN,
        edgecolor=_GRID,
        linewidth=0.8,
        zorder=0,
    )
    for east in range(-150, 180, 30):
        axes.plot(*equal_earth(latitudes, np.full(181, float(east))).T, color=_GRID, linewidth=0.4, zorder=1)
    for north in range(-60, 90, 30):
        ends = equal_earth(np.full(2, float(north)), np.array([-180.0, 180.0]))
        axes.plot(*ends.T, color=_GRID, linewidth=0.4, zorder=1)


def _draw_spokes(axes: Any, sheet: _Sheet) -> None:
    """Draw a faint line from each place to its exemplar."""
    from matplotlib.collections import LineCollection

    regions = sheet.regions
    exemplar = regions.exemplars[regions.labels]
    # A line across the map's edge would be drawn through the whole map.
    whole = np.abs(sheet.east - sheet.east[exemplar]) < 180.0
    lines = np.stack([sheet.points[whole], sheet.points[exemplar[whole]]], axis=1)
    colours = sheet.colours[regions.labels[whole]]
    axes.add_collection(LineCollection(list(lines), colors=colours, linewidths=0.25, alpha=0.30, zorder=2))


def _draw_places(axes: Any, sheet: _Sheet) -> None:
    """Draw each place as a point of its region's colour."""
    colours = sheet.colours[sheet.regions.labels]
    axes.scatter(*sheet.points.T, c=colours, s=0.28, linewidths=0, alpha=0.8, zorder=3)


def _draw_exemplars(axes: Any, sheet: _Sheet) -> None:
    """Draw each exemplar as a dot with a white ring, larger for larger regions."""
    regions = sheet.regions
    areas = 0.2 + 3.4 * regions.sizes / regions.sizes.max()
    # Where regions are small their rings would be all that is seen.
    rings = 0.22 * np.clip(regions.mean_km / _KM_OF_A_RING, 0.0, 1.0)
    centres = sheet.points[regions.exemplars]
    axes.scatter(*centres.T, c=sheet.colours, s=areas, edgecolors="white", linewidths=rings, zorder=4)


def _draw_names(axes: Any, sheet: _Sheet) -> None:
    """Write the names of the largest regions' exemplars that say where they are, as far as there is room."""
    names = sheet.regions.places.names
    order = sheet.regions.exemplars[sheet.regions.largest_first()]
    order = order[say_where(names)[order]]
    candidates = order[: _CANDIDATES_PER_NAME * _MAX_NAMES]
    room = {"gap": 8.0, "margin": 22.0, "limit": _MAX_NAMES}
    write_names(
        axes, [names[i] for i in candidates], sheet.points[candidates], room, halo=1.6, fontsize=5.6, zorder=5
    )


def write_names(
    axes: Any, names: Sequence[str], points: NDArray[np.float64], room: dict[str, Any], halo: float,
    **style: Any,
) -> list[Box]:  # fmt: skip
    """Write names beside points of the map, as far as there is ``room``; return their rectangles in pixels.

    Parameters
    ----------
    axes : matplotlib Axes
    names : sequence of str
        The most important first.
    points : ndarray of float64, shape (n, 2)
    room : dict
        The last arguments of `place_labels`.
    halo : float
        Width of what surrounds the letters.
    **style
        Of the text.
    """
    from matplotlib.patheffects import withStroke

    style |= {"color": INK, "va": "bottom", "path_effects": [withStroke(linewidth=halo, foreground=SPACE)]}
    # The size of a text is known only once it is drawn: draw all, measure, then move or remove each.
    texts = [axes.text(0, 0, name, **style) for name in names]
    extents = [text.get_window_extent().size for text in texts]
    frame = Box(*axes.get_window_extent().bounds)
    placed = place_labels(axes.transData.transform(points), extents, frame, **room)
    for label in placed:
        texts[label.index].set_position(axes.transData.inverted().transform(label.box[:2]))
    for index in set(range(len(texts))) - {label.index for label in placed}:
        texts[index].remove()
    return [label.box for label in placed]


def say_where(names: Sequence[str]) -> NDArray[np.bool_]:
    """Return which names say where a place is: no other place has them, and they name no part of one."""
    bearers = Counter(names)
    return np.array([bearers[name] == 1 and not set(name) & set("(/") for name in names], np.bool_)


def write_map(figure: Any, caption: Caption, path: Path) -> None:
    """Write the parts of the caption in their corners, and the map to a file."""
    figure.text(0.016, 0.958, caption.title, fontsize=14, fontweight="bold", color=INK, va="center")
    small = {"fontsize": 6.0, "color": FAINT, "linespacing": 1.6}
    figure.text(0.0165, 0.926, "\n".join(caption.facts), va="top", **small)
    figure.text(0.0165, 0.022, caption.note, va="bottom", **small)
    figure.text(0.984, 0.022, caption.credit, va="bottom", ha="right", **small)
    figure.savefig(path, dpi=DOTS_PER_INCH, facecolor=SPACE, metadata={"Title": caption.title})
