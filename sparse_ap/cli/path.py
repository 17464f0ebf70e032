"""The command ``path``: clusterings at several preferences."""

from __future__ import annotations

from pathlib import Path

import click

from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import INPUT_HELP, NUMBER, graph_argument
from sparse_ap.cli.output import (
    recall_lines,
    require_other,
    require_picture,
    summarise,
    write_picture,
)
from sparse_ap.cli.results.tables import write_columns
from sparse_ap.cli.streams import STDOUT, OutputPath
from sparse_ap.clustering.preference_path import PreferencePath, preference_path
from sparse_ap.errors import InvalidInputError
from sparse_ap.plotting.path import plot_path
from sparse_ap.storage.atomic_files import require_folder

__all__ = ["path"]


@click.command(
    help=f"""Show how the number of clusters depends on the preference.
{INPUT_HELP}
Look for stretches where the number hardly changes: there it is a property of the data rather than of the
preference.

\b
Examples:
  sparse-ap path graph.npz
  sparse-ap path graph.npz --plot path.png -o path.csv
  sparse-ap path points.npy -k 15
  sparse-ap path graph.npz --preferences=-1,-2,-5,-10
"""
)
@graph_argument
@click.option(
    "--preferences",
    metavar="P,P,...",
    help="Numbers, with commas between.  [default: ten, around that of the median similarity]",
)
@click.option(
    "-o",
    "--output",
    type=OutputPath(dir_okay=False),
    help="A .csv table to write; - for standard output.",
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="A picture to write: .png, .pdf."
)
@graph_run_options(quiet="No progress, no table, no asking about distances.")
def path(preferences: str | None, output: Path | None, plot: Path | None, run: GraphRun) -> None:
    """Show the number of clusters at several preferences."""
    numbers = None if preferences is None else _numbers(preferences)
    _require_outputs(run.graph, output, plot)
    given = run.load()
    # All outputs have been checked before: no result is lost to a wrong path.
    with run.resources(given) as resources:
        found = preference_path(
            given.graph, numbers, random_state=run.seed, verbose=not run.quiet, **resources
        )
    if not run.quiet:
        summarise([*_path_lines(found), *recall_lines(given.recall)], output)
    if output is not None:
        columns = {
            "preference": found.preferences, "clusters": found.n_clusters,
            "net_similarity": found.net_similarities, "data_similarity": found.data_similarities,
        }  # fmt: skip
        write_columns(columns, output)
    if plot is not None:
        write_picture(plot_path(found)[0], plot)


def _numbers(preferences: str) -> list[float]:
    try:
        return [NUMBER(word) for word in preferences.split(",")]
    except click.BadParameter as error:
        raise InvalidInputError(
            f"--preferences={preferences}; numbers with commas between are needed, such as -1,-2.5,-10."
        ) from error


def _require_outputs(graph: Path, output: Path | None, plot: Path | None) -> None:
    if output is not None and output != STDOUT:
        require_other(output, graph)
        if output.suffix != ".csv":
            raise InvalidInputError(f"{output} ends in {output.suffix!r}; a table is written to a .csv file.")
        require_folder(output)
    if plot is not None:
        require_picture(plot, graph)


def _path_lines(path: PreferencePath) -> list[str]:
    """Return a table of the clusterings, one line for each preference."""
    rows = zip(path.preferences, path.n_clusters, path.net_similarities, path.data_similarities, strict=True)
    return [
        "  preference    clusters   net similarity  data similarity",
        *(f"{p:>12.6g}  {k:>10,}  {net:>15.8g}  {data:>15.8g}" for p, k, net, data in rows),
    ]
