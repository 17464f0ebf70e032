"""The choice of a plan: where the edges of a run are and who reads them, within the memory allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sparse_ap.arguments import available, bytes_of, usable_threads
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import most_blocks, streamed_edges
from sparse_ap.execution.budget import SAVED_RENUMBERED, GraphSize, Plan, first_that_fits
from sparse_ap.storage.store import Store

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["InputGraph", "Resources", "choose_plan", "cluster_plan"]

# With fewer points, the vectors that sweeps gather fit into the second-level cache in any order.
_WORTH_REORDERING = 100_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resources:
    """The resources that a call may use, by the names of `affinity_propagation`."""

    n_jobs: int | None = None
    memory_limit: int | str | None = None
    client: Client | None = None
    verbose: bool = False

    def limit(self) -> int:
        """Return the bytes that this process may hold: the given limit, or most of the free memory."""
        return available() if self.memory_limit is None else bytes_of(self.memory_limit)


@dataclass(frozen=True, slots=True, eq=False)
class InputGraph:
    """A graph in the form in which the user gave it, and the ways in which it may be read.

    Attributes
    ----------
    store : Store
    stored : bool
        Whether the edges are on disk.
    loadable : bool
        Whether the edges may be read into memory.
    dense : ndarray or None
        The matrix with its diagonal, if the user gave a dense matrix.
    missing_at_most : callable
        Returns, or reads, the largest similarity that an edge of each point which is not in the graph can
        have, in the user's order; None if the graph does not know.
    searched : bool
        Whether the graph is known to come from a search of this package.
    """

    store: Store
    stored: bool
    loadable: bool
    dense: NDArray[Any] | None = None
    missing_at_most: Callable[[], NDArray[Any] | None] = lambda: None
    searched: bool = False

    def size(self, scheme: str, refine: str | None, **needs: bool) -> GraphSize:
        """Return what determines the memory of a run; ``needs`` are the last fields of `GraphSize`."""
        store = self.store
        block = streamed_edges(store.chunk_edges) if store.chunk_edges else 0
        n_points, n_edges = len(store.indptr) - 1, int(store.indptr[-1])
        # classic keeps a responsibility and an availability in float64 for each edge.
        edge_state = 16 if scheme == "classic" else 0
        return GraphSize(
            n_points, n_edges, store.dtype.itemsize, block, edge_state, refine == "search", **needs
        )

    def plans(self, reorder: bool | str, n_threads: int) -> list[Plan]:
        """Return the possible plans, the fastest first."""
        n_points, n_edges = len(self.store.indptr) - 1, int(self.store.indptr[-1])
        n_threads = min(n_threads, most_blocks(n_points, n_edges))
        worth = n_points >= _WORTH_REORDERING
        renumbering = reorder in (True, SAVED_RENUMBERED)
        orders = [True, False] if reorder == "auto" and worth else [renumbering]
        threads = sorted({n_threads, 1}, reverse=True)
        plans = [Plan(self.stored, False, o, t) for t in threads for o in orders if self.loadable]
        if self.stored and not renumbering:
            # One more thread than processors: while one thread waits for the disk, the others use all
            # processors.
            streaming = [n_threads + 1, *threads] if n_threads > 1 else threads
            plans += [Plan(False, True, False, t) for t in streaming]
        return sorted(plans, key=lambda plan: (plan.streaming, -plan.n_threads))


def cluster_plan(
    input_graph: InputGraph, resources: Resources, *, reorder: bool | str = False, scheme: str = "compact",
    refine: str | None = None, **needs: bool,
) -> Plan:  # fmt: skip
    """Return the plan for a cluster, if the state fits into the memory allowed to this process.

    Parameters are those of `choose_plan`.

    Raises
    ------
    MemoryLimitError
        The vectors that this process keeps do not fit.
    InvalidInputError
        An option cannot be used on a cluster.
    """
    _require_for_clusters(reorder, scheme, resources.n_jobs)
    plan = Plan(load=False, streaming=True, reorder=False, n_threads=1, on_cluster=True)
    return first_that_fits([plan], input_graph.size(scheme, refine, **needs), resources.limit())


def _require_for_clusters(reorder: bool | str, scheme: str, n_jobs: int | None) -> None:
    """Refuse options that cannot be used on a cluster."""
    client = "a client (--scheduler, --dask-workers)"
    if n_jobs is not None:
        raise InvalidInputError(
            f"n_jobs={n_jobs} (--n-jobs) was given with {client}: the threads of a cluster are those of its "
            "workers (dask worker --nthreads). Leave n_jobs out."
        )
    needs = f"needs the graph in this process's memory, and {client} was given."
    if scheme == "classic":
        raise InvalidInputError(
            f"scheme='classic' (--scheme; the default for an ndarray) {needs} Give scheme='compact', or "
            "leave out the client."
        )
    if reorder == SAVED_RENUMBERED:
        raise InvalidInputError(
            f"The run to resume (--resume) was begun with its points renumbered, which {needs} Leave out the "
            "client; or begin a new run, with another folder for its checkpoints (--checkpoint)."
        )
    if reorder is True:
        raise InvalidInputError(
            f"reorder=True {needs} Leave out one of the two. (A graph that is read often can be written "
            "renumbered: sparse_ap.graphs.write_graph(..., order='rcm').)"
        )


def choose_plan(
    input_graph: InputGraph, resources: Resources, *, reorder: bool | str = False, scheme: str = "compact",
    refine: str | None = None, **needs: bool,
) -> Plan:  # fmt: skip
    """Return the fastest plan that fits into the memory allowed.

    Parameters
    ----------
    input_graph : InputGraph
    resources : Resources
    reorder, scheme, refine
        As for `affinity_propagation`.
    **needs : bool
        What else needs memory: the last fields of `GraphSize`.

    Raises
    ------
    MemoryLimitError
        No plan fits.
    InvalidInputError
        ``n_jobs`` or ``memory_limit`` is out of range, or an option needs the graph in memory.
    """
    plans = input_graph.plans(reorder, usable_threads(resources.n_jobs))
    if scheme == "classic":
        plans = [plan for plan in plans if not plan.streaming]
    if not plans:
        raise InvalidInputError(
            "scheme='classic', reorder=True and a checkpoint of a run with renumbered points need the graph "
            "in memory, and this one is read from disk in each sweep. Leave them out, or give its path."
        )
    if resources.memory_limit is None and not input_graph.stored:
        return plans[0]
    return first_that_fits(plans, input_graph.size(scheme, refine, **needs), resources.limit())
