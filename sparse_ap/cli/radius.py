"""The command ``radius``: the graph of all pairs of points that are similar enough."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.inputs import require_writable_graph, save_graph
from sparse_ap.cli.options import NUMBER, jobs_option, memory_option, similarity_option
from sparse_ap.cli.output import graph_lines, printed_warnings, require_other, summarise
from sparse_ap.cli.points import Points, read_points
from sparse_ap.cli.streams import InputPath, regular_file
from sparse_ap.graphs import radius_graph
from sparse_ap.graphs.metrics import DISTANCES
from sparse_ap.graphs.pairs.search import pair_search_for

__all__ = ["radius"]


@click.command(
    help="""Link all pairs of points that are similar enough, and write the graph.

POINTS is read as by `sparse-ap knn`. The graph has every pair whose similarity is that of -t or more, and no
other; it is the same on every machine.

\b
Examples:
  sparse-ap radius points.npy -t -0.25 -o graph.npz              distances up to 0.5, by -d**2
  sparse-ap radius fingerprints.npy --metric tanimoto --similarity=1-d -t 0.4 -o graph.zarr

A .zarr folder is written without the graph in memory.
"""
)
@click.argument("points", type=InputPath(dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True,
    help="The .npz file to write, or a .zarr folder that does not exist.",
)  # fmt: skip
@click.option(
    "-t", "--min-similarity", type=NUMBER, required=True,
    help="The least similarity of two points that are linked.",
)  # fmt: skip
@click.option(
    "--metric",
    type=click.Choice(DISTANCES),
    default="euclidean",
    show_default=True,
    help="Distance of points.",
)
@similarity_option("How distances become similarities.  [default: -d**2 for euclidean, else -d]")
@memory_option
@jobs_option
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def radius(points: Path, output: Path, quiet: bool, **options: Any) -> None:
    """Link all pairs of points that are similar enough, and write the graph."""
    require_other(output, points)
    require_writable_graph(output)
    start = time.perf_counter()
    with printed_warnings(quiet):
        given = read_points(regular_file(points, "points are"))
        n_edges = _write(given, output, verbose=not quiet, **options)
    if not quiet:
        seconds, metric = time.perf_counter() - start, options["metric"]
        search = f"{pair_search_for(given.table, metric)}, {metric}, exact"
        summarise(graph_lines(len(given.table), n_edges, search, None, seconds, output), None)


def _write(given: Points, output: Path, **options: Any) -> int:
    """Write the graph, and return its number of edges."""
    if output.suffix == ".zarr":
        written = radius_graph(given.table, output=output, names=given.names, **options)
        return written.n_edges
    graph = radius_graph(given.table, **options)
    save_graph(graph, output, given.names)
    return int(graph.nnz)
