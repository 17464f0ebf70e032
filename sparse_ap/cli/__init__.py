"""The command line."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal

import click

import sparse_ap
from sparse_ap.cli.anndata import write_column
from sparse_ap.cli.convert import convert
from sparse_ap.cli.inputs import read_graph
from sparse_ap.cli.knn import knn
from sparse_ap.cli.options import (
    INPUT_HELP,
    cluster_options,
    graph_argument,
    jobs_option,
    missing_option,
    similarity_option,
)
from sparse_ap.cli.output import names_of, require_output, warnings_told
from sparse_ap.cli.path import path
from sparse_ap.cli.report import report_option, report_run
from sparse_ap.cli.report_lines import clustering_lines, summary_lines
from sparse_ap.cli.tables import write_clustering
from sparse_ap.cli.tree import tree
from sparse_ap.errors import RunInterrupted, SparseAPError
from sparse_ap.execution.dask.client import connected
from sparse_ap.kernels.block import Clustering
from sparse_ap.plotting.html_report import require_report

__all__ = ["main"]

NOT_CONVERGED = 3


class Commands(click.Group):
    """A group whose commands end in one line on standard error where the input is at fault."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; say what was wrong and exit with 2, or 130 after Ctrl-C."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever reads our output has seen enough.
            sys.stdout = None
            ctx.exit(0)
        except (SparseAPError, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        except RunInterrupted as stopped:
            click.echo(str(stopped), err=True)
            ctx.exit(130)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""Cluster similarity graphs of millions of points by affinity propagation.

Finds exemplars, members of the data that stand for their clusters, without being told how many.

\b
Examples:
  sparse-ap demo                                 a map of the world's exemplar places
  sparse-ap knn points.npy -o graph.npz          from points to a graph
  sparse-ap convert hits.m8 -o graph.zarr        from a table of edges to a graph on disk
  sparse-ap info graph.npz                       what is in it, what a preference would mean
  sparse-ap cluster graph.npz -o labels.parquet
  sparse-ap cluster graph.npz --quantile 0.1     fewer clusters
  sparse-ap cluster graph.npz --n-clusters 50    exactly so many
  sparse-ap path graph.npz --plot path.png       how the number depends on the preference
  sparse-ap tree graph.npz -o tree.parquet       clusters of clusters, down to a few

\b
Exit codes: 0 done; 2 the input or an option is wrong; 3 done, but not converged; 130 interrupted.
""",
)
@click.version_option(sparse_ap.__version__, prog_name="sparse-ap")
def main() -> None:
    """Cluster similarity graphs by affinity propagation."""


@click.command(
    epilog="Example: sparse-ap info graph.npz",
    help=f"""Show what a graph is like.
{INPUT_HELP}
The whole graph is read, so that damage to a graph on disk is found.""",
)
@graph_argument
@similarity_option
@missing_option
@jobs_option
def info(graph: Path, similarity: str | None, missing: Literal["nan"] | None, n_jobs: int | None) -> None:
    """Show what a graph is like."""
    from sparse_ap.clustering.graph_summary import inspect_graph

    for line in summary_lines(inspect_graph(read_graph(graph, similarity), n_jobs, missing)):
        click.echo(line)


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
  sparse-ap cluster graph.zarr --scheduler tcp://node1:8786 -o labels.parquet

Exit codes: 0 converged; 2 the input or an option is wrong; 3 not converged (the output is written all the
same, every label is valid); 130 interrupted.
"""
)
@graph_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where to: .parquet, .csv or .zarr (point, label, exemplar, similarity), or .npz (everything).",
)
@report_option
@click.option("--obs", metavar="COLUMN", help="OUTPUT is an AnnData store: add this column to its obs.")
@click.option(
    "--preference", type=float, help="What an exemplar gains by being one.  [default: the median similarity]"
)
@click.option("--quantile", type=float, help="Take this quantile of the similarities as preference.")
@click.option("--n-clusters", type=int, help="Exactly so many clusters, by whatever preference.")
@similarity_option
@click.option("--damping", type=float, help="0.5 to 1; more against oscillation.  [default: by the graph]")
@click.option("--max-iter", type=int, default=200, show_default=True, help="Sweeps at most.")
@click.option(
    "--convergence-iter",
    type=int,
    help="Sweeps without change that end the run.  [default: by scheme]",
)
@click.option("--tol", type=float, help="Share of the points that may be unsettled.  [default: by scheme]")
@click.option(
    "--scheme", type=click.Choice(["auto", "compact", "classic"]), default="auto", show_default=True,
    help="classic is the paper's, message by message.",
)  # fmt: skip
@click.option(
    "--refine", type=click.Choice(["auto", "search", "medoid", "none"]), default="auto", show_default=True,
    help="After the last sweep: a local search, a medoid pass, or nothing.",
)  # fmt: skip
@click.option("--certify", is_flag=True, help="Prove how much better a clustering could be; 122 more passes.")
@missing_option
@click.option("--memory-limit", help="What the process may hold, such as 2GB.")
@click.option(
    "--checkpoint", type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the state of the run, from which it can go on.",
)  # fmt: skip
@click.option(
    "--checkpoint-every", type=int, default=25, show_default=True, help="Sweeps between checkpoints."
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint; begin where there is none.")
@cluster_options
@click.option("--seed", type=int, default=0, show_default=True, help="Of the differences that break ties.")
@jobs_option
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def cluster(
    graph: Path, output: Path | None, report: Path | None, obs: str | None, quantile: float | None,
    similarity: str | None, refine: str, seed: int, scheduler: str | None, dask_workers: int | None,
    quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Cluster a graph, and write whom each point is represented by."""
    require_output(output, obs, [f"{obs}", f"{obs}_similarity"])
    if report is not None:
        require_report(report, "--report")
    start = time.perf_counter()
    matrix = read_graph(graph, similarity)
    with warnings_told(), connected(scheduler, dask_workers) as client:
        clustering = sparse_ap.affinity_propagation(
            matrix,
            preference_quantile=quantile,
            random_state=seed,
            refine=None if refine == "none" else refine,  # type: ignore[arg-type]
            client=client,
            verbose=not quiet,
            **options,
        )
    if output is not None and obs is not None:
        write_column(clustering, output, obs)
    elif output is not None:
        write_clustering(clustering, output, names_of(matrix))
    seconds = time.perf_counter() - start
    if report is not None:
        report_run(clustering, report, matrix, seconds)
    if not quiet:
        _report(clustering, seconds, output, report)
    if not clustering.converged:
        if quiet:
            click.echo(clustering.outcome.value, err=True)
        sys.exit(NOT_CONVERGED)


def _report(clustering: Clustering, seconds: float, output: Path | None, report: Path | None) -> None:
    for line in clustering_lines(clustering, seconds):
        click.echo(line)
    click.echo(f"written to      {output}" if output else "not written: give --output to keep the labels")
    if report is not None:
        click.echo(f"report          {report}")


@click.command()
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-output"),
    show_default=True, help="Folder for map.png, hierarchy.png and clusters.csv.",
)  # fmt: skip
@jobs_option
def demo(output: Path, n_jobs: int | None) -> None:
    """Find the places that stand for the world, and draw them.

    171,075 places (GeoNames, CC BY 4.0), each linked with its 200 nearest. Writes map.png, clusters.csv and,
    of the clusters of clusters, hierarchy.png. Takes well under a minute on two cores. Needs matplotlib:
    pip install 'sparse-ap[plot]'.
    """
    from sparse_ap.cli.demo import run_demo

    run_demo(output, n_jobs=n_jobs, echo=click.echo)


main.add_command(info)
main.add_command(cluster)
main.add_command(demo)
main.add_command(convert)
main.add_command(knn)
main.add_command(path)
main.add_command(tree)
