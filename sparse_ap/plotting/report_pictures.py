"""Pictures inside a page of HTML: one for light screens and paper, one for dark screens."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import Any

__all__ = ["picture"]

GROUNDS = {"light": ("#ffffff", "#1b1f24"), "dark": ("#14171b", "#e6e9ed")}
"""Ground and ink, as in report_page.html."""

SIZE = (5.6, 3.3)
"""Inches, of which half the page's width has about six."""


def picture(plot: Callable[..., object], clustering: Any, told: str) -> str:
    """Return a figure of HTML with what a function draws of a clustering, and what is told of it in words."""
    light, dark = (_data_address(plot, clustering, *colours) for colours in GROUNDS.values())
    return (
        "<figure>\n<picture>\n"
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'<img src="{light}" alt="{escape(told)}">\n'
        f"</picture>\n<figcaption>{escape(told)}</figcaption>\n</figure>"
    )


def _data_address(plot: Callable[..., object], clustering: Any, ground: str, ink: str) -> str:
    """Return a picture as an address that holds all of it."""
    from matplotlib import style
    from matplotlib.figure import Figure

    colours = {
        f"{part}color": ink
        for part in ("text.", "axes.label", "axes.edge", "xtick.", "ytick.", "legend.label")
    }
    # From the defaults on: no style of the user's, who did not ask for a picture.
    with style.context(
        [
            "default",
            {**colours, "figure.facecolor": ground, "axes.facecolor": ground, "svg.hashsalt": "sparse_ap"},
        ]
    ):
        figure = Figure(figsize=SIZE, layout="constrained")
        plot(clustering, ax=figure.add_subplot())
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
