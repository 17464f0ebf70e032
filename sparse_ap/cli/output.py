"""Checks of outputs before the work, and texts shared by commands after it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.anndata import require_columns
from sparse_ap.cli.tables import require_writable
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import StoredGraph
from sparse_ap.propagation.result import Outcome

__all__ = ["names_of", "printed_warnings", "require_output"]


def names_of(graph: Any) -> Any:
    """Read the names of a graph's points; None if it has none."""
    return graph.names() if isinstance(graph, StoredGraph) else None


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print each warning in one line, except those that the summary or the exit code expresses."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                if str(warning.message) not in {outcome.value for outcome in Outcome}:
                    click.echo(f"Warning: {warning.message}", err=True)


def require_output(output: Path | None, obs: str | None, columns: Sequence[str]) -> None:
    """Refuse an output that cannot be written: a file, or the ``columns`` of an AnnData store's ``obs``."""
    if obs is not None and output is None:
        raise InvalidInputError("--obs names a column, but not where: give --output, the AnnData store.")
    if output is not None and obs is not None:
        require_columns(output, *columns)
    elif output is not None:
        require_writable(output)
