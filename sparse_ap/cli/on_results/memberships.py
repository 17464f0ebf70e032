"""The command ``memberships``: how much of each exemplar is in each point."""

from __future__ import annotations

from pathlib import Path

import click

from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import (
    NUMBER,
    allowed_option,
    graph_argument,
    names_options,
    result_argument,
    table_option,
)
from sparse_ap.cli.output import require_result, summarise
from sparse_ap.cli.results.saved import read_clusters
from sparse_ap.cli.results.tables import write_memberships
from sparse_ap.cli.streams import said

__all__ = ["memberships"]


@click.command(
    help="""Say how much of each exemplar of a result is in each point: shares that add up to 1.

RESULT is what `sparse-ap cluster` has written, and GRAPH the graph that was clustered, as for `sparse-ap
cluster`, or one of the same points with more edges. The share of an exemplar is proportional to
exp(similarity / temperature), among the --top most similar ones to which the point has an edge.

\b
Examples:
  sparse-ap memberships labels.npz graph.npz -o shares.csv
  sparse-ap memberships labels.csv graph.zarr --top 3 --temperature 0.1 -o shares.parquet

The output has a row for each share: point, exemplar, share. An .npz file holds a sparse matrix instead, as
scipy.sparse.save_npz writes it, with a row for each point and a column for each exemplar, by their numbers.
"""
)
@result_argument
@graph_argument
@table_option
@click.option("--top", type=int, default=5, show_default=True, help="Exemplars of each point at most.")
@click.option(
    "--temperature", type=NUMBER,
    help="Difference in similarity at which one share is 2.7 times another.  [default: the median margin]",
)  # fmt: skip
@allowed_option
@names_options
@graph_run_options(quiet="No summary.")
def memberships(
    result: Path, output: Path, top: int, temperature: float | None, min_similarity: float | None,
    run: GraphRun,
) -> None:  # fmt: skip
    """Say how much of each exemplar of a result is in each point."""
    require_result(output, run.graph, result)
    clusters = read_clusters(result, min_similarity)
    given = run.load()
    with run.resources(given) as resources:
        ids = clusters.names_beside(given.names())
        shares = clusters.clustering.memberships(given.graph, top, temperature=temperature, **resources)
    write_memberships(shares, clusters.exemplars, output, ids)
    if not run.quiet:
        n_points, n_exemplars = shares.shape
        lines = [
            f"points      {n_points:,}",
            f"exemplars   {n_exemplars:,}, {shares.nnz / max(1, n_points):.1f} a point",
            f"written to  {said(output)}",
        ]
        summarise(lines, output)
