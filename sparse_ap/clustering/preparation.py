"""From what the user gave to a problem ready for the loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.clustering.input import (
    Source,
    examined,
    loaded,
    open_cluster,
    open_runner,
    open_source,
    renumbered,
)
from sparse_ap.errors import warn_of_positive_similarities
from sparse_ap.execution.blocking import Execution
from sparse_ap.execution.budget import Way
from sparse_ap.execution.executor import Runner
from sparse_ap.execution.plans import chosen_way, cluster_way
from sparse_ap.execution.renumbering import locality_order
from sparse_ap.kernels.block import Float64Array, RowCut
from sparse_ap.propagation.checkpoint_config import Keeping
from sparse_ap.propagation.preferences import require_kept_edges, resolve_preference
from sparse_ap.propagation.problem import Problem, survey
from sparse_ap.propagation.settings import Settings
from sparse_ap.storage.store import block_of
from sparse_ap.storage.validation import as_float

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["opened", "prepared"]


@contextmanager
def opened(
    similarity: Any,
    settings: Settings,
    keeping: Keeping,
    n_jobs: int | None,
    memory_limit: int | str | None,
    client: Client | None,
) -> Iterator[tuple[Source, Way, Runner]]:
    """Yield a graph, the way chosen to run on it, and who reads it; parameters as `affinity_propagation`."""
    cluster = open_cluster(client, similarity)
    source = open_source(similarity, cluster)
    choose = chosen_way if cluster is None else cluster_way
    layout = keeping.layout(settings.reorder)
    way = choose(source, layout, settings.scheme, settings.refine, n_jobs, memory_limit)
    with open_runner(way.n_threads, cluster) as runner:
        yield source, way, runner


def prepared(
    source: Source,
    way: Way,
    preference: ArrayLike | None,
    quantile: float | None,
    settings: Settings,
    runner: Runner,
) -> tuple[Problem, Float64Array]:
    """Check the input, resolve the preferences, renumber the points where that pays.

    Returns
    -------
    problem : Problem
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity.
    """
    execution, no_distances = _load(source, way, settings, runner)
    if preference is None and quantile is None and source.dense is not None:
        preference = _dense_median(source.dense)
    edges, row_best = survey(execution)
    if 0 <= edges.smallest < edges.largest and not no_distances:
        warn_of_positive_similarities(edges.largest)
    given = resolve_preference(preference, quantile, execution, edges.n_edges)
    require_kept_edges(given, execution.store.origin)
    user_id = execution.store.origin.order
    if way.reorder:
        order = locality_order(block_of(execution.store, RowCut(0, execution.n_points)))
        execution = renumbered(execution, order)
        row_best = row_best[order]
        user_id = order if user_id is None else user_id[order]
    if user_id is None:
        user_id = np.arange(execution.n_points, dtype=np.int32)
    elif given.strides != (0,):
        given = given[user_id]
    return Problem(execution, user_id, given, edges), row_best


def _load(source: Source, way: Way, settings: Settings, runner: Runner) -> tuple[Execution, bool]:
    """Return the graph, and whether its entries surely are no distances."""
    execution = loaded(source, way, runner)
    if not settings.check_finite:
        return execution, True
    execution, statistics = examined(execution, settings.missing)
    best_first = 2 * statistics.n_best_first > execution.n_points
    alike_itself = statistics.n_alike_itself > 0 or (
        source.dense is not None and bool((np.diagonal(source.dense) > 0).any())
    )
    return execution, best_first or alike_itself


def _dense_median(matrix: Any) -> float | None:
    """Return scikit-learn's default preference: the median of all entries, the diagonal included."""
    # Not in half precision, where the mean of two numbers is rounded.
    median = float(np.median(as_float(matrix))) if matrix.size else 0.0
    return median if np.isfinite(median) else None
