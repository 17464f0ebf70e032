"""Arguments and options shared by several commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sparse_ap.graphs.distances import SIMILARITIES

__all__ = [
    "INPUT_HELP",
    "cluster_options",
    "force_option",
    "graph_argument",
    "jobs_option",
    "missing_option",
    "similarity_option",
]

INPUT_HELP = """
GRAPH is an .npz file: a sparse matrix as scipy.sparse.save_npz writes it, entry (i, k) saying how well k
would represent i (larger is better); or neighbour lists, the arrays `indices` and `distances`
of shape (points, neighbours). Or it is a zarr folder, as `graph.zarr`, which need not fit into memory.
"""

graph_argument = click.argument("graph", type=click.Path(exists=True, path_type=Path))
similarity_option = click.option(
    "--similarity",
    type=click.Choice(list(SIMILARITIES)),
    help="How the distances of neighbour lists become similarities.  [default: -d]",
)
missing_option = click.option(
    "--missing", type=click.Choice(["nan"]), help="nan: an entry that is NaN is no edge."
)
force_option = click.option(
    "--force", is_flag=True, help="With --obs: replace columns of that name, once the new ones are complete."
)
jobs_option = click.option("--n-jobs", type=int, help="Threads.  [default: one a processor]")


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for running a command on a dask cluster."""
    existing = click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="A dask scheduler, such as tcp://node1:8786, whose workers do the work.",
    )
    local = click.option(
        "--dask-workers", type=int, metavar="N", help="Do the work in N worker processes on this machine."
    )
    return existing(local(command))
