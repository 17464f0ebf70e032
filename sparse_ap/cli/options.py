"""Arguments and options shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, cast

import click
from numpy.typing import NDArray

from sparse_ap.cli.inputs import Reading
from sparse_ap.cli.point_columns import PointColumns
from sparse_ap.cli.search import Search
from sparse_ap.cli.streams import InputPath, OutputPath
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.names import read_names
from sparse_ap.graphs.distances import SIMILARITIES
from sparse_ap.graphs.metrics import METRICS

__all__ = [
    "INPUT_HELP",
    "NUMBER",
    "Number",
    "allowed_option",
    "cluster_options",
    "collecting",
    "force_option",
    "graph_argument",
    "jobs_option",
    "memory_option",
    "min_similarity_option",
    "missing_option",
    "names_options",
    "point_columns_options",
    "reading_options",
    "result_argument",
    "search_options",
    "seed_option",
    "similarity_option",
    "table_option",
]

INPUT_HELP = """
GRAPH is an .npz file: a sparse matrix as scipy.sparse.save_npz writes it, entry (i, k) saying how well k
would represent i (larger is better); or neighbour lists, the arrays `indices` and `distances`
of shape (points, neighbours). Or it is a zarr folder, as `graph.zarr`, which need not fit into memory.
Or a table of edges, .mtx or .h5ad, as `sparse-ap convert` reads them: it is converted to a temporary graph;
- is a table from standard input.
With -k it is points instead, as `sparse-ap knn` reads them, which are first linked with their neighbours.
"""


class Number(click.types.FloatParamType):
    """A number, whose minus may be the typographic one that reports show and texts are copied with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        plain: Any = value.replace("\N{MINUS SIGN}", "-") if isinstance(value, str) else value
        return super().convert(plain, param, ctx)


NUMBER = Number()

graph_argument = click.argument("graph", type=InputPath())
result_argument = click.argument("result", type=click.Path(exists=True, path_type=Path))
table_option = click.option(
    "-o", "--output", type=OutputPath(), required=True,
    help="Where to: .csv, .parquet, .zarr or .npz; - for a table on standard output.",
)  # fmt: skip
missing_option = click.option(
    "--missing",
    type=click.Choice(["nan"]),
    help="nan: an entry of a matrix that is NaN is no edge.",
)
min_similarity_option = click.option(
    "--min-similarity",
    type=NUMBER,
    help="Nobody is represented by an exemplar less similar than this; just this similar is enough.",
)
allowed_option = click.option(
    "-t",
    "--min-similarity",
    type=NUMBER,
    help="The least similarity that the run allowed, if RESULT is a table: weaker edges do not count.",
)
force_option = click.option(
    "--force", is_flag=True, help="With --obs: replace columns of that name, once the new ones are complete."
)
seed_option = click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the differences that break ties, and of the search for neighbours.",
)
jobs_option = click.option("--n-jobs", type=int, help="Threads.  [default: one a processor]")
memory_option = click.option("--memory-limit", help="What the process may hold, such as 2GB.")


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


def collecting(
    command: Callable[..., Any], name: str, made: Callable[..., Any], taken: Iterable[str] = ()
) -> Callable[..., Any]:
    """Return a command that gets some parameters as one, ``name``, which ``made`` makes of them.

    Without ``taken`` they are the fields of ``made``, a record.
    """
    parameters = tuple(taken) or tuple(field.name for field in fields(cast(Any, made)))

    @wraps(command)
    def collected(**given: Any) -> Any:
        own = {parameter: given.pop(parameter) for parameter in parameters if parameter in given}
        return command(**{name: made(**own)}, **given)

    return collected


def search_options(default: int | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options for a search; the command gets them as ``search``.

    Parameters
    ----------
    default : int or None
        Number of neighbours if none is given; None: the input is then a graph.
    """

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        searching = collecting(command, "search", Search)
        for option in reversed(_search_options(default)):
            searching = option(searching)
        return searching

    return decorated


def _search_options(default: int | None) -> list[Callable[..., Any]]:
    about = "" if default else "The input is points: link each with so many neighbours first, such as 15."
    return [
        click.option(
            "-k",
            "--n-neighbors",
            type=int,
            default=default,
            show_default=True,
            help=about or "Neighbours of each point.",
        ),
        click.option(
            "--metric", type=click.Choice(METRICS), help="Distance of points.  [default: euclidean]"
        ),
        click.option(
            "--recall",
            type=click.FloatRange(0, 1, min_open=True),
            help="Share of the neighbours that an approximate search must find; 1: exact.  [default: 0.95]",
        ),
    ]


def similarity_option(about: str) -> Callable[..., Any]:
    """Return the option for the conversion of distances to similarities."""
    return click.option("--similarity", type=click.Choice(list(SIMILARITIES)), help=about)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for reading files; the command gets them as one argument, ``reading``."""
    collected = collecting(command, "reading", Reading)
    for option in reversed(_READING):
        collected = option(collected)
    return collected


_READING = (
    click.option("--key", help="Where in an AnnData file the graph is, as obsp/distances."),
    similarity_option(
        "The input holds distances, or points, and how distances become similarities. Write "
        "--similarity=-d.  [default: -d for neighbour lists; with -k as for knn]"
    ),
    click.option(
        "--column",
        help="Of a table: where the similarity is, a heading or a number from 3.  [default: bitscore, or 3]",
    ),
    click.option(
        "--ids",
        type=click.Choice(["auto", "integer", "string"]),
        default="auto",
        show_default=True,
        help="Whether a table's points are numbers or names.",
    ),
    click.option("--n-points", type=int, help="Of a table with numbers.  [default: the largest, plus 1]"),
    click.option("--float64", is_flag=True, help="Hold similarities in 64 bits."),
)


def names_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the names of points; the command gets them as one argument, ``names``."""
    file = click.option(
        "--names",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Names of points that are numbers: one a line, or a column of a .csv, .tsv or .parquet file.",
    )
    column = click.option(
        "--names-column", metavar="COLUMN", help="Heading of the names, if there are headings."
    )
    return file(column(collecting(command, "names", _names_given, ("names", "names_column"))))


def _names_given(names: Path | None, names_column: str | None) -> NDArray[Any] | None:
    if names is None and names_column is not None:
        raise InvalidInputError("--names-column names a column, but not of what: give --names, a file.")
    return None if names is None else read_names(names, names_column)


def point_columns_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options for columns of a table beside the graph.

    The command gets them as ``point_columns``.

    Parameters
    ----------
    *names : str
        The parameters that the columns are for.
    """

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        taken = ("table", *(f"{name}_column" for name in names))
        collected = collecting(command, "point_columns", _point_columns_given, taken)
        for name in reversed(names):
            about = _POINT_COLUMNS[name]
            collected = click.option(f"--{name}-column", metavar="COLUMN", help=about)(collected)
        return click.option(
            "--table",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="A .csv, .tsv or .parquet file, a row a point: by names in its first column, or in order.",
        )(collected)

    return decorated


def _point_columns_given(table: Path | None, **columns: str | None) -> PointColumns:
    named = {name.removesuffix("_column"): heading for name, heading in columns.items()}
    return PointColumns(table, {name: heading for name, heading in named.items() if heading is not None})


_POINT_COLUMNS = {
    "preference": "Of --table: each point's preference; inf: always an exemplar, -inf: never one.",
    "weights": "Of --table: how often each point's similarity to its exemplar counts, above 0.",
    "candidates": "Of --table: whether each point may be an exemplar, true or false.",
    "old": "Of --table: which point of RESULT each one is, its name there or its number; empty: a new point.",
}
