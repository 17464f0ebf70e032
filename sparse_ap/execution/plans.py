"""Which way a run takes: where its edges are, who reads them, in how much memory."""

from __future__ import annotations

from sparse_ap.clustering.input import Source
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import streamed_edges
from sparse_ap.execution.budget import BEGUN_RENUMBERED, GraphSize, Way, available, bytes_of, choose_way
from sparse_ap.processors import usable_threads
from sparse_ap.storage.store import Store

__all__ = ["chosen_way", "cluster_way"]


def cluster_way(
    source: Source,
    reorder: bool | str,
    scheme: str,
    refine: str | None,
    n_jobs: int | None,
    memory_limit: int | str | None,
) -> Way:
    """Return the way to run on a cluster, if it fits into the memory allowed to this process.

    Raises
    ------
    MemoryLimitError
        The vectors that this process keeps do not fit.
    InvalidInputError
        What was asked for cannot be done there.
    """
    _require_for_clusters(reorder, scheme, n_jobs)
    limit = available() if memory_limit is None else bytes_of(memory_limit)
    way = Way(load=False, streaming=True, reorder=False, n_threads=1, on_cluster=True)
    return choose_way([way], _size(source.store, scheme, refine), limit)


def _require_for_clusters(reorder: bool | str, scheme: str, n_jobs: int | None) -> None:
    """Refuse options that a cluster has no use for."""
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
    if reorder == BEGUN_RENUMBERED:
        raise InvalidInputError(
            f"The run to resume (--resume) was begun with its points renumbered, which {needs} Leave out the "
            "client; or begin a new run, with another folder for its checkpoints (--checkpoint)."
        )
    if reorder is True:
        raise InvalidInputError(
            f"reorder=True {needs} Leave out one of the two. (A graph that is read often can be written "
            "renumbered: sparse_ap.graphs.write_graph(..., order='rcm').)"
        )


def chosen_way(
    source: Source,
    reorder: bool | str,
    scheme: str,
    refine: str | None,
    n_jobs: int | None,
    memory_limit: int | str | None,
) -> Way:
    """Choose the fastest way to run that fits into the memory allowed.

    Raises
    ------
    MemoryLimitError
        None fits.
    InvalidInputError
        ``n_jobs`` or ``memory_limit`` is out of range, or what was asked for needs the graph in memory.
    """
    ways = source.ways(reorder, usable_threads(n_jobs))
    if scheme == "classic":
        ways = [way for way in ways if not way.streaming]
    if not ways:
        raise InvalidInputError(
            "scheme='classic', reorder=True and a checkpoint of a run with renumbered points need the graph "
            "in memory, and this one is read from disk in each sweep. Leave them out, or give its path."
        )
    if memory_limit is None and not source.stored:
        return ways[0]
    limit = available() if memory_limit is None else bytes_of(memory_limit)
    return choose_way(ways, _size(source.store, scheme, refine), limit)


def _size(store: Store, scheme: str, refine: str | None) -> GraphSize:
    block = streamed_edges(store.chunk_edges) if store.chunk_edges else 0
    n_points, n_edges = len(store.indptr) - 1, int(store.indptr[-1])
    edge_state = 16 if scheme == "classic" else 0
    return GraphSize(n_points, n_edges, store.dtype.itemsize, block, edge_state, refine == "search")
