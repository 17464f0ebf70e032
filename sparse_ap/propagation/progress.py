"""Progress bars on standard error, shown only if that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sparse_ap.arguments import progress_bar
from sparse_ap.propagation.result import SweepReport

__all__ = ["reading_progress", "sweep_progress"]


@contextmanager
def sweep_progress(
    max_iter: int, callback: Callable[[SweepReport], object] | None, verbose: bool
) -> Iterator[Callable[[SweepReport], object]]:
    """Yield a function to call after each sweep, which moves a bar and calls the user's ``callback``."""
    with progress_bar(verbose, max_iter, "sweeps", unit="sweep") as bar:

        def told(report: SweepReport) -> None:
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
