"""Clusterings written to files, and into AnnData stores."""

from __future__ import annotations

import csv
import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from samples import knn_similarity

from sparse_ap import Clustering, Hierarchy, InvalidInputError, affinity_propagation, hierarchy
from sparse_ap.cli.results import tables as results
from sparse_ap.cli.results.anndata import write_column, write_levels
from sparse_ap.cli.results.tables import require_writable, write_clustering, write_hierarchy

GRAPH = knn_similarity(300, 8, 2, seed=0)
NAMES = np.array([f"point {i}" for i in range(300)], object)


@functools.cache
def clustered() -> Clustering:
    return affinity_propagation(GRAPH, preference=-0.05)


@functools.cache
def tree() -> Hierarchy:
    return hierarchy(GRAPH, clustering=clustered())


def levels() -> list[str]:
    return [f"level_{level}" for level in range(tree().n_levels)]


def read(path: Path) -> dict[str, list[Any]]:
    """Read a table with the library that users would take."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        table: dict[str, list[Any]] = pyarrow.parquet.read_table(path).to_pydict()
        return table
    if path.suffix == ".zarr":
        return {name: list(array[:]) for name, array in zarr.open_group(path, mode="r").arrays()}
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_similarities_are_those_to_the_exemplar() -> None:
    dense = GRAPH.toarray()
    exemplar = clustered().exemplars[clustered().labels]
    expected = [0 if i == k else dense[i, k] for i, k in enumerate(exemplar)]
    assert clustered().similarities.tolist() == expected


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".zarr"])
def test_tables_come_back(tmp_path: Path, ending: str, named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_ROWS_AT_A_TIME", 128)
    path = tmp_path / f"table{ending}"
    require_writable(path)
    write_clustering(clustered(), path, NAMES if named else None)
    table = read(path)
    assert set(table) == {"point", "label", "exemplar", "similarity"}
    names = NAMES if named else np.arange(300)
    kind = str if named else int
    assert [kind(x) for x in table["point"]] == names.tolist()
    assert [int(x) for x in table["label"]] == clustered().labels.tolist()
    assert [kind(x) for x in table["exemplar"]] == names[clustered().exemplars[clustered().labels]].tolist()
    assert np.array(table["similarity"], np.float32).tolist() == clustered().similarities.tolist()
    if ending == ".csv":
        assert list(table["similarity"]) == [str(value) for value in clustered().similarities]
        assert max(map(len, table["similarity"])) <= 15  # not the seventeen digits of float64
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".zarr", ".npz"])
def test_nobody_is_a_table_too(tmp_path: Path, ending: str) -> None:
    nobody = affinity_propagation(np.empty((0, 0)))
    write_clustering(nobody, tmp_path / f"table{ending}")
    assert (tmp_path / f"table{ending}").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:zarr v3 autosharding", "ignore:Consolidated")
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_column_of_an_anndata_store(tmp_path: Path, zarr_format: Any) -> None:
    anndata = pytest.importorskip("anndata")
    path = tmp_path / "cells.zarr"
    with anndata.settings.override(zarr_write_format=zarr_format):
        cells = anndata.AnnData(np.zeros((300, 2), np.float32))
        cells.obs_names = NAMES.tolist()
        cells.obs["depth"] = np.arange(300)
        cells.obsp["similarities"] = GRAPH
        cells.write_zarr(path)
    clustering = affinity_propagation(path / "obsp" / "similarities", preference=-0.05)
    assert (clustering.labels == clustered().labels).all()
    write_column(clustering, path, "exemplar")
    back = anndata.read_zarr(path)
    assert back.obs.columns.tolist() == ["depth", "exemplar", "exemplar_similarity"]
    assert back.obs["exemplar"].tolist() == NAMES[clustered().exemplars[clustered().labels]].tolist()
    assert back.obs["exemplar"].cat.categories.tolist() == NAMES[clustered().exemplars].tolist()
    assert back.obs["exemplar_similarity"].tolist() == clustered().similarities.tolist()
    assert back.obs["depth"].tolist() == list(range(300))
    text = (
        f"{path} has a column 'exemplar' in obs already; choose another name, or give --force to replace it."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        write_column(clustering, path, "exemplar")
    text = f"{path} has a column 'depth' in obs already; choose another name, or give --force to replace it."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        write_column(clustering, path, "depth")
    few = affinity_propagation(GRAPH[:100][:, :100], preference=-0.05)
    with pytest.raises(InvalidInputError, match="has 300 rows in obs, and the clustering 100 points"):
        write_column(few, path, "other")


INDEXES = {
    "string": lambda: pd.Index(NAMES, dtype="string"),
    "categorical": lambda: pd.CategoricalIndex(NAMES),
    "plain": lambda: pd.Index(NAMES, dtype=object),
    "numbers": lambda: pd.Index(np.arange(300)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", INDEXES)
def test_names_of_rows_of_every_kind(kind: str, tmp_path: Path) -> None:
    import anndata

    cells, path = anndata.AnnData(np.zeros((300, 2), np.float32)), tmp_path / "cells.zarr"
    cells.obs.index = INDEXES[kind]()
    with anndata.settings.override(allow_write_nullable_strings=True):
        cells.write_zarr(path)
    write_column(clustered(), path, "exemplar")
    back = anndata.read_zarr(path).obs["exemplar"].astype(str).tolist()
    assert back == [str(INDEXES[kind]()[k]) for k in clustered().exemplars[clustered().labels]]


@pytest.mark.filterwarnings("ignore")
def test_rows_without_names_are_told(tmp_path: Path) -> None:
    import anndata

    cells, path = anndata.AnnData(np.zeros((300, 2), np.float32)), tmp_path / "cells.zarr"
    cells.obs.index = pd.Index([None, *NAMES[1:]], dtype="string")
    with anndata.settings.override(allow_write_nullable_strings=True):
        cells.write_zarr(path)
    with pytest.raises(InvalidInputError, match=r"or some are missing; .* adata\.obs_names\.astype\(str\)"):
        write_column(clustered(), path, "exemplar")


def test_where_there_is_no_obs(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInputError, match="does not exist; --obs adds columns to what AnnData has written"
    ):
        write_column(clustered(), tmp_path / "none.zarr", "exemplar")


def test_what_an_interrupted_run_has_left_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / ".table.zarr.part" / "label").mkdir(parents=True)
    write_clustering(clustered(), tmp_path / "table.zarr")
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.zarr"]


def test_folders_are_not_replaced(tmp_path: Path) -> None:
    write_clustering(clustered(), tmp_path / "table.zarr")
    with pytest.raises(InvalidInputError, match="exists, and folders are not replaced"):
        require_writable(tmp_path / "table.zarr")


def test_an_error_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(result: Any, path: Path) -> None:
        path.mkdir()
        (path / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(results._WRITERS, ".zarr", fail)
    with pytest.raises(OSError, match="No space left"):
        write_clustering(clustered(), tmp_path / "table.zarr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".zarr"])
def test_levels_come_back(tmp_path: Path, ending: str, named: bool) -> None:
    path = tmp_path / f"table{ending}"
    exact = tree().cut_exactly(7)
    write_hierarchy(tree(), path, NAMES if named else None, [exact])
    table = read(path)
    assert sorted(table) == sorted(["point", "clusters_7", *levels()])
    names = NAMES if named else np.arange(300)
    kind = str if named else int
    assert [kind(x) for x in table["point"]] == names.tolist()
    for level in range(tree().n_levels):
        expected = names[tree().exemplars(level)[tree().labels(level)]].tolist()
        assert [kind(x) for x in table[f"level_{level}"]] == expected
    assert [kind(x) for x in table["clusters_7"]] == names[exact.exemplars[exact.labels]].tolist()
    if ending == ".zarr":
        assert zarr.open_group(path, mode="r").attrs["n_clusters"] == tree().n_clusters.tolist()


def test_all_of_a_tree_comes_back(tmp_path: Path) -> None:
    write_hierarchy(tree(), tmp_path / "tree.npz")
    assert repr(Hierarchy.load(tmp_path / "tree.npz")) == repr(tree())


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:zarr v3 autosharding", "ignore:Consolidated")
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_levels_in_obs(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    path = tmp_path / "cells.zarr"
    cells = anndata.AnnData(np.zeros((300, 2), np.float32))
    cells.obs_names = NAMES.tolist()
    cells.write_zarr(path)
    write_levels(tree(), path, "exemplar", [tree().cut_exactly(7)])
    back = anndata.read_zarr(path)
    expected = [name.replace("level", "exemplar") for name in levels()]
    assert back.obs.columns.tolist() == [*expected, "exemplar_clusters_7"]
    assert back.obs["exemplar_clusters_7"].nunique() == 7
    for level in range(tree().n_levels):
        found = back.obs[f"exemplar_{level}"]
        assert found.tolist() == NAMES[tree().exemplars(level)[tree().labels(level)]].tolist()
        assert found.cat.categories.tolist() == NAMES[tree().exemplars(level)].tolist()
    text = f"{path} has a column 'exemplar_0' in obs already; choose another name, or give --force to "
    text += "replace it."
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        write_levels(tree(), path, "exemplar")
