"""A graph opened for several runs with default parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparse_ap.clustering.input import at_hand
from sparse_ap.clustering.preparation import opened, prepared
from sparse_ap.clustering.run import Run
from sparse_ap.propagation.checkpoint_config import checked_keeping
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.settings import checked_settings

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["session"]


@contextmanager
def session(
    similarity: Any,
    missing: str | None,
    random_state: Any,
    n_jobs: int | None,
    memory_limit: int | str | None,
    client: Client | None,
    verbose: bool,
) -> Iterator[tuple[Run, Problem]]:
    """Yield how runs go, and the problem at its default preference; parameters as `affinity_propagation`."""
    settings = checked_settings(
        similarity,
        scheme="compact",
        damping=None,
        max_iter=200,
        convergence_iter=None,
        tol=None,
        refine="search",
        reorder="auto",
        missing=missing,
        check_finite=True,
        certify=False,
        random_state=random_state,
    )
    keeping = checked_keeping(None, 1, False, settings)
    with opened(similarity, settings, keeping, n_jobs, memory_limit, client) as (source, way, runner):
        problem, _ = prepared(source, way, None, None, settings, runner)
        yield Run(settings, keeping, way.reorder, None, verbose), at_hand(problem)
