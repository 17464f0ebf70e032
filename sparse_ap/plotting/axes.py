"""Axes, colours and checks that all plots share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LETTER",
    "checked_labels",
    "checked_names",
    "entitle",
    "ink_of",
    "new_axes",
    "number_wholly",
    "palette_of",
    "require_matplotlib",
    "required",
    "rule_faintly",
    "ruled",
    "thousands",
]

LETTER = 0.65
"""About the mean width of a letter, in sizes of the font."""


def require_matplotlib(purpose: str) -> None:
    """Refuse to draw if matplotlib is not installed; ``purpose`` names the caller in the message."""
    optional_modules(purpose, "plot", "matplotlib")


def new_axes() -> Axes:
    """Return axes in a new pyplot figure, which notebooks and `pyplot.show` display."""
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def _is_dark(ax: Any) -> bool:
    """Whether the background of the axes is dark."""
    from matplotlib.colors import to_rgba

    red, green, blue, opacity = to_rgba(ax.get_facecolor())
    # Transparent axes show the background of the figure.
    if opacity < 0.5:
        red, green, blue, _ = to_rgba(ax.figure.get_facecolor())
    # Perceived brightness, with the weights of ITU-R BT.601.
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def palette_of(ax: Any) -> tuple[str, ...]:
    """Return the palette for the background of the axes."""
    return ON_DARK if _is_dark(ax) else ON_LIGHT


def ink_of(ax: Any) -> str:
    """Return the colour with the most contrast to the background of the axes."""
    return "white" if _is_dark(ax) else "black"


def entitle(ax: Any, title: str, *, above_legend: bool = False) -> None:
    """Write a title above the axes, from the left."""
    ax.set_title(title, fontsize="medium", loc="left", pad=22.0 if above_legend else None)


def rule_faintly(ax: Any) -> None:
    """Draw grid lines, and only the spines that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def ruled(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure, ruled faintly."""
    if ax is None:
        ax = new_axes()
    rule_faintly(ax)
    return ax


def thousands(value: float, position: int | None = None) -> str:
    """Format a count with commas; an empty string for a value that is not whole."""
    return f"{value:,.0f}" if value == round(value) else ""


def number_wholly(axis: Any) -> None:
    """Put whole numbers with commas on an axis of counts."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axis.set_major_formatter(thousands)


def required(clustering: Any, *attributes: str) -> tuple[Any, ...]:
    """Return attributes of a clustering.

    Raises
    ------
    InvalidInputError
        An attribute is missing, so the object is no clustering.
    """
    try:
        return tuple(getattr(clustering, attribute) for attribute in attributes)
    except AttributeError as error:
        raise InvalidInputError(
            f"The clustering is a {type(clustering).__name__}; what affinity_propagation returns is needed, "
            "or a fitted estimator's clustering_."
        ) from error


def checked_labels(clustering: Any) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the labels and exemplars of a clustering, checked for drawing; label -1: nobody's.

    Raises
    ------
    InvalidInputError
        Labels or exemplars are missing, or a label is not a position in the exemplars.
    """
    labels, exemplars = map(np.asarray, required(clustering, "labels", "exemplars"))
    if len(labels) and not -1 <= labels.min() <= labels.max() < len(exemplars):
        raise InvalidInputError(
            f"The labels run from {labels.min()} to {labels.max()}; positions in the {len(exemplars):,} "
            "exemplars are needed, from 0 on, or -1 for a point that nobody represents."
        )
    return labels, exemplars


def checked_names(names: ArrayLike, n_points: int, given: str = "names") -> NDArray[Any]:
    """Return the names of points as an array; ``given`` is what the caller calls them.

    Raises
    ------
    InvalidInputError
        There is not one for each point.
    """
    called = np.asarray(names)
    if called.shape != (n_points,):
        raise InvalidInputError(
            f"The {given} have the shape {called.shape}, and there are {n_points:,} points; one name a point "
            "is needed, in the same order."
        )
    return called
