"""The command ``knn``: a k-nearest-neighbour graph of points."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.inputs import require_writable_graph, save_graph
from sparse_ap.cli.options import (
    cluster_options,
    jobs_option,
    search_options,
    seed_option,
    similarity_option,
)
from sparse_ap.cli.output import graph_lines, printed_warnings, require_other, summarise
from sparse_ap.cli.points import Points, read_points
from sparse_ap.cli.search import Search
from sparse_ap.cli.streams import InputPath, regular_file
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.dask.client import connected
from sparse_ap.graphs.distances import Similarity

__all__ = ["knn"]


@click.command(
    help="""Link every point with its nearest neighbours, and write the graph.

POINTS is an .npy file holding a table, one row a point, or an .npz file holding one such array; or a .csv,
.tsv or .parquet table of numbers, whose first column may be text: the names of the points; or a zarr array.
From standard input, which - stands for, comes any of these that is one file. For the metric
tanimoto or hamming the table holds bits: bool, or uint8 as numpy.packbits(X, axis=1) makes it.

\b
Examples:
  sparse-ap knn points.npy -o graph.npz
  sparse-ap knn vectors.npy -o graph.zarr -k 30 --metric cosine
  sparse-ap knn many.npy -o graph.zarr --memory-limit 2GB

More than 10,000 points of more than 8 features are searched approximately, until an estimate of the share of
neighbours that are found reaches --recall. The graph is the same on every machine.

Such a search for a .zarr folder keeps its arrays in files beside it, and what it holds within --memory-limit:
points in an .npy or .parquet file or a zarr array need not fit into memory. After Ctrl-C or a kill the same
command goes on from there. With --scheduler or --dask-workers the workers of a cluster, which see the same
files, do it.
"""
)
@click.argument("points", type=InputPath())
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True,
    help="The .npz file to write, or a .zarr folder that does not exist.",
)  # fmt: skip
@search_options(15)
@similarity_option("How distances become similarities.  [default: -d**2 for euclidean, else -d]")
@jobs_option
@click.option("--memory-limit", help="What the process may hold, such as 2GB, with a .zarr folder.")
@cluster_options
@seed_option
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def knn(
    points: Path, output: Path, search: Search, similarity: Similarity | None, n_jobs: int | None,
    memory_limit: str | None, scheduler: str | None, dask_workers: int | None, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Link every point to its nearest neighbours, and write the graph."""
    require_other(output, points)
    require_writable_graph(output)
    start = time.perf_counter()
    with printed_warnings(quiet), connected(scheduler, dask_workers) as client:
        given = read_points(regular_file(points, "points are"))
        on_disk = output.suffix == ".zarr" and given.names is None
        if not on_disk:
            _require_memory(output, given, memory_limit, client)
        where = {"output": output, "memory_limit": memory_limit, "client": client} if on_disk else {}
        graph = search.graph_of(given, similarity, seed, n_jobs, not quiet, **where)
    if not on_disk:
        save_graph(graph, output, given.names)
    if not quiet:
        n_points, n_edges = given.table.shape[0], graph.n_edges if on_disk else graph.nnz
        seconds, search_name = time.perf_counter() - start, search.name_for(given)
        summarise(graph_lines(n_points, n_edges, search_name, graph.recall, seconds, output), None)


def _require_memory(output: Path, given: Points, memory_limit: str | None, client: Any) -> None:
    """Refuse options of a search in files, for one in memory."""
    if memory_limit is None and client is None:
        return
    option = "--memory-limit" if client is None else "--scheduler or --dask-workers"
    reason = f"{output} is an .npz file" if output.suffix == ".npz" else "the points have names"
    raise InvalidInputError(
        f"{option} is for a search in files, among points of an .npy or .parquet file or a zarr array, for a "
        f"graph in a .zarr folder; here {reason}, so the search is in memory."
    )
