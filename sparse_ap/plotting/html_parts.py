"""The parts of which the pages of reports are made."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from numpy.typing import ArrayLike

from sparse_ap.plotting.axes import checked_names

__all__ = ["N_LISTED", "Names", "evenly", "figures_list", "largest_told", "minus", "picture", "table"]


N_LISTED = 1000
"""Most rows in tables of clusters."""


class Names:
    """The names of the points: their numbers, or the names that the user gave.

    Raises
    ------
    InvalidInputError
        There is not one name for each point.
    """

    def __init__(self, ids: ArrayLike | None, n_points: int) -> None:
        #: The names, not escaped; None: the points are called by their numbers.
        self.given: Any = None if ids is None else checked_names(ids, n_points, "ids")

    def __getitem__(self, point: int) -> str:
        """Return the name of a point, escaped."""
        return f"{point}" if self.given is None else escape(str(self.given[point]))


def figures_list(figures: Mapping[str, str | None]) -> str:
    """Return the figures that are known, by name."""
    shown = {name: value for name, value in figures.items() if value is not None}
    return "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items())


def table(columns: Mapping[str, bool], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of HTML.

    Parameters
    ----------
    columns : mapping of str to bool
        Headings, and whether the column holds numbers.
    rows : iterable of sequence of str
        Cells, escaped.
    """
    kinds = [' class="number"' if numeric else "" for numeric in columns.values()]
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in zip(columns, kinds, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    # Can be reached by keys, to be scrolled by them.
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Table"><table class="clusters">\n'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def evenly(values: Sequence[float | None]) -> list[str]:
    """Return the numbers of a column with the same decimals: four digits of the largest; a dash for none."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    exponent = int(f"{max(known, default=0.0):e}".partition("e")[2])
    if not -5 <= exponent <= 15:
        return ["–" if value is None else minus(f"{value:.3e}") for value in values]
    decimals = max(0, 3 - exponent)
    return [
        "–" if value is None else minus(f"{round(value, decimals) + 0.0:,.{decimals}f}") for value in values
    ]


def minus(number: str) -> str:
    """Return a number with signs as long as those of a plus."""
    return number.replace("-", "\N{MINUS SIGN}")


def largest_told(n_clusters: int, what: str) -> str:
    """Return the heading of a table of clusters, which says how many of them it has."""
    return f"The {what}" if n_clusters <= N_LISTED else f"The {N_LISTED:,} largest of {n_clusters:,} {what}"


_GROUNDS = {"light": ("#ffffff", "#1b1f24"), "dark": ("#14171b", "#e6e9ed")}
"""Colours of the background and the text, as in report_page.html."""

_SIZE = (5.6, 3.3)
"""Size in inches; half the width of the page holds about six."""


def picture(plot: Callable[..., object], shown: Any, told: str, size: tuple[float, float] = _SIZE) -> str:
    """Return an HTML figure with a plot in light and dark, and its caption."""
    light, dark = (_data_address(plot, shown, size, *colours) for colours in _GROUNDS.values())
    # Large ones are scrolled where the page is narrow.
    broad = ' class="broad"' if size[0] > _SIZE[0] else ""
    return (
        '<figure>\n<div class="wide"><picture>\n'
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'<img{broad} src="{light}" alt="{escape(told)}">\n'
        f"</picture></div>\n<figcaption>{escape(told)}</figcaption>\n</figure>"
    )


def _data_address(
    plot: Callable[..., object], shown: Any, size: tuple[float, float], ground: str, ink: str
) -> str:
    """Return a plot as a data URL, which contains the whole picture."""
    from matplotlib import style
    from matplotlib.figure import Figure

    colours = {
        f"{part}color": ink
        for part in ("text.", "axes.label", "axes.edge", "xtick.", "ytick.", "legend.label")
    }
    # From matplotlib's defaults: the user's own style must not change the page.
    with style.context(
        [
            "default",
            {**colours, "figure.facecolor": ground, "axes.facecolor": ground, "svg.hashsalt": "sparse_ap"},
        ]
    ):
        figure = Figure(figsize=size, layout="constrained")
        plot(shown, ax=figure.add_subplot())
        file = io.BytesIO()
        # Without a date, and with a fixed salt, so that the same clustering gives the same bytes.
        figure.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
