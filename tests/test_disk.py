"""Graphs on disk: the same bits as in memory, and what is damaged or is no graph."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import disk
import numpy as np
import pytest
import scipy.sparse
import zarr
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from internals import change
from samples import knn_similarity

import sparse_ap
from sparse_ap import Clustering, DamagedGraphError, InvalidInputError, MemoryLimitError
from sparse_ap.graphs import open_graph, read_graph, symmetrise
from sparse_ap.storage.zarr_reader import SequentialReader

# The search reads small graphs hundreds of times: one test has it.
affinity_propagation = functools.partial(sparse_ap.affinity_propagation, refine="medoid")

GRAPH = knn_similarity(1500, 12, 2, seed=1, dtype=np.float32)
PREFERENCE = -0.02


def bits(clustering: Clustering) -> tuple[Any, ...]:
    return clustering.labels.tobytes(), clustering.net_similarity, clustering.history


@functools.cache
def expected() -> tuple[Any, ...]:
    """What comes out in memory."""
    return bits(affinity_propagation(GRAPH, preference=PREFERENCE))


def test_the_search_gives_the_same_bits(tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    options: dict[str, Any] = {
        "preference": PREFERENCE,
        "refine": "search",
        "convergence_iter": 15,
        "tol": 0.5,
    }
    expected = affinity_propagation(GRAPH, **options)
    assert expected.net_similarity > affinity_propagation(GRAPH, **{**options, "refine": None}).net_similarity
    assert bits(affinity_propagation(open_graph(path), **options)) == bits(expected)


def test_the_same_bound_is_proven(tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    options: dict[str, Any] = {"preference": PREFERENCE, "refine": None, "tol": 0.5, "certify": True}
    expected = affinity_propagation(GRAPH, **options)
    assert expected.optimality_gap is not None
    assert 0 < expected.optimality_gap < 0.5
    found = affinity_propagation(open_graph(path), **options)
    assert found.net_similarity_bound == expected.net_similarity_bound


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"zarr_format": 2},
        {"shards": 8192},
        {"compressors": "auto"},
        {"zarr_format": 2, "compressors": "auto"},
        {"chunks": 300},
        {"chunks": 100_000},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_jobs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_same_bits_as_in_memory(
    tmp_path: Path, options: dict[str, Any], n_jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, least_edges=512)
    path = disk.write(tmp_path / "graph.zarr", GRAPH, **options)
    loaded = affinity_propagation(path, preference=PREFERENCE, n_jobs=n_jobs)
    streamed = affinity_propagation(open_graph(path), preference=PREFERENCE, n_jobs=n_jobs)
    assert bits(loaded) == bits(streamed) == expected()


def test_by_quantile_and_default_too(tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    for options in ({}, {"preference_quantile": 0.3}):
        expected = affinity_propagation(GRAPH, **options)
        assert bits(affinity_propagation(open_graph(path), **options)) == bits(expected)


@pytest.mark.parametrize(
    "types", [("f8", "i4", "i4"), ("f4", "i8", "i8"), ("f2", "u4", "u8"), ("i2", "i4", "i8")]
)
def test_any_width_of_ids_and_similarities(tmp_path: Path, types: tuple[str, str, str]) -> None:
    graph = GRAPH.copy()
    graph.data = (graph.data * (1e4 if types[0] == "i2" else 1)).astype(types[0])
    arrays = {
        "data": graph.data,
        "indices": graph.indices.astype(types[1]),
        "indptr": graph.indptr.astype(types[2]),
    }
    path = disk.write_arrays(tmp_path / "graph.zarr", arrays, graph.shape)
    preference = float(np.median(graph.data)) * 4
    expected = affinity_propagation(graph, preference=preference)
    assert bits(affinity_propagation(open_graph(path), preference=preference)) == bits(expected)


def test_untidy_graphs_are_tidied_as_they_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    triplets = GRAPH.tocoo()
    again = rng.integers(0, GRAPH.nnz, 500)
    rows = np.r_[triplets.row, triplets.row[again], np.arange(1500), [5, 6]]
    columns = np.r_[triplets.col, triplets.col[again], np.arange(1500), [17, 18]]
    values = np.r_[triplets.data, triplets.data[again] - 1, np.full(1500, 3), [-np.inf, np.nan]]
    order = np.argsort(rows, kind="stable")
    indptr = np.r_[0, np.cumsum(np.bincount(rows))]
    arrays = {"data": values[order].astype("f4"), "indices": columns[order].astype("i4"), "indptr": indptr}
    path = disk.write_arrays(tmp_path / "graph.zarr", arrays, GRAPH.shape)
    for graph in (path, open_graph(path)):
        found = affinity_propagation(graph, preference=PREFERENCE, missing="nan")
        assert bits(found) == expected()


@pytest.mark.parametrize("gap", [np.nan, -np.inf])
def test_a_dense_array_is_the_graph_of_its_entries(tmp_path: Path, gap: float) -> None:
    graph = GRAPH[:400][:, :400]
    matrix = np.full((400, 400), gap, np.float32)
    matrix[graph.tocoo().coords] = graph.data
    path = tmp_path / "dense.zarr"
    zarr.create_array(path, data=matrix, chunks=(64, 64))
    expected = bits(affinity_propagation(graph, preference=PREFERENCE, max_iter=400))
    assert bits(affinity_propagation(path, preference=PREFERENCE, max_iter=400)) == expected


@examples(30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(-8, 0))
def test_the_strongest_of_a_dense_array(
    tmp_path_factory: pytest.TempPathFactory, seed: int, top_k: int, threshold: int
) -> None:
    matrix = np.random.default_rng(seed).integers(-8, 1, (30, 30)).astype(np.float32)
    array = zarr.create_array({}, data=matrix, chunks=(7, 30))
    rows, columns, values = [], [], []
    for i in range(30):
        kept = [k for k in range(30) if k != i and matrix[i, k] >= threshold]
        for k in sorted(kept, key=lambda k: (-matrix[i, k], k))[:top_k]:
            rows.append(i), columns.append(k), values.append(matrix[i, k])
    expected = scipy.sparse.csr_array(
        scipy.sparse.coo_array((np.array(values, np.float32), (rows, columns)), shape=(30, 30))
    )
    options: dict[str, Any] = {"preference": -3.0, "tol": 0.9, "max_iter": 50}
    found = affinity_propagation(open_graph(array, threshold=threshold, top_k=top_k), **options)
    assert bits(found) == bits(affinity_propagation(expected, **options))


@examples(60)
@given(st.integers(1, 50), st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(0, 30))
def test_every_chunk_is_read_once(chunk: int, steps: list[int], begin: int) -> None:
    length = begin + sum(steps)
    array = zarr.create_array({}, data=np.arange(length + 5), chunks=(chunk,))
    reads: list[int] = []
    taken = array.get_basic_selection

    class Counted:
        dtype, chunks, shape, fill_value = array.dtype, array.chunks, array.shape, 0

        def get_basic_selection(self, selection: slice, **options: Any) -> Any:
            reads.extend(range(selection.start // chunk, -(-selection.stop // chunk)))
            return taken(selection, **options)

    reader, start = SequentialReader(Counted()), begin  # type: ignore[arg-type]
    for step in steps:
        assert reader.read(start, start + step).tolist() == list(range(start, start + step))
        start += step
    assert len(reads) == len(set(reads))


def refused(error: Any, text: str, location: Any, **options: Any) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        open_graph(location, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return disk.write(tmp_path / "graph.zarr", GRAPH)


def test_where_nothing_is(tmp_path: Path) -> None:
    text = (
        f"There is no zarr group or array at {tmp_path / 'none.zarr'}. Give the folder that holds 'data', "
        "'indices' and 'indptr' (inside an AnnData store: store.zarr/obsp/distances), or a dense array."
    )
    refused(InvalidInputError, text, tmp_path / "none.zarr")


def test_columns_are_not_rows(tmp_path: Path) -> None:
    location = disk.write(tmp_path / "graph.zarr", GRAPH.tocsc(), encoding="csc_matrix")
    text = (
        f"{location} is stored by columns (csc_matrix): read by rows it would swap who represents whom. "
        f"Convert it: sparse-ap convert {location} -o graph.zarr; or say that it is symmetric "
        "(open_graph(..., symmetric=True))."
    )
    refused(InvalidInputError, text, location)
    both = symmetrise(GRAPH)
    location = disk.write(tmp_path / "both.zarr", both.tocsc(), encoding="csc_matrix")
    found = affinity_propagation(open_graph(location, symmetric=True), preference=PREFERENCE)
    assert bits(found) == bits(affinity_propagation(both, preference=PREFERENCE))


def test_distances_by_their_name(tmp_path: Path) -> None:
    location = disk.write(tmp_path / "distances", -GRAPH)
    text = (
        f"{location} holds distances; similarities are needed, larger meaning more alike. Convert them: "
        f"sparse-ap convert {location} -o graph.zarr --similarity=-d"
    )
    refused(InvalidInputError, text, location)


def test_a_group_that_is_no_graph(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "other.zarr", mode="w")
    group.create_group("obsp")
    text = (
        f"{tmp_path / 'other.zarr'} lacks data, indices, indptr; a graph is a group of the arrays 'data', "
        "'indices' and 'indptr'. In it there is: obsp. (The graphs of an AnnData store are in its 'obsp'.)"
    )
    refused(InvalidInputError, text, tmp_path / "other.zarr")


@pytest.mark.parametrize(
    ("name", "spoil", "text"),
    [
        ("indptr", lambda a: np.r_[a[:5], 1, a[6:]], "indptr falls after row 4; it must begin at 0"),
        ("indptr", lambda a: a[:-1], "indptr has 1500 entries; 1501 are needed for 1500 rows."),
        ("data", lambda a: a[:-7], "indptr ends at 18000, but there are only 18000 indices and 17993 sim"),
        ("data", lambda a: a.astype("c8"), "The similarities have dtype complex64; real numbers are needed."),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, name: str, spoil: Callable[[Any], Any], text: str) -> None:
    arrays = {"data": GRAPH.data, "indices": GRAPH.indices, "indptr": GRAPH.indptr}
    arrays[name] = spoil(arrays[name])
    location = disk.write_arrays(tmp_path / "graph.zarr", arrays, GRAPH.shape)
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        open_graph(location)


@pytest.mark.parametrize("name", ["data", "indices", "indptr"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_that_is_missing(tmp_path: Path, name: str, zarr_format: int) -> None:
    location = disk.write(tmp_path / "graph.zarr", GRAPH, zarr_format=zarr_format, chunks=512)
    key = "2" if zarr_format == 2 else "c/2"
    (location / name / key).unlink()
    n_chunks = -(-{"indptr": 1501}.get(name, GRAPH.nnz) // 512)
    text = (
        f"Of the {n_chunks} chunks of {location}/{name} 1 is missing, the first being {key}. Restore the "
        "graph from a copy, or write it again."
    )
    if name != "indices":
        text += (
            " zarr leaves out chunks that are all zero unless told otherwise: if that is so here, "
            "open_graph(..., missing_chunks='zero') accepts them."
        )
    refused(DamagedGraphError, text, location)
    if name == "indices":
        refused(DamagedGraphError, text, location, missing_chunks="zero")


def test_chunks_of_zeros_can_be_accepted(tmp_path: Path) -> None:
    graph = GRAPH.copy()
    graph.data[4096:12288] = 0
    location = disk.write(tmp_path / "graph.zarr", graph, empty_chunks=False)
    with pytest.raises(DamagedGraphError, match="data 2 are missing"):
        open_graph(location)
    found = affinity_propagation(open_graph(location, missing_chunks="zero"), preference=PREFERENCE)
    assert bits(found) == bits(affinity_propagation(graph, preference=PREFERENCE))


@pytest.mark.parametrize("name", ["data", "indices"])
def test_a_chunk_cut_short_is_named(path: Path, name: str) -> None:
    chunk = path / name / "c" / "3"
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(
        DamagedGraphError, match=re.escape(f"Entries 12,288 to 16,383 of {path}/{name} cannot")
    ):
        affinity_propagation(open_graph(path), preference=PREFERENCE)


def test_a_chunk_lost_on_the_way_is_an_error(path: Path) -> None:
    graph = open_graph(path)
    shutil.rmtree(path / "data" / "c")
    shutil.rmtree(path / "indices" / "c")
    with pytest.raises(DamagedGraphError, match="graph"):
        affinity_propagation(graph, preference=PREFERENCE)


def test_memory_is_promised_before_the_start(path: Path) -> None:
    with pytest.raises(MemoryLimitError, match=r"1,500 points and 18,000 edges need \d\.\d\d GB at least"):
        affinity_propagation(path, memory_limit="10MB")
    with pytest.raises(
        MemoryLimitError, match=r"write the graph to disk with sparse_ap\.graphs\.write_graph"
    ):
        affinity_propagation(GRAPH, memory_limit=1)
    with pytest.raises(InvalidInputError, match="memory_limit='much'; an amount of memory is needed"):
        affinity_propagation(GRAPH, memory_limit="much")
    assert bits(affinity_propagation(path, memory_limit="4GB", preference=PREFERENCE)) == expected()


def test_what_needs_the_graph_in_memory(path: Path) -> None:
    for options in ({"scheme": "classic"}, {"reorder": True}):
        with pytest.raises(InvalidInputError, match="need the graph in memory, and this one"):
            affinity_propagation(open_graph(path), **options)
        affinity_propagation(path, preference=PREFERENCE, **options)


def test_reading_gives_the_matrix_back(path: Path) -> None:
    assert (read_graph(path) != GRAPH).nnz == 0


def test_a_file_is_no_graph_on_disk(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "graph.npz", scipy.sparse.csr_matrix((3, 3)))
    with pytest.raises(InvalidInputError) as error:
        open_graph(tmp_path / "graph.npz")
    assert str(error.value) == (
        f"{tmp_path / 'graph.npz'} is a file; graphs are read from zarr folders. Load a matrix with "
        "scipy.sparse.load_npz and give that, or make a folder of it: sparse-ap convert."
    )
