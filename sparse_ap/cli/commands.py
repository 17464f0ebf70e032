"""The group of all commands; the module of each is imported when the command runs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

import sparse_ap
from sparse_ap.cli.interrupts import INTERRUPTED, raise_an_error
from sparse_ap.cli.language import as_typed
from sparse_ap.errors import RunInterrupted, SparseAPError

__all__ = ["Commands", "ImportedCommand", "main"]


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
            click.echo(f"Error: {self._said(ctx, str(error))}", err=True)
            ctx.exit(2)
        except RunInterrupted as stopped:
            click.echo(self._said(ctx, str(stopped)), err=True)
            ctx.exit(INTERRUPTED)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)

    def _said(self, ctx: click.Context, text: str) -> str:
        """Return a message in the language of the command that was called."""
        command = self.get_command(ctx, str(ctx.invoked_subcommand))
        return text if command is None else as_typed(text, _loaded(command))


def _loaded(command: click.Command) -> click.Command:
    return command.load() if isinstance(command, ImportedCommand) else command


class ImportedCommand(click.Command):
    """A command whose module is imported when the command runs, or prints its own help.

    Parameters
    ----------
    name : str
    module : str
        Module that defines the command, under the command's name.
    summary : str
        First sentence of the command's help, shown in the list of all commands.
    """

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.module = module

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the whole summary: a long one goes on in the next line of the list."""
        return str(self.help)

    def load(self) -> click.Command:
        """Import the module, and return the command."""
        command: click.Command = getattr(import_module(self.module), str(self.name))
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Load the command and parse its arguments; from here on Ctrl-C raises an error."""
        context = self.load().make_context(info_name, args, parent, **extra)
        raise_an_error()
        return context


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
  sparse-ap rank labels.npz graph.npz -o -       which exemplars to keep, if there is room for few
  sparse-ap tree graph.npz -o tree.parquet       clusters of clusters, down to a few
  sparse-ap tree points.npy -k 15 --explore tree.html  of points, for the browser

\b
Exit codes: 0 done; 2 the input or an option is wrong; 3 done, but not converged; 130 interrupted.
""",
)
@click.version_option(sparse_ap.__version__, prog_name="sparse-ap")
def main() -> None:
    """Cluster similarity graphs by affinity propagation."""


# The first sentence of each command's help, so that the list of commands imports none of their modules.
_SUMMARIES = {
    "cluster": "Cluster a graph, and write whom each point is represented by.",
    "convert": "Write a graph to disk, to be clustered from there, however large it is.",
    "cover": "Find few exemplars to which every point is similar enough.",
    "demo": "Find the places that stand for the world, and draw them.",
    "extend": "Go on from a result with new points, or without some of the old ones.",
    "info": "Show what a graph is like.",
    "knn": "Link every point with its nearest neighbours, and write the graph.",
    "memberships": "Say how much of each exemplar of a result is in each point: shares that add up to 1.",
    "outliers": "Say which points of a result are outliers, by a measure of yours.",
    "path": "Show how the number of clusters depends on the preference.",
    "predict": "Assign new points to the exemplars of a result.",
    "radius": "Link all pairs of points that are similar enough, and write the graph.",
    "rank": "Order the exemplars of a result, so that the first m are good for every m.",
    "tree": "Cluster a graph, then its clusters, and so on: a tree of exemplars.",
}
# Where they are not in modules of their names.
_MODULES = {
    "demo": "demo.command",
    "extend": "on_results.extend",
    "memberships": "on_results.memberships",
    "outliers": "on_results.outliers",
    "predict": "on_results.predict",
    "rank": "on_results.rank",
}
for _name, _summary in _SUMMARIES.items():
    main.add_command(ImportedCommand(_name, f"sparse_ap.cli.{_MODULES.get(_name, _name)}", _summary))
