"""`write_report`: a clustering as one HTML page, with figures, pictures and the largest clusters."""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.plotting.advice import meaning, next_steps
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.plotting.convergence import plot_convergence
from sparse_ap.plotting.html_parts import (
    N_LISTED,
    Names,
    evenly,
    figures_list,
    largest_told,
    minus,
    picture,
    table,
)
from sparse_ap.plotting.largest import largest_clusters
from sparse_ap.plotting.sizes import plot_sizes
from sparse_ap.plotting.tree_report import cut_table, tree_body, tree_figures
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
            "needed, or a fitted estimator's clustering_."
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
    run, drawn = {**graph, "seconds": None if seconds is None else f"{seconds:,.1f}"}, ""
    names = Names(ids, len(shown.labels(0) if isinstance(shown, Hierarchy) else shown.labels))
    if isinstance(shown, Hierarchy):
        figures, body = tree_figures(shown), tree_body(shown, names)
    elif isinstance(shown, Cut):
        figures, body = _figures(shown), _sizes(shown) + cut_table(shown, names)
    else:
        figures, body = _figures(shown), _sizes(shown) + _cluster_table(shown, names)
        run, drawn = _run_figures(shown) | run, picture(plot_convergence, shown, _run_told(shown))
    today = datetime.date.today()
    return template.substitute(
        title=escape(title),
        version=importlib.metadata.version("sparse-ap"),
        date=f"{today.day} {today:%B %Y}",
        machine_date=today.isoformat(),
        figures=figures_list(figures),
        outcome=_outcome(shown),
        meaning="".join(f"<p>{escape(text)}</p>\n" for text in meaning(shown)),
        steps="".join(f"<li>{escape(text)}</li>\n" for text in next_steps(shown)),
        body=body,
        run=_run(drawn, run, settings),
    )


def _figures(clustering: Clustering | Cut) -> dict[str, str | None]:
    sizes = clustering.sizes
    lost, alone = int((clustering.labels < 0).sum()), int((sizes == 1).sum())
    return {
        "points": f"{len(clustering.labels):,}",
        "clusters": f"{clustering.n_clusters:,}",
        "largest": f"{sizes.max():,}" if len(sizes) else None,
        "median size": f"{np.median(sizes):,g}" if len(sizes) else None,
        "single points": f"{alone:,}" if alone else None,
        "represented by nobody": f"{lost:,}" if lost else None,
    }


def _run_figures(clustering: Clustering) -> dict[str, str | None]:
    bound, gap, net = clustering.net_similarity_bound, clustering.optimality_gap, clustering.net_similarity
    fewest = clustering.n_clusters_bound
    proven = clustering.optimal and fewest is None
    of_what = " (for the complete graph)" if clustering.bound_is_complete else ""
    return {
        "equal to another point": f"{clustering.n_collapsed:,}" if clustering.n_collapsed else None,
        # Without commas: it is copied as a --preference.
        "preference": None if clustering.preference is None else minus(f"{clustering.preference:.8g}"),
        "net similarity": None if np.isnan(net) else minus(f"{net:,.8g}"),
        "proven bound": None if bound is None else f"{minus(f'{bound:,.8g}')}{of_what}",
        "gap to the bound": None if gap is None else f"{gap:.2%}",
        "proven to be needed": None if fewest is None else f"{fewest:,} exemplars or more",
        "best clustering": "yes, optimal within HiGHS's tolerance" if proven else None,
        "sweeps": f"{clustering.n_iter:,}",
    }


def _outcome(shown: Clustering | Hierarchy | Cut) -> str:
    if not isinstance(shown, Clustering):
        return ""
    usual = shown.converged and shown.outcome is not Outcome.GROUPED
    kind = "outcome" if usual else "outcome notice"
    return f'<p class="{kind}">{escape(shown.outcome.value)}</p>'


def _sizes(clustering: Clustering | Cut) -> str:
    sizes = clustering.sizes
    told = "There are no points."
    if len(sizes):
        told = (
            f"The largest cluster has {sizes.max():,} points, the median one {np.median(sizes):,g}. "
            f"Clusters of a single point: {np.count_nonzero(sizes == 1):,}."
        )
    return f"<h2>Sizes of the clusters</h2>\n{picture(plot_sizes, clustering, told, (9.0, 3.2))}\n"


def _run_told(clustering: Clustering) -> str:
    promoted = f" Made exemplars after it, for points with no edge to any: {clustering.n_promoted:,}."
    return (
        f"{clustering.n_iter:,} sweeps. Unsettled after the last: {clustering.n_unsettled:,} points."
        f"{promoted if clustering.n_promoted else ''}"
    )


def _cluster_table(clustering: Clustering, names: Names) -> str:
    rows = largest_clusters(clustering, N_LISTED)
    columns = {
        "exemplar": False, "points": True, "mean similarity to it": True, "least similar member": False,
        "its similarity": True,
    }  # fmt: skip
    cells = zip(
        [names[row.exemplar] for row in rows],
        [f"{row.size:,}" for row in rows],
        evenly([row.mean_similarity for row in rows]),
        ["–" if row.least_similar is None else names[row.least_similar] for row in rows],
        evenly([row.least_similarity for row in rows]),
        strict=True,
    )
    return f"<h2>{largest_told(clustering.n_clusters, 'clusters')}</h2>\n{table(columns, cells)}"


def _run(drawn: str, run: Mapping[str, str | None], settings: Mapping[str, object]) -> str:
    """Return how the result was found: for who wants to know."""
    known = {name: value for name, value in run.items() if value is not None}
    if not (drawn or known or settings):
        return ""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>'
        for name, value in {**known, **settings}.items()
    )
    found = f'<div class="wide"><table class="settings">\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    return (
        '<section class="run">\n<h2>How it was found</h2>\n'
        f'<div class="pictures">\n{found}\n{drawn}\n</div>\n</section>'
    )
