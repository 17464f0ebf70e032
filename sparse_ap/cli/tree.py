"""The command ``tree``: a hierarchy of clusters."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import require_count
from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import (
    INPUT_HELP,
    NUMBER,
    force_option,
    graph_argument,
    min_similarity_option,
    names_options,
)
from sparse_ap.cli.output import (
    recall_lines,
    require_other,
    require_output,
    require_picture,
    summarise,
    write_picture,
)
from sparse_ap.cli.points import Points, read_points
from sparse_ap.cli.results.anndata import level_columns, write_levels
from sparse_ap.cli.results.page import write_page
from sparse_ap.cli.results.tables import write_hierarchy
from sparse_ap.cli.streams import OutputPath, said
from sparse_ap.clustering.affinity_propagation import affinity_propagation
from sparse_ap.clustering.hierarchy import hierarchy
from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.plotting.explorer.page import require_page, write_explorer
from sparse_ap.plotting.html_report import require_report
from sparse_ap.plotting.tree import lifetime, plot_tree
from sparse_ap.propagation.result import Clustering

__all__ = ["tree"]

# Columns of so many levels must be free before the run: no graph of ten million points has had more.
_MOST_LEVELS = 16


@click.command(
    help=f"""Cluster a graph, then its clusters, and so on: a tree of exemplars.
{INPUT_HELP}
No cluster of a graph is larger than its exemplar's neighbourhood. The levels above put together clusters
whose edges lead to the same clusters, down to a few. Each exemplar is one on all finer levels too.

\b
Examples:
  sparse-ap tree graph.npz
  sparse-ap tree graph.npz -o tree.parquet
  sparse-ap tree graph.npz -o tree.parquet --n-clusters 20 --n-clusters 100
  sparse-ap tree graph.npz -o tree.parquet --n-clusters 20 --not-nested
  sparse-ap tree points.npy -k 15 --names names.txt --plot tree.png --report tree.html
  sparse-ap tree points.npy -k 15 --names names.txt --explore tree.html --positions umap.npy
  sparse-ap tree graph.zarr --memory-limit 4GB -o tree.npz
  sparse-ap tree cells.zarr/obsp/similarities --obs exemplar -o cells.zarr
"""
)
@graph_argument
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    help="Where to: .parquet, .csv or .zarr (point, and its exemplar on each level), or .npz (everything); "
    "- for a table on standard output.",
)
@click.option(
    "--obs", metavar="COLUMN", help="OUTPUT is an AnnData store or .h5ad file: add COLUMN_0, ... to its obs."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path),
    help="A picture of the tree to write: .png, .pdf.",
)  # fmt: skip
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE.html",
    help="A page about the tree to write: levels, a picture, the largest groups and who represents them.",
)  # fmt: skip
@click.option(
    "--explore", type=click.Path(path_type=Path), metavar="FILE.html",
    help="A page to write in which a browser explores the tree, from its groups down to their members.",
)  # fmt: skip
@click.option(
    "--positions", type=click.Path(exists=True, path_type=Path), metavar="FILE",
    help="Positions of the points in the plane, for a map in --explore: two columns, as knn reads points.",
)  # fmt: skip
@force_option
@click.option(
    "--preference", type=NUMBER, help="Of the points, for the finest level.  [default: the median similarity]"
)
@click.option(
    "--level-preference", type=NUMBER, default=2.0, show_default=True,
    help="Of the clusters, for the levels above, in units of the median; larger: fewer clusters.",
)  # fmt: skip
@click.option(
    "--n-clusters", type=int, multiple=True,
    help="Also exactly so many clusters, between two levels: a column clusters_K. Can be given again.",
)  # fmt: skip
@click.option(
    "--not-nested", is_flag=True,
    help="These may divide clusters of all levels: nearer to the best groups of that number.",
)  # fmt: skip
@min_similarity_option
@click.option("--max-levels", type=int, help="Levels at most.  [default: until nothing is merged]")
@names_options
@graph_run_options(quiet="No progress, no table, no asking about distances.")
def tree(
    output: Path | None, obs: str | None, plot: Path | None, report: Path | None,
    explore: Path | None, positions: Path | None, force: bool, preference: float | None,
    level_preference: float, n_clusters: tuple[int, ...], not_nested: bool, max_levels: int | None,
    min_similarity: float | None, run: GraphRun,
) -> None:  # fmt: skip
    """Cluster a graph, then its clusters, and so on."""
    _require_cuts(n_clusters, not_nested)
    columns = level_columns(str(obs), max_levels or _MOST_LEVELS, n_clusters)
    require_output(output, obs, columns, force, run.graph)
    _require_pages(plot, report, explore, run.graph)
    placed = None if positions is None else _placed(positions, explore)
    # Before the graph is opened: the seconds reported are those of the whole command.
    start = time.perf_counter()
    given = run.load()
    with run.resources(given) as resources:
        shared = resources | {"random_state": run.seed, "verbose": not run.quiet}
        found = hierarchy(
            given.graph,
            clustering=_first_level(given.graph, preference, min_similarity, shared),
            level_preference=level_preference,
            max_levels=max_levels,
            **shared,
        )
        exact, refused = _cut(found, n_clusters, run.n_jobs, not not_nested)
    seconds = time.perf_counter() - start
    ids = given.names()
    if output is not None and obs is not None:
        write_levels(found, output, obs, exact, force)
    elif output is not None:
        write_hierarchy(found, output, ids, exact)
    if plot is not None:
        write_picture(plot_tree(found, names=ids), plot)
    title = f"Tree of {run.graph.name}"
    if report is not None:
        write_page(found, report, title, given, ids, seconds)
    if explore is not None:
        write_explorer(found, explore, title=title, names=ids, points=_in_order(placed, ids))
    if not run.quiet:
        written = _written({"written to": output, "picture": plot, "report": report, "explorer": explore})
        summarise([*_tree_lines(found, ids, exact), *recall_lines(given.recall), *written], output)
    if refused:
        # Raised last, so that all results obtained are written.
        raise refused[0]


def _first_level(
    graph: Any, preference: float | None, min_similarity: float | None, shared: dict[str, Any]
) -> Clustering | None:
    """Return the clusters of the first level where the hierarchy's own are not wanted."""
    if preference is None and min_similarity is None:
        return None
    return affinity_propagation(graph, preference=preference, min_similarity=min_similarity, **shared)


def _require_cuts(n_clusters: Iterable[int], not_nested: bool) -> None:
    for number in n_clusters:
        require_count("n_clusters", number)
    if not_nested and not n_clusters:
        raise InvalidInputError("--not-nested says how to cut: give --n-clusters too, or leave it out.")


def _require_pages(plot: Path | None, report: Path | None, explore: Path | None, graph: Path) -> None:
    """Refuse a picture or a page that cannot be written, before the work."""
    if plot is not None:
        require_picture(plot, graph)
    if report is not None:
        require_report(report, "--report")
        require_other(report, graph)
    if explore is not None:
        require_page(explore)
        require_other(explore, graph)
        if report is not None and explore.absolute() == report.absolute():
            raise InvalidInputError(f"--report and --explore are both {report}; two files are needed.")


def _placed(path: Path, explore: Path | None) -> Points:
    """Read positions in the plane, and refuse others before the work."""
    if explore is None:
        raise InvalidInputError("--positions are for the map in --explore's page; give that file too.")
    read = read_points(path)
    if read.table.shape[1] != 2:
        raise InvalidInputError(
            f"--positions={path} has {read.table.shape[1]} columns of numbers; two are needed, for a map."
        )
    return read


def _in_order(positions: Points | None, names: NDArray[Any] | None) -> Any:
    """Return positions of the points of a graph, if any; refuse those of others, as far as names tell."""
    if positions is None:
        return None
    if positions.names is not None and (names is None or not np.array_equal(positions.names, names)):
        raise InvalidInputError(
            "The names in --positions are not those of the points, in the same order. Bring the rows into "
            "the order of the points, or leave the names out if they are in it."
        )
    return positions.table


def _cut(
    tree: Hierarchy, n_clusters: Iterable[int], n_jobs: int | None, nested: bool
) -> tuple[list[Cut], list[InvalidInputError]]:
    """Cut a hierarchy into several numbers of clusters; return the cuts, and the errors of the others."""
    cuts, refused = [], []
    for number in n_clusters:
        try:
            cuts.append(tree.cut_exactly(number, n_jobs, nested=nested))
        except InvalidInputError as error:
            refused.append(error)
    return cuts, refused


def _written(files: dict[str, Path | None]) -> list[str]:
    """Return the lines of a summary that say which files there are now."""
    lines = [f"{what:10} {said(path)}" for what, path in files.items() if path is not None]
    return lines or ["not written: give --output to keep the tree"]


def _tree_lines(tree: Hierarchy, names: Any = None, exact: Iterable[Cut] = ()) -> list[str]:
    """Return a table of the levels and the cuts of a hierarchy, line by line."""
    heading = (
        "level    clusters  median size     largest  edges inside  net similarity      lives at γ  "
        "largest are those of"
    )
    levels = (
        _cut_line(
            f"{level}",
            tree.level(level),
            f"{tree.inner_share[level]:.1%}",
            f"{tree.net_similarity(level):.6g}",
            lifetime(lives),
            names,
        )
        for level, lives in enumerate(tree.lives)
    )
    return [
        heading,
        *levels,
        *(_cut_line("exact", cut, "", "", "" if cut.nested else "not nested", names) for cut in exact),
    ]


def _cut_line(level: str, cut: Cut, inner_share: str, net_similarity: str, lives: str, names: Any) -> str:
    sizes = cut.sizes
    largest = cut.exemplars[np.argsort(-sizes, kind="stable")[:3]]
    said = ", ".join(map(str, largest if names is None else names[largest]))
    return (
        f"{level:>5}  {cut.n_clusters:>10,}  {np.median(sizes):>11g}  {sizes.max():>10,}  "
        f"{inner_share:>12}  {net_similarity:>14}  {lives:>14}  {said}"
    )
