"""What a cluster cannot be given, and which clusters will not do: said before the first sweep."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array
import dask.dataframe
import disk
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner
from clusters import running, until
from conftest import knn_similarity
from dask.delayed import delayed
from distributed import Client, LocalCluster

import sparse_ap
from sparse_ap import (
    ClusterError,
    DamagedGraphError,
    InvalidInputError,
    MemoryLimitError,
    SparseAPError,
    affinity_propagation,
    cli_cluster,
)
from sparse_ap.cli import main
from sparse_ap.graphs import open_graph
from sparse_ap.runners import layout, membership, placement

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
        "The similarities are a DelayedLeaf; of dask's collections an array of shape (n_points, n_points) is "
        "needed, its chunks sparse CSR or dense, or a dataframe of edges.",
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
        affinity_propagation(given, preference=-1.5, client=client) for given in (edges, graph)
    )
    assert found.net_similarity == expected.net_similarity
    assert (found.labels == expected.labels).all()


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


HERE = (
    "scheme='classic' (an ndarray's unless you give scheme='compact'), reorder=True and a checkpoint "
    "of a run with renumbered points need the graph in this process's memory, and a client was "
    "given. Leave them out, or the client. (A graph that is read often can be written renumbered: "
    "sparse_ap.graphs.write_graph(..., order='rcm').)"
)


@pytest.mark.parametrize(
    ("similarity", "options", "words"),
    [
        (GRAPH, {"scheme": "classic"}, HERE),
        (GRAPH, {"reorder": True}, HERE),
        (-np.eye(3), {}, HERE),
        (
            GRAPH,
            {"n_jobs": 2},
            "n_jobs=2 was given with a client: the threads of a cluster are those of its workers "
            "(dask worker --nthreads). Leave it out.",
        ),
    ],
)
def test_options_that_are_not_for_clusters(
    similarity: Any, options: dict[str, Any], words: str, client: Client
) -> None:
    assert refusal(InvalidInputError, similarity, client=client, **options) == words


def test_workers_that_are_too_small(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = client.run(_memory_limit)
    # Python alone then takes more than that.
    monkeypatch.setattr(placement, "_MACHINERY", max(limit.values()))
    worker, memory = next(iter(limit.items()))
    assert refusal(MemoryLimitError, GRAPH, client=client) == (
        f"The worker {worker} has a memory limit of {memory / 1e9:.2f} GB and 1 threads; 100 points need "
        f"{(max(limit.values()) + 100 * 64) / 0.6 / 1e9:.2f} GB, of which four tenths are dask's "
        f"reserve. Give "
        "the workers more memory (--memory-limit), or fewer threads each (--nthreads)."
    )


def _memory_limit(dask_worker: Any) -> int:
    return int(dask_worker.memory_manager.memory_limit)


def test_a_graph_in_memory_that_does_not_fit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "kept_in_memory", lambda sizes, homes, room: [False] * len(sizes))
    assert refusal(MemoryLimitError, GRAPH, client=client) == (
        "The workers have too little memory for a graph of 500 edges that is sent to them. Write it "
        "to disk with sparse_ap.graphs.write_graph, where all workers can open it, and give its "
        "path: edges that do not fit are then read from there in each sweep. Or give the workers more memory."
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


def test_another_graph_under_the_same_name(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "graph.zarr"
    opened = open_graph(disk.write(path, GRAPH))
    disk.write(path, knn_similarity(100, 6, 2, seed=8))
    assert refusal(DamagedGraphError, opened, client=client).startswith(
        f"{path}/indptr is not there, or is not the same, on {platform.node()}."
    )


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


def test_a_scheduler_that_is_not_there(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_cluster, "_TIMEOUT", 1)
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
        monkeypatch.setattr(membership, "PATIENCE", 2.0)
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
