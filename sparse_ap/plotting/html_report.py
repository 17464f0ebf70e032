"""`write_report`: a clustering as one HTML page, with figures, pictures and the largest clusters."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.plotting.convergence import plot_convergence
from sparse_ap.plotting.html_parts import N_LARGEST, Names, figures_list, number, picture, table
from sparse_ap.plotting.largest import LargeCluster, largest_clusters
from sparse_ap.plotting.sizes import plot_sizes
from sparse_ap.plotting.tree_report import cut_body, tree_body, tree_figures
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["require_report", "write_report"]


def write_report(
    clustering: Clustering | Hierarchy | Cut,
    path: str | Path,
    *,
    title: str = "Clusters",
    ids: ArrayLike | None = None,
    n_stored: int | None = None,
    recall: Recall | None = None,
    seconds: float | None = None,
    settings: Mapping[str, object] | None = None,
) -> None:
    """Write a self-contained HTML page about a clustering, a tree, or a cut of one.

    Parameters
    ----------
    clustering : Clustering, Hierarchy or Cut
        The result of `affinity_propagation` or `hierarchy`, or what was cut from the latter. Of a tree the
        page shows the levels, the tree above one, and the largest groups there with their representatives.
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
        What is given is none of these, the path cannot be written, or there are more or fewer ids than
        points.
    MissingDependencyError
        matplotlib, an optional dependency, is not installed.
    """
    path = Path(path)
    require_report(path, "write_report")
    if not isinstance(clustering, Clustering | Hierarchy | Cut):
        raise InvalidInputError(
            f"A report of a {type(clustering).__name__} was asked for; a Clustering, Hierarchy or Cut is "
            "needed."
        )
    graph = {
        "stored entries": None if n_stored is None else f"{n_stored:,}",
        "neighbours found": None if recall is None else f"{recall}",
    }
    page = _page(clustering, title, ids, graph, seconds, settings or {})
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


def _page(
    shown: Clustering | Hierarchy | Cut,
    title: str,
    ids: ArrayLike | None,
    graph: Mapping[str, str | None],
    seconds: float | None,
    settings: Mapping[str, object],
) -> str:
    template = Template((files("sparse_ap.plotting") / "report_page.html").read_text(encoding="utf-8"))
    if isinstance(shown, Hierarchy):
        names = Names.of(ids, len(shown.labels(0)))
        figures, told, body = tree_figures(shown, graph, seconds), "", tree_body(shown, names)
    else:
        names = Names.of(ids, len(shown.labels))
        figures, told = _figures(shown, graph), _outcome(shown)
        body = cut_body(shown, names) if isinstance(shown, Cut) else _body(shown, names, seconds)
    return template.substitute(
        title=escape(title),
        version=importlib.metadata.version("sparse-ap"),
        figures=figures_list(figures),
        outcome=told,
        body=body,
        settings=_settings_table(settings),
    )


def _body(clustering: Clustering, names: Names, seconds: float | None) -> str:
    rows = largest_clusters(clustering, N_LARGEST)
    whole = clustering.n_clusters <= N_LARGEST
    return (
        '<div class="pictures">\n<section>\n<h2>Sizes of the clusters</h2>\n'
        f"{picture(plot_sizes, clustering, _sizes_told(clustering))}\n</section>\n"
        "<section>\n<h2>The run</h2>\n"
        f"{picture(plot_convergence, clustering, _run_told(clustering, seconds))}\n</section>\n</div>\n"
        f"<h2>{'The clusters' if whole else f'The {N_LARGEST} largest clusters'}</h2>\n"
        f"{_cluster_table(rows, names)}"
    )


def _figures(clustering: Clustering | Cut, graph: Mapping[str, str | None]) -> dict[str, str | None]:
    figures = {
        "points": f"{len(clustering.labels):,}",
        **graph,
        "clusters": f"{clustering.n_clusters:,}",
    }
    if isinstance(clustering, Cut):
        return figures
    bound, gap, lost = clustering.net_similarity_bound, clustering.optimality_gap, clustering.n_unrepresented
    net, fewest = clustering.net_similarity, clustering.n_clusters_bound
    proven = clustering.optimal and fewest is None
    of_what = " (for the complete graph)" if clustering.bound_is_complete else ""
    return {
        **figures,
        "represented by nobody": f"{lost:,}" if lost else None,
        "equal to another point": f"{clustering.n_collapsed:,}" if clustering.n_collapsed else None,
        "preference": None if clustering.preference is None else f"{clustering.preference:,.8g}",
        "net similarity": None if np.isnan(net) else f"{net:,.8g}",
        "proven bound": None if bound is None else f"{bound:,.8g}{of_what}",
        "gap to the bound": None if gap is None else f"{gap:.2%}",
        "proven to be needed": None if fewest is None else f"{fewest:,} exemplars or more",
        "best clustering": "yes, optimal within HiGHS's tolerance" if proven else None,
    }


def _outcome(clustering: Clustering | Cut) -> str:
    if isinstance(clustering, Cut):
        return ""
    usual = clustering.converged and clustering.outcome is not Outcome.GROUPED
    kind = "outcome" if usual else "outcome notice"
    return f'<p class="{kind}">{escape(clustering.outcome.value)}</p>'


def _sizes_told(clustering: Clustering) -> str:
    sizes = clustering.sizes
    if not len(sizes):
        return "There are no points."
    return (
        f"The largest cluster has {sizes.max():,} points, the median one {np.median(sizes):g}. "
        f"Clusters of a single point: {np.count_nonzero(sizes == 1):,}."
        f"{_TINY_TOLD if clustering.mostly_tiny else ''}"
    )


_TINY_TOLD = (
    " So small clusters are right for representatives, and too small for groups: sparse_ap.hierarchy "
    "(sparse-ap tree) has groups of every size."
)


def _run_told(clustering: Clustering, seconds: float | None) -> str:
    took = "" if seconds is None else f", {seconds:,.1f} seconds in all"
    promoted = f" Made exemplars after it, for points with no edge to any: {clustering.n_promoted:,}."
    return (
        f"{clustering.n_iter:,} sweeps{took}. Unsettled after the last: {clustering.n_unsettled:,} points."
        f"{promoted if clustering.n_promoted else ''}"
    )


def _cluster_table(rows: Iterable[LargeCluster], names: Names) -> str:
    columns = {
        "exemplar": False, "points": True, "mean similarity to it": True, "least similar member": False,
        "its similarity": True,
    }  # fmt: skip
    return table(columns, (_cluster_row(row, names) for row in rows))


def _cluster_row(row: LargeCluster, names: Names) -> tuple[str, ...]:
    least = "–" if row.least_similar is None else names[row.least_similar]
    return (
        names[row.exemplar], f"{row.size:,}", number(row.mean_similarity), least, number(row.least_similarity)
    )  # fmt: skip


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
