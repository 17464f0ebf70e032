"""The command ``extend``: a result goes on with new points, or without some of the old ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import sparse_ap
from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import (
    INPUT_HELP,
    NUMBER,
    graph_argument,
    min_similarity_option,
    names_options,
    point_columns_options,
    result_argument,
)
from sparse_ap.cli.output import (
    kept_line,
    require_result,
    runner_up_for,
    summarise,
)
from sparse_ap.cli.point_columns import PointColumns
from sparse_ap.cli.results.saved import SavedClusters, read_clusters
from sparse_ap.cli.results.summary import clustering_lines
from sparse_ap.cli.results.tables import write_clustering
from sparse_ap.cli.streams import OutputPath
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.roles import listed

__all__ = ["extend"]

# What stands for no old point in a column of a table.
_NEW = ("", "-1")


@click.command(
    help=f"""Go on from a result with new points, or without some of the old ones.

RESULT is what `sparse-ap cluster` or this command has written, GRAPH is of all points that there are now.
{INPUT_HELP}
The exemplars of RESULT stay unless a change gains more than --min-gain; only what has changed, and what is
near it, is looked at. Old points are found by their names, where both have names; those that GRAPH does not
have are left out. Where neither has names, the old points are the first of GRAPH, in their order; or
--old-column says which they are. What else the first run was given, such as weights, has to be given again.

\b
Examples:
  sparse-ap extend monday.npz graph.npz -o tuesday.npz
  sparse-ap extend monday.parquet hits.m8 --preference 40 --min-gain 10 -o tuesday.parquet
  sparse-ap extend monday.npz points.npy -k 15 -o tuesday.npz
  sparse-ap extend monday.csv graph.zarr --preference -3 --table stock.csv --old-column number -o tuesday.csv

The preference and --min-similarity are in an .npz file, and in no table; --min-similarity=-inf lifts that
limit. An .npz file also keeps what was opened, closed and moved.
"""
)
@result_argument
@graph_argument
@click.option("-o", "--output", type=OutputPath(), help="Where to, as for cluster.")
@click.option(
    "--preference", type=NUMBER, help="What a point gains by being an exemplar.  [default: that of RESULT]"
)
@click.option(
    "--min-gain", type=NUMBER, default=0.0, show_default=True,
    help="What the net similarity must gain for each old exemplar that is given up; inf: none is.",
)  # fmt: skip
@point_columns_options("old", "preference", "weights", "candidates")
@click.option(
    "--unrepresented", type=click.Choice(["error", "label"]), default="error", show_default=True,
    help="Points that nobody can represent are an error, or are labelled -1.",
)  # fmt: skip
@min_similarity_option
@names_options
@graph_run_options(quiet="No progress, no summary, no asking about distances.")
def extend(
    result: Path, output: Path | None, preference: float | None, point_columns: PointColumns, run: GraphRun,
    **options: Any,
) -> None:  # fmt: skip
    """Go on from a result with new points, or without some of the old ones."""
    point_columns.require_usable(preference)
    if output is not None:
        require_result(output, result, run.graph)
    start = time.perf_counter()
    clusters = read_clusters(result)
    given = run.load()
    ids = given.names()
    with run.resources(given) as resources:
        columns: dict[str, Any] = {
            "preference": preference,
            **point_columns.values(given.graph.shape[0], given.names),
        }
        old = _old_rows(clusters, result, ids, columns.pop("old", None))
        found = sparse_ap.extend(
            clusters.clustering, given.graph, old=old, random_state=run.seed, verbose=not run.quiet,
            **resources, **columns, **options,
        )  # fmt: skip
        second = runner_up_for(output, found, given.graph, **resources)
    if output is not None:
        write_clustering(found, output, ids, second)
    if not run.quiet:
        lines = clustering_lines(found, given.recall, time.perf_counter() - start)
        summarise([*lines, *_changes(found, clusters, old), kept_line(output)], output)


def _changes(found: Clustering, clusters: SavedClusters, old: NDArray[Any] | None) -> list[str]:
    """Return what has changed, line by line."""
    assert found.recourse is not None
    out = 0 if old is None else int(np.count_nonzero(old < 0))
    opened, closed, moved = (f"{len(rows):,}" for rows in found.recourse)
    return [
        f"new points      {len(found.labels) - clusters.n_points + out:,}",
        f"left out        {out:,}, of {clusters.n_points:,}",
        f"opened          {opened}  (exemplars that were none before)",
        f"closed          {closed}  (old exemplars given up)",
        f"moved           {moved}  (old points with another exemplar)",
    ]


def _old_rows(
    clusters: SavedClusters, result: Path, names: NDArray[Any] | None, column: NDArray[Any] | None
) -> NDArray[np.int64] | None:
    """Return the row of each old point, -1 where it is left out; None: the first rows.

    Raises
    ------
    InvalidInputError
        It is not clear which points are the old ones.
    """
    if column is not None:
        return _named_in(column, clusters, result)
    if names is None and clusters.names is None:
        return None
    if names is None or clusters.names is None:
        with_names, without = ("the graph", result) if clusters.names is None else (result, "the graph")
        raise InvalidInputError(
            f"The points of {with_names} have names, those of {without} have none, so it is not clear which "
            "are the same. Give --old-column, a column of --table that says so; or names to both (--names; a "
            "result keeps them as .csv, .parquet or .zarr)."
        )
    row_of = {str(name): row for row, name in enumerate(names)}
    rows = np.array([row_of.get(name, -1) for name in clusters.names], np.int64)
    if not (rows >= 0).any():
        raise InvalidInputError(
            f"The graph has none of the {len(rows):,} points of {result}, such as {listed(clusters.names)}; "
            f"its own are {listed(names)}. The same names are needed in both."
        )
    return rows


def _named_in(column: NDArray[Any], clusters: SavedClusters, result: Path) -> NDArray[np.int64]:
    """Return the row of each old point, from which old point each row is."""
    number_of = clusters.numbers()
    rows = np.full(clusters.n_points, -1, np.int64)
    named = [(row, name) for row, name in enumerate(column) if name not in _NEW]
    unknown = list(dict.fromkeys(name for _, name in named if name not in number_of))
    if unknown:
        raise InvalidInputError(
            f"--old-column names {len(unknown):,} points that {result} does not have: {listed(unknown)}. "
            f"They must be some of its {clusters.n_points:,} points, by {clusters.called_by}; leave it empty "
            "for new points."
        )
    for row, name in named:
        if rows[number_of[name]] >= 0:
            raise InvalidInputError(
                f"--old-column names {name!r} twice. An old point can be one point of the graph only."
            )
        rows[number_of[name]] = row
    return rows
