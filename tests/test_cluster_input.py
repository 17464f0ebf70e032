"""What a cluster cannot be given, and which clusters will not do: said before the first sweep."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clusters
import dask.array
import dask.bag
import dask.dataframe
import disk
import numpy as np
import pandas as pd
import psutil
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner
from clusters import RunningCluster, running, until
from dask.delayed import delayed
from distributed import Client, LocalCluster
from internals import change, current
from samples import knn_similarity

import sparse_ap
from sparse_ap import (
    ClusterError,
    DamagedGraphError,
    InvalidInputError,
    MemoryLimitError,
    SparseAPError,
    affinity_propagation,
)
from sparse_ap.cli.cluster import cluster
from sparse_ap.cli.commands import main
from sparse_ap.cli.language import as_typed
from sparse_ap.clustering.input import open_input
from sparse_ap.execution.dask import placement
from sparse_ap.execution.dask.workers import Workers
from sparse_ap.execution.plans import Resources, cluster_plan
from sparse_ap.graphs import open_graph
from sparse_ap.kernels.block import RowCut
from sparse_ap.storage.dask_blocks import DaskStore

GRAPH = knn_similarity(100, 5, 2, seed=8)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two workers in this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def workers(cluster: RunningCluster) -> RunningCluster:
    """Two worker processes."""
    return cluster


def refusal(kind: type[SparseAPError], similarity: Any, **options: Any) -> str:
    """The words of an error that comes before the first sweep."""
    swept: list[Any] = []
    with pytest.raises(kind) as error:
        affinity_propagation(similarity, callback=swept.append, preference=-0.01, **options)
    assert type(error.value) is kind
    assert swept == []
    return str(error.value)


def table(i: Any = (0, 1, 2), k: Any = (1, 2, 0), s: Any = (-1.0, -2.0, -3.0)) -> Any:
    return dask.dataframe.from_pandas(pd.DataFrame({"i": i, "k": k, "s": s}), npartitions=2)


def of_unknown_size() -> Any:
    array = dask.array.ones((4, 4), chunks=2)
    return array[array[:, 0] > 0]


def announced_wrongly() -> Any:
    return dask.array.from_delayed(delayed(np.zeros)((3, 4)), (4, 4), float)


NO_PLACE_FOR = (
    "; a square matrix is needed, with one row and one column a point. For a table of points, build their "
)
NO_PLACE_FOR += "k-nearest-neighbour graph first (sparse_ap.graphs.knn_graph)."
NO_NUMBERS = "real numbers are needed. Convert them, for example with .astype(numpy.float32)."
NO_COLLECTION = (
    "of dask's collections an array of shape (n_points, n_points), its chunks sparse CSR or dense, or a "
    "dataframe of edges is needed. Give what it computes, similarity.compute(); or make a Delayed matrix an "
    "array: dask.array.from_delayed(similarity, shape, dtype)."
)

COLLECTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "not square": (
        lambda: dask.array.zeros((3, 4)),
        f"The similarities have shape (3, 4){NO_PLACE_FOR}",
    ),
    "three dimensions": (
        lambda: dask.array.zeros((3, 3, 3)),
        f"The similarities have shape (3, 3, 3){NO_PLACE_FOR}",
    ),
    "unknown sizes": (
        of_unknown_size,
        "The dask array has chunks of unknown size (shape (nan, 4)). Call its compute_chunk_sizes() first.",
    ),
    "wrong sizes": (
        announced_wrongly,
        "A chunk of the dask array has shape (3, 4), and (4, 4) was announced. Build the array with "
        "the shapes of its chunks.",
    ),
    "complex": (
        lambda: dask.array.zeros((3, 3), dtype=complex),
        f"The similarities have dtype complex128; {NO_NUMBERS}",
    ),
    "text": (
        lambda: dask.array.from_array(np.array([["a", "b"], ["c", "d"]])),
        f"The similarities have dtype <U1; {NO_NUMBERS}",
    ),
    "+inf": (
        lambda: dask.array.from_array(np.array([[0.0, -1.0], [np.inf, 0.0]])),
        "Of the graph's entries 1 is +inf; the first wrong entry is (1, 0) = inf. Finite numbers are "
        "needed, or -inf for no edge. Give them a finite value.",
    ),
    "no collection of numbers": (
        lambda: delayed(GRAPH),
        f"The similarities are a dask Delayed; {NO_COLLECTION}",
    ),
    "a bag": (
        lambda: dask.bag.from_sequence([1, 2, 3]),
        f"The similarities are a dask Bag; {NO_COLLECTION}",
    ),
    "two columns": (
        lambda: table()[["i", "k"]],
        "The table of edges has the columns i, k; three are needed: the row, the column and the similarity.",
    ),
    "names": (
        lambda: table(i=["a", "b", "c"]),
        "The column 'i' of the table of edges has dtype string; points must be numbered from 0. "
        "Edges between named points: sparse-ap convert numbers them.",
    ),
    "ids that are no whole numbers": (
        lambda: table(k=[1.0, 2.0, np.nan]),
        "The column 'k' of the table of edges has dtype float64; points must be numbered from 0. "
        "Edges between named points: sparse-ap convert numbers them.",
    ),
    "missing ids": (
        lambda: table(k=pd.array([1, pd.NA, 2], dtype="Int64")),
        "In the column 'k' of the table of edges there are missing ids. Drop those rows.",
    ),
    "negative ids": (
        lambda: table(k=[1, -7, 2]),
        "The table of edges has the id -7; points are numbered from 0.",
    ),
    "too large ids": (
        lambda: table(i=[0, 1, 2**31]),
        "The graph has 2147483649 points; at most 2147483647 are supported, because column ids are "
        "kept in 32 bits.",
    ),
    "no edges": (
        lambda: table((), (), ()).astype({"i": int, "k": int}),
        "The table of edges is empty, so that nobody knows how many points there are.",
    ),
    "similarities that are text": (
        lambda: table(s=["a", "b", "c"]),
        "The column 's' of the table of edges has dtype string; real numbers are needed.",
    ),
    "similarities that are complex": (
        lambda: table(s=[1j, 2j, 3j]),
        f"The similarities have dtype complex128; {NO_NUMBERS}",
    ),
    "similarities that are NaN": (
        lambda: table(s=[-1.0, np.nan, -3.0]),
        "Of the graph's entries 1 is NaN; the first wrong entry is (1, 2) = nan. Finite numbers are "
        "needed, or -inf for no edge. Give missing='nan' to take them as absent edges, or remove "
        "them (an absent edge is -inf).",
    ),
    "similarities that are missing": (
        lambda: table(s=pd.array([-1, -2, pd.NA], dtype="Float32")),
        "Of the graph's entries 1 is NaN; the first wrong entry is (2, 0) = nan. Finite numbers are "
        "needed, or -inf for no edge. Give missing='nan' to take them as absent edges, or remove "
        "them (an absent edge is -inf).",
    ),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collections_that_are_no_graph(name: str, client: Client) -> None:
    make, words = COLLECTIONS[name]
    assert refusal(InvalidInputError, make(), client=client) == words


def test_of_duplicate_edges_the_largest_counts(client: Client) -> None:
    edges = table([0, 0, 0, 1, 1, 2], [1, 1, 2, 1, 0, 0], [-3.0, -1.0, -1.0, 9.0, -1.0, -2.0])
    graph = scipy.sparse.csr_array(np.array([[0, -1.0, -1.0], [-1.0, 0, 0], [-2.0, 0, 0]]))
    found, expected = (
        affinity_propagation(given, preference=-1.5, client=client, refine="medoid")
        for given in (edges, graph)
    )
    assert found.net_similarity == expected.net_similarity
    assert (found.labels == expected.labels).all()


def scored(graph: Any, **options: Any) -> tuple[Any, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = affinity_propagation(graph, scheme="compact", refine="medoid", max_iter=8, **options)
    return found.labels.tolist(), found.exemplars.tolist(), found.net_similarity, found.outcome


@pytest.mark.parametrize("heavy", [[7], [200, 201], [0, 399]])
def test_rows_of_a_table_with_most_of_the_edges(heavy: list[int], workers: RunningCluster) -> None:
    """One has more than a block is to have; two are next to each other; the first and the last."""
    n = 400
    rows = [np.repeat(row, n - 1) for row in heavy] + [np.arange(0, n, 40)]
    columns = [np.delete(np.arange(n), row) for row in heavy] + [(np.arange(0, n, 40) + 3) % n]
    row, column = np.concatenate(rows), np.concatenate(columns)
    similarity = -np.random.default_rng(0).random(len(row))
    order = np.random.default_rng(1).permutation(len(row))
    frame = pd.DataFrame({"row": row, "column": column, "similarity": similarity}).iloc[order]
    edges = dask.dataframe.from_pandas(frame, npartitions=5, sort=False)
    graph = scipy.sparse.csr_array((similarity, (row, column)), shape=(n, n))
    wanted = scored(graph, preference=-0.7)
    assert scored(edges, preference=-0.7, client=workers.client) == wanted


def no_points(folder: Path) -> Iterator[Any]:
    graph = scipy.sparse.csr_array((0, 0), dtype=np.float32)
    yield from (graph, dask.array.zeros((0, 0)), disk.write(folder / "none.zarr", graph))


def one_point(folder: Path) -> Iterator[Any]:
    graph = scipy.sparse.csr_array((1, 1), dtype=np.float32)
    yield from (graph, dask.array.zeros((1, 1)), disk.write(folder / "one.zarr", graph))
    yield dask.dataframe.from_pandas(pd.DataFrame({"i": [0], "k": [0], "s": [-1.0]}), npartitions=1)
    array = zarr.create_array(str(folder / "dense.zarr"), shape=(1, 1), chunks=(1, 1), dtype="f4")
    array[:] = 1
    yield array


@pytest.mark.parametrize("make", [no_points, one_point])
def test_graphs_of_hardly_any_points(
    make: Callable[[Path], Iterator[Any]], workers: RunningCluster, tmp_path: Path
) -> None:
    graphs = list(make(tmp_path))
    wanted = scored(graphs[0], preference=-1.0)
    for graph in graphs:
        assert scored(graph, preference=-1.0, client=workers.client) == wanted


def test_a_table_is_computed_once(workers: RunningCluster, tmp_path: Path) -> None:
    folder = str(tmp_path)

    def noted(part: Any) -> Any:
        import tempfile

        tempfile.mkstemp(dir=folder)
        return part

    edges = edges_of_graph().repartition(npartitions=4)
    edges = edges.map_partitions(noted, meta=edges._meta)
    assert scored(edges, preference=-0.01, client=workers.client) == scored(GRAPH, preference=-0.01)
    assert len(list(tmp_path.iterdir())) == 4


def test_tasks_have_names(workers: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the dashboard, and not those of the functions that are called."""
    # Several parts a worker, whose shares are added there.
    change(monkeypatch, least_edges=100, most_edges=100)
    untidy = scipy.sparse.csr_array(GRAPH + scipy.sparse.eye_array(100, dtype=np.float32))
    for graph in (edges_of_graph(), chunks_of_graph(), untidy, disk.write(tmp_path / "g.zarr", untidy)):
        scored(graph, preference=-0.01, client=workers.client)
    names = workers.client.run_on_scheduler(clusters.prefixes_of_tasks)
    assert {
        *("open-part", "changed-part", "join-blocks", "chunk-to-block", "edges-to-block", "row-lengths"),
        *("last-point", "count-edges", "add-counts", "part", "fetch-rows", "add-columns", "compact-sweep"),
    } <= names
    assert any("check-edges" in name for name in names)
    functions = {
        "tidied",
        "held",
        "block_of_chunk",
        "block_of_edges",
        "end_of",
        "counts_of",
        "sum",
        "rows_of",
    }
    assert not {name.removeprefix("_") for name in names} & functions


@pytest.fixture
def shuffle_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What dask logs of shuffles, wherever it was set to go."""
    logger = logging.getLogger("distributed.shuffle._scheduler_plugin")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING, logger.name):
        yield caplog
    logger.removeHandler(caplog.handler)


def test_our_shuffles_are_not_told_of(client: Client, shuffle_log: pytest.LogCaptureFixture) -> None:
    """A scheduler in this process writes to the user's terminal; what others shuffle is still told."""
    scored(edges_of_graph(), preference=-0.01, client=client)
    until(lambda: not client.run_on_scheduler(clusters.ids_of_shuffles), "the end of the shuffle")
    assert "Shuffle" not in shuffle_log.text
    other = table().set_index("i", divisions=[0, 1, 2], shuffle_method="p2p")
    client.compute(other).result(30)
    assert "initialized" in shuffle_log.text


def test_parts_of_many_blocks_are_found_quickly() -> None:
    """Not by comparing each of them with all."""
    compared: list[int] = []

    class Noted(RowCut):
        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return tuple.__eq__(self, other)

        def __lt__(self, other: Any) -> bool:
            compared.append(1)
            return tuple.__lt__(self, other)

        __hash__ = tuple.__hash__

    n = 3000
    divisions = tuple(Noted(row, row + 1) for row in range(n))
    indptr, dtype = np.zeros(n + 1, np.int64), np.dtype("f4")
    nobody: Any = None
    store = DaskStore(nobody, nobody, tuple(range(n)), divisions, indptr, dtype)  # type: ignore[arg-type]
    for start in range(0, n, 100):
        store.part(divisions[start : start + 100], hold=True)
    assert len(compared) < 30 * 20


def test_what_a_task_of_the_user_raises_comes_through(client: Client) -> None:
    array = dask.array.from_delayed(delayed(_failing)(), (3, 3), float)
    with pytest.raises(ZeroDivisionError):
        affinity_propagation(array, client=client)


def _failing() -> Any:
    raise ZeroDivisionError


def test_a_collection_needs_a_client() -> None:
    assert refusal(InvalidInputError, dask.array.zeros((3, 3))) == (
        "The similarities are a dask collection, and there is no client of a dask cluster. Make one "
        "(client = distributed.Client()) and give client=client; or give similarity.compute()."
    )


def test_a_client_is_needed_that_is_open() -> None:
    something = object()
    assert refusal(InvalidInputError, GRAPH, client=something) == (
        f"client={something!r}; a distributed.Client is needed, and not an asynchronous one."
    )
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as local,
        Client(local) as client,
    ):
        pass
    closed = "The client has been closed. Make a new one: client = distributed.Client(...)."
    assert refusal(InvalidInputError, GRAPH, client=client) == closed
    assert refusal(InvalidInputError, dask.array.zeros((3, 3)), client=client) == closed


def test_an_asynchronous_client_will_not_do(client: Client) -> None:
    async def give() -> None:
        async with Client(client.scheduler.address, asynchronous=True, set_as_default=False) as waiting:
            assert refusal(InvalidInputError, GRAPH, client=waiting) == (
                f"client={waiting!r}; a distributed.Client is needed, and not an asynchronous one."
            )

    asyncio.run(give())


IN_THIS_PROCESS = (
    "needs the graph in this process's memory, and a client (--scheduler, --dask-workers) was given."
)
CLASSIC = (
    f"scheme='classic' (--scheme; the default for an ndarray) {IN_THIS_PROCESS} Give scheme='compact', "
    "or leave out the client."
)
N_JOBS = (
    "n_jobs=2 (--n-jobs) was given with a client (--scheduler, --dask-workers): the threads of a cluster are "
    "those of its workers (dask worker --nthreads). Leave n_jobs out."
)


@pytest.mark.parametrize(
    ("similarity", "options", "words"),
    [
        (GRAPH, {"scheme": "classic"}, CLASSIC),
        (-np.eye(3), {}, CLASSIC),
        (
            GRAPH,
            {"reorder": True},
            f"reorder=True {IN_THIS_PROCESS} Leave out one of the two. (A graph that is read often can be "
            "written renumbered: sparse_ap.graphs.write_graph(..., order='rcm').)",
        ),
        (GRAPH, {"n_jobs": 2}, N_JOBS),
    ],
)
def test_options_that_are_not_for_clusters(
    similarity: Any, options: dict[str, Any], words: str, client: Client
) -> None:
    assert refusal(InvalidInputError, similarity, client=client, **options) == words


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_run_with_renumbered_points_cannot_go_on_there(client: Client, tmp_path: Path) -> None:
    kept = {"checkpoint": tmp_path / "kept", "checkpoint_every": 2, "refine": "medoid"}
    affinity_propagation(GRAPH, preference=-0.01, reorder=True, max_iter=3, **kept)
    assert refusal(InvalidInputError, GRAPH, client=client, resume=True, **kept) == (
        f"The run to resume (--resume) was begun with its points renumbered, which {IN_THIS_PROCESS} Leave "
        "out the client; or begin a new run, with another folder for its checkpoints (--checkpoint)."
    )


def test_workers_that_are_too_small(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = client.run(clusters.memory_limit)
    # Python alone then takes more than that.
    change(monkeypatch, machinery=max(limit.values()))
    worker, memory = next(iter(limit.items()))
    assert refusal(MemoryLimitError, GRAPH, client=client) == (
        f"The worker {worker} has a memory limit of {memory / 1e9:.2f} GB and 1 threads; 100 points need "
        f"{(max(limit.values()) + 100 * 81) / 0.6 / 1e9:.2f} GB, of which four tenths are dask's "
        f"reserve. Give "
        "the workers more memory (--memory-limit), or fewer threads each (--nthreads)."
    )


def test_a_graph_in_memory_that_does_not_fit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, kept_in_memory=lambda sizes, owners, room: [False] * len(sizes))
    assert refusal(MemoryLimitError, GRAPH, client=client) == (
        "The workers have too little memory for a graph of 500 edges that is sent to them. Write it "
        "to disk with sparse_ap.graphs.write_graph, where all workers can open it, and give its "
        "path: edges that do not fit are then read from there in each sweep. Or give the workers more memory."
    )


TOO_LARGE_A_COLLECTION = (
    "The workers have too little memory for a graph of 500 edges that they compute, and hold twice: as it "
    "was computed, and as parts of equal size, tidied. Compute it once, to a zarr store that all workers can "
    "open (a table: sparse-ap convert edges.parquet -o graph.zarr), and give its path: edges that do not fit "
    "are then read from there in each sweep. Or give the workers more memory."
)


def chunks_of_graph() -> Any:
    return dask.array.from_array(np.where(GRAPH.toarray() == 0, np.nan, GRAPH.toarray()), chunks=(50, 100))


def edges_of_graph() -> Any:
    coo = GRAPH.tocoo()
    return table(coo.row, coo.col, coo.data)


def leaving(n_bytes: float, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave so much of each worker's memory to edges."""
    members = Workers(client).members()
    room = min(placement.require_room(members, 100).values())
    change(monkeypatch, machinery=current("machinery") + room - int(n_bytes))


@pytest.mark.parametrize("make", [chunks_of_graph, edges_of_graph])
def test_a_collection_must_fit_twice(
    make: Callable[[], Any], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = 8 * (250 + 50)
    leaving(1.6 * once, client, monkeypatch)
    assert refusal(MemoryLimitError, make(), client=client) == TOO_LARGE_A_COLLECTION
    leaving(2.4 * once, client, monkeypatch)
    assert affinity_propagation(make(), preference=-0.01, client=client, refine="medoid").converged


def test_this_process_is_not_asked_for_blocks_that_workers_read(tmp_path: Path) -> None:
    """Blocks of 2,000 rows of 20,000 similarities each: 320 MB that one thread would have."""
    path = str(tmp_path / "dense.zarr")
    array = zarr.create_array(path, shape=(20_000, 20_000), chunks=(2000, 2000), dtype="f4")
    input_graph = open_input(open_graph(array, missing_chunks="zero"))
    limit = f"{psutil.Process().memory_info().rss + 200_000_000}B"
    resources = Resources(memory_limit=limit)
    plan = cluster_plan(input_graph, resources, reorder="auto", scheme="compact", refine="medoid")
    assert plan.on_cluster


def test_vectors_that_do_not_fit_into_this_process(client: Client) -> None:
    words = refusal(MemoryLimitError, GRAPH, client=client, memory_limit="1MB")
    assert re.fullmatch(
        r"100 points and 500 edges need \d\.\d\d GB at least: 0\.16 GB, and \d\.\d\d GB that the process "
        r"holds already\. The limit is 0\.00 GB\. That is for this process alone, which keeps the state of "
        r"all points; the edges are with the workers\. Raise memory_limit \(--memory-limit\) to that, run it "
        r"on a machine with more memory, or drop points\. affinity_propagation\(\.\.\., refine='medoid'\) "
        r"takes less than the search\.",
        words,
    )


@pytest.mark.parametrize("dense", [True, False])
def test_zarr_arrays_that_only_this_process_has(dense: bool, client: Client) -> None:
    given = zarr.storage.MemoryStore()
    if dense:
        array = zarr.create_array(given, shape=(100, 100), chunks=(50, 50), dtype="f4")
        array[:] = GRAPH.toarray() - 1
    else:
        disk.write(given, GRAPH)  # type: ignore[arg-type]
    for similarity in (zarr.open(given, mode="r"), open_graph(zarr.open(given, mode="r"))):
        assert refusal(InvalidInputError, similarity, client=client) == (
            "The graph is in a zarr MemoryStore, in this process's memory, and a client was given. Write it "
            "with sparse_ap.graphs.write_graph to where all workers can open it, and give its path; or give "
            "it as a matrix, whose rows are sent to the workers."
        )


@pytest.mark.parametrize("dense", [True, False])
def test_a_graph_that_only_this_process_sees(dense: bool, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "graph.zarr"
    if dense:
        array = zarr.create_array(str(path), shape=(100, 100), chunks=(50, 50), dtype="f4")
        array[:] = GRAPH.toarray()
        name = str(path)
    else:
        disk.write(path, GRAPH)
        name = f"{path}/indptr"
    opened = open_graph(path)
    path.rename(tmp_path / "elsewhere.zarr")
    assert refusal(DamagedGraphError, opened, client=client) == (
        f"{name} is not there, or is not the same, on {platform.node()}. All workers must open the "
        f"same graph: "
        "put it on a file system or in an object store that they share, under the same name."
    )


def dense_at(path: Path, values: Any) -> Path:
    array = zarr.create_array(str(path), shape=(100, 100), chunks=(30, 30), dtype="f4", overwrite=True)
    array[:] = values
    return path


def other_edges() -> Any:
    """As many from each point as in GRAPH."""
    graph = GRAPH.copy()
    graph.indices[-5:] = np.setdiff1d(np.arange(99), GRAPH.indices[-5:])[:5]
    return graph


OTHERS: dict[str, tuple[Callable[[Path, Any], Path], Any, Any, str]] = {
    "other degrees": (disk.write, GRAPH, knn_similarity(100, 6, 2, seed=8), "/indptr"),
    "other edges": (disk.write, GRAPH, other_edges(), "/indices"),
    "other similarities": (disk.write, GRAPH, 1.5 * GRAPH, "/data"),
    "other similarities, dense": (dense_at, GRAPH.toarray(), 1.5 * GRAPH.toarray(), ""),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_graph_under_the_same_name(name: str, workers: RunningCluster, tmp_path: Path) -> None:
    write, graph, other, array = OTHERS[name]
    path = tmp_path / "graph.zarr"
    opened = open_graph(write(path, graph))
    shutil.rmtree(path)
    write(path, other)
    assert refusal(DamagedGraphError, opened, client=workers.client).startswith(
        f"{path}{array} is not there, or is not the same, on {platform.node()}."
    )


@pytest.mark.parametrize("name", OTHERS)
def test_another_graph_on_another_machine(
    name: str, workers: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a name that means another folder to each process."""
    write, graph, other, array = OTHERS[name]
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, what in ((here, graph), (there, other)):
        folder.mkdir()
        write(folder / "graph.zarr", what)
    monkeypatch.chdir(here)
    workers.client.run(os.chdir, str(there))
    path = "/proc/self/cwd/graph.zarr"
    assert refusal(DamagedGraphError, path, client=workers.client).startswith(
        f"{path}{array} is not there, or is not the same, on {platform.node()}."
    )
    workers.client.run(os.chdir, str(here))
    assert affinity_propagation(path, preference=-0.01, client=workers.client, refine="medoid").n_iter


def invoke(*arguments: Any) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["cluster", *map(str, arguments)])
    return result.exit_code, result.stderr


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return disk.write(tmp_path / "graph.zarr", GRAPH)


def test_commands_that_ask_for_no_cluster(stored: Path) -> None:
    assert invoke(stored, "--dask-workers", 0) == (
        2,
        "Error: --dask-workers=0; at least 1 is needed.\n",
    )
    assert invoke(stored, "--dask-workers", 2, "--scheduler", "tcp://127.0.0.1:1") == (
        2,
        "Error: --scheduler and --dask-workers were both given: the first is the address of a "
        "cluster that is there, the second starts one on this machine.\n",
    )


def test_commands_with_options_that_are_not_for_clusters(stored: Path, workers: RunningCluster) -> None:
    at = ("--scheduler", workers.address)
    assert invoke(stored, *at, "--n-jobs", 2) == (2, f"Error: {as_typed(N_JOBS, cluster)}\n")
    assert invoke(stored, *at, "--scheme", "classic") == (2, f"Error: {as_typed(CLASSIC, cluster)}\n")


def test_a_scheduler_that_is_not_there(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, timeout=1)
    code, words = invoke(stored, "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2
    assert words == (
        "Error: No dask scheduler answers at tcp://127.0.0.1:1 within 1 seconds (Timed out trying to "
        "connect to tcp://127.0.0.1:1 after 1 s). Start one with dask scheduler, which prints its "
        "address, or start workers here with --dask-workers.\n"
    )


def another_version(folder: Path) -> Path:
    """A folder that makes sparse-ap another version in whatever process has it on its path."""
    info = folder / "sparse_ap-0.0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sparse-ap\nVersion: 0.0.1\n")
    return folder


def no_package(folder: Path) -> Path:
    """A folder with a sparse_ap that cannot be imported."""
    (folder / "sparse_ap").mkdir(parents=True)
    (folder / "sparse_ap" / "__init__.py").write_text("raise ImportError('a part of it is missing')\n")
    return folder


def test_clusters_whose_software_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of another version, workers without the package, no workers."""
    # Not what is in the folder that this process was started in.
    with running(0, PYTHONSAFEPATH="1") as cluster:
        cluster.environment["PYTHONPATH"] = str(another_version(tmp_path / "old"))
        old = cluster.start_worker()
        assert refusal(ClusterError, GRAPH, client=cluster.client) == (
            f"On the worker {old.address()} the software differs: sparse-ap 0.0.1 there and "
            f"{sparse_ap.__version__} here. The result is the same to the bit only where all run the same "
            "versions: use one environment, or one container image."
        )
        old.kill()
        until(lambda: not cluster.client.nthreads(), "the end of a worker")
        cluster.environment["PYTHONPATH"] = str(no_package(tmp_path / "none"))
        without = cluster.start_worker()
        assert refusal(ClusterError, GRAPH, client=cluster.client) == (
            f"On the worker {without.address()} sparse_ap cannot be used (Exception: ImportError('a part of "
            "it is missing')). Install the same version there as here, in the environment that runs the "
            "scheduler and the workers."
        )
        without.kill()
        until(lambda: not cluster.client.nthreads(), "the end of a worker")
        change(monkeypatch, patience=2.0)
        assert refusal(ClusterError, GRAPH, client=cluster.client) == (
            f"The scheduler {cluster.address} has had no workers that accept work for 2 seconds. Start "
            f"some (dask worker {cluster.address}), or see in their logs why they ended or are paused. "
            "With checkpoint=... (--checkpoint) a run can be resumed on any other cluster; "
            "without it, it must begin anew."
        )


def test_a_scheduler_without_the_package(tmp_path: Path) -> None:
    with running(0, PYTHONSAFEPATH="1", PYTHONPATH=str(no_package(tmp_path))) as cluster:
        assert refusal(ClusterError, GRAPH, client=cluster.client) == (
            "On the scheduler sparse_ap cannot be used (ImportError: a part of it is missing). Install the "
            "same version there as here, in the environment that runs the scheduler and the workers."
        )
