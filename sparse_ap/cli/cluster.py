"""The command ``cluster``: affinity propagation on a graph."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sparse_ap.cli.graph_run import GraphRun, graph_run_options
from sparse_ap.cli.options import (
    INPUT_HELP,
    NUMBER,
    Number,
    force_option,
    graph_argument,
    min_similarity_option,
    names_options,
    point_columns_options,
)
from sparse_ap.cli.output import (
    kept_line,
    require_other,
    require_output,
    require_result,
    runner_up_for,
    summarise,
)
from sparse_ap.cli.point_columns import PointColumns
from sparse_ap.cli.results.page import write_page
from sparse_ap.cli.results.summary import clustering_lines
from sparse_ap.cli.results.tables import write_clustering, write_ranking
from sparse_ap.cli.streams import OutputPath
from sparse_ap.clustering.grouped import clustered_or_grouped
from sparse_ap.clustering.level_columns import result_columns
from sparse_ap.errors import InvalidInputError, SparseAPError
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.plotting.html_report import require_report
from sparse_ap.propagation.representation.ranking import Ranking
from sparse_ap.propagation.representation.shares import RunnerUp
from sparse_ap.propagation.result import Clustering

__all__ = ["cluster"]

# Exit code of a run whose output is valid but has not converged.
_NOT_CONVERGED = 3

_report_option = click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="A page about the run to write: figures, pictures, the largest clusters.",
)


class _SimilarityOfEqual(Number):
    """The similarity of equal points, without which the option may stand, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; refuse another argument, which the option has taken for its own."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{value!r} is no similarity of equal points. Put another argument before the option, or "
                "write the similarity with it, as --collapse-duplicates=0.",
                param, ctx,
            )  # fmt: skip


@click.command(
    help=f"""Cluster a graph, and write whom each point is represented by.
{INPUT_HELP}
The more an exemplar costs (the lower the preference), the fewer clusters. Compare the preference with the
similarities that `sparse-ap info` shows.

\b
Examples:
  sparse-ap cluster graph.npz -o labels.parquet
  sparse-ap cluster neighbours.npz --similarity "-d**2" --preference -2.5 -o labels.csv
  sparse-ap cluster graph.npz --n-clusters 500 -o labels.parquet --report run.html
  sparse-ap cluster graph.zarr --memory-limit 4GB --checkpoint kept -o labels.parquet
  sparse-ap cluster cells.zarr/obsp/similarities --obs exemplar -o cells.zarr
  sparse-ap cluster hits.m8 --column evalue --similarity=-d -o labels.csv
  sparse-ap cluster points.npy -k 15 -o labels.csv
  zcat edges.tsv.gz | sparse-ap cluster - -o - | head
  sparse-ap cluster graph.zarr --scheduler tcp://node1:8786 -o labels.parquet

Exit codes: 0 converged; 2 the input or an option is wrong; 3 not converged (the output is written all the
same, every label is valid); 130 interrupted.
"""
)
@graph_argument
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    help="Where to: .parquet, .csv or .zarr (point, label, exemplar, similarity, runner_up, margin), or .npz "
    "(everything); - for a table on standard output.",
)
@_report_option
@click.option(
    "--rank", type=click.Path(path_type=Path), metavar="FILE",
    help="A table to write, .csv, .parquet, .zarr or .npz: the exemplars as `sparse-ap rank` orders them.",
)  # fmt: skip
@click.option(
    "--obs", metavar="COLUMN", help="OUTPUT is an AnnData store or .h5ad file: add this column to its obs."
)
@force_option
@click.option(
    "--preference", type=NUMBER, help="What an exemplar gains by being one.  [default: the median similarity]"
)
@click.option("--quantile", type=NUMBER, help="Take this quantile of the similarities as preference.")
@point_columns_options("preference", "weights", "candidates")
@click.option(
    "--unrepresented", type=click.Choice(["error", "label"]), default="error", show_default=True,
    help="Points that no exemplar can represent, or no cluster of the sizes hold: refused, or labelled -1.",
)  # fmt: skip
@click.option(
    "--n-clusters",
    type=int,
    help="Exactly so many clusters, by whatever preference; by the tree, where edges forbid so few.",
)
@min_similarity_option
@click.option(
    "--collapse-duplicates", type=_SimilarityOfEqual(), is_flag=False, flag_value=0.0, metavar="",
    help="Let one of several equal points stand for all. Their similarity is 0, or S0 with "
    "--collapse-duplicates=S0.",
)  # fmt: skip
@click.option("--max-cluster-size", type=int, help="No cluster has more points, the exemplar counted.")
@click.option(
    "--min-cluster-size",
    type=int,
    help="No cluster has fewer; points that fit nowhere are treated as --unrepresented says.",
)
@click.option("--damping", type=NUMBER, help="0.5 to 1; more against oscillation.  [default: by the graph]")
@click.option("--max-iter", type=int, default=200, show_default=True, help="Sweeps at most.")
@click.option(
    "--convergence-iter",
    type=int,
    help="Sweeps without change that end the run.  [default: by scheme]",
)
@click.option("--tol", type=NUMBER, help="Share of the points that may be unsettled.  [default: by scheme]")
@click.option(
    "--scheme", type=click.Choice(["auto", "compact", "classic"]), default="auto", show_default=True,
    help="classic is the paper's, message by message.",
)  # fmt: skip
@click.option(
    "--refine", type=click.Choice(["auto", "search", "medoid", "none"]), default="auto", show_default=True,
    help="After the last sweep: a local search, a medoid pass, or nothing.",
)  # fmt: skip
@click.option("--certify", is_flag=True, help="Prove how much better a clustering could be; 130 more passes.")
@click.option(
    "--certify-complete",
    is_flag=True,
    help="The same with all edges that the graph lacks, if it knows of them.",
)
@click.option(
    "--checkpoint", type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the state of the run, from which it can go on.",
)  # fmt: skip
@click.option(
    "--checkpoint-every", type=int, default=25, show_default=True, help="Sweeps between checkpoints."
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint; begin where there is none.")
@names_options
@graph_run_options(quiet="No progress, no summary, no asking about distances.")
def cluster(
    output: Path | None, report: Path | None, rank: Path | None, obs: str | None, force: bool,
    point_columns: PointColumns, quantile: float | None, refine: str, certify: bool, certify_complete: bool,
    run: GraphRun, **options: Any,
) -> None:  # fmt: skip
    """Cluster a graph, and write the exemplar of each point."""
    require_output(output, obs, result_columns(str(obs)), force, run.graph)
    point_columns.require_usable(options["preference"], quantile)
    if report is not None:
        require_report(report, "--report")
        require_other(report, run.graph)
    if rank is not None:
        _require_rank(rank, output, run.graph)
    # Before the graph is opened: the seconds reported are those of the whole command.
    start = time.perf_counter()
    given = run.load()
    with run.resources(given) as resources:
        options |= point_columns.values(given.graph.shape[0], given.names)
        clustering, _ = clustered_or_grouped(
            given.graph,
            preference_quantile=quantile,
            random_state=run.seed,
            refine=None if refine == "none" else refine,
            certify="complete" if certify_complete else certify,
            verbose=not run.quiet,
            **resources,
            **options,
        )
        ranking, refused, edges = None, None, given.graph
        if rank is not None:
            ranking, refused, edges = _ranked(clustering, given.graph, options, resources)
        second = runner_up_for(output, clustering, edges, **resources)
    # Read now: names can be larger than the run.
    ids = given.names()
    _write(clustering, second, output, obs, force, ids)
    if rank is not None and ranking is not None:
        write_ranking(ranking, rank, ids)
    seconds = time.perf_counter() - start
    if report is not None:
        write_page(clustering, report, f"Clusters of {run.graph.name}", given, ids, seconds)
    if not run.quiet:
        pages = {"report": report, "ranking": None if ranking is None else rank}
        _report(clustering, given.recall, seconds, output, pages)
    if refused is not None:
        # Raised last, so that all results obtained are written.
        raise refused
    if not clustering.converged:
        if run.quiet:
            click.echo(clustering.outcome.value, err=True)
        # At the very end: the output is written all the same.
        sys.exit(_NOT_CONVERGED)


def _write(
    clustering: Clustering, second: RunnerUp | None, output: Path | None, obs: str | None, force: bool,
    ids: NDArray[Any] | None,
) -> None:  # fmt: skip
    """Write the result to where it is wanted, if anywhere."""
    if output is not None and obs is not None:
        from sparse_ap.cli.results.anndata import write_column

        write_column(clustering, output, obs, force, second)
    elif output is not None:
        write_clustering(clustering, output, ids, second)


def _require_rank(rank: Path, output: Path | None, graph: Path) -> None:
    """Refuse a ranking that cannot be written, or would be written where something else is."""
    require_result(rank, graph)
    if output is not None and rank.resolve() == output.resolve():
        raise InvalidInputError(f"--rank and --output are both {rank}. Give the ranking another name.")


def _ranked(
    clustering: Clustering, graph: Any, options: dict[str, Any], resources: dict[str, Any]
) -> tuple[Ranking | None, SparseAPError | None, Any]:
    """Return the ranking of the exemplars, or the error that there is none; and the edges read for it.

    Without room for these, that is the graph itself.
    """
    preference = options["preference"] if np.ndim(options["preference"]) else None
    if preference is not None and clustering.preference is not None:
        # With --n-clusters another one was found for all that may choose.
        preference = np.where(np.isfinite(preference), clustering.preference, preference)
    try:
        graph = clustering.exemplar_edges(graph, **resources)
        return clustering.ranking(graph, preference=preference, weights=options.get("weights")), None, graph
    except SparseAPError as error:
        return None, error, graph


def _report(
    clustering: Clustering, recall: Recall | None, seconds: float, output: Path | None,
    pages: dict[str, Path | None],
) -> None:  # fmt: skip
    lines = clustering_lines(clustering, recall, seconds)
    lines.append(kept_line(output))
    lines += [f"{what:<16}{path}" for what, path in pages.items() if path is not None]
    summarise(lines, output)
