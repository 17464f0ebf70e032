"""The command ``memberships``: how much of each exemplar is in each point."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click
from numpy.typing import NDArray

from sparse_ap.cli.inputs import Reading, load_graph
from sparse_ap.cli.options import (
    NUMBER,
    allowed_option,
    graph_argument,
    names_options,
    reading_options,
    result_argument,
    run_options,
    search_options,
    table_option,
)
from sparse_ap.cli.output import printed_warnings, require_other, summarise
from sparse_ap.cli.results.saved import read_clusters
from sparse_ap.cli.results.tables import require_writable, write_memberships
from sparse_ap.cli.search import Search
from sparse_ap.cli.streams import said
from sparse_ap.execution.dask.client import connected

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
@search_options()
@reading_options
@names_options
@run_options
@click.option("--quiet", is_flag=True, help="No summary.")
def memberships(
    result: Path, graph: Path, output: Path, top: int, temperature: float | None,
    min_similarity: float | None, reading: Reading, search: Search, names: NDArray[Any] | None,
    missing: Literal["nan"] | None, memory_limit: str | None, scheduler: str | None, dask_workers: int | None,
    seed: int, n_jobs: int | None, quiet: bool,
) -> None:  # fmt: skip
    """Say how much of each exemplar of a result is in each point."""
    require_writable(output)
    for read in (graph, result):
        require_other(output, read)
    clusters = read_clusters(result, min_similarity)
    given = load_graph(
        graph, reading, search, seed=seed, n_jobs=n_jobs, names=names, quiet=quiet,
        memory_limit=memory_limit, shared=scheduler is None,
    )  # fmt: skip
    with printed_warnings(quiet), connected(scheduler, dask_workers) as client:
        ids = clusters.names_beside(given.names())
        shares = clusters.clustering.memberships(
            given.graph, top, temperature=temperature, missing=missing, n_jobs=n_jobs,
            memory_limit=memory_limit, client=client,
        )  # fmt: skip
    write_memberships(shares, clusters.exemplars, output, ids)
    if not quiet:
        n_points, n_exemplars = shares.shape
        lines = [
            f"points      {n_points:,}",
            f"exemplars   {n_exemplars:,}, {shares.nnz / max(1, n_points):.1f} a point",
            f"written to  {said(output)}",
        ]
        summarise(lines, output)
