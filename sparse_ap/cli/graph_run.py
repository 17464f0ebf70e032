"""What commands that run on a graph share: which graph, how it is read, and who does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from sparse_ap.cli.inputs import GivenGraph, Reading, load_graph
from sparse_ap.cli.options import (
    cluster_options,
    collecting,
    jobs_option,
    memory_option,
    missing_option,
    reading_options,
    search_options,
    seed_option,
)
from sparse_ap.cli.output import named_points, printed_warnings
from sparse_ap.cli.search import Search
from sparse_ap.execution.dask.client import connected

__all__ = ["GraphRun", "graph_run_options"]


@dataclass(frozen=True, slots=True, eq=False)
class GraphRun:
    """A run on a graph, as asked for by the options that these commands share.

    Attributes
    ----------
    graph : Path
    reading : Reading
    search : Search
    quiet : bool
    seed : int
    n_jobs : int or None
    memory_limit : str or None
    scheduler : str or None
    dask_workers : int or None
    missing : {"nan"} or None
    names : ndarray of str objects, optional
        Of a command that has `names_options`, too.
    """

    graph: Path
    reading: Reading
    search: Search
    quiet: bool
    seed: int
    n_jobs: int | None
    memory_limit: str | None
    scheduler: str | None
    dask_workers: int | None
    missing: str | None
    names: NDArray[Any] | None = None

    def load(self) -> GivenGraph:
        """Return the graph, as `load_graph` does."""
        return load_graph(
            self.graph, self.reading, self.search, seed=self.seed, n_jobs=self.n_jobs, names=self.names,
            quiet=self.quiet, memory_limit=self.memory_limit, shared=self.scheduler is None,
        )  # fmt: skip

    @contextmanager
    def resources(self, given: GivenGraph) -> Iterator[dict[str, Any]]:
        """Yield what functions read the graph with: parameters that all of them have.

        Warnings are printed, and errors name the points.
        """
        workers = connected(self.scheduler, self.dask_workers)
        with printed_warnings(self.quiet), named_points(given.names), workers as client:
            yield {
                "n_jobs": self.n_jobs, "memory_limit": self.memory_limit, "client": client,
                "missing": self.missing,
            }  # fmt: skip


def graph_run_options(quiet: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options of a run on a graph; the command gets all as ``run``.

    Parameters
    ----------
    quiet : str
        The help of --quiet.
    """

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        collected = collecting(command, "run", GraphRun)
        for option in (
            click.option("--quiet", is_flag=True, help=quiet),
            *(jobs_option, seed_option, cluster_options, memory_option, missing_option),
            *(reading_options, search_options()),
        ):
            collected = option(collected)
        return collected

    return decorated
