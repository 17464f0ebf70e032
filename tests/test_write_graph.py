"""Graphs written to disk are the graphs that were given, whole or not there at all."""

from __future__ import annotations

import errno
import gzip
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scanpy
import scipy.io
import scipy.sparse
import zarr
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import knn_similarity
from strategies import graphs

from sparse_ap import InvalidInputError, MissingDependencyError, affinity_propagation
from sparse_ap.errors import MemoryLimitError
from sparse_ap.graphs import from_distances, from_knn, open_graph, read_graph, symmetrise, top_k
from sparse_ap.graphs.conversion.write_graph import write_graph

QUICK = settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])


def stored(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    group = zarr.open_group(path, mode="r")
    return tuple(np.asarray(group[name][:]) for name in ("indptr", "indices", "data"))  # type: ignore[return-value]


def noted(path: Path) -> dict[str, Any]:
    return dict(zarr.open_group(path, mode="r").attrs["sparse_ap"])  # type: ignore[arg-type]


def canonical(matrix: Any) -> scipy.sparse.csr_array:
    """By scipy alone: no diagonal, no -inf, the largest of duplicates, sorted."""
    coo = matrix.tocoo()
    rows, columns, s = coo.coords[0], coo.coords[1], coo.data
    return from_triplets(rows, columns, s, matrix.shape[0])


def from_triplets(rows: Any, columns: Any, s: Any, n: int) -> scipy.sparse.csr_array:
    rows, columns, s = np.asarray(rows), np.asarray(columns), np.asarray(s)
    kept = (rows != columns) & (s > -np.inf)
    rows, columns, s = rows[kept], columns[kept], s[kept]
    order = np.lexsort((-s, columns, rows))
    rows, columns, s = rows[order], columns[order], s[order]
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[first], minlength=n))])
    return scipy.sparse.csr_array((s[first].astype(np.float32), columns[first], indptr), shape=(n, n))


def assert_holds(path: Path, expected: Any) -> None:
    indptr, indices, data = stored(path)
    assert (indptr.dtype, indices.dtype) == (np.int64, np.int32)
    assert (indptr == expected.indptr).all()
    assert (indices == expected.indices).all()
    assert data.tobytes() == expected.data.astype(data.dtype).tobytes()


def no_leftovers(folder: Path) -> bool:
    return not list(folder.glob(".*part"))


# In memory, and in row blocks


@QUICK
@given(graph=graphs(dtype=np.float32))
def test_a_matrix_is_stored_as_it_is(graph: Any, tmp_path: Path) -> None:
    written = write_graph(graph, tmp_path / "g.zarr", overwrite=True)
    expected = canonical(graph)
    assert_holds(tmp_path / "g.zarr", expected)
    assert (written.n_points, written.n_edges) == (graph.shape[0], expected.nnz)
    assert written.n_without_edges == np.count_nonzero(np.diff(expected.indptr) == 0)
    assert noted(tmp_path / "g.zarr")["n_edges"] == expected.nnz


@QUICK
@given(graph=graphs(dtype=np.float32), data=st.data())
def test_row_blocks_of_any_size_give_the_same(graph: Any, data: Any, tmp_path: Path) -> None:
    n = graph.shape[0]
    ends = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    rows = [slice(*ends) for ends in zip([0, *ends], [*ends, n], strict=True)]
    write_graph((graph[some] for some in rows), tmp_path / "m.zarr", overwrite=True)
    pieces = ((np.diff(p.indptr), p.indices, p.data) for p in (graph[some] for some in rows))
    write_graph(pieces, tmp_path / "t.zarr", n_points=n, overwrite=True)
    for name in ("m.zarr", "t.zarr"):
        assert_holds(tmp_path / name, canonical(graph))


def test_many_chunks(tmp_path: Path) -> None:
    n, k = 150_000, 20
    rng = np.random.default_rng(0)
    graph = scipy.sparse.csr_array(
        (-rng.random(n * k, np.float32), rng.integers(0, n, n * k, np.int32), np.arange(0, n * k + 1, k)),
        shape=(n, n),
    )
    write_graph(graph, tmp_path / "g.zarr")
    assert_holds(tmp_path / "g.zarr", canonical(graph))
    for name in ("data", "indices", "indptr"):
        array = zarr.open_group(tmp_path / "g.zarr", mode="r")[name]
        assert array.chunks == (2**20,)  # type: ignore[union-attr]
        assert "crc32c" in str(array.metadata.codecs[-1]).lower()  # type: ignore[union-attr]
        n_chunks = len(list((tmp_path / "g.zarr" / name / "c").iterdir()))
        assert n_chunks == -(-array.shape[0] // 2**20)  # type: ignore[union-attr]


def test_zeros_are_edges_and_their_chunk_is_written(tmp_path: Path) -> None:
    graph = scipy.sparse.csr_array(([0.0, 0.0], ([0, 1], [1, 0])), shape=(2, 2))
    write_graph(graph, tmp_path / "g.zarr")
    assert stored(tmp_path / "g.zarr")[2].tolist() == [0, 0]
    assert (tmp_path / "g.zarr" / "data" / "c" / "0").exists()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_no_edges(n: int, tmp_path: Path) -> None:
    written = write_graph(scipy.sparse.csr_array((n, n), dtype=np.float32), tmp_path / "g.zarr", order="rcm")
    assert (written.n_points, written.n_edges, written.smallest) == (n, 0, None)
    assert stored(tmp_path / "g.zarr")[0].tolist() == [0] * (n + 1)


def test_float64_if_asked(tmp_path: Path) -> None:
    graph = scipy.sparse.csr_array(([0.1, 1e300], ([0, 1], [1, 0])), shape=(2, 2))
    write_graph(graph, tmp_path / "g.zarr", dtype=np.float64)
    assert stored(tmp_path / "g.zarr")[2].tolist() == [0.1, 1e300]
    with pytest.raises(InvalidInputError) as error:
        write_graph(graph, tmp_path / "h.zarr")
    assert str(error.value) == (
        "A similarity is 1e+300, which float32 cannot hold. Ask for dtype='float64' (--float64)."
    )


# What others make of it


@pytest.fixture
def zarr_3() -> Iterator[None]:
    """Anndata's next default; with the present one it warns."""
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False):
        yield


@pytest.mark.usefixtures("zarr_3")
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_anndata_and_scanpy_open_it(tmp_path: Path, knn: Any) -> None:
    write_graph(knn, tmp_path / "g.zarr")
    element = anndata.io.read_elem(zarr.open_group(tmp_path / "g.zarr", mode="r"))
    assert (element != knn).nnz == 0
    anndata.AnnData(np.zeros((3000, 1), np.float32)).write_zarr(tmp_path / "cells.zarr")
    write_graph(knn, tmp_path / "cells.zarr" / "obsp" / "similarities")
    zarr.consolidate_metadata(tmp_path / "cells.zarr")
    cells = anndata.read_zarr(tmp_path / "cells.zarr")
    assert (cells.obsp["similarities"] != knn).nnz == 0
    half = scanpy.pp.sample(cells, n=1500, copy=True, rng=0)
    assert half.obsp["similarities"].shape == (1500, 1500)


def test_the_same_labels_from_it(tmp_path: Path, knn: Any) -> None:
    write_graph(knn, tmp_path / "g.zarr")
    again = affinity_propagation(read_graph(tmp_path / "g.zarr"), preference=-0.02)
    expected = affinity_propagation(knn, preference=-0.02)
    assert again.labels.tobytes() == expected.labels.tobytes()


# Reshaped


@QUICK
@given(graph=graphs(dtype=np.float32), k=st.integers(1, 5), on_disk=st.booleans())
def test_reshaping_is_that_of_graphs(graph: Any, k: int, on_disk: bool, tmp_path: Path) -> None:
    """Symmetrised, cut to k and dropped below a floor: the same from memory and by the database."""
    source = iter([graph]) if on_disk else graph
    floor = float(np.median(graph.data)) if graph.nnz else 0.0
    write_graph(source, tmp_path / "g.zarr", overwrite=True, symmetrise=True, top_k=k, min_similarity=floor)
    expected = canonical(graph)
    low = expected.copy()
    low.data[low.data <= floor] = -np.inf
    assert_holds(tmp_path / "g.zarr", top_k(symmetrise(canonical(low)), k))
    assert noted(tmp_path / "g.zarr")["min_similarity"] == floor


@pytest.mark.parametrize("on_disk", [False, True])
def test_an_order_of_the_users(on_disk: bool, tmp_path: Path, knn: Any) -> None:
    order = np.random.default_rng(0).permutation(3000)
    write_graph(iter([knn]) if on_disk else knn, tmp_path / "g.zarr", order=order)
    assert_holds(tmp_path / "g.zarr", canonical(knn[order][:, order]))
    group = zarr.open_group(tmp_path / "g.zarr", mode="r")
    assert (group["order"][:] == order).all()  # type: ignore[index]
    assert noted(tmp_path / "g.zarr")["reordered"] is True
    again = np.random.default_rng(1).permutation(3000)
    write_graph(tmp_path / "g.zarr", tmp_path / "h.zarr", order=again)
    assert_holds(tmp_path / "h.zarr", canonical(knn[again][:, again]))
    assert (zarr.open_group(tmp_path / "h.zarr", mode="r")["order"][:] == again).all()  # type: ignore[index]


def test_reverse_cuthill_mckee(tmp_path: Path, knn: Any) -> None:
    write_graph(knn, tmp_path / "g.zarr", order="rcm")
    order = zarr.open_group(tmp_path / "g.zarr", mode="r")["order"][:]  # type: ignore[index]
    assert_holds(tmp_path / "g.zarr", canonical(knn[order][:, order]))
    indptr, indices, _ = stored(tmp_path / "g.zarr")
    bandwidth = np.abs(np.repeat(np.arange(3000), np.diff(indptr)) - indices).max()
    assert bandwidth < 500
    write_graph(tmp_path / "g.zarr", tmp_path / "h.zarr", top_k=3)
    assert (zarr.open_group(tmp_path / "h.zarr", mode="r")["order"][:] == order).all()  # type: ignore[index]


def test_notes_are_kept_when_a_written_graph_is_converted(tmp_path: Path) -> None:
    (tmp_path / "e.abc").write_text("a b 1\nb c 2\nc a 3\n")
    write_graph(tmp_path / "e.abc", tmp_path / "g.zarr", min_similarity=1.5)
    write_graph(tmp_path / "g.zarr", tmp_path / "g.zarr", symmetrise=True, overwrite=True)
    group = zarr.open_group(tmp_path / "g.zarr", mode="r")
    assert group["ids"][:].tolist() == ["a", "b", "c"]  # type: ignore[index]
    assert noted(tmp_path / "g.zarr") == {
        "version": 1, "canonical": True, "n_edges": 4, "smallest": 2.0, "largest": 3.0, "longest_row": 2,
        "n_without_edges": 0, "min_similarity": 1.5, "reordered": False, "has_ids": True,
    }  # fmt: skip


# Neighbour lists


@pytest.mark.parametrize("similarity", ["-d", "-d**2", "1-d", None])
def test_neighbour_lists_memory_mapped(similarity: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sparse_ap.graphs.neighbour_lists._ENTRIES_AT_A_TIME", 100)
    rng = np.random.default_rng(0)
    indices, distances = rng.integers(-1, 500, (500, 7)), np.sort(rng.random((500, 7)), axis=1)
    distances[rng.random((500, 7)) < 0.1] = np.inf
    tables = []
    for name, table in (("i", indices), ("d", distances)):
        np.save(tmp_path / f"{name}.npy", table)
        tables.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    write_graph((tables[0], tables[1]), tmp_path / "g.zarr", similarity=similarity)
    expected = from_knn(indices, distances, similarity=similarity or "-d")
    assert_holds(tmp_path / "g.zarr", canonical(expected))


@pytest.mark.parametrize(
    ("indices", "distances", "text"),
    [
        ([[1], [5]], [[1.0], [1.0]], "indices name point 5 (row 1, position 0), but there are only 2 rows; "
                                     "ids must "
         "lie in 0 to 1, or be negative for a neighbour that was not found."),
        ([[1], [0]], [[1.0], [np.nan]], "Among the distances of rows 0 to 1 are 1 that are NaN or -inf; "
                                        "the first is "
         "nan, in row 1 at position 0, for the id 0. Where no neighbour was found give the id -1. (usearch "
         "fills short lists with key 0 and NaN: only as many entries of a row as its `counts` says are "
         "neighbours.)"),
    ],
)  # fmt: skip
def test_wrong_neighbour_lists(indices: Any, distances: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as error:
        write_graph((np.array(indices), np.array(distances)), tmp_path / "g.zarr")
    assert str(error.value) == text
    assert list(tmp_path.iterdir()) == []


# Files


def test_files_of_sparse_matrices(tmp_path: Path, knn: Any) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", knn)
    scipy.io.mmwrite(tmp_path / "g.mtx", knn, precision=9)
    write_graph(tmp_path / "g.npz", tmp_path / "1.zarr")
    write_graph(str(tmp_path / "g.mtx"), tmp_path / "2.zarr")
    assert_holds(tmp_path / "1.zarr", knn)
    assert_holds(tmp_path / "2.zarr", knn)


@pytest.mark.usefixtures("zarr_3")
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_graphs_of_anndata(kind: str, format: str, tmp_path: Path) -> None:
    cells = anndata.AnnData(np.zeros((200, 1), np.float32))
    distances = scipy.sparse.csr_matrix(-knn_similarity(200, 8, 2, seed=0))
    cells.obsp["distances"] = distances.asformat(format)
    cells.obsp["connectivities"] = scipy.sparse.csr_matrix(knn_similarity(200, 8, 2, seed=1))
    path = tmp_path / f"cells.{kind}"
    cells.write_h5ad(path) if kind == "h5ad" else cells.write_zarr(path)
    write_graph(path, tmp_path / "d.zarr", key="obsp/distances")
    assert_holds(tmp_path / "d.zarr", canonical(from_distances(distances)))
    write_graph(path, tmp_path / "c.zarr", key="connectivities")
    assert_holds(tmp_path / "c.zarr", canonical(cells.obsp["connectivities"]))
    with pytest.raises(InvalidInputError) as error:
        write_graph(path, tmp_path / "e.zarr")
    assert str(error.value) == (
        f"{path} holds 2 graphs: obsp/connectivities, obsp/distances. Say which with key (--key), such as "
        "obsp/distances."
    )


CELLS = scipy.sparse.csr_matrix(-knn_similarity(40, 4, 2, seed=0))


def noting(path: Path, attributes: dict[str, Any]) -> None:
    """Write a group of distances in CSC, as other writers do, with these attributes alone."""
    distances = CELLS.tocsc()
    with h5py.File(path, "w") as file:
        group = file.create_group("obsp/distances")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(distances, name)
        group.attrs.update(attributes)


COLUMNS: list[dict[str, Any]] = [
    {"encoding-type": "csc_matrix", "shape": (40, 40)},
    {"encoding-type": b"csc_matrix", "shape": (40, 40)},
    {"encoding-type": np.bytes_("csc_matrix")},
    {"encoding-type": np.array([b"csc_matrix"])},
    {"h5sparse_format": "csc", "h5sparse_shape": (40, 40)},
    {"h5sparse_format": b"csc", "h5sparse_shape": (40, 40)},
]


@pytest.mark.parametrize("attributes", COLUMNS)
def test_columns_are_read_by_columns_however_it_is_noted(attributes: Any, tmp_path: Path) -> None:
    noting(tmp_path / "cells.h5ad", attributes)
    write_graph(tmp_path / "cells.h5ad", tmp_path / "g.zarr")
    assert_holds(tmp_path / "g.zarr", canonical(from_distances(CELLS)))


@pytest.mark.parametrize("shape", [(40, 41), (39, 39)])
@pytest.mark.parametrize("name", ["shape", "h5sparse_shape"])
def test_the_noted_shape_is_looked_at(shape: Any, name: str, tmp_path: Path) -> None:
    noting(tmp_path / "cells.h5ad", {"encoding-type": "csc_matrix", name: shape})
    with pytest.raises(InvalidInputError, match=r"shape|indptr has 41 entries"):
        write_graph(tmp_path / "cells.h5ad", tmp_path / "g.zarr")


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({}, "does not say"),
        ({"encoding-type": "dataframe"}, "is 'dataframe', which does not say"),
        ({"encoding-type": b"csx_matrix"}, "is 'csx_matrix', which does not say"),
        ({"h5sparse_format": "coo"}, "is 'coo', which does not say"),
    ],
)
def test_what_does_not_say_how_it_is_stored_is_refused(attributes: Any, text: str, tmp_path: Path) -> None:
    noting(tmp_path / "cells.h5ad", attributes)
    write_graph(CELLS, tmp_path / "group.zarr")
    group = zarr.open_group(tmp_path / "group.zarr", mode="r+")
    group.attrs.clear()
    group.attrs.update({name: getattr(a, "decode", lambda a=a: a)() for name, a in attributes.items()})
    for place in ("cells.h5ad", "group.zarr"):
        with pytest.raises(InvalidInputError) as error:
            write_graph(tmp_path / place, tmp_path / "g.zarr")
        assert f"{place}{'/obsp/distances' if 'h5ad' in place else ''} {text} whether its" in str(error.value)
    with pytest.raises(InvalidInputError, match=text):
        affinity_propagation(tmp_path / "group.zarr")
    # The same either way.
    assert open_graph(tmp_path / "group.zarr", symmetric=True).shape == (40, 40)


def test_old_zarr_groups_by_columns(tmp_path: Path) -> None:
    write_graph(CELLS.T, tmp_path / "group.zarr")
    group = zarr.open_group(tmp_path / "group.zarr", mode="r+")
    group.attrs.clear()
    group.attrs.update({"h5sparse_format": "csc", "h5sparse_shape": [40, 40]})
    with pytest.raises(InvalidInputError, match="stored by columns"):
        read_graph(tmp_path / "group.zarr")
    write_graph(tmp_path / "group.zarr", tmp_path / "g.zarr")
    assert_holds(tmp_path / "g.zarr", canonical(CELLS))


def test_graphs_where_anndata_kept_them_before(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        for name in ("distances", "connectivities"):
            group = file.create_group(f"uns/neighbors/{name}")
            group.attrs.update({"h5sparse_format": b"csr", "h5sparse_shape": (40, 40)})
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(CELLS, part)
    with pytest.raises(InvalidInputError, match="2 graphs: uns/neighbors/connectivities, uns/neighbors/dist"):
        write_graph(tmp_path / "cells.h5ad", tmp_path / "g.zarr")
    write_graph(tmp_path / "cells.h5ad", tmp_path / "g.zarr", key="uns/neighbors/distances")
    assert_holds(tmp_path / "g.zarr", canonical(from_distances(CELLS)))


# Edge lists


def edges_of(seed: int, n_edges: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shuffled, with self hits and duplicates."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, n, n_edges), rng.integers(0, n, n_edges), np.round(rng.normal(size=n_edges), 3)


NAMES = np.array([f"prot {chr(65 + i % 26)}é#{i}" for i in range(300)])


def expected_of_names(a: Any, b: Any, s: Any) -> tuple[list[str], scipy.sparse.csr_array]:
    names = sorted({*a, *b}, key=lambda name: name.encode())
    number = {name: i for i, name in enumerate(names)}
    rows, columns = [number[x] for x in a], [number[x] for x in b]
    return names, from_triplets(rows, columns, s, len(names))


@pytest.mark.parametrize("ending", ["tsv", "csv", "tsv.gz", "parquet", "abc"])
def test_names_equal_scipy_to_the_bit(ending: str, tmp_path: Path) -> None:
    a, b, s = edges_of(0, 20_000, 300)
    a, b = NAMES[a], NAMES[b]
    path = tmp_path / f"edges.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"from": a, "to": b, "weight": s}), path)
    else:
        delimiter = "," if ending == "csv" else "\t"
        lines = [delimiter.join(("from", "to", "weight"))] if ending == "csv" else []
        lines += [f"{x}{delimiter}{y}{delimiter}{z}" for x, y, z in zip(a, b, s, strict=True)]
        opened = gzip.open if ending.endswith("gz") else open
        with opened(path, "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    write_graph(path, tmp_path / "g.zarr")
    names, expected = expected_of_names(a.tolist(), b.tolist(), s)
    assert_holds(tmp_path / "g.zarr", expected)
    ids = zarr.open_group(tmp_path / "g.zarr", mode="r")["ids"]
    assert ids[:].tolist() == names  # type: ignore[index]
    assert anndata.io.read_elem(ids).tolist() == names


@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_numbers_equal_scipy_to_the_bit(ending: str, tmp_path: Path) -> None:
    a, b, s = edges_of(1, 20_000, 400)
    path = tmp_path / f"edges.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"a": a, "b": b, "x": s * 0, "s": s}), path)
    else:
        np.savetxt(path, np.column_stack([a, b, s * 0, s]), fmt=["%d", "%d", "%g", "%.3f"], delimiter="\t",
                   header="a\tb\tx\ts", comments="")  # fmt: skip
    write_graph(path, tmp_path / "g.zarr", n_points=410, column="s")
    assert_holds(tmp_path / "g.zarr", from_triplets(a, b, s, 410))
    write_graph(path, tmp_path / "h.zarr", ids="string", column=4)
    names = zarr.open_group(tmp_path / "h.zarr", mode="r")["ids"][:].tolist()  # type: ignore[index]
    assert names == sorted(map(str, {*a.tolist(), *b.tolist()}))


M8 = """\
# BLASTP 2.15
P1\tP1\t100\t50\t0\t0\t1\t50\t1\t50\t1e-30\t100
P1\tP2\t90\t50\t5\t0\t1\t50\t1\t50\t1e-20\t80.5
P1\tP2\t40\t20\t5\t0\t1\t20\t60\t80\t1e-2\t20
# BLASTP 2.15
P2\tP3\t50\t50\t5\t0\t1\t50\t1\t50\t2e-10\t60
P4\tP4\t100\t50\t0\t0\t1\t50\t1\t50\t1e-30\t100
"""


def test_blast(tmp_path: Path) -> None:
    """Self hits are no edges, but their proteins are points; of several hits of a pair the best counts."""
    (tmp_path / "hits.m8").write_text(M8)
    written = write_graph(tmp_path / "hits.m8", tmp_path / "g.zarr")
    assert written.n_points == 4
    assert read_graph(tmp_path / "g.zarr").todok().items() == {(0, 1): 80.5, (1, 2): 60.0}.items()
    write_graph(tmp_path / "hits.m8", tmp_path / "h.zarr", column="evalue", similarity="-d", symmetrise=True)
    minus = {
        pair: -np.float32(e)
        for pair, e in {(0, 1): 1e-20, (1, 0): 1e-20, (1, 2): 2e-10, (2, 1): 2e-10}.items()
    }
    assert read_graph(tmp_path / "h.zarr").todok().items() == minus.items()


def test_hits_with_a_heading(tmp_path: Path) -> None:
    names = "query\ttarget\tfident\talnlen\tmismatch\tgapopen\tqstart\tqend\ttstart\ttend\tevalue\tbits\n"
    (tmp_path / "[hits].m8").write_text(names + M8.replace("# BLASTP 2.15\n", ""))
    write_graph(tmp_path / "[hits].m8", tmp_path / "[g].zarr", column="bits")
    assert read_graph(tmp_path / "[g].zarr").todok().items() == {(0, 1): 80.5, (1, 2): 60.0}.items()


WRONG_LINES = {
    "too few columns": ("e.tsv", "a\tb\t1\nc\td\n", "line 2 ('c\\td'): 2 columns, but 3 are needed, as in "
                                                    "the first "
                        "edge's line. Correct the file, or leave the line out."),
    "no number": ("e.tsv", "from\tto\tweight\na\tb\t1\nc\td\tx\n", "1 edges are wrong. The first: line 3 "
                  "('c\\td\\tx'): the similarity is 'x'; a number is needed. Correct the file, "
                  "or leave the line out."),
    "NaN": ("e.tsv", "a\tb\t1\nc\td\tnan\n", "1 edges are wrong. The first: line 2 ('c\\td\\tnan'): the "
                                             "similarity is "
            "nan; a number is needed. Leave out the line of what is no edge."),
    "infinite": ("e.abc", "a b inf\n", "1 edges are wrong. The first: line 1 ('a b inf'): the similarity "
                                       "is inf; a "
                 "number is needed. Leave out the line of what is no edge."),
    "too large": ("e.tsv", "a\tb\t-2e39\n", "1 edges are wrong. The first: line 1 ('a\\tb\\t-2e39'): the "
                                            "similarity is "
                  "-2e+39, which float32 cannot hold. Ask for dtype='float64' (--float64)."),
    "no id": ("e.tsv", "a\tb\t1\n\td\t1\n", "1 edges are wrong. The first: line 2 ('\\td\\t1'): an id is "
                                            "empty."),
    "negative id": ("e.tsv", "0\t1\t1\n-1\t1\t1\n", "1 edges are wrong. The first: line 2 ('-1\\t1\\t1'): "
                                                    "the id '-1' is "
                    "no whole number from 0 to 2147483646. For any other ids take ids='string' (--ids "
                    "string)."),
    "half an id": ("e.csv", "0,1,1\n1.5,1,1\n", "1 edges are wrong. The first: line 2 ('1.5,1,1'): the id "
                                                "'1.5' is no "
                   "whole number from 0 to 2147483646. For any other ids take ids='string' (--ids string)."),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(WRONG_LINES))
def test_wrong_lines_are_named(case: str, tmp_path: Path) -> None:
    name, content, text = WRONG_LINES[case]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInputError) as error:
        write_graph(path, tmp_path / "g.zarr")
    assert str(error.value) == f"{path}: {text}"
    assert list(tmp_path.iterdir()) == [path]


WRONG_FILES = {
    "empty": ("e.tsv", "", "{} has no edges; lines of two points and their similarity are needed."),
    "only a heading": ("e.tsv", "a\tb\tweight\n", "{} has no edges below its heading (a, b, weight)."),
    "two columns": ("e.tsv", "a\tb\n", "{} has 2 columns (a, b); two are the points, and the similarity "
                    "was looked for in the third. Name another by its heading or its number, from 3: column "
                    "(--column)."),
    "no table of hits": ("e.m8", "a\tb\t1\n", "{} has 3 columns in line 1; BLAST's tabular format (-outfmt "
                                              "6) has 12: "
                         "query, target, pident, length, mismatch, gapopen, qstart, qend, sstart, send, "
                         "evalue, bitscore. Name files with other columns .tsv, or give them a heading."),
    "ending": ("e.xyz", "a b 1", "{} ends in '.xyz'; graphs are read from .npz, .mtx, .h5ad, zarr folders, "
                                 "and edge "
               "lists (.parquet, .tsv, .csv, .txt, .m8, .abc, also .gz)."),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(WRONG_FILES))
def test_wrong_files(case: str, tmp_path: Path) -> None:
    name, content, text = WRONG_FILES[case]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInputError) as error:
        write_graph(path, tmp_path / "g.zarr")
    assert str(error.value) == text.format(path)
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_rows_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [0, 1], "b": [1, None], "s": [1.0, 2.0]}), path)
    with pytest.raises(InvalidInputError) as error:
        write_graph(path, tmp_path / "g.zarr")
    assert str(error.value) == (
        f"{path}: 1 edges are wrong. The first: row 1 (1, None, 2.0): the id '' is no whole number from 0 to "
        "2147483646. For any other ids take ids='string' (--ids string)."
    )


def test_a_truncated_file(tmp_path: Path) -> None:
    is_positive_integer = gzip.compress(b"a\tb\t1\n" * 100_000)
    (tmp_path / "e.tsv.gz").write_bytes(is_positive_integer[:-20])
    with pytest.raises(InvalidInputError, match=r"e\.tsv\.gz cannot be decompressed as \.gz: .*not complete"):
        write_graph(tmp_path / "e.tsv.gz", tmp_path / "g.zarr")


@pytest.mark.parametrize(
    ("package", "name", "text"),
    [
        (
            "duckdb",
            "e.abc",
            "Reading edge lists, or sorting graphs on disk, needs duckdb and pyarrow, which is not "
            "installed: pip install 'sparse-ap[edges]'",
        ),
        ("h5py", "c.h5ad", "Reading .h5ad needs h5py, which is not installed: pip install 'sparse-ap[h5ad]'"),
    ],
)
def test_what_is_not_installed(package: str, name: str, text: str, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / name).write_text("a b 1\n")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError) as error:
        write_graph(tmp_path / name, tmp_path / "g.zarr")
    assert str(error.value) == text


# Options and targets


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"top_k": 0}, "top_k=0; it must be at least 1, a whole number, or None."),
        ({"min_similarity": np.nan}, "min_similarity=nan; it must be a finite number, or None."),
        ({"order": "xyz"}, "order='xyz'; it must be 'rcm', or an array of point numbers."),
        ({"order": [0, 0, 1]}, "order does not name each of the 3 points once; a permutation of 0 to 2 is "
                               "needed."),
        ({"order": [0, 1]}, "order has dtype int64 and shape (2,); the number of every point, once, is "
                            "needed: whole "
         "numbers of shape (3,)."),
        ({"dtype": "int8"}, "dtype='int8'; it must be float32 or float64."),
        ({"column": 3}, "column=3 is for edge lists; the source is none."),
        ({"similarity": "d"}, "similarity='d'; one of '-d', '-d**2', '1-d' is needed, or a function."),
    ],
)  # fmt: skip
def test_wrong_options(options: Any, text: str, tmp_path: Path) -> None:
    graph = scipy.sparse.csr_array(([1.0], ([0], [1])), shape=(3, 3))
    with pytest.raises(InvalidInputError) as error:
        write_graph(graph, tmp_path / "g.zarr", **options)
    assert str(error.value) == text
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_said_before(tmp_path: Path) -> None:
    with pytest.raises(
        MemoryLimitError, match=r"must be sorted on disk, which takes .* memory_limit is 0.01 GB"
    ):
        write_graph(
            iter([scipy.sparse.eye_array(3)]), tmp_path / "g.zarr", symmetrise=True, memory_limit="10MB"
        )
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_if_asked(tmp_path: Path, knn: Any) -> None:
    target = tmp_path / "g.zarr"
    write_graph(knn, target)
    with pytest.raises(InvalidInputError, match=r"exists\. Give another name, or overwrite=True"):
        write_graph(knn, target)
    with pytest.raises(InvalidInputError):
        write_graph(iter([knn, knn]), target, overwrite=True)
    assert_holds(target, knn)
    (tmp_path / "precious").mkdir()
    with pytest.raises(InvalidInputError, match="is no graph on disk, so it is not overwritten"):
        write_graph(knn, tmp_path / "precious", overwrite=True)
    assert no_leftovers(tmp_path)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([], "There are no row blocks; at least one is needed."),
        ([([1], [1], [2.0])], "The row blocks have 1 rows, but the graph has 2 points. Points without "
                              "edges need rows "
         "too, of degree 0."),
        ([([1, 1], [1, 2], [2.0, 1.0])], "Column id 2 is no point of a graph of 2; ids must lie in 0 to 1."),
        ([([1, 1], [1], [2.0])], "In row block 0 the degrees add up to 2, but there are 1 indices and 1 "
                                 "similarities."),
        ([([1, 1, 0], [1, 0], [2.0, 1.0])], "Row block 0 ends at row 3, but the graph has 2 points."),
        ([([1, 1], [1, 0], [2.0, np.nan])], "1 similarities in rows 1 to 1 are NaN or +inf; the first is "
                                            "nan, of row "
         "1, column 0. Finite numbers are needed, or -inf for no edge."),
        ([7], "Row block 0 is a int; a scipy sparse matrix, or three arrays (degrees, indices, data), are "
              "needed."),
    ],
)  # fmt: skip
def test_wrong_row_blocks(pieces: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as error:
        write_graph(iter(pieces), tmp_path / "g.zarr", n_points=2)
    assert str(error.value) == text
    assert list(tmp_path.iterdir()) == []


# Nothing is lost, nothing is half

PROGRAM = """
import resource, sys
import numpy as np
from sparse_ap.graphs import write_graph

def blocks(n=400_000, k=20, rows=20_000):
    rng = np.random.default_rng(0)
    for start in range(0, n, rows):
        yield np.full(rows, k), rng.integers(0, n, rows * k, np.int32), rng.random(rows * k, np.float32)
"""


def run_python(code: str, **options: Any) -> subprocess.Popen[str]:
    program = PROGRAM + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_the_disk_is_full(tmp_path: Path) -> None:
    process = run_python(f"""
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, 2**21))
        try:
            write_graph(blocks(), {str(tmp_path / "g.zarr")!r}, n_points=400_000)
        except OSError as error:
            print(error.errno, error.strerror)
        """)
    out, err = process.communicate()
    assert out.startswith(f"{errno.EFBIG} File too large, after 0.0"), out + err
    assert "Nothing was kept: make room, or write elsewhere." in out
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_full_while_sorting(tmp_path: Path) -> None:
    process = run_python(f"""
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**22, 2**22))
        try:
            write_graph(
                blocks(), {str(tmp_path / "g.zarr")!r}, n_points=400_000, symmetrise=True, memory_limit="1GB"
            )
        except OSError as error:
            print(error.errno, error.strerror)
        """)
    out, err = process.communicate()
    assert out.startswith(f"{errno.ENOSPC} Sorting the edges on disk failed, after "), out + err
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from sparse_ap.storage import atomic_files, zarr_writer

left = int(sys.argv[1])
def counted(function):
    def called(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIG{name})
        return function(*arguments, **options)
    return called
zarr_writer._GrowingArray.finish = counted(zarr_writer._GrowingArray.finish)
atomic_files._flush = counted(atomic_files._flush)
atomic_files._put = counted(atomic_files._put)
"""


@pytest.mark.parametrize(
    ("name", "moment"),
    [("KILL", 5), ("INT", 3), *(pytest.param("KILL", m, marks=pytest.mark.slow) for m in (0, 15, 30))],
)
def test_a_killed_writer_leaves_nothing_under_the_name(name: str, moment: int, tmp_path: Path) -> None:
    target = tmp_path / "g.zarr"
    code = KILLED.replace("{name}", name) + textwrap.dedent(f"""
        write_graph(blocks(), {str(target)!r}, n_points=400_000)
        print("written", left)
        """)
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM + code, str(moment)], capture_output=True, text=True, check=False
    )
    assert process.returncode == -getattr(signal, f"SIG{name}"), process.stdout + process.stderr
    assert not target.exists()
    assert no_leftovers(tmp_path) == (name == "INT")
    small = scipy.sparse.csr_array(([1.0], ([0], [1])), shape=(3, 3))
    write_graph(small, target)
    assert_holds(target, canonical(small))
    assert [path.name for path in tmp_path.iterdir()] == ["g.zarr"]


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    """Two write to one name: whoever is first has it, the other one is told."""

    def slowly() -> Iterator[Any]:
        write_graph(iter([([0], [], [])]), tmp_path / "g.zarr", n_points=1)
        yield [0], [], []

    with pytest.raises(InvalidInputError, match="exists"):
        write_graph(slowly(), tmp_path / "g.zarr", n_points=1)
    assert [path.name for path in tmp_path.iterdir()] == ["g.zarr"]


@pytest.mark.slow
def test_memory_stays_below_the_limit(tmp_path: Path) -> None:
    """8 million edges are stored, which would take 500 MB more to sort in memory."""
    # Kernels that are compiled first need memory that those in numba's cache do not.
    small = str(tmp_path / "small.zarr")
    warm_up = run_python(f"write_graph(blocks(20_000), {small!r}, n_points=20_000, symmetrise=True)")
    _, err = warm_up.communicate()
    assert warm_up.returncode == 0, err
    process = run_python(f"""
        target = {str(tmp_path / "g.zarr")!r}
        write_graph(blocks(200_000), target, n_points=200_000, symmetrise=True, memory_limit="1GB")
        # Not getrusage, whose peak a process inherits from the one that started it.
        with open("/proc/self/status") as status:
            (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
        print(1024 * int(peak))
        """)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert int(out) < 1_000_000_000
