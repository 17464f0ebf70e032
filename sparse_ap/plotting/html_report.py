"""`write_report`: a clustering as one HTML page, with figures, pictures and the largest clusters."""

from __future__ import annotations

import base64
import importlib.metadata
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.plotting.convergence import plot_convergence
from sparse_ap.plotting.sizes import plot_sizes
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["LargeCluster", "largest_clusters", "require_report", "write_report"]

N_LARGEST = 20
"""Number of rows in the table of clusters."""


def write_report(
    clustering: Clustering,
    path: str | Path,
    *,
    title: str = "Clusters",
    ids: ArrayLike | None = None,
    n_stored: int | None = None,
    recall: Recall | None = None,
    seconds: float | None = None,
    settings: Mapping[str, object] | None = None,
) -> None:
    """Write a self-contained HTML page about a clustering.

    Parameters
    ----------
    clustering : Clustering
        The result of `affinity_propagation`, or ``clustering_`` of a fitted estimator.
    path : path-like
        The ``.html`` file to write. It appears complete or not at all, and replaces an existing file.
    title : str
        Heading of the page.
    ids : array-like of shape (n_points,), optional
        Names of the points, shown in place of their numbers.
    n_stored : int, optional
        Number of entries stored in the graph, to be shown.
    recall : Recall, optional
        The share of the neighbours that the graph's search has found, as in its ``recall``, to be shown.
    seconds : float, optional
        Duration of the run, to be shown.
    settings : mapping, optional
        Settings of the run by name, to be shown.

    Raises
    ------
    InvalidInputError
        The path cannot be written, or there are more or fewer ids than points.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    path = Path(path)
    require_report(path, "write_report")
    names = _Names.of(ids, len(clustering.labels))
    page = _page(clustering, title, names, _figures(clustering, n_stored, recall), seconds, settings or {})
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def require_report(path: Path, purpose: str) -> None:
    """Refuse a path or an installation for which a report would fail, before the run starts.

    Raises
    ------
    InvalidInputError
        The path does not end in ``.html``, is a folder, or its folder does not exist.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    if path.suffix != ".html":
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; a report is written to an .html file.")
    require_folder(path)
    require_matplotlib(purpose)


class _Names:
    """The names of the points: their numbers, or the names that the user gave."""

    def __init__(self, ids: Any) -> None:
        self._ids = ids

    @classmethod
    def of(cls, ids: ArrayLike | None, n_points: int) -> _Names:
        names = None if ids is None else np.asarray(ids)
        if names is not None and names.shape != (n_points,):
            raise InvalidInputError(
                f"The ids have the shape {names.shape}, and the clustering is of {n_points:,} points; one "
                "name a point is needed, in the same order."
            )
        return cls(names)

    def __getitem__(self, point: int) -> str:
        return f"{point}" if self._ids is None else escape(str(self._ids[point]))


def _page(
    clustering: Clustering,
    title: str,
    names: _Names,
    figures: str,
    seconds: float | None,
    settings: Mapping[str, object],
) -> str:
    template = Template((files("sparse_ap.plotting") / "report_page.html").read_text(encoding="utf-8"))
    rows = largest_clusters(clustering, N_LARGEST)
    whole = clustering.n_clusters <= N_LARGEST
    return template.substitute(
        title=escape(title),
        version=importlib.metadata.version("sparse-ap"),
        figures=figures,
        outcome=_outcome(clustering),
        sizes=_picture(plot_sizes, clustering, _sizes_told(clustering)),
        convergence=_picture(plot_convergence, clustering, _run_told(clustering, seconds)),
        clusters_heading="The clusters" if whole else f"The {N_LARGEST} largest clusters",
        clusters=_cluster_table(rows, names),
        settings=_settings_table(settings),
    )


def _figures(clustering: Clustering, n_stored: int | None, recall: Recall | None) -> str:
    bound, gap = clustering.net_similarity_bound, clustering.optimality_gap
    of_what = " (for the complete graph)" if clustering.bound_is_complete else ""
    figures = {
        "points": f"{len(clustering.labels):,}",
        "represented by nobody": f"{clustering.n_unrepresented:,}" if clustering.n_unrepresented else None,
        "stored entries": None if n_stored is None else f"{n_stored:,}",
        "neighbours found": None if recall is None else f"{recall}",
        "clusters": f"{clustering.n_clusters:,}",
        "preference": None if clustering.preference is None else f"{clustering.preference:,.8g}",
        "net similarity": f"{clustering.net_similarity:,.8g}",
        "proven bound": None if bound is None else f"{bound:,.8g}{of_what}",
        "gap to the bound": None if gap is None else f"{gap:.2%}",
    }
    shown = {name: value for name, value in figures.items() if value is not None}
    return "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items())


def _outcome(clustering: Clustering) -> str:
    kind = "outcome" if clustering.converged else "outcome notice"
    return f'<p class="{kind}">{escape(clustering.outcome.value)}</p>'


def _sizes_told(clustering: Clustering) -> str:
    sizes = clustering.sizes
    if not len(sizes):
        return "There are no points."
    return (
        f"The largest cluster has {sizes.max():,} points, the median one {np.median(sizes):g}. "
        f"Clusters of a single point: {np.count_nonzero(sizes == 1):,}."
    )


def _run_told(clustering: Clustering, seconds: float | None) -> str:
    took = "" if seconds is None else f", {seconds:,.1f} seconds in all"
    promoted = f" Made exemplars after it, for points with no edge to any: {clustering.n_promoted:,}."
    return (
        f"{clustering.n_iter:,} sweeps{took}. Unsettled after the last: {clustering.n_unsettled:,} points."
        f"{promoted if clustering.n_promoted else ''}"
    )


def _cluster_table(rows: Iterable[LargeCluster], names: _Names) -> str:
    head = (
        '<tr><th scope="col">exemplar</th><th scope="col" class="number">points</th>'
        '<th scope="col" class="number">mean similarity to it</th><th scope="col">least similar member</th>'
        '<th scope="col" class="number">its similarity</th></tr>'
    )
    body = "\n".join(_cluster_row(row, names) for row in rows)
    return (
        f'<div class="wide"><table class="clusters">\n<thead>{head}</thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cluster_row(row: LargeCluster, names: _Names) -> str:
    least = "–" if row.least_similar is None else names[row.least_similar]
    return (
        f'<tr><td>{names[row.exemplar]}</td><td class="number">{row.size:,}</td>'
        f'<td class="number">{_number(row.mean_similarity)}</td><td>{least}</td>'
        f'<td class="number">{_number(row.least_similarity)}</td></tr>'
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _settings_table(settings: Mapping[str, object]) -> str:
    if not settings:
        return ""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>'
        for name, value in settings.items()
    )
    return (
        '<h2>Settings</h2>\n<div class="wide"><table class="settings">\n<tbody>\n'
        f"{rows}\n</tbody>\n</table></div>"
    )


_GROUNDS = {"light": ("#ffffff", "#1b1f24"), "dark": ("#14171b", "#e6e9ed")}
"""Colours of the background and the text, as in report_page.html."""

_SIZE = (5.6, 3.3)
"""Size in inches; half the width of the page holds about six."""


def _picture(plot: Callable[..., object], clustering: Any, told: str) -> str:
    """Return an HTML figure with a plot of the clustering in light and dark, and its caption."""
    light, dark = (_data_address(plot, clustering, *colours) for colours in _GROUNDS.values())
    return (
        "<figure>\n<picture>\n"
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'<img src="{light}" alt="{escape(told)}">\n'
        f"</picture>\n<figcaption>{escape(told)}</figcaption>\n</figure>"
    )


def _data_address(plot: Callable[..., object], clustering: Any, ground: str, ink: str) -> str:
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
        figure = Figure(figsize=_SIZE, layout="constrained")
        plot(clustering, ax=figure.add_subplot())
        file = io.BytesIO()
        # Without a date, and with a fixed salt, so that the same clustering gives the same bytes.
        figure.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class LargeCluster:
    """A cluster with its exemplar and its least similar member.

    Attributes
    ----------
    exemplar : int
        Point number of the exemplar.
    size : int
        Number of points in the cluster, including the exemplar.
    mean_similarity : float or None
        Mean similarity of the other members to the exemplar; None without others.
    least_similar : int or None
        The member least similar to the exemplar; among equals the first.
    least_similarity : float or None
        Similarity of that member to the exemplar.
    """

    exemplar: int
    size: int
    mean_similarity: float | None = None
    least_similar: int | None = None
    least_similarity: float | None = None


def largest_clusters(clustering: Clustering, count: int) -> list[LargeCluster]:
    """Describe the ``count`` largest clusters, the largest first; of equals the smaller label first."""
    sizes = clustering.sizes
    order = np.argsort(-sizes, kind="stable")[:count]
    return [_described(clustering, int(cluster), int(sizes[cluster])) for cluster in order]


def _described(clustering: Clustering, cluster: int, size: int) -> LargeCluster:
    exemplar = int(clustering.exemplars[cluster])
    if size == 1:
        return LargeCluster(exemplar, size)
    members = np.flatnonzero(clustering.labels == cluster)
    others = members[members != exemplar]
    similarities = clustering.similarities[others].astype(np.float64)
    least = int(similarities.argmin())
    return LargeCluster(
        exemplar, size, float(similarities.mean()), int(others[least]), float(similarities[least])
    )
