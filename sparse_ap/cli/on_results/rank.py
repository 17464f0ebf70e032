"""The command ``rank``: the exemplars of a result in the order in which one would give them up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import (
    NUMBER,
    allowed_option,
    graph_argument,
    names_options,
    point_columns_options,
    result_argument,
    table_option,
)
from sparse_ap.cli.output import (
    require_picture,
    require_result,
    summarise,
    write_picture,
)
from sparse_ap.cli.point_columns import PointColumns
from sparse_ap.cli.results.saved import read_clusters
from sparse_ap.cli.results.tables import write_ranking
from sparse_ap.cli.streams import said
from sparse_ap.plotting.coverage import plot_coverage, reaching
from sparse_ap.propagation.representation.ranking import Ranking

__all__ = ["rank"]


@click.command(
    help="""Order the exemplars of a result, so that the first m are good for every m.

RESULT is what `sparse-ap cluster` has written, and GRAPH the graph that was clustered, as for `sparse-ap
cluster`. One exemplar after the other is given up, each time the one that is least missed. An .npz file knows
the preference of the run, and whether points had weights; of a table these have to be given again.

\b
Examples:
  sparse-ap cluster graph.npz -o labels.npz
  sparse-ap rank labels.npz graph.npz -o ranking.csv --plot coverage.png
  sparse-ap rank labels.csv graph.zarr --preference -2.5 -o ranking.csv

The output has a row for each exemplar, that which is kept longest first: rank and exemplar; and with it and
those before alone, net_similarity, and coverage, the share of the points that are one or have an edge to one.
"""
)
@result_argument
@graph_argument
@table_option
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path),
    help="A picture of the coverage to write: .png, .pdf.",
)  # fmt: skip
@click.option("--preference", type=NUMBER, help="That of the run, where the result does not know it.")
@point_columns_options("preference", "weights")
@allowed_option
@names_options
@graph_run_options(quiet="No summary.")
def rank(
    result: Path, output: Path, plot: Path | None, preference: float | None, min_similarity: float | None,
    point_columns: PointColumns, run: GraphRun,
) -> None:  # fmt: skip
    """Order the exemplars of a result."""
    point_columns.require_usable(preference)
    require_result(output, run.graph, result)
    if plot is not None:
        require_picture(plot, run.graph, result)
    clusters = read_clusters(result, min_similarity)
    given = run.load()
    with run.resources(given) as resources:
        columns: dict[str, Any] = {"preference": preference}
        columns |= point_columns.values(given.graph.shape[0], given.names)
        ids = clusters.names_beside(given.names())
        ranking = clusters.clustering.ranking(given.graph, **resources, **columns)
    write_ranking(ranking, output, ids)
    if plot is not None:
        write_picture(plot_coverage(ranking), plot)
    if not run.quiet:
        summarise([*_lines(ranking), f"written to  {said(output)}"], output)


def _lines(ranking: Ranking) -> list[str]:
    if not len(ranking.exemplars):
        return ["exemplars   0"]
    half, most = reaching(ranking.coverage)
    return [
        f"exemplars   {len(ranking.exemplars):,}, which reach {ranking.coverage[-1]:.1%} of the points",
        f"half of it  by the first {half:,}; nine tenths by the first {most:,}",
    ]
