"""Checks of outputs before the work, and texts shared by commands after it."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sparse_ap.cli.language import as_typed
from sparse_ap.cli.results.tables import require_writable
from sparse_ap.cli.streams import STDOUT, said
from sparse_ap.errors import InvalidInputError, PositiveSimilarityWarning, SparseAPError, warn
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.representation.shares import RunnerUp
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.roles import PointsError
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = [
    "graph_lines",
    "kept_line",
    "named_points",
    "printed_warnings",
    "recall_lines",
    "require_other",
    "require_output",
    "require_picture",
    "require_result",
    "runner_up_for",
    "sizes_line",
    "summarise",
    "write_picture",
]


# Of other outcomes the summary and the exit code tell.
_TOLD = {outcome.value for outcome in Outcome if outcome is not Outcome.GROUPED}


@contextmanager
def printed_warnings(quiet: bool = False) -> Iterator[None]:
    """Print each warning in one line, except those that the summary or the exit code expresses.

    With ``quiet`` the question whether similarities are distances is not asked either.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Of files that Ctrl-C has left open, while Python imported from them.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            for warning in caught:
                if quiet and issubclass(warning.category, PositiveSimilarityWarning):
                    continue
                if str(warning.message) not in _TOLD:
                    said = as_typed(str(warning.message), click.get_current_context().command)
                    click.echo(f"Warning: {said}", err=True)


@contextmanager
def named_points(names: Callable[[], NDArray[Any] | None]) -> Iterator[None]:
    """Name the points in an error about those that nobody can represent, where they have names."""
    try:
        yield
    except PointsError as error:
        known = names()
        raise error if known is None else error.named(known) from error


def require_output(
    output: Path | None, obs: str | None, columns: Sequence[str], force: bool, source: Path
) -> None:
    """Refuse an output that cannot be written: a file, or the ``columns`` of an AnnData store's ``obs``.

    Parameters
    ----------
    output : Path or None
    obs : str or None
    columns : sequence of str
        Names of all columns that ``obs`` stands for.
    force : bool
        Whether existing columns may be replaced.
    source : Path
        The input of the command, which must not be replaced.

    Raises
    ------
    InvalidInputError
        The output cannot be written, is the input, or the options contradict each other.
    """
    if obs is not None and output is None:
        raise InvalidInputError("--obs names a column, but not where: give --output, the AnnData store.")
    if force and obs is None:
        raise InvalidInputError("--force replaces columns of an AnnData store; name them with --obs.")
    if output is not None and obs is not None:
        if not obs:
            raise InvalidInputError("--obs '' is no name of a column; give one that is not empty.")
        # Imported here, since it imports zarr.
        from sparse_ap.cli.results.anndata import require_columns

        require_columns(output, *columns, force=force)
    elif output is not None:
        require_result(output, source)


def require_result(output: Path, *sources: Path) -> None:
    """Refuse a file to which no result can be written, or that the command reads, before the work.

    Raises
    ------
    InvalidInputError
        As in `require_writable` and `require_other`.
    """
    for source in sources:
        require_other(output, source)
    require_writable(output)


def require_other(output: Path, source: Path) -> None:
    """Refuse an output that is an input of the command, under any name: ``source`` or that of an option.

    Raises
    ------
    InvalidInputError
        The output and the input are the same file or folder.
    """
    given = click.get_current_context().params
    for read in (source, given.get("names"), given.get("table"), given.get("positions")):
        # Both standard streams may be the same terminal.
        if read and output != STDOUT and output.exists() and read.exists() and output.samefile(read):
            raise InvalidInputError(
                f"{output} is what the command reads, so it is not written to. Give the output another name."
            )


def require_picture(plot: Path, *sources: Path) -> None:
    """Refuse a picture that cannot be written, or that the command reads, before the work.

    Raises
    ------
    InvalidInputError
        The folder does not exist, or the ending is none of a picture; or as in `require_other`.
    MissingDependencyError
        matplotlib is not installed.
    """
    for source in sources:
        require_other(plot, source)
    require_matplotlib("--plot")
    require_folder(plot)
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if plot.suffix.removeprefix(".") not in known:
        raise InvalidInputError(
            f"--plot={plot} ends in {plot.suffix!r}; one of {', '.join(sorted(known))} is needed."
        )


def write_picture(axes: Any, plot: Path) -> None:
    """Write the figure of some axes; the file appears complete or not at all."""
    with replacing(plot) as part:
        axes.get_figure().savefig(part, dpi=150, format=plot.suffix.removeprefix("."))


def runner_up_for(
    output: Path | None, clustering: Clustering, graph: Any, **resources: Any
) -> RunnerUp | None:
    """Return the exemplars that come next, for an output with columns.

    None for any other output; and, with a warning, where they cannot be had: a result is never lost to this.
    """
    if output is None or output.suffix == ".npz":
        return None
    try:
        return clustering.runner_up(graph, **resources)
    except SparseAPError as error:
        warn(f"The result has no columns for the exemplar that comes next: {error}")
        return None


def sizes_line(clustering: Clustering) -> str:
    """Return the line of a summary about the sizes of clusters."""
    sizes = clustering.sizes if clustering.n_clusters else np.zeros(1, np.int64)
    alone = np.count_nonzero(sizes == 1)
    return f"cluster sizes   median {np.median(sizes):g}, largest {sizes.max():,}, alone {alone:,}"


def kept_line(output: Path | None) -> str:
    """Return the line of a summary that says where the labels are."""
    return f"written to      {said(output)}" if output else "not written: give --output to keep the labels"


def graph_lines(
    n_points: int, n_edges: int, search: str, recall: Recall | None, seconds: float, output: Path
) -> list[str]:
    """Return the summary of a graph made of points; ``recall`` is left out where the search says it all."""
    return [
        f"points      {n_points:,}",
        f"edges       {n_edges:,}",
        f"search      {search}",
        *([] if recall is None else [f"recall      {recall}"]),
        f"seconds     {seconds:.1f}",
        f"written to  {output}",
        f"next        sparse-ap info {shlex.quote(str(output))}",
    ]


def recall_lines(recall: Recall | None) -> list[str]:
    """Return the line of a summary about the search that a graph comes from, if that is known."""
    return [] if recall is None else [f"recall  {recall}"]


def summarise(lines: Iterable[str], output: Path | None) -> None:
    """Print a summary, line by line; to standard error if the result is on standard output."""
    for line in lines:
        click.echo(line, err=output == STDOUT)
