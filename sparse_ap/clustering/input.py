"""From the user's graph to a store, and from the resources to an executor.

This is the one module that knows every store and every executor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.budget import Plan
from sparse_ap.execution.executor import Executor
from sparse_ap.execution.local import SerialExecutor, ThreadsExecutor
from sparse_ap.execution.plans import InputGraph
from sparse_ap.execution.renumbering import reordered
from sparse_ap.execution.room import fits_locally
from sparse_ap.graphs.foreign import graph_of
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbour_lists import from_knn
from sparse_ap.graphs.npz import read_npz
from sparse_ap.graphs.stored import StoredGraph, open_graph
from sparse_ap.kernels.block import FloatArray, Int32Array, Int64Array
from sparse_ap.kernels.rows import CollectPass
from sparse_ap.propagation.problem import Problem
from sparse_ap.storage.masks import array_of, filled
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.parts import ChangedStore
from sparse_ap.storage.selection import Selection
from sparse_ap.storage.store import Store
from sparse_ap.storage.zarr_csr import ZarrStore

if TYPE_CHECKING:
    # Imported here (twice): only runs on a cluster load distributed.
    from distributed import Client

    from sparse_ap.execution.dask.executor import DaskExecutor

__all__ = [
    "blocked_graph",
    "fetched_rows",
    "held_rows",
    "in_memory",
    "is_local",
    "loaded",
    "local_problem",
    "open_cluster",
    "open_executor",
    "open_input",
    "renumbered",
    "selected",
]


def open_cluster(client: Client | None, similarity: Any) -> DaskExecutor | None:
    """Return the executor on a cluster, or None for a run in this process.

    The cluster is the client's; without ``client`` it is the active one, if the graph is a dask collection.

    Raises
    ------
    ClusterError
        The cluster cannot do the work.
    InvalidInputError
        The graph is a dask collection and there is no active client, or ``client`` is not a usable client.
    """
    if client is None and not _is_collection(similarity):
        return None
    from distributed import Client

    from sparse_ap.execution.dask.executor import DaskExecutor

    if client is None:
        try:
            client = Client.current()
        except ValueError as error:
            raise InvalidInputError(
                "The similarities are a dask collection, and there is no client of a dask cluster. Make one "
                "(client = distributed.Client()) and give client=client; or give similarity.compute()."
            ) from error
    if not isinstance(client, Client) or client.asynchronous:
        raise InvalidInputError(
            f"client={client!r}; a distributed.Client is needed, and not an asynchronous one."
        )
    if client.status in ("closing", "closed"):
        raise InvalidInputError(
            "The client has been closed. Make a new one: client = distributed.Client(...)."
        )
    return DaskExecutor(client)


def _is_collection(similarity: Any) -> bool:
    """Whether the similarities are a dask collection."""
    graph = getattr(similarity, "__dask_graph__", None)
    # What another library holds in memory has the method, and no graph.
    return graph is not None and graph() is not None


def _is_on_disk(similarity: Any) -> bool:
    """Whether the similarities are the location of a graph on disk."""
    if isinstance(similarity, str | Path):
        return True
    # The owner of a zarr group or array has imported zarr; other runs need not wait for its import.
    zarr = sys.modules.get("zarr")
    return zarr is not None and isinstance(similarity, zarr.Group | zarr.Array)


def open_input(similarity: Any, cluster: DaskExecutor | None = None) -> InputGraph:
    """Open the user's similarities, in any accepted form, as a graph.

    Raises
    ------
    InvalidInputError
        The similarities have no accepted form.
    """
    similarity = _read(similarity) if _is_archive(similarity) else graph_of(similarity)
    if _is_on_disk(similarity):
        # A path, unlike an opened graph, leaves to the plan whether the edges are read into memory.
        similarity = replace(open_graph(similarity), loadable=True)
    if isinstance(similarity, StoredGraph):
        return _stored(similarity, cluster)
    if cluster is not None and _is_collection(similarity):
        from sparse_ap.storage.dask_collections import open_collection

        chunked = open_collection(similarity, cluster.client, cluster.fetch)
        return InputGraph(chunked, stored=False, loadable=False)
    dense = _array_of(similarity) if _is_dense(similarity) else None
    store = _memory_store(similarity, dense)
    if isinstance(similarity, KNNGraph):
        return InputGraph(
            store, stored=False, loadable=True, searched=similarity.recall is not None,
            missing_at_most=lambda: similarity.missing_at_most,
        )  # fmt: skip
    return InputGraph(store, stored=False, loadable=True, dense=dense)


def _is_archive(similarity: Any) -> bool:
    """Whether the similarities are the path of an ``.npz`` file."""
    return (
        isinstance(similarity, str | Path)
        and Path(similarity).suffix == ".npz"
        and Path(similarity).is_file()
    )


def _read(path: str | Path) -> Any:
    """Read what the command line reads: a sparse matrix, or neighbour lists."""
    graph = read_npz(Path(path))
    return from_knn(*graph) if isinstance(graph, tuple) else graph


def _stored(graph: StoredGraph, cluster: DaskExecutor | None) -> InputGraph:
    """Open a graph on disk; refuse one that the workers of a cluster could not read."""
    import zarr

    store = graph.store
    array = store.positions if isinstance(store, ZarrStore) else store.array
    if cluster is not None and isinstance(array.store, zarr.storage.MemoryStore):
        raise InvalidInputError(
            "The graph is in a zarr MemoryStore, in this process's memory, and a client was given. Write it "
            "with sparse_ap.graphs.write_graph to where all workers can open it, and give its path; or give "
            "it as a matrix, whose rows are sent to the workers."
        )
    loadable = graph.loadable and isinstance(store, ZarrStore)
    return InputGraph(
        store, stored=True, loadable=loadable, searched=graph.recall is not None,
        missing_at_most=lambda: graph.missing_at_most,
    )  # fmt: skip


def _is_dense(similarity: Any) -> bool:
    """Whether the similarities are a dense array in memory."""
    return isinstance(similarity, np.ndarray | list | tuple)


@contextmanager
def open_executor(n_threads: int, cluster: DaskExecutor | None = None) -> Iterator[Executor]:
    """Yield the executor for a number of threads, or the one on a cluster."""
    if cluster is not None:
        yield cluster
        return
    if n_threads == 1:
        yield SerialExecutor()
        return
    with ThreadsExecutor(n_threads) as threads:
        yield threads


def loaded(input_graph: InputGraph, plan: Plan, executor: Executor) -> BlockedGraph:
    """Return the graph cut for its executor, read into memory first if the plan says so."""
    store = input_graph.store
    if plan.load:
        assert isinstance(store, ZarrStore)
        store = store.in_memory()
    return blocked_graph(store, executor)


def blocked_graph(store: Store, executor: Executor) -> BlockedGraph:
    """Return a store cut into blocks for an executor."""
    cuts = store.divisions
    if cuts is None:
        cuts = cut_rows(store.indptr, executor.n_threads, store.chunk_edges)
    return BlockedGraph(store, cuts, executor)


def held_rows(graph: BlockedGraph) -> tuple[Int64Array, Int32Array] | None:
    """Return the row starts and columns of a graph that this process holds in memory; None of any other."""
    store = graph.store
    return (store.indptr, store.indices) if isinstance(store, MemoryStore) else None


def fetched_rows(graph: BlockedGraph) -> tuple[Int64Array, Int32Array]:
    """Return the row starts and columns of any graph, read into this process's memory if need be."""
    held = held_rows(graph)
    if held is None:
        held = graph.run(CollectPass(similarities=False), (), ())[1].csr(graph.dtype)[:2]
    return held


def in_memory(indptr: Int64Array, indices: Int32Array, data: FloatArray, executor: Executor) -> BlockedGraph:
    """Return the graph of CSR arrays in this process's memory."""
    return blocked_graph(MemoryStore(indptr, indices, data), executor)


def is_local(graph: BlockedGraph) -> bool:
    """Whether this process reads the edges itself."""
    return isinstance(graph.executor, SerialExecutor | ThreadsExecutor)


def local_problem(problem: Problem) -> Problem:
    """Return the problem with a copy of its graph in this process, if a cluster holds it and it is small.

    Used before steps that read the edges hundreds of times: on a cluster each reading takes some 40
    milliseconds, however few the edges are.
    """
    graph = problem.graph
    if is_local(graph) or not fits_locally(graph.n_points, problem.edges.n_edges):
        return problem
    collected = graph.run(CollectPass(), (), ())[1]
    copy = MemoryStore(*collected.csr(graph.dtype), graph.store.origin)
    return replace(problem, graph=blocked_graph(copy, SerialExecutor()))


def renumbered(graph: BlockedGraph, order: Int32Array) -> BlockedGraph:
    """Return a copy of a graph in memory in which point ``order[j]`` has the number j."""
    return blocked_graph(MemoryStore(*reordered(graph, order)), graph.executor)


def selected(graph: BlockedGraph, selection: Selection) -> BlockedGraph:
    """Return a graph without the edges that a selection drops, weighted: a copy, or changed as it is read."""
    store = graph.store
    if isinstance(store, MemoryStore):
        return blocked_graph(store.changed(selection), graph.executor)
    changed = ChangedStore(store, selection, selection.dtype_of(store.dtype))
    return blocked_graph(changed, graph.executor)


def _memory_store(similarity: Any, dense: NDArray[Any] | None) -> MemoryStore:
    if scipy.sparse.issparse(similarity):
        return MemoryStore.from_sparse(similarity)
    if dense is not None:
        return MemoryStore.from_dense(dense)
    raise InvalidInputError(
        f"The similarities are a {type(similarity).__name__}; a scipy sparse matrix or a numpy array of "
        "shape (n_points, n_points) is needed, or where a graph is on disk."
    )


def _array_of(similarity: Any) -> NDArray[Any]:
    try:
        # A masked entry is no edge.
        return np.asarray(filled(array_of(similarity), -np.inf))
    except ValueError as error:
        raise InvalidInputError(
            f"The similarities are a {type(similarity).__name__} that is no table ({error}); rows of equal "
            "length are needed, one row and one column a point."
        ) from error
