"""What the pictures have in common: their axes, their ground, and the clusterings they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.plotting.colours import ON_DARK, ON_LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "checked_labels",
    "ink_of",
    "new_axes",
    "number_wholly",
    "palette_of",
    "require_matplotlib",
    "required",
    "rule_faintly",
    "thousands",
]


def require_matplotlib(purpose: str) -> None:
    """Refuse to draw where matplotlib is not installed."""
    optional_modules(purpose, "plot", "matplotlib")


def new_axes() -> Axes:
    """Make axes in a figure of pyplot's, so that notebooks and `pyplot.show` show it."""
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def _is_dark(ax: Any) -> bool:
    """Tell whether what is drawn on the axes lies on a dark ground."""
    from matplotlib.colors import to_rgba

    red, green, blue, opacity = to_rgba(ax.get_facecolor())
    if opacity < 0.5:
        red, green, blue, _ = to_rgba(ax.figure.get_facecolor())
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def palette_of(ax: Any) -> tuple[str, ...]:
    """Return the colours for the ground of the axes."""
    return ON_DARK if _is_dark(ax) else ON_LIGHT


def ink_of(ax: Any) -> str:
    """Return what stands out most on the ground of the axes."""
    return "white" if _is_dark(ax) else "black"


def rule_faintly(ax: Any) -> None:
    """Leave of the frame what carries numbers, with lines to read them by."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def thousands(value: float, position: int | None = None) -> str:
    """Write a number of points or clusters on an axis; nothing where it is no whole number."""
    return f"{value:,.0f}" if value == round(value) else ""


def number_wholly(axis: Any) -> None:
    """Write round numbers with commas on an axis of counts."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axis.set_major_formatter(thousands)


def required(clustering: Any, *attributes: str) -> tuple[Any, ...]:
    """Return these attributes of a clustering.

    Raises
    ------
    InvalidInputError
        It has not got them.
    """
    try:
        return tuple(getattr(clustering, attribute) for attribute in attributes)
    except AttributeError as error:
        raise InvalidInputError(
            f"The clustering is a {type(clustering).__name__}; what affinity_propagation returns is needed, "
            "or a fitted estimator's clustering_."
        ) from error


def checked_labels(clustering: Any) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the labels and the exemplars of a clustering that can be drawn.

    Raises
    ------
    InvalidInputError
        It has none, or the labels are not positions in the exemplars.
    """
    labels, exemplars = map(np.asarray, required(clustering, "labels", "exemplars"))
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(exemplars):
        raise InvalidInputError(
            f"The labels run from {labels.min()} to {labels.max()}; positions in the {len(exemplars):,} "
            "exemplars are needed, from 0 on."
        )
    return labels, exemplars
