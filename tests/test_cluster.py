"""On a cluster: the same bits as in memory, whatever the graph is given as and whoever reads it."""

from __future__ import annotations

import contextlib
import gc
import itertools
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata
import clusters
import dask.array
import dask.dataframe
import disk
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner
from clusters import RunningCluster, until
from dask.delayed import delayed
from distributed import Client, LocalCluster
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from internals import change, current
from same_bits import asked_bits, bits
from samples import knn_similarity
from strategies import compressed, entries
from zarr.codecs import BloscCodec

from sparse_ap import (
    AffinityPropagation,
    InvalidInputError,
    affinity_propagation,
    cover,
)
from sparse_ap.cli.commands import main
from sparse_ap.execution.dask import placement
from sparse_ap.execution.dask.executor import DaskExecutor
from sparse_ap.execution.dask.placement import Placement
from sparse_ap.execution.dask.transfer import Transfer
from sparse_ap.execution.dask.workers import Workers
from sparse_ap.graphs import open_graph, radius_graph, write_graph
from sparse_ap.kernels.block import RowCut
from sparse_ap.storage.memory import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 600
GRAPH = knn_similarity(N, 9, 2, seed=4)
# Few sweeps: what differs would do so from the first one on.
OPTIONS: dict[str, Any] = {"preference": -0.01, "max_iter": 4, "refine": "medoid"}


def expected(graph: Any, **options: Any) -> tuple[Any, ...]:
    return bits(affinity_propagation(graph, **{**OPTIONS, "scheme": "compact", **options}))


@pytest.fixture
def client(cluster: RunningCluster) -> Client:
    return cluster.client


@pytest.fixture(scope="module")
def within() -> Iterator[Client]:
    """Two workers in this process, of two threads each."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
        ) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


def in_chunks(graph: Any, bounds: list[int]) -> dask.array.Array:
    """A dask array of CSR matrices."""
    n = graph.shape[0]
    meta = scipy.sparse.csr_array((0, 0), dtype=graph.dtype)
    return dask.array.concatenate(
        [
            dask.array.from_delayed(delayed(graph[a:b]), (b - a, n), meta=meta)
            for a, b in itertools.pairwise(bounds)
        ]
    )


def in_tiles(graph: Any, bounds: list[int]) -> dask.array.Array:
    """A dask array of CSR matrices, cut along the columns too."""
    meta = scipy.sparse.csr_array((0, 0), dtype=graph.dtype)
    spans = list(itertools.pairwise(bounds))
    return dask.array.block(
        [
            [
                dask.array.from_delayed(delayed(graph[a:b][:, c:d]), (b - a, d - c), meta=meta)
                for c, d in spans
            ]
            for a, b in spans
        ]
    )


def as_table(graph: Any, n_parts: int = 5, **types: Any) -> dask.dataframe.DataFrame:
    """A dask dataframe of the edges in any order."""
    coo = graph.tocoo()
    order = np.random.default_rng(0).permutation(coo.nnz)
    table = pd.DataFrame({"from": coo.row[order], "to": coo.col[order], "s": coo.data[order], "note": "x"})
    return dask.dataframe.from_pandas(table.astype(types), npartitions=n_parts)


def dense_on_disk(folder: Path) -> zarr.Array[Any]:
    values = GRAPH.toarray()
    values[values == 0] = np.nan
    array = zarr.create_array(str(folder), shape=(N, N), chunks=(70, 250), dtype="f4")
    array[:] = values
    return array


def in_anndata(folder: Path) -> Path:
    data = anndata.AnnData(
        np.zeros((N, 1), np.float32), obsp={"similarities": scipy.sparse.csr_matrix(GRAPH)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write_zarr(folder)
    return folder / "obsp" / "similarities"


def lazily(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.experimental.read_elem_lazy(zarr.open_group(in_anndata(folder), mode="r"))


INPUTS: dict[str, Callable[[Path], Any]] = {
    "csr": lambda folder: GRAPH,
    "zarr 3": lambda folder: disk.write(folder, GRAPH, chunks=1000),
    "zarr 2": lambda folder: str(disk.write(folder, GRAPH, zarr_format=2, chunks=700)),
    "shards": lambda folder: disk.write(folder, GRAPH, chunks=500, shards=2000),
    "compressed": lambda folder: disk.write(folder, GRAPH, compressors=BloscCodec(cname="zstd"), chunks=800),
    "zarr group": lambda folder: zarr.open_group(disk.write(folder, GRAPH), mode="r"),
    "stored graph": lambda folder: open_graph(disk.write(folder, GRAPH)),
    "dense zarr": dense_on_disk,
    "anndata": in_anndata,
    "anndata, lazily": lazily,
    "uneven chunks": lambda folder: in_chunks(GRAPH, [0, 1, 100, 100, 590, N]),
    "tiles": lambda folder: in_tiles(GRAPH, [0, 150, 200, N]),
    "table": lambda folder: as_table(GRAPH),
    "table of other types": lambda folder: as_table(
        GRAPH, 2, **{"from": "uint64", "to": "Int16", "s": "Float32"}
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_gives_the_same_bits(name: str, client: Client, tmp_path: Path) -> None:
    result = affinity_propagation(INPUTS[name](tmp_path / "graph.zarr"), client=client, **OPTIONS)
    assert bits(result) == expected(GRAPH)


@pytest.mark.parametrize("name", ["csr", "zarr 3"])
def test_shares_and_rankings_are_the_same_bits(name: str, client: Client, tmp_path: Path) -> None:
    found = affinity_propagation(GRAPH, **OPTIONS)
    graph = INPUTS[name](tmp_path / "graph")
    assert asked_bits(found, graph, client=client) == asked_bits(found, GRAPH)


def test_collections_are_computed_by_the_active_client(cluster: RunningCluster, tmp_path: Path) -> None:
    """With one dask chooses other algorithms."""
    with Client(cluster.address):
        for name in ("tiles", "table"):
            result = affinity_propagation(INPUTS[name](tmp_path), **OPTIONS)
            assert bits(result) == expected(GRAPH)


def test_a_dense_dask_array_is_a_graph_of_all_pairs(client: Client) -> None:
    points = np.random.default_rng(2).random((90, 2))
    values = -((points[:, None] - points) ** 2).sum(axis=2)
    everything = scipy.sparse.csr_array(np.where(np.eye(90, dtype=bool), 0, values))
    options = {**OPTIONS, "preference": -0.3}
    for chunks in ((40, 90), (30, 33)):
        given = dask.array.from_array(values, chunks=chunks)
        assert bits(affinity_propagation(given, client=client, **options)) == expected(everything, **options)


def test_gaps_of_a_dense_dask_array_are_no_edges(client: Client) -> None:
    values = GRAPH.toarray()[:200, :200]
    values[values == 0] = np.where(np.arange((values == 0).sum()) % 2, np.nan, -np.inf)
    given = dask.array.from_array(values, chunks=(64, 200))
    graph = scipy.sparse.csr_array(GRAPH[:200, :200])
    assert bits(affinity_propagation(given, client=client, **OPTIONS)) == expected(graph)


@pytest.mark.parametrize(
    ("dtype", "preference"),
    [
        (np.float32, {"preference": None}),
        (np.float64, {"preference": None, "preference_quantile": 0.1}),
        (np.float64, {"preference": -np.linspace(0.005, 0.02, N)}),
    ],
)
def test_every_preference_and_type(
    dtype: Any, preference: dict[str, Any], client: Client, tmp_path: Path
) -> None:
    graph = GRAPH.astype(dtype)
    options = {**OPTIONS, **preference}
    wanted = expected(graph, **preference)
    path = disk.write(tmp_path / "graph.zarr", graph, chunks=1024)
    assert bits(affinity_propagation(path, client=client, **options)) == wanted
    assert bits(affinity_propagation(in_chunks(graph, [0, 300, N]), client=client, **options)) == wanted


def test_a_whole_run_to_its_end(client: Client, tmp_path: Path) -> None:
    graph = knn_similarity(1500, 10, 2, seed=7)
    path = tmp_path / "graph.zarr"
    # Renumbered on disk; the labels are still in the user's order.
    write_graph(graph, path, order="rcm")
    result = affinity_propagation(path, preference=-0.003, refine="medoid", client=client)
    assert result.converged
    assert bits(result) == bits(affinity_propagation(graph, preference=-0.003, refine="medoid"))


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """No graph is so small that it is brought to this process."""
    change(monkeypatch, local_edges=0)


@pytest.mark.usefixtures("far")
def test_the_local_search_takes_the_same_way(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = knn_similarity(150, 6, 2, seed=3)
    # Some twenty readings of the edges.
    change(monkeypatch, edges_searched=16 * graph.nnz)
    options = {"preference": -0.02, "max_iter": 10}
    path = disk.write(tmp_path / "graph.zarr", graph, chunks=200)
    result = affinity_propagation(path, client=client, refine="search", **options)
    assert bits(result) == bits(affinity_propagation(graph, refine="search", **options))
    without = affinity_propagation(graph, refine="medoid", **options)
    assert result.net_similarity > without.net_similarity


@pytest.mark.usefixtures("far")
def test_the_same_bound_is_proven(client: Client, tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH, chunks=1000)
    found = affinity_propagation(path, client=client, certify=True, **OPTIONS)
    assert (
        found.net_similarity_bound
        == affinity_propagation(GRAPH, certify=True, **OPTIONS).net_similarity_bound
    )
    assert found.net_similarity_bound is not None


# That inputs of any kind are read alike is tested above.
OF_EACH_KIND = {"csr", "zarr 3", "tiles"}


@pytest.mark.parametrize(
    "name",
    [name if name in OF_EACH_KIND else pytest.param(name, marks=pytest.mark.slow) for name in INPUTS],
)
def test_a_small_graph_is_brought_here_for_what_reads_it_often(
    name: str, client: Client, tmp_path: Path, passes: Passes
) -> None:
    """With its duplicates, tiles and missing edges all settled."""
    graph = INPUTS[name](tmp_path / "graph.zarr")
    options = {**OPTIONS, "refine": "search", "certify": True}
    found = affinity_propagation(graph, client=client, **options)
    assert bits(found) == bits(affinity_propagation(GRAPH, scheme="compact", **options))
    # Before the sweeps, the sweeps, and to bring it here, for the search and the bound.
    assert [name for _, name in passes].count("CollectPass") == 1
    assert len(passes) < 20
    found = affinity_propagation(graph, client=client, n_clusters=150)
    assert bits(found) == bits(affinity_propagation(GRAPH, n_clusters=150))
    assert len(passes) < 30


@pytest.mark.usefixtures("far")
def test_the_local_search_on_a_dense_graph_takes_the_same_way(client: Client, tmp_path: Path) -> None:
    points = np.random.default_rng(2).normal(size=(100, 3))
    graph = scipy.sparse.csr_array(-np.square(points[:, None] - points[None]).sum(axis=2))
    path = disk.write(tmp_path / "graph.zarr", graph, chunks=2000)
    options = {"preference": -40.0, "max_iter": 10, "refine": "search"}
    result = affinity_propagation(path, client=client, **options)
    assert bits(result) == bits(affinity_propagation(graph, **options))


def test_covers_and_their_bounds(client: Client, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    graph = radius_graph(rng.random((300, 2)), -0.05, similarity="-d")
    path = disk.write(tmp_path / "graph.zarr", graph, chunks=1000)
    preference = np.where(rng.random(300) < 0.02, np.inf, 0)
    options: dict[str, Any] = {"min_similarity": -0.02, "weights": 1 + rng.random(300), "certify": True}
    here = cover(graph, preference=preference, **options)
    found = cover(path, preference=preference, client=client, **options)
    assert bits(found) == bits(here)
    assert found.n_clusters_bound == here.n_clusters_bound is not None


def test_one_process_of_two_threads(tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH, chunks=1000)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as local,
        Client(local, set_as_default=False) as client,
    ):
        for given in (GRAPH, path):
            assert bits(affinity_propagation(given, client=client, **OPTIONS)) == expected(GRAPH)


@pytest.mark.parametrize("name", ["csr", "zarr 3", "uneven chunks"])
def test_workers_in_this_process(name: str, within: Client, tmp_path: Path) -> None:
    given = INPUTS[name](tmp_path / "graph.zarr")
    before = GRAPH.copy()
    assert bits(affinity_propagation(given, client=within, **OPTIONS)) == expected(GRAPH)
    assert (before.data == GRAPH.data).all()
    assert (before.indices == GRAPH.indices).all()


@pytest.mark.parametrize(
    ("least", "most"),
    [(1, 2000), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((40, 300), (700, 1500)))],
)
def test_the_size_of_blocks_and_tasks_does_not_matter(
    least: int, most: int, within: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = expected(GRAPH, max_iter=2)
    change(monkeypatch, least_edges=least)
    change(monkeypatch, streamed_edges=least)
    change(monkeypatch, most_edges=most)
    for graph in (GRAPH, disk.write(tmp_path / "graph.zarr", GRAPH, chunks=max(40, least // 2))):
        result = affinity_propagation(graph, client=within, **{**OPTIONS, "max_iter": 2})
        assert bits(result) == wanted


@examples(20)
@given(
    entries(["f4", "f8", "i4"], max_points=20),
    st.sampled_from(["csr", "disk", "chunks", "table"]),
    st.booleans(),
)
def test_untidy_graphs(
    within: Client, tmp_path_factory: pytest.TempPathFactory, e: Any, how: str, missing: bool
) -> None:
    """Duplicates, the diagonal, -inf, NaN, ties, rows in no order or empty: the same bits, or words."""
    graph = compressed(e, "csr")
    table = pd.DataFrame({"from": e.rows, "to": e.columns, "s": e.values})
    makers: dict[str, Callable[[], Any]] = {
        "csr": lambda: graph,
        "disk": lambda: disk.write(tmp_path_factory.mktemp("untidy") / "g.zarr", graph, chunks=7),
        "chunks": lambda: in_chunks(graph, sorted({0, e.n // 3, e.n // 2, e.n})) if e.n else graph,
        "table": lambda: dask.dataframe.from_pandas(table, npartitions=3),
    }
    if how == "table":
        # As many points as the largest id says.
        n = int(max(e.rows.max(initial=-1), e.columns.max(initial=-1))) + 1
        graph = scipy.sparse.csr_array(graph)
        graph = compressed(type(e)(n, e.rows, e.columns, e.values), "csr") if n else None
    if graph is None or (how == "disk" and has_chunk_of_nan(graph.data)):
        return
    options = {
        "preference": -1.5,
        "max_iter": 2,
        "scheme": "compact",
        "refine": "medoid",
        "missing": "nan" if missing else None,
    }
    wanted = outcome(graph, options)
    assert outcome(makers[how](), {**options, "client": within}) == wanted


def has_chunk_of_nan(values: Any) -> bool:
    """Whether there is a chunk that is taken as missing, since zarr fills missing ones with NaN."""
    return any(np.isnan(values[i : i + 7]).all() for i in range(0, len(values), 7))


def outcome(given: Any, options: dict[str, Any]) -> Any:
    """Everything that came of a run, or the words of its refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bits(affinity_propagation(given, **options))
        except InvalidInputError as error:
            return str(error)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[list[bool]]:
    """What each placement has kept in the workers' memory."""
    seen: list[list[bool]] = []
    decide = placement.kept_in_memory

    def noting(*given: Any) -> list[bool]:
        seen.append(decide(*given))
        return seen[-1]

    change(monkeypatch, kept_in_memory=noting)
    return seen


def leaving(n_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave so much of each worker's memory to edges."""
    members = {"a": placement.Member(1, 10**9), "b": placement.Member(1, 10**9)}
    room = placement.require_room(members, N)["a"]
    change(monkeypatch, machinery=current("machinery") + room - n_bytes)


@pytest.mark.parametrize(
    ("name", "share"),
    [("zarr 3", 0.0), ("zarr 3", 0.5), ("zarr 3", 1.0), ("dense zarr", 0.0), ("dense zarr", 0.5)],
)
def test_what_does_not_fit_is_read_in_each_sweep(
    name: str,
    share: float,
    client: Client,
    tmp_path: Path,
    kept: list[list[bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(monkeypatch, streamed_edges=100)
    n_edges = N * N if name == "dense zarr" else GRAPH.nnz
    # Two tasks for each worker.
    change(monkeypatch, most_edges=n_edges // 3)
    leaving(int(share * n_edges * 8 * 0.7) + 3000, monkeypatch)
    path = tmp_path / "graph.zarr"
    graph = dense_on_disk(path) if name == "dense zarr" else disk.write(path, GRAPH, chunks=100)
    assert bits(affinity_propagation(graph, client=client, **OPTIONS)) == expected(GRAPH)
    assert all(row == kept[0] for row in kept)
    assert len(kept[0]) == 4
    assert sum(kept[0]) == 4 * share


def test_the_scheduler_knows_how_large_parts_are(client: Client, tmp_path: Path) -> None:
    """Whether they are sent, or opened by workers."""
    workers = Workers(client)
    transfer = Transfer(client, workers)
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    for store in (MemoryStore.from_sparse(GRAPH), open_graph(path).store):
        cuts = [RowCut(0, 250), RowCut(250, N)]
        parts = Placement(client, transfer).placed(store, cuts, workers.members())
        assert [part.future.result(30).rows for part in parts] == cuts
        sizes = client.run_on_scheduler(clusters.sizes_of_tasks, keys=[part.future.key for part in parts])
        for part, size in zip(parts, sizes, strict=True):
            rows = part.rows.stop - part.rows.start
            n_bytes = 8 * rows * 9 + 8 * (rows + 1)
            assert part.held
            assert n_bytes <= size <= n_bytes + 200


@pytest.mark.parametrize("name", ["csr", "zarr 3", "table"])
def test_nothing_is_left_on_the_cluster(name: str, client: Client, tmp_path: Path) -> None:
    """Neither after a run, nor after one that has ended in an error."""

    def stop(report: Any) -> None:
        raise ZeroDivisionError

    given = INPUTS[name](tmp_path / "graph.zarr")
    before = client.run_on_scheduler(clusters.keys_of_tasks)
    # What could be large must not wait for a collection of garbage in this process.
    gc.disable()
    try:
        affinity_propagation(given, client=client, **OPTIONS)
        with pytest.raises(ZeroDivisionError):
            affinity_propagation(given, client=client, callback=stop, **OPTIONS)
        until(
            lambda: client.run_on_scheduler(clusters.keys_of_tasks) <= before,
            "an empty scheduler",
            seconds=20,
        )
    finally:
        gc.enable()


@pytest.mark.parametrize(("name", "begins_on_the_cluster"), [("csr", True), ("zarr 3", False)])
def test_a_run_goes_on_elsewhere(
    name: str, begins_on_the_cluster: bool, client: Client, tmp_path: Path
) -> None:
    given = INPUTS[name](tmp_path / "graph.zarr")
    options = {**OPTIONS, "max_iter": 10, "checkpoint": tmp_path / "kept", "checkpoint_every": 3}
    clients = (client, None) if begins_on_the_cluster else (None, client)
    affinity_propagation(given, **{**options, "max_iter": 5}, client=clients[0])
    swept: list[int] = []
    result = affinity_propagation(
        given, **options, resume=True, client=clients[1], callback=lambda report: swept.append(report.sweep)
    )
    assert bits(result) == expected(GRAPH, max_iter=10)
    assert swept[0] > 3


# Of what the estimator and the command line do with a cluster


# Addresses of schedulers, and names of passes.
Passes = list[tuple[str, str]]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Addresses of the schedulers that passes were run on, and which passes."""
    seen: Passes = []
    run = DaskExecutor.run

    def noting(self: Any, pass_: Any, *given: Any) -> Any:
        seen.append((self.client.scheduler.address, type(pass_).__name__))
        return run(self, pass_, *given)

    monkeypatch.setattr(DaskExecutor, "run", noting)
    return seen


def test_the_estimator_runs_on_the_active_client(cluster: RunningCluster, passes: Passes) -> None:
    here = AffinityPropagation(affinity="precomputed", **OPTIONS).fit(GRAPH)
    assert passes == []
    with Client(cluster.address):
        there = AffinityPropagation(affinity="precomputed", n_jobs=2, **OPTIONS).fit(GRAPH)
    assert {address for address, _ in passes} == {cluster.address}
    assert bits(there.clustering_) == bits(here.clustering_)


def test_the_estimator_leaves_a_closed_client_alone(cluster: RunningCluster, passes: Passes) -> None:
    with Client(cluster.address):
        pass
    AffinityPropagation(affinity="precomputed", preference=-0.01, max_iter=4).fit(GRAPH)
    assert passes == []


def test_what_needs_the_graph_here_is_done_here(cluster: RunningCluster, passes: Passes) -> None:
    small = scipy.sparse.csr_array(GRAPH[:50, :50])
    with Client(cluster.address):
        AffinityPropagation(affinity="precomputed", scheme="classic", max_iter=20).fit(small)
        AffinityPropagation(affinity="precomputed", reorder=True, max_iter=20).fit(small)
        AffinityPropagation(affinity="euclidean", max_iter=20).fit(np.random.default_rng(0).random((30, 2)))
    assert passes == []


def test_the_estimator_within_a_task_computes_there(within: Client) -> None:
    """As in a search over parameters: were it to wait for the cluster, all could wait for each other."""
    fits = [within.submit(_fitted, preference) for preference in np.linspace(-0.02, -0.01, 6)]
    expected = [bits(_fitted(preference)) for preference in np.linspace(-0.02, -0.01, 6)]
    assert [bits(fit) for fit in within.gather(fits)] == expected


def _fitted(preference: float) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = AffinityPropagation(affinity="precomputed", preference=preference, max_iter=5, n_jobs=1)
        return fit.fit(GRAPH).clustering_


def test_the_command_writes_the_same_file(cluster: RunningCluster, tmp_path: Path) -> None:
    # Each point has one other to go to, or none: nothing is left to search for.
    hub = np.arange(N) // 10 * 10
    entries = -1.0 - np.random.default_rng(3).random(N), (np.arange(N), hub)
    star = scipy.sparse.csr_array(entries, shape=(N, N), dtype=np.float32)
    path = disk.write(tmp_path / "graph.zarr", star)

    def arguments(name: str, *plan: str) -> list[str]:
        output = ["-o", str(tmp_path / f"{name}.csv")]
        return ["cluster", str(path), "--preference=-3", "--quiet", *output, *plan]

    for name, plan in {"here": [], "there": ["--scheduler", cluster.address]}.items():
        result = CliRunner().invoke(main, arguments(name, *plan))
        assert (result.exit_code, result.output) == (0, "")
    command = [sys.executable, "-m", "sparse_ap", *arguments("started", "--dask-workers", "2")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len({(tmp_path / f"{name}.csv").read_bytes() for name in ("here", "there", "started")}) == 1


ADDRESSES = [
    "foo", "localhost", "", "tcp://127.0.0.1", "tcp://127.0.0.1:abc", "tcp://:8786", "tcp://node1:99999",
    "http://node1:8786", "inproc://x", "ucx://a:1",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_that_are_none(address: str, tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    result = CliRunner().invoke(main, ["cluster", str(path), "--scheduler", address])
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: --scheduler={address}; an address such as tcp://node1:8786 is needed.\n",
    )


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of something that answers every call in the same way."""
    calls: list[socket.socket] = []

    def answer_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                calls.append(listener.accept()[0])
                calls[-1].sendall(answer)

    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        stack.callback(lambda: [call.close() for call in calls])
        threading.Thread(target=answer_all, daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-9\r\n"])
def test_something_else_answers(answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, timeout=1)
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    began = time.monotonic()
    with answering(answer) as address:
        result = CliRunner().invoke(main, ["cluster", str(path), "--scheduler", address])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: No dask scheduler answers at {address} within 1 seconds (")
    assert result.stderr.endswith("or start workers here with --dask-workers.\n")
    assert time.monotonic() - began < 5


def test_the_address_of_a_worker(cluster: RunningCluster, tmp_path: Path) -> None:
    path, address = disk.write(tmp_path / "graph.zarr", GRAPH), cluster.living()[0].address()
    result = CliRunner().invoke(main, ["cluster", str(path), "--scheduler", str(address)])
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: At {address} there is no dask scheduler, but a Worker. Give the address that dask "
        "scheduler prints.\n",
    )


@pytest.mark.slow
def test_workers_of_other_sizes_join(cluster: RunningCluster, tmp_path: Path) -> None:
    """Four processes in the end; two of them have two threads."""
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    joined = [cluster.start_worker(n_threads=2, wait=False) for _ in range(2)]
    try:
        for worker in joined:
            worker.wait()
        for given in (GRAPH, path, in_chunks(GRAPH, [0, 5, 300, N])):
            assert bits(affinity_propagation(given, client=cluster.client, **OPTIONS)) == expected(GRAPH)
    finally:
        for worker in joined:
            worker.kill()
        until(lambda: len(cluster.client.nthreads()) == 2, "the end of two workers")
