"""Files of an earlier version can be read, and are written as they were.

What the golden files are: ``tests/data/golden/make.py``. The results in them do not depend on the processor:
all sums over edges are exact, and the graph itself is one of the files.
"""

from __future__ import annotations

import io
import pickle
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
import zarr

from sparse_ap import (
    CheckpointError,
    Clustering,
    Hierarchy,
    InvalidInputError,
    Outcome,
    affinity_propagation,
)
from sparse_ap.graphs import open_graph, read_graph, write_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CHECKPOINTS = golden.FOLDER / "checkpoints"
CLUSTERINGS = ("proven", "cut-off")
# In a checkpoint, beside the state.
ABOUT = {"version", "members", "identity", "history"}
# The version in files that had none when the golden files were made, which is the same as 1.
ONE = (np.dtype(np.int64), (), np.int64(1).tobytes())
SAVED = {"cluster": "clustering", "tree": "hierarchy"}


def members(path: Path) -> dict[str, Any]:
    """Everything in an ``.npz`` file, to the bit."""
    with np.load(path) as arrays:
        return {name: (arrays[name].dtype, arrays[name].shape, arrays[name].tobytes()) for name in arrays}


@pytest.mark.parametrize("name", golden.CHECKPOINTS)
def test_a_run_goes_on_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    sweep, _, dtype = golden.CHECKPOINTS[name]
    shutil.copytree(CHECKPOINTS / name, tmp_path / "kept")
    seen: list[int] = []
    found = affinity_propagation(
        golden.graph(dtype),
        checkpoint=tmp_path / "kept",
        resume=True,
        callback=lambda report: seen.append(report.sweep),
        **golden.RUN,
    )
    assert seen[0] == sweep + 1
    assert golden.in_clustering(found) == golden.expected("checkpoints")[name]
    uninterrupted = affinity_propagation(golden.graph(dtype), **golden.RUN)
    assert golden.in_clustering(found) == golden.in_clustering(uninterrupted)


@pytest.mark.parametrize("name", golden.CHECKPOINTS)
def test_a_checkpoint_is_written_as_it_was(name: str, tmp_path: Path) -> None:
    golden.interrupt(name, tmp_path)
    (old,) = (CHECKPOINTS / name).iterdir()
    assert members(tmp_path / old.name) == members(old)


def test_the_checkpoints_have_all_that_can_be_in_them() -> None:
    kept = {
        name: set(np.load(next((CHECKPOINTS / name).iterdir()))["members"]) for name in golden.CHECKPOINTS
    }
    always = {
        "support", "self_responsibility", "total", "exemplar", "changed_at", "tilt",
        "mean", "edge1", "delta1", "edge2", "delta2",
    }  # fmt: skip
    assert kept.pop("young") == always
    assert all(names == always | {"best_value", "best_exemplar"} for names in kept.values())


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_a_clustering_is_read_and_written_as_it_was(name: str, tmp_path: Path) -> None:
    loaded = Clustering.load(golden.FOLDER / f"{name}.npz")
    assert golden.in_clustering(loaded) == golden.expected("results")[name]
    loaded.save(tmp_path / "again.npz")
    again = members(tmp_path / "again.npz")
    assert again.pop("clustering_version") == ONE
    assert again == members(golden.FOLDER / f"{name}.npz")


def test_a_hierarchy_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    loaded = Hierarchy.load(golden.FOLDER / "tree.npz")
    assert golden.in_hierarchy(loaded) == golden.expected("results")["tree"]
    loaded.save(tmp_path / "again.npz")
    again = members(tmp_path / "again.npz")
    assert again.pop("hierarchy_version") == ONE
    assert again == members(golden.FOLDER / "tree.npz")


def test_every_outcome_has_its_name_in_files() -> None:
    assert [outcome.name for outcome in Outcome] == [
        "CONVERGED", "MAX_ITER_REACHED", "NO_EXEMPLARS", "ALL_EQUAL", "GROUPED",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["plain", "named"])
def test_a_graph_on_disk_is_read_as_it_was(name: str, tmp_path: Path) -> None:
    folder = golden.unpacked(name, tmp_path / "graph.zarr")
    expected = golden.expected("graphs")[name]
    assert golden.in_group(zarr.open_group(folder, mode="r")) == expected["content"]
    found = affinity_propagation(folder, preference=-0.02, refine="medoid")
    assert golden.in_clustering(found) == expected["clustering"]


def test_what_is_noted_of_a_graph_is_found_again(tmp_path: Path) -> None:
    folder = golden.unpacked("named", tmp_path / "graph.zarr")
    graph = golden.graph()
    names = open_graph(folder).names()
    assert names is not None
    number = np.array([int(name.removeprefix("p")) for name in names])
    kept = np.where(graph.toarray() > -0.03, graph.toarray(), 0)[np.ix_(number, number)]
    assert (read_graph(folder).toarray() == kept).all()


def test_a_graph_is_written_as_it_was(tmp_path: Path) -> None:
    old = golden.unpacked("plain", tmp_path / "old.zarr")
    write_graph(golden.graph(), tmp_path / "new.zarr")
    again = {path.relative_to(tmp_path / "new.zarr") for path in (tmp_path / "new.zarr").rglob("*")}
    assert again == {path.relative_to(old) for path in old.rglob("*")}
    new = zarr.open_group(tmp_path / "new.zarr", mode="r")
    assert golden.in_group(new) == golden.expected("graphs")["plain"]["content"]
    for chunk in old.rglob("c/*"):
        assert (tmp_path / "new.zarr" / chunk.relative_to(old)).read_bytes() == chunk.read_bytes()


@pytest.mark.parametrize("graph", ["plain", "named"])
@pytest.mark.parametrize("which", golden.TABLES)
def test_tables_are_written_as_they_were(which: str, graph: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source = golden.unpacked(graph, tmp_path / "graph.zarr")
    for ending in ("csv", "parquet", "npz", "zarr"):
        golden.command(which, source, "-o", str(tmp_path / f"table.{ending}"))
    now, before = (
        path.read_bytes().splitlines()
        for path in (tmp_path / "table.csv", golden.FOLDER / f"{which}-{graph}.csv")
    )
    added = LATER.get(which, [])
    for line, old in zip(now, before, strict=True):
        # Columns that came later stand behind the others.
        assert line.startswith(old)
        assert line.count(b",") == old.count(b",") + len(added)
    schema = [[field.name, str(field.type)] for field in parquet.read_schema(tmp_path / "table.parquet")]
    expected = golden.expected("tables")[f"{which}-{graph}"]
    assert schema[: len(expected["parquet"])] == expected["parquet"]
    assert [name for name, _ in schema[len(expected["parquet"]) :]] == added
    version = {f"{SAVED[which]}_version": ["<i8", []]}
    assert golden.in_archive(tmp_path / "table.npz") == version | expected["npz"]
    group = golden.in_group(zarr.open_group(tmp_path / "table.zarr", mode="r"))
    assert {name: group[name] for name in group if name not in added} == expected["zarr"]
    assert set(added) <= set(group)


# Columns that came after the golden files were made.
LATER = {"cluster": ["runner_up", "margin"]}


def test_the_table_of_a_path_is_written_as_it_was(tmp_path: Path) -> None:
    golden.command(
        "path", golden.unpacked("plain", tmp_path / "graph.zarr"), "-o", str(tmp_path / "path.csv")
    )
    assert (tmp_path / "path.csv").read_bytes() == (golden.FOLDER / "path-plain.csv").read_bytes()


def test_columns_of_an_anndata_store_are_written_as_they_were(tmp_path: Path) -> None:
    store = golden.cells(tmp_path / "cells.zarr")
    for which in golden.TABLES:
        golden.command(which, store / "obsp" / "similarities", "--obs", which, "-o", str(store))
    found = golden.in_group(zarr.open_group(store / "obs", mode="r"))
    added = {f"{which}_{column}" for which in golden.TABLES for column in LATER.get(which, [])}
    order = [column for column in found[""]["column-order"] if column not in added]
    kept = {name: found[name] for name in found if name.partition("/")[0] not in added}
    assert kept | {"": found[""] | {"column-order": order}} == golden.expected("obs")
    assert added <= set(found[""]["column-order"])


class Recording(pickle.Unpickler):
    """Unpickles, and notes which of our classes were asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.BytesIO(path.read_bytes()))
        self.ours: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("sparse_ap"):
            self.ours.add(f"{module}.{name}")
        return super().find_class(module, name)


# In users' pickles. Wherever a class moves to, it must be found under this name too.
RESULT = {"sparse_ap.model.Clustering", "sparse_ap.model.Outcome", "sparse_ap.model.SweepReport"}
TREE = RESULT | {"sparse_ap.tree.Hierarchy"}
ESTIMATOR = "sparse_ap.estimator.AffinityPropagation"


def assert_whole(record: Any) -> None:
    """Every field is there: a pickle of a record has no names, only values in order."""
    for field in fields(record):
        getattr(record, field.name)


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_a_pickled_clustering_is_read(name: str) -> None:
    unpickler = Recording(golden.FOLDER / f"{name}.pickle")
    found = unpickler.load()
    assert unpickler.ours == RESULT
    assert type(found) is Clustering
    assert_whole(found)
    assert golden.in_clustering(found) == golden.expected("results")[name]


def test_a_pickled_hierarchy_is_read() -> None:
    unpickler = Recording(golden.FOLDER / "tree.pickle")
    found = unpickler.load()
    assert unpickler.ours == TREE
    assert type(found) is Hierarchy
    assert_whole(found)
    assert golden.in_hierarchy(found) == golden.expected("results")["tree"]


# scikit-learn notes its version in pickles of its own estimators alone: no other version warns here.
@pytest.mark.parametrize(("name", "results"), [("euclidean", RESULT), ("neighbours", TREE)])
def test_a_pickled_estimator_predicts(name: str, results: set[str]) -> None:
    unpickler = Recording(golden.FOLDER / f"estimator-{name}.pickle")
    found = unpickler.load()
    assert unpickler.ours == results | {ESTIMATOR}
    expected = golden.expected("estimators")
    assert found.labels_.tolist() == expected[name]["labels"]
    assert found.predict(expected["new"]).tolist() == expected[name]["predicted"]
    assert golden.in_clustering(found.clustering_) == expected[name]["clustering"]
    if name == "neighbours":
        assert (found.hierarchy_.labels(0) == found.labels_).all()
    repr(found)
    assert found.get_params()["recall"] == 0.95


def changed(path: Path, target: Path, without: str = "", **others: Any) -> Path:
    """Copy an ``.npz`` file without an array, and with others."""
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays if name != without}
    np.savez(target, **kept | others)
    return target


@pytest.mark.parametrize(("what", "name"), [(Clustering, "proven"), (Hierarchy, "tree")])
def test_saved_in_a_later_form_is_refused(what: Any, name: str, tmp_path: Path) -> None:
    word = what.__name__.lower()
    version: dict[str, Any] = {f"{word}_version": 2}
    later = changed(golden.FOLDER / f"{name}.npz", tmp_path / "later.npz", **version)
    text = (
        f"The {word} {later} is of version 2 of its format, and this sparse_ap knows none later than 1. "
        "Update sparse_ap."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        what.load(later)
    same = changed(golden.FOLDER / f"{name}.npz", tmp_path / "same.npz", **{f"{word}_version": 1})
    assert repr(what.load(same)) == repr(what.load(golden.FOLDER / f"{name}.npz"))


def test_a_checkpoint_is_not_taken_for_a_later_clustering() -> None:
    (path,) = (CHECKPOINTS / "young").iterdir()
    with pytest.raises(InvalidInputError, match=f"^{re.escape(str(path))} holds no clustering"):
        Clustering.load(path)


@pytest.mark.parametrize("name", ["net_similarity_bound", "preference"])
def test_what_may_be_none_may_be_missing(name: str, tmp_path: Path) -> None:
    path = changed(golden.FOLDER / "proven.npz", tmp_path / "without.npz", without=name)
    expected = golden.expected("results")["proven"]
    assert golden.in_clustering(Clustering.load(path)) == expected | {name: None}
    path = changed(golden.FOLDER / "tree.npz", tmp_path / "without.npz", without=f"0.{name}")
    first = Hierarchy.load(path).clusterings[0]
    assert golden.in_clustering(first) == expected | {name: None}


def test_whether_the_bound_is_complete_is_kept(tmp_path: Path) -> None:
    """What was pickled or written before there was such a bound has none."""
    old = Clustering.load(golden.FOLDER / "proven.npz")
    assert not old.bound_is_complete
    assert not pickle.loads((golden.FOLDER / "proven.pickle").read_bytes()).bound_is_complete
    replace(old, bound_is_complete=True).save(tmp_path / "new.npz")
    new = Clustering.load(tmp_path / "new.npz")
    assert new.bound_is_complete
    assert pickle.loads(pickle.dumps(new)).bound_is_complete


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    history = np.hstack([Clustering.load(golden.FOLDER / "proven.npz").history, np.ones((48, 1), np.int64)])
    path = changed(golden.FOLDER / "proven.npz", tmp_path / "more.npz", history=history, more=np.arange(3))
    assert golden.in_clustering(Clustering.load(path)) == golden.expected("results")["proven"]


@pytest.mark.parametrize(
    ("version", "advice"), [(3, "Update sparse_ap"), (1, "Go on with the version that wrote it")]
)
def test_a_checkpoint_in_another_form_is_refused(version: int, advice: str, tmp_path: Path) -> None:
    (path,) = (CHECKPOINTS / "young").iterdir()
    other = changed(path, tmp_path / path.name, version=version)
    text = (
        f"The checkpoint {other} is of version {version} of its format, and this sparse_ap goes on from "
        f"version 2. {advice}, or give another folder to begin anew."
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(text)}$"):
        affinity_propagation(golden.graph(), checkpoint=tmp_path, resume=True, **golden.RUN)
    assert other.exists()


def noting(folder: Path, **others: Any) -> None:
    """Change what is noted of a graph."""
    group = zarr.open_group(folder, mode="r+")
    noted: Any = group.attrs["sparse_ap"]
    group.attrs["sparse_ap"] = {**noted, **others}


def test_a_graph_in_a_later_form_is_refused(tmp_path: Path) -> None:
    folder = golden.unpacked("plain", tmp_path / "graph.zarr")
    noting(folder, version=2)
    shutil.rmtree(folder / "data")  # in whatever form
    text = "graph.zarr is of version 2 of its format, and this sparse_ap knows none later than 1. Update "
    for read in (open_graph, affinity_propagation, lambda given: write_graph(given, tmp_path / "new.zarr")):
        with pytest.raises(InvalidInputError, match=re.escape(text)):
            read(folder)


def test_a_graph_need_not_be_described(tmp_path: Path) -> None:
    folder = golden.unpacked("plain", tmp_path / "graph.zarr")
    noting(folder, more=[1, 2])
    expected = golden.expected("graphs")["plain"]["clustering"]
    options: dict[str, Any] = {"preference": -0.02, "refine": "medoid"}
    assert golden.in_clustering(affinity_propagation(folder, **options)) == expected
    del zarr.open_group(folder, mode="r+").attrs["sparse_ap"]
    assert golden.in_clustering(affinity_propagation(folder, **options)) == expected
