"""Progress bars on standard error, shown only if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from tqdm import tqdm

from sparse_ap.arguments import progress_bar
from sparse_ap.kernels.compilation import watched_by
from sparse_ap.propagation.history import SweepReport

__all__ = ["reading_progress", "showing_compilation", "sweep_progress"]

Parameters = ParamSpec("Parameters")
ResultT = TypeVar("ResultT")


@contextmanager
def sweep_progress(
    max_iter: int, callback: Callable[[SweepReport], object] | None, verbose: bool
) -> Iterator[Callable[[SweepReport], object]]:
    """Yield a function to call after each sweep, which moves a bar and calls the user's ``callback``."""
    begun = False
    with progress_bar(verbose, max_iter, "sweeps", unit="sweep") as bar:

        def told(report: SweepReport) -> None:
            nonlocal begun
            if not begun and report.sweep > 1:
                # From a checkpoint: the first sweeps were an earlier run's.
                bar.update(report.sweep - 1)
                if verbose:
                    tqdm.write(f"Resumed after sweep {report.sweep - 1}.", file=sys.stderr)
            begun = True
            bar.set_postfix_str(
                f"{report.n_exemplars:,} exemplars, {report.n_changed:,} changed, "
                f"{report.n_unsettled:,} unsettled",
                refresh=False,
            )
            bar.update()
            if callback is not None:
                callback(report)

        yield told


@contextmanager
def reading_progress(what: str, at_most: int, verbose: bool) -> Iterator[Callable[[], object]]:
    """Yield a function to call after each reading of the edges, which moves a bar."""
    with progress_bar(verbose, at_most, what, unit="reading") as bar:
        yield bar.update


def showing_compilation(function: Callable[Parameters, ResultT]) -> Callable[Parameters, ResultT]:
    """Make a function with an argument ``verbose`` show on a terminal when kernels are compiled."""

    @wraps(function)
    def shown(*args: Parameters.args, **kwargs: Parameters.kwargs) -> ResultT:
        if not kwargs.get("verbose") or not sys.stderr.isatty():
            return function(*args, **kwargs)
        with watched_by(_compilation_bar):
            return function(*args, **kwargs)

    return shown


def _compilation_bar() -> Callable[[], Any]:
    """Show a line about compilation; return the function that removes it."""
    line = tqdm(desc="compiling, once in an installation", bar_format="{desc} ...", leave=False)
    return lambda: line.close()
