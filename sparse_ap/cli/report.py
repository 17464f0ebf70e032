"""The report that a clustering's command writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.output import names_of
from sparse_ap.graphs import open_graph
from sparse_ap.kernels.block import Clustering
from sparse_ap.plotting.html_report import write_report

__all__ = ["report_option", "report_run"]

NO_SETTINGS = {"graph", "output", "report", "obs", "checkpoint", "checkpoint_every", "resume", "quiet"}
"""Parameters of the command that have no part in how it clusters."""

report_option = click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="A page about the run to write: figures, pictures, the largest clusters.",
)


def report_run(clustering: Clustering, path: Path, graph: Any, seconds: float) -> None:
    """Write the page about the command that is being run."""
    parameters = click.get_current_context().params
    write_report(
        clustering,
        path,
        title=f"Clusters of {parameters['graph'].name}",
        ids=names_of(graph),
        n_stored=open_graph(graph).n_stored if isinstance(graph, Path) else graph.nnz,
        seconds=seconds,
        settings={"graph": parameters["graph"], **_settings(parameters)},
    )


def _settings(parameters: dict[str, Any]) -> dict[str, str]:
    """Return the options with a value, by the names they have on the command line."""
    return {
        f"--{name.replace('_', '-')}": "yes" if value is True else str(value)
        for name, value in parameters.items()
        if name not in NO_SETTINGS and value is not None and value is not False
    }
