"""The command line: the group of commands, and the exit codes."""

from __future__ import annotations

import sys
from typing import Any

import click

import sparse_ap
from sparse_ap.cli import cluster, convert, info, knn, path, tree
from sparse_ap.cli.demo import command
from sparse_ap.errors import RunInterrupted, SparseAPError

__all__ = ["main"]


class Commands(click.Group):
    """A group of commands that reports errors in one line on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; on an error print its message and exit with 2, after an interruption with 130."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of the output, such as head, has closed it; a last flush of it would fail too.
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


main.add_command(info.info)
main.add_command(cluster.cluster)
main.add_command(command.demo)
main.add_command(convert.convert)
main.add_command(knn.knn)
main.add_command(path.path)
main.add_command(tree.tree)
