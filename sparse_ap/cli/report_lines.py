"""What the command line says, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sparse_ap.clustering.graph_summary import QUANTILES, GraphSummary
from sparse_ap.clustering.preference_path import PreferencePath
from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.kernels.block import Clustering

__all__ = ["clustering_lines", "path_lines", "summary_lines", "tree_lines"]


def clustering_lines(clustering: Clustering, seconds: float) -> list[str]:
    """Say how a run went."""
    n = len(clustering.labels)
    sizes = clustering.sizes if n else np.zeros(1, np.int64)
    bound = clustering.net_similarity_bound
    lines = [
        f"points          {n:,}",
        f"exemplars       {clustering.n_clusters:,}",
        *([] if clustering.preference is None else [f"preference      {clustering.preference:.8g}"]),
        f"cluster sizes   median {np.median(sizes):g}, largest {sizes.max():,}, alone {np.sum(sizes == 1):,}",
        f"net similarity  {clustering.net_similarity:.8g}  (data {clustering.data_similarity:.8g}, "
        f"preferences {clustering.exemplar_preference:.8g})",
        *(
            []
            if bound is None
            else [f"at most         {bound:.8g}  (proven; {clustering.optimality_gap:.2%} more)"]
        ),
        f"sweeps          {clustering.n_iter}",
        f"unsettled       {clustering.n_unsettled:,}",
        f"promoted        {clustering.n_promoted:,}  (for points with no edge to an exemplar)",
        f"seconds         {seconds:.1f}",
    ]
    return lines if clustering.converged else [*lines, f"outcome         {clustering.outcome.value}"]


def path_lines(path: PreferencePath) -> list[str]:
    """Say what each preference leads to."""
    rows = zip(path.preferences, path.n_clusters, path.net_similarities, path.data_similarities, strict=True)
    return [
        "  preference    clusters   net similarity  data similarity",
        *(f"{p:>12.6g}  {k:>10,}  {net:>15.8g}  {data:>15.8g}" for p, k, net, data in rows),
    ]


def tree_lines(tree: Hierarchy, names: Any = None, exact: Iterable[Cut] = ()) -> list[str]:
    """Say what each level of a hierarchy is like, and cuts into a number of clusters."""
    heading = "level    clusters  median size     largest  edges inside  net similarity  largest are those of"
    levels = (
        _cut_line(
            f"{level}",
            tree.level(level),
            f"{tree.inner_share[level]:.1%}",
            f"{tree.net_similarity(level):.6g}",
            names,
        )
        for level in range(tree.n_levels)
    )
    return [heading, *levels, *(_cut_line("exact", cut, "", "", names) for cut in exact)]


def _cut_line(level: str, cut: Cut, inner_share: str, net_similarity: str, names: Any) -> str:
    sizes = cut.sizes
    largest = cut.exemplars[np.argsort(-sizes, kind="stable")[:3]]
    said = ", ".join(map(str, largest if names is None else names[largest]))
    return (
        f"{level:>5}  {cut.n_clusters:>10,}  {np.median(sizes):>11g}  {sizes.max():>10,}  "
        f"{inner_share:>12}  {net_similarity:>14}  {said}"
    )


def summary_lines(summary: GraphSummary) -> list[str]:
    """Say what a graph is like."""
    return [*_shape_lines(summary), "", *_similarity_lines(summary)]


def _shape_lines(summary: GraphSummary) -> list[str]:
    entries = summary.entries
    ignored = {
        "on the diagonal": entries.n_diagonal,
        "duplicates (the largest counts)": entries.n_duplicate,
        "-inf (no edge)": entries.n_minus_inf,
    }
    least, median, most = summary.out_degree
    least_in, median_in, most_in = summary.in_degree
    return [
        f"points             {summary.n_points:,}",
        f"edges              {summary.n_edges:,}",
        *(f"ignored entries    {count:,} {what}" for what, count in ignored.items() if count),
        f"edges from a point {least:g} to {most:g}, median {median:g}",
        f"edges to a point   {least_in:g} to {most_in:g}, median {median_in:g}",
        f"without any edge   {summary.n_without_edges:,} points: nobody else can represent them",
        f"components         {_count_text(summary.n_components)}",
        f"clusters           at least {summary.least_clusters:,}, whatever the preference",
    ]


def _count_text(count: int | None) -> str:
    return "not counted, for want of memory" if count is None else f"{count:,}"


def _similarity_lines(summary: GraphSummary) -> list[str]:
    """Say what similarities there are, and what each would mean as a preference."""
    if not summary.n_edges:
        return ["There are no edges: every point will be an exemplar."]
    rows = [
        f"{quantile:>8.0%}  {value:>12.6g}  {joinable:>12,}  ({joinable / summary.n_points:.1%})"
        for quantile, value, joinable in zip(QUANTILES, summary.quantiles, summary.n_joinable, strict=True)
    ]
    return [
        "quantile    similarity  points that can join another at this preference",
        *rows,
        "",
        "A point can gain by joining another only along an edge whose similarity is larger than the",
        "preference. The default preference is the median. Lower ones merge more; below the smallest",
        "similarity clusters go on growing, because each exemplar saved is worth more.",
    ]
