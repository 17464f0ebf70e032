"""The command ``predict``: new points against the exemplars of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import available
from sparse_ap.cli.options import NUMBER, jobs_option, result_argument, similarity_option, table_option
from sparse_ap.cli.output import printed_warnings, require_result, summarise
from sparse_ap.cli.points import Points, read_points
from sparse_ap.cli.results.saved import SavedClusters, read_clusters
from sparse_ap.cli.results.tables import write_prediction
from sparse_ap.cli.streams import said, temporary_folder
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.database import Database
from sparse_ap.graphs.conversion.edge_lists import holds_edges, read_hits
from sparse_ap.graphs.conversion.text_file import kind_of
from sparse_ap.graphs.distances import similarities_of
from sparse_ap.graphs.metrics import METRICS
from sparse_ap.graphs.npz import names_in_npz, read_npz
from sparse_ap.kernels.block import starts_of
from sparse_ap.propagation.prediction import Prediction, predicted
from sparse_ap.propagation.roles import listed

__all__ = ["predict"]


@click.command(
    help="""Assign new points to the exemplars of a result.

RESULT is what `sparse-ap cluster` has written: .csv, .parquet or .zarr, whose names are those in the output,
or .npz. NEW holds points, as `sparse-ap knn` reads them, and --points those that were clustered; or it is a
graph from new points to old ones, an .npz file as scipy.sparse.save_npz writes it, with a column for each
point that was clustered: entry (i, k) says how well k would represent i. Or it is a table of hits, as
`sparse-ap convert` reads tables of edges: a new point, an old one by its name in RESULT, their similarity.

\b
Examples:
  sparse-ap predict labels.csv new.npy --points points.npy -o new.csv
  sparse-ap predict labels.csv new.npy --points points.npy --metric tanimoto -t -0.6 -o new.csv
  sparse-ap predict labels.npz new-to-old.npz -o new.parquet
  sparse-ap predict labels.csv new-to-old.m8 --column evalue --similarity=-d -o new.csv

The output has a row for each new point: point, label, exemplar, similarity. A label of -1: nobody is near
enough, or the graph has no edge to an exemplar.
"""
)
@result_argument
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--points", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The points that were clustered, matched by name if both have names, else by row.",
)  # fmt: skip
@table_option
@click.option("-t", "--min-similarity", type=NUMBER, help="Label -1 what is less similar to every exemplar.")
@click.option("--metric", type=click.Choice(METRICS), help="Of points: their distance.  [default: euclidean]")
@similarity_option(
    "Of points: as for knn.  [default: -d**2 for euclidean, else -d]  A table then holds distances."
)
@click.option(
    "--column",
    help="Of a table: where the similarity is, a heading or a number from 3.  [default: bitscore, or 3]",
)
@jobs_option
@click.option("--quiet", is_flag=True, help="No summary.")
def predict(
    result: Path, new: Path, points: Path | None, output: Path, column: str | None, quiet: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Assign new points to the exemplars of a result."""
    require_result(output, *filter(None, (result, new, points)))
    is_table = points is None and holds_edges(new)
    if column is not None and not is_table:
        raise InvalidInputError(
            f"--column {column} is for tables of hits; {new} is read as "
            f"{'a graph' if points is None else 'points'}. Leave it out."
        )
    with printed_warnings(quiet):
        clusters = read_clusters(result)
        if is_table:
            given = _hits_in(new, result, clusters, column, options["similarity"])
            options["similarity"] = None
        else:
            given = _graph_in(new) if points is None else read_points(new)
        old = None if points is None else _exemplars_among(read_points(points), clusters, points, result)
        found = predicted(given.table, old, clusters.exemplars, clusters.n_points, **options)
    write_prediction(found, output, given.names, clusters.names)
    if not quiet:
        summarise(_lines(found, clusters, output), output)


def _lines(found: Prediction, clusters: SavedClusters, output: Path) -> list[str]:
    return [
        f"new points  {len(found.labels):,}",
        f"exemplars   {len(clusters.exemplars):,}, of {clusters.n_points:,} points",
        f"labelled    {np.count_nonzero(found.labels >= 0):,}; -1: {np.count_nonzero(found.labels < 0):,}",
        f"written to  {said(output)}",
    ]


def _graph_in(path: Path) -> Points:
    """Return the graph from new points to old ones, as a table of similarities."""
    graph: Any = read_npz(path) if kind_of(path) == "npz" and not _is_table(path) else None
    if not scipy.sparse.issparse(graph):
        raise InvalidInputError(
            f"{path} is no graph from new points to old ones, as scipy.sparse.save_npz writes it. If it "
            "holds points, give --points, those that were clustered."
        )
    return Points(graph, names_in_npz(path, graph.shape[0]))


def _hits_in(
    path: Path, result: Path, clusters: SavedClusters, column: str | None, similarity: Any
) -> Points:
    """Return a table of hits as similarities to the old points, with the new ones as they appear in it."""
    with Database(temporary_folder(), available()) as database:
        new, old, read = read_hits(path, database, column=column, distances=similarity is not None)
    values = read if similarity is None else similarities_of(read, similarity)
    number_of = clusters.numbers()
    unknown = list(dict.fromkeys(name for name in old if name not in number_of))
    if unknown:
        raise InvalidInputError(
            f"{path} has hits to {len(unknown):,} points that {result} does not have: {listed(unknown)}. The "
            f"second point of each hit must be one of the {clusters.n_points:,} that were clustered, by "
            f"{clusters.called_by}."
        )
    row_of = {name: row for row, name in enumerate(dict.fromkeys(new))}
    rows = np.array([row_of[name] for name in new], np.int64)
    columns = np.array([number_of[name] for name in old], np.int64)
    # Hits of one pair stay apart, of which the best counts; scipy would add them up.
    order = np.argsort(rows, kind="stable")
    csr = values[order], columns[order], starts_of(np.bincount(rows))
    return Points(
        scipy.sparse.csr_array(csr, shape=(len(row_of), clusters.n_points)), np.array(list(row_of), object)
    )


def _is_table(path: Path) -> bool:
    with np.load(path) as arrays:
        return len(arrays.files) == 1


def _exemplars_among(given: Points, clusters: SavedClusters, path: Path, result: Path) -> NDArray[Any]:
    """Return the rows of the exemplars: by name if both have names, else by number."""
    if given.names is None or clusters.names is None:
        if len(given.table) != clusters.n_points:
            raise InvalidInputError(
                f"{path} holds {len(given.table):,} points, and {result} is of {clusters.n_points:,}; the "
                "points that were clustered are needed."
            )
        return np.asarray(given.table[clusters.exemplars])
    row_of = {name: row for row, name in enumerate(given.names)}
    wanted = clusters.names[clusters.exemplars]
    missing = [name for name in wanted if name not in row_of]
    if missing:
        raise InvalidInputError(
            f"{path} lacks {len(missing):,} of the {len(wanted):,} exemplars of {result}, such as "
            f"{missing[0]!r}; the points that were clustered are needed, under the same names."
        )
    return np.asarray(given.table[[row_of[name] for name in wanted]])
