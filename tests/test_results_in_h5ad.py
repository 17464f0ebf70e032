"""Columns of results in `.h5ad` files, which are as they were after any failure."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from click.testing import CliRunner, Result
from samples import knn_similarity

from sparse_ap import affinity_propagation
from sparse_ap.cli.commands import main

GRAPH = knn_similarity(60, 6, 2, seed=0)
NAMES = [f"cell {point}" for point in range(60)]
COLUMNS = ["depth", "exemplar", "exemplar_runner_up", "exemplar_similarity", "exemplar_margin"]
QUIET = ["--quiet", "--preference=-0.2"]
OBS = [*QUIET, "--obs", "exemplar"]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def cells() -> Any:
    made = anndata.AnnData(np.arange(60, dtype=np.float32)[:, None])
    made.obs_names = NAMES
    made.obs.index.name = "barcode"
    made.obs["depth"] = np.arange(60)
    made.obsp["similarities"] = GRAPH
    made.layers["raw"] = np.ones((60, 1), np.float32)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        cells().write_h5ad(tmp_path / "cells.h5ad")
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    return tmp_path / "cells.h5ad"


def test_a_file_is_clustered_and_gets_the_result(store: Path, tmp_path: Path) -> None:
    before = anndata.read_h5ad(store)
    done = run("cluster", store, *OBS, "-o", store)
    assert done.exit_code == 0, done.output
    after = anndata.read_h5ad(store)
    assert after.obs.columns.tolist() == COLUMNS
    assert after.obs_names.tolist() == NAMES
    assert (after.obsp["similarities"] != GRAPH).nnz == 0
    assert (after.X == before.X).all()
    assert (after.layers["raw"] == 1).all()
    assert run("cluster", store, *QUIET, "-o", tmp_path / "labels.csv").exit_code == 0
    plain = pd.read_csv(tmp_path / "labels.csv", float_precision="round_trip")
    assert after.obs["exemplar"].tolist() == [NAMES[point] for point in plain["exemplar"]]
    assert after.obs["exemplar_similarity"].tolist() == pytest.approx(plain["similarity"].tolist())
    runner_up = affinity_propagation(GRAPH, preference=-0.2).runner_up(GRAPH)
    reached = runner_up.exemplars >= 0
    assert reached.any()
    assert after.obs["exemplar_runner_up"][reached].tolist() == [
        NAMES[k] for k in runner_up.exemplars[reached]
    ]
    assert after.obs["exemplar_runner_up"].isna().tolist() == (~reached).tolist()
    assert np.array_equal(after.obs["exemplar_margin"], runner_up.margins, equal_nan=True)
    assert np.array_equal(plain["margin"], runner_up.margins, equal_nan=True)
    assert plain["runner_up"].tolist() == runner_up.exemplars.tolist()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_tree_in_a_file_through_a_link(store: Path, tmp_path: Path) -> None:
    store.chmod(0o640)
    (tmp_path / "link.h5ad").symlink_to(store.name)
    done = run("tree", store, "--quiet", "--obs", "level", "--n-clusters", 3, "-o", tmp_path / "link.h5ad")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "link.h5ad").is_symlink()
    assert store.stat().st_mode & 0o777 == 0o640
    columns = anndata.read_h5ad(store).obs
    assert {"level_0", "level_1", "level_clusters_3"} <= set(columns)
    assert columns["level_clusters_3"].nunique() == 3


def test_columns_are_replaced_when_that_is_asked_for(store: Path) -> None:
    assert run("cluster", store, *OBS, "-o", store).exit_code == 0
    first = store.read_bytes()
    refused = run("cluster", store, *OBS, "-o", store)
    assert refused.exit_code == 2
    assert "has a column 'exemplar' in obs already" in refused.stderr
    assert store.read_bytes() == first
    many = run(
        "cluster", store, "--quiet", "--preference=-0.002", "--obs", "exemplar", "-o", store, "--force"
    )
    assert many.exit_code == 0, many.output
    after = anndata.read_h5ad(store).obs
    assert after.columns.tolist() == COLUMNS
    assert after["exemplar"].nunique() > 5


@pytest.mark.parametrize("name", ["", "_index", "barcode", "../x", "depth", "a/b"])
def test_names_that_no_column_can_have(name: str, store: Path) -> None:
    before = store.read_bytes()
    refused = run("cluster", store, *QUIET, "--obs", name, "-o", store)
    assert refused.exit_code == 2
    assert "--obs" in refused.stderr or "has a column 'depth'" in refused.stderr
    assert store.read_bytes() == before


@pytest.mark.parametrize("kind", ["categorical", "nullable", "numbers", "empty"])
def test_row_names_of_every_kind(kind: str, store: Path) -> None:
    """As other versions of anndata and pandas write them."""
    text = h5py.string_dtype()
    with h5py.File(store, "r+") as file:
        obs = file["obs"]
        if kind == "empty":
            obs.attrs.create("column-order", np.zeros(0))
            obs.attrs["_index"] = np.bytes_("barcode")
        elif kind == "numbers":
            del obs["barcode"]
            obs.create_dataset("barcode", data=np.arange(60)).attrs["encoding-type"] = "array"
        else:
            del obs["barcode"]
            group = obs.create_group("barcode")
            if kind == "categorical":
                group.create_dataset("codes", data=np.arange(60, dtype=np.int8))
                group.create_dataset("categories", data=np.array(NAMES, object), dtype=text)
            else:
                group.create_dataset("values", data=np.array(NAMES, object), dtype=text)
                group.create_dataset("mask", data=np.zeros(60, bool))
            group.attrs["encoding-type"] = {"nullable": "nullable-string-array"}.get(kind, kind)
    assert run("cluster", store, *OBS, "-o", store).exit_code == 0
    with h5py.File(store, "r") as file:
        found = file["obs/exemplar/categories"].asstr()[:].tolist()
        assert list(file["obs"].attrs["column-order"])[-4:] == COLUMNS[1:]
    assert set(found) <= set(map(str, range(60)) if kind == "numbers" else NAMES)


def test_files_that_have_no_such_table(store: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file.create_dataset("obs", data=np.zeros(3, [("index", "S5")]))
    (tmp_path / "text.h5ad").write_text("text")
    for name, text in (("old.h5ad", "has no table 'obs'"), ("text.h5ad", "cannot be read as HDF5")):
        refused = run("cluster", store, *OBS, "-o", tmp_path / name)
        assert refused.exit_code == 2
        assert text in refused.stderr
        assert ".part" not in refused.stderr


def test_a_file_of_other_cells_is_left_alone(store: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        cells()[:50].copy().write_h5ad(tmp_path / "fewer.h5ad")
    before = (tmp_path / "fewer.h5ad").read_bytes()
    refused = run("cluster", store, *OBS, "-o", tmp_path / "fewer.h5ad")
    assert refused.exit_code == 2
    assert "has 50 rows in obs, and the clustering 60 points" in refused.stderr
    assert (tmp_path / "fewer.h5ad").read_bytes() == before


@pytest.mark.parametrize(
    "holder", [(h5py.Group, "create_dataset"), (h5py.Group, "create_group"), (Path, "replace")]
)
def test_after_an_error_the_file_is_as_it_was(holder: Any, store: Path, monkeypatch: Any) -> None:
    before = store.read_bytes()
    write = getattr(*holder)
    for moment in range(10):
        calls = iter(range(1000))

        def failing(*given: Any, calls: Any = calls, moment: int = moment, **more: Any) -> Any:
            if next(calls) == moment:
                raise OSError(28, "No space left on device")
            return write(*given, **more)

        with monkeypatch.context() as context:
            context.setattr(*holder, failing)
            done = run("cluster", store.with_name("g.npz"), *OBS, "-o", store)
        if done.exit_code == 0:
            break
        assert "No space left on device" in done.stderr
        assert store.read_bytes() == before
        assert list(store.parent.glob(".*")) == []
    assert moment >= 1, "nothing has failed"
    assert anndata.read_h5ad(store).obs["exemplar"].nunique() > 1


KILLED = """
import os, signal, sys
from pathlib import Path
import h5py
from sparse_ap.cli.commands import main

left = int(sys.argv.pop(1))
def counted(function):
    def called(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return called
h5py.Group.create_dataset = counted(h5py.Group.create_dataset)
Path.replace = counted(Path.replace)
main()
"""


@pytest.mark.slow
def test_after_a_kill_the_file_is_as_it_was(store: Path) -> None:
    before = store.read_bytes()
    for moment in range(20):
        arguments = ["cluster", str(store.with_name("g.npz")), *OBS, "-o", str(store)]
        command = [sys.executable, "-c", KILLED, str(moment), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert store.read_bytes() == before
    assert moment >= 3
    # What the last kill has left was removed by the next run.
    assert list(store.parent.glob(".*")) == []
    assert anndata.read_h5ad(store).obs["exemplar"].nunique() > 1
