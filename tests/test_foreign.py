"""Graphs as other libraries hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import zarr

from sparse_ap import InvalidInputError, affinity_propagation
from sparse_ap.graphs import from_knn, open_graph, read_graph, write_graph
from sparse_ap.kernels.block import RowCut
from sparse_ap.storage import dask_collections

EDGES = pd.DataFrame({"source": [0, 1, 2, 0], "target": [1, 0, 1, 1], "weight": [-1.0, -2, -3, -0.5]})
# Of the pair (0, 1), which is there twice, the larger similarity counts.
EXPECTED = [[0, -0.5, 0], [-2, 0, 0], [0, -3, 0]]


@pytest.mark.parametrize(
    "table",
    [
        EDGES,
        EDGES[["weight", "target", "source"]],
        EDGES.set_axis(["a", "b", "c"], axis=1),
        EDGES.assign(more="x"),
        EDGES.convert_dtypes(),
    ],
)
def test_a_table_of_edges_is_a_graph(table: Any, tmp_path: Path) -> None:
    write_graph(table, tmp_path / "graph.zarr")
    assert read_graph(tmp_path / "graph.zarr").toarray().tolist() == EXPECTED
    matrix = scipy.sparse.csr_array(EXPECTED)
    found = affinity_propagation(table, preference=-1)
    assert found.labels.tolist() == affinity_propagation(matrix, preference=-1).labels.tolist()


def test_points_without_edges_and_distances(tmp_path: Path) -> None:
    distances = EDGES.assign(weight=-EDGES["weight"])
    write_graph(distances, tmp_path / "graph.zarr", n_points=5, similarity="-d")
    graph = read_graph(tmp_path / "graph.zarr")
    assert graph.shape == (5, 5)
    assert graph.toarray()[:3, :3].tolist() == EXPECTED
    with pytest.raises(InvalidInputError, match="the id '2' is no whole number from 0 to 1"):
        write_graph(EDGES, tmp_path / "two.zarr", n_points=2)


def test_a_table_of_names_is_written_with_them(tmp_path: Path) -> None:
    named = pd.DataFrame({"weight": [0.5, 0.25], "to": ["b", "c"], "from": ["a", "b"]}, index=[7, 7])
    text = named.astype({"from": "category", "to": "string"})
    for table in (named, pa.Table.from_pandas(named), text, pl.from_pandas(named), pl.from_pandas(text)):
        write_graph(table, tmp_path / "graph.zarr", overwrite=True)
        names = open_graph(tmp_path / "graph.zarr").names()
        assert names is not None
        assert names.tolist() == ["a", "b", "c"]
        assert read_graph(tmp_path / "graph.zarr").toarray().tolist() == [
            [0, 0.5, 0],
            [0, 0, 0.25],
            [0, 0, 0],
        ]
    with pytest.raises(InvalidInputError, match=r"write_graph\(table, 'graph\.zarr'\), which takes names"):
        affinity_propagation(named.set_axis(["weight", "target", "source"], axis=1))
    with pytest.raises(InvalidInputError, match="The table of edges cannot be read"):
        write_graph(named.assign(to=["b", 3]), tmp_path / "mixed.zarr")


def test_numbers_with_gaps_are_names_in_tables_too(tmp_path: Path) -> None:
    """As of genes."""
    genes = pd.DataFrame({"source": [672, 4609], "target": [4609, 7157], "weight": [0.5, 0.25]})
    with pytest.warns(UserWarning, match="The table of edges: its points are .* only 3 occur"):
        written = write_graph(genes, tmp_path / "graph.zarr")
    assert written.n_points == 3
    assert write_graph(genes, tmp_path / "many.zarr", n_points=8000).n_points == 8000
    with pytest.raises(InvalidInputError, match="only 3 occur in the table of edges: they are names"):
        affinity_propagation(genes)


@pytest.mark.parametrize("of", [pa.Table.from_pandas, pl.from_pandas])
def test_tables_of_arrow_and_polars_are_graphs(of: Any) -> None:
    expected = affinity_propagation(EDGES, preference=-1).labels.tolist()
    assert affinity_propagation(of(EDGES), preference=-1).labels.tolist() == expected


@pytest.mark.filterwarnings("ignore:zarr v3 autosharding")
def test_a_sparse_dataset_of_anndata_is_read(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "graph.zarr")
    anndata.io.write_elem(group, "graph", scipy.sparse.csr_matrix(EXPECTED))
    dataset = anndata.io.sparse_dataset(group["graph"])
    write_graph(dataset, tmp_path / "written.zarr")
    assert read_graph(tmp_path / "written.zarr").toarray().tolist() == EXPECTED
    assert affinity_propagation(dataset, preference=-1).n_clusters >= 1


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (pd.DataFrame(-np.ones((3, 3))), "may be a matrix or a table of edges. Give a matrix"),
        (pd.DataFrame(np.ones((3, 3), int)), "may be a matrix or a table of edges. Give a matrix"),
        (EDGES[["source", "target"]], "may be a matrix or a table of edges|of edges has 2 columns"),
        (
            EDGES.assign(source=[0, 1, 2, -1]),
            "has to number the points from 0|'-1' is no whole number",
        ),
        (
            EDGES.assign(source=pd.array([0, 1, 2, None], "Int64")),
            "has to number the points from 0|The table of edges: 1 edges are wrong. The first: row 3",
        ),
        (EDGES.assign(weight=list("abcd")), "has dtype object; real numbers are needed|Could not convert"),
        (EDGES.assign(weight=pd.array([1, 2, None, 4], "Int64")), "NaN|row 2 .* the similarity is nan"),
    ],
)
def test_tables_that_are_no_graph(table: Any, text: str, tmp_path: Path) -> None:
    for call in (affinity_propagation, lambda given: write_graph(given, tmp_path / "graph.zarr")):
        with pytest.raises(InvalidInputError, match=text):
            call(table)


def test_what_has_several_readings_is_told_the_line(tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx")
    for given, line in (
        (networkx.DiGraph([(0, 1)]), r"networkx\.to_scipy_sparse_array\(graph, weight='weight'\)"),
        (anndata.AnnData(np.zeros((2, 2), np.float32)), r"Give sparse_ap\.graphs\.from_anndata\(adata\)"),
    ):
        for call in (affinity_propagation, lambda given: write_graph(given, tmp_path / "graph.zarr")):
            with pytest.raises(InvalidInputError, match=line):
                call(given)


def test_edges_one_by_one_are_told_the_line(tmp_path: Path) -> None:
    edges = ((i, i + 1, -1.0) for i in range(3))
    text = r"Row block 0 is \(0, 1, -1\.0\); three arrays .* i, k, s = zip\(\*edges\)"
    with pytest.raises(InvalidInputError, match=text):
        write_graph(edges, tmp_path / "graph.zarr", n_points=4)


class DataArray:
    """As much of xarray's as is looked at; in memory it has dask's method, and no graph."""

    chunks = None

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dask_graph__(self) -> None:
        return None


DataArray.__module__ = "xarray.core.dataarray"


class SparseArray:
    """As much of pydata/sparse as is looked at."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    @property
    def shape(self) -> Any:
        return self.matrix.shape

    def to_scipy_sparse(self) -> Any:
        return self.matrix


SparseArray.__module__ = "sparse.numba_backend"


def test_arrays_of_other_libraries() -> None:
    values = -np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    for given, plain in (
        (DataArray(values), values),
        (SparseArray(scipy.sparse.coo_array(values)), scipy.sparse.csr_array(values)),
    ):
        found, expected = (affinity_propagation(graph, preference=-2) for graph in (given, plain))
        assert found.labels.tolist() == expected.labels.tolist()


def test_a_file_is_read_as_on_the_command_line(tmp_path: Path) -> None:
    lists = np.array([[1], [0], [1]]), np.array([[1.0], [2.0], [3.0]])
    graph = from_knn(*lists)
    np.savez(tmp_path / "lists.npz", indices=lists[0], distances=lists[1])
    scipy.sparse.save_npz(tmp_path / "graph.npz", graph)
    expected = affinity_propagation(graph, preference=-1).labels.tolist()
    for name in ("lists.npz", "graph.npz"):
        assert affinity_propagation(tmp_path / name, preference=-1).labels.tolist() == expected
        assert affinity_propagation(str(tmp_path / name), preference=-1).labels.tolist() == expected


def test_chunks_of_dask_arrays() -> None:
    """Masked ones, and matrices of pydata/sparse: as workers make blocks of them."""
    values = np.array([[0.0, -1.0, -2.0], [-3.0, 0.0, -4.0]])
    masked = np.ma.masked_array(values, [[0, 0, 1], [0, 0, 0]])
    for chunk, expected in (
        (masked, [-1.0, -3.0, -4.0]),
        (SparseArray(scipy.sparse.coo_array(values)), [-1.0, -2.0, -3.0, -4.0]),
    ):
        block = dask_collections._block_of_chunk(chunk, RowCut(0, 2), 3, np.dtype(np.float64))
        assert block.data.tolist() == expected
