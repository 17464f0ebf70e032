"""The page of HTML about a run of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from sparse_ap.cli.inputs import GivenGraph
from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.graphs import StoredGraph
from sparse_ap.plotting.html_report import write_report
from sparse_ap.propagation.result import Clustering

__all__ = ["write_page"]

_NO_SETTINGS = {
    "graph",
    "output",
    "report",
    "rank",
    "plot",
    "explore",
    "positions",
    "obs",
    "force",
    "checkpoint",
    "checkpoint_every",
    "resume",
    "quiet",
}
"""Parameters of commands that do not affect the result, and are not shown among the settings."""

# What nobody has asked for: the first matters for tables alone.
_NOT_ASKED = (("ids", "auto"), ("n_clusters", ()))


def write_page(
    shown: Clustering | Hierarchy,
    path: Path,
    title: str,
    given: GivenGraph,
    names: NDArray[Any] | None,
    seconds: float,
) -> None:
    """Write the HTML report about the present command."""
    graph: Any = given.graph
    parameters = click.get_current_context().params
    write_report(
        shown,
        path,
        title=title,
        ids=names,
        n_stored=graph.n_stored if isinstance(graph, StoredGraph) else graph.nnz,
        recall=given.recall,
        seconds=seconds,
        settings={"graph": parameters["graph"], **_settings(parameters)},
    )


def _settings(parameters: dict[str, Any]) -> dict[str, str]:
    """Return the options that have a value, by their names on the command line."""
    return {
        f"--{name.replace('_', '-')}": _said(value)
        for name, value in parameters.items()
        if name not in _NO_SETTINGS
        and value is not None
        and value is not False
        and not any(name == of and value == default for of, default in _NOT_ASKED)
    }


def _said(value: Any) -> str:
    if value is True:
        return "yes"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
