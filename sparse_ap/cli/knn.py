"""The command ``knn``: a k-nearest-neighbour graph of points."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from sparse_ap.cli.inputs import require_writable_graph, save_graph
from sparse_ap.cli.output import printed_warnings, require_other
from sparse_ap.cli.points import read_points
from sparse_ap.graphs.distances import SIMILARITIES
from sparse_ap.graphs.metrics import METRICS

__all__ = ["knn"]


@click.command(
    help="""Link every point with its nearest neighbours, and write the graph.

POINTS is an .npy file holding a table, one row a point, or an .npz file holding one such array; or a .csv,
.tsv or .parquet table of numbers, whose first column may be text: the names of the points. For the metric
tanimoto the table holds bits: bool, or uint8 as numpy.packbits(X, axis=1) makes it.

\b
Examples:
  sparse-ap knn points.npy -o graph.npz
  sparse-ap knn vectors.npy -o graph.npz -k 30 --metric cosine

More than 10,000 points of more than 8 features are searched approximately, until an estimate of the share of
neighbours that are found reaches --recall. The graph is the same on every machine.
"""
)
@click.argument("points", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True,
    help="The .npz file to write.",
)  # fmt: skip
@click.option(
    "-k", "--n-neighbors", type=int, default=15, show_default=True, help="Neighbours of each point."
)
@click.option("--metric", type=click.Choice(METRICS), default="euclidean", show_default=True)
@click.option(
    "--similarity",
    type=click.Choice(list(SIMILARITIES)),
    help="How distances become similarities.  [default: -d**2 for euclidean, else -d]",
)
@click.option(
    "--recall", type=click.FloatRange(0, 1, min_open=True), default=0.95, show_default=True,
    help="Share of the neighbours that an approximate search must find; 1: exact.",
)  # fmt: skip
@click.option("--n-jobs", type=int, help="Threads.  [default: one a processor]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the approximate search.")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def knn(
    points: Path, output: Path, n_neighbors: int, metric: str, similarity: str | None, recall: float,
    n_jobs: int | None, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Link every point to its nearest neighbours, and write the graph."""
    from sparse_ap.graphs.knn import knn_graph
    from sparse_ap.graphs.neighbours.search import search_for

    require_other(output, points)
    require_writable_graph(output)
    start = time.perf_counter()
    with printed_warnings(quiet):
        given = read_points(points)
    table = given.table
    graph = knn_graph(
        table, n_neighbors, metric=metric, similarity=similarity, recall=recall, n_jobs=n_jobs,
        random_state=seed, verbose=not quiet,
    )  # fmt: skip
    save_graph(graph, output, given.names)
    if not quiet:
        click.echo(f"points      {graph.shape[0]:,}")
        click.echo(f"edges       {graph.nnz:,}")
        click.echo(f"search      {search_for(table, n_neighbors, metric, recall)}, {metric}")
        click.echo(f"recall      {graph.recall}")
        click.echo(f"seconds     {time.perf_counter() - start:.1f}")
        click.echo(f"written to  {output}")
        click.echo(f"next        sparse-ap info {shlex.quote(str(output))}")
