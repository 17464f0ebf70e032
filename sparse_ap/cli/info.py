"""The command ``info``: a summary of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sparse_ap.cli.inputs import Reading, load_graph
from sparse_ap.cli.options import (
    INPUT_HELP,
    graph_argument,
    jobs_option,
    missing_option,
    reading_options,
    search_options,
    seed_option,
)
from sparse_ap.cli.search import Search
from sparse_ap.clustering.graph_summary import QUANTILES, GraphSummary
from sparse_ap.graphs.neighbours.recall import Recall

__all__ = ["info"]


@click.command(
    epilog="Examples: sparse-ap info graph.npz; sparse-ap info edges.tsv --column weight; "
    "sparse-ap info points.npy -k 15",
    help=f"""Show what a graph is like.
{INPUT_HELP}
The whole graph is read, so that damage to a graph on disk is found.""",
)
@graph_argument
@search_options()
@reading_options
@missing_option
@seed_option
@jobs_option
def info(
    graph: Path, reading: Reading, search: Search, missing: Literal["nan"] | None, seed: int,
    n_jobs: int | None,
) -> None:  # fmt: skip
    """Show a summary of a graph."""
    from sparse_ap.clustering.graph_summary import inspect_graph

    given = load_graph(graph, reading, search, seed=seed, n_jobs=n_jobs)
    for line in _summary_lines(inspect_graph(given.graph, n_jobs, missing), given.recall):
        click.echo(line)


def _summary_lines(summary: GraphSummary, recall: Recall | None) -> list[str]:
    """Return the summary of a graph, line by line."""
    return [*_shape_lines(summary, recall), "", *_similarity_lines(summary)]


def _shape_lines(summary: GraphSummary, recall: Recall | None) -> list[str]:
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
        *([] if recall is None else [f"recall             {recall}"]),
        f"edges from a point {least:g} to {most:g}, median {median:g}",
        f"edges to a point   {least_in:g} to {most_in:g}, median {median_in:g}",
        f"without any edge   {summary.n_without_edges:,} points: nobody else can represent them",
        f"components         {_count_text(summary.n_components)}",
        f"clusters           at least {summary.least_clusters:,}, whatever the preference",
    ]


def _count_text(count: int | None) -> str:
    return "not counted, for want of memory" if count is None else f"{count:,}"


def _similarity_lines(summary: GraphSummary) -> list[str]:
    """Return a table of similarities, and of the points that can join another at each as preference."""
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
