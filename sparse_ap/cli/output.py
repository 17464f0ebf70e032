"""What commands say and write at the end, and check at the beginning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.tables import require_writable
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import StoredGraph
from sparse_ap.propagation.result import Outcome

__all__ = ["names_of", "printed_warnings", "require_other", "require_output"]


def names_of(graph: Any) -> Any:
    """Read the names of a graph's points, if it has any."""
    return graph.names() if isinstance(graph, StoredGraph) else None


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Show in a line each what is not in the summary or the exit code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                if str(warning.message) not in {outcome.value for outcome in Outcome}:
                    click.echo(f"Warning: {warning.message}", err=True)


def require_output(
    output: Path | None, obs: str | None, columns: Sequence[str], force: bool, source: Path
) -> None:
    """Refuse an output that cannot be written: a file, or an AnnData store with ``obs`` and ``columns``.

    Parameters
    ----------
    output : Path or None
    obs : str or None
    columns : sequence of str
        Names of all the columns that ``obs`` stands for.
    force : bool
        Whether columns that are there may be replaced.
    source : Path
        What the command reads, and must not replace.

    Raises
    ------
    InvalidInputError
    """
    if obs is not None and output is None:
        raise InvalidInputError("--obs names a column, but not where: give --output, the AnnData store.")
    if force and obs is None:
        raise InvalidInputError("--force replaces columns of an AnnData store; name them with --obs.")
    if output is not None and obs is not None:
        if not obs:
            raise InvalidInputError("--obs '' is no name of a column; give one that is not empty.")
        # Here, since it imports zarr.
        from sparse_ap.cli.anndata import require_columns

        require_columns(output, *columns, force=force)
    elif output is not None:
        require_other(output, source)
        require_writable(output)


def require_other(output: Path, source: Path) -> None:
    """Refuse an output that is what the command reads, by whatever name.

    Raises
    ------
    InvalidInputError
    """
    if output.exists() and output.samefile(source):
        raise InvalidInputError(
            f"{output} is what the command reads, so it is not written to. Give the output another name."
        )
