"""The command ``cover``: the fewest exemplars to which every point is similar enough."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

import sparse_ap
from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import INPUT_HELP, NUMBER, graph_argument, names_options, point_columns_options
from sparse_ap.cli.output import (
    kept_line,
    require_result,
    runner_up_for,
    sizes_line,
    summarise,
)
from sparse_ap.cli.point_columns import PointColumns
from sparse_ap.cli.results.tables import write_clustering
from sparse_ap.cli.streams import OutputPath
from sparse_ap.propagation.result import Clustering

__all__ = ["cover"]


@click.command(
    help=f"""Find few exemplars to which every point is similar enough.
{INPUT_HELP}
Every point is an exemplar, or has a similarity of -t or more to its own. A graph of `sparse-ap radius` has
all pairs of that similarity; one of nearest neighbours may lack some.

\b
Examples:
  sparse-ap radius bits.npy --metric tanimoto --similarity=1-d -t 0.4 -o near.zarr
  sparse-ap cover near.zarr -t 0.4 -o labels.csv
  sparse-ap cover near.zarr -t 0.4 --certify -o labels.csv
  sparse-ap cover near.zarr -t 0.4 --table stock.csv --candidates-column in_stock -o labels.csv
"""
)
@graph_argument
@click.option(
    "-t", "--min-similarity", type=NUMBER, required=True, help="The least similarity to the exemplar."
)
@click.option("-o", "--output", type=OutputPath(), help="Where to, as for cluster.")
@click.option("--certify", is_flag=True, help="Prove how many exemplars there must be at least.")
@point_columns_options("preference", "weights", "candidates")
@names_options
@graph_run_options(quiet="No progress, no summary, no asking about distances.")
def cover(
    min_similarity: float, output: Path | None, certify: bool, point_columns: PointColumns, run: GraphRun
) -> None:
    """Find few exemplars to which every point is similar enough."""
    point_columns.require_usable()
    if output is not None:
        require_result(output, run.graph)
    start = time.perf_counter()
    given = run.load()
    with run.resources(given) as resources:
        columns: dict[str, Any] = point_columns.values(given.graph.shape[0], given.names)
        found = sparse_ap.cover(
            given.graph, min_similarity=min_similarity, certify=certify, random_state=run.seed,
            verbose=not run.quiet, **resources, **columns,
        )  # fmt: skip
        second = runner_up_for(output, found, given.graph, **resources)
    if output is not None:
        write_clustering(found, output, given.names(), second)
    if not run.quiet:
        summarise(_lines(found, time.perf_counter() - start, output), output)


def _lines(found: Clustering, seconds: float, output: Path | None) -> list[str]:
    """Return the summary, line by line."""
    bound = found.n_clusters_bound
    return [
        f"points          {len(found.labels):,}",
        f"exemplars       {found.n_clusters:,}",
        *([] if bound is None else [f"at least        {bound:,}  (proven)"]),
        sizes_line(found),
        f"similarities    {found.data_similarity:.8g}  (their sum)",
        f"seconds         {seconds:.1f}",
        kept_line(output),
    ]
