"""No command destroys what it reads, or what lies in a store already."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner, Result
from conftest import knn_similarity

from sparse_ap.cli.commands import main
from sparse_ap.graphs import read_graph, write_graph

GRAPH = knn_similarity(60, 6, 2, seed=0)
NAMES = [f"cell {point}" for point in range(60)]
COLUMNS = ["depth", "exemplar", "exemplar_runner_up", "exemplar_similarity", "exemplar_margin"]
QUIET = ["--quiet", "--preference=-0.2"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    return tmp_path / "g.npz"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    cells = anndata.AnnData(np.zeros((60, 1), np.float32))
    cells.obs_names = NAMES
    cells.obs.index.name = "barcode"
    cells.obs["depth"] = np.arange(60)
    cells.obsp["similarities"] = GRAPH
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        cells.write_zarr(tmp_path / "cells.zarr")
    return tmp_path / "cells.zarr"


def refused(result: Result, text: str) -> None:
    assert result.exit_code == 2, result.output
    assert text in result.stderr


READS = "is what the command reads, so it is not written to. Give the output another name."


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_names_and_tables_are_not_written_to(graph: Path, tmp_path: Path, option: str) -> None:
    ending = "csv" if option == "--output" else "html"
    names, table = tmp_path / f"n.{ending}", tmp_path / "t.csv"
    names.write_text("".join(f"{name}\n" for name in NAMES))
    table.write_text("w\n" + "1\n2\n" * 30)
    before = files(tmp_path)
    refused(run("cluster", graph, "--names", names, option, names, *QUIET), READS)
    if option == "--output":
        refused(
            run("cluster", graph, "--table", table, "--weights-column", "w", option, table, *QUIET), READS
        )
    assert files(tmp_path) == before


@pytest.mark.parametrize("command", ["cluster", "tree"])
@pytest.mark.parametrize("name", ["g.npz", "./g.npz", "link.npz"])
def test_the_graph_is_not_replaced(command: str, name: str, graph: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(graph.parent)
    Path("link.npz").symlink_to("g.npz")
    before = files(graph.parent)
    refused(run(command, "g.npz", "-o", name), READS)
    refused(run(command, "link.npz", "-o", "g.npz"), READS)
    assert files(graph.parent) == before
    assert Path("link.npz").is_symlink()


@pytest.mark.parametrize("option", ["--report", "--plot", "-o"])
def test_reports_and_pictures_do_not_replace_the_graph(option: str, tmp_path: Path) -> None:
    path = tmp_path / "g.csv.html.png"
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    path.symlink_to("g.npz")
    before = files(tmp_path)
    command = "cluster" if option == "--report" else "path"
    target = tmp_path / {"--report": "link.html", "--plot": "link.png", "-o": "link.csv"}[option]
    target.symlink_to("g.npz")
    refused(run(command, tmp_path / "g.npz", option, target), READS)
    assert files(tmp_path) == {**before, target.name: before["g.npz"]}


def test_points_are_not_replaced(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", points=np.random.default_rng(0).random((50, 2)))
    before = files(tmp_path)
    refused(run("knn", tmp_path / "p.npz", "-o", tmp_path / "p.npz"), READS)
    assert files(tmp_path) == before


def test_a_graph_is_not_converted_into_itself(tmp_path: Path, graph: Path) -> None:
    write_graph(GRAPH, tmp_path / "g.zarr")
    before = files(tmp_path)
    refused(run("convert", tmp_path / "g.zarr", "-o", tmp_path / "g.zarr", "--force"), READS)
    refused(run("convert", graph, "-o", graph, "--force"), READS)
    assert files(tmp_path) == before


def test_convert_writes_a_file_where_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "edges.tsv").write_text("a\tb\t0.5\nb\tc\t0.25\n")
    done = run("convert", tmp_path / "edges.tsv", "-o", tmp_path / "g.npz")
    assert done.exit_code == 0
    assert f"written to      {tmp_path / 'g.npz'}" in done.stdout
    assert scipy.sparse.load_npz(tmp_path / "g.npz").toarray().tolist() == [
        [0, 0.5, 0],
        [0, 0, 0.25],
        [0, 0, 0],
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edges.tsv", "g.npz"]
    refused(
        run("convert", tmp_path / "edges.tsv", "-o", tmp_path / "g.npz"), "g.npz exists. Give another name"
    )
    assert run("convert", tmp_path / "edges.tsv", "-o", tmp_path / "g.npz", "--force").exit_code == 0
    for ending in (".csv", ".mtx", ".h5ad", ".parquet"):
        name = tmp_path / f"g{ending}"
        refused(
            run("convert", tmp_path / "edges.tsv", "-o", name), f"{name} ends in '{ending}', and graphs are"
        )
        assert not name.exists()


def test_an_order_is_that_of_the_user_in_a_file(tmp_path: Path, graph: Path) -> None:
    done = run("convert", graph, "-o", tmp_path / "ordered.npz", "--order", "rcm")
    assert done.exit_code == 0
    assert (scipy.sparse.load_npz(tmp_path / "ordered.npz") != GRAPH).nnz == 0
    write_graph(GRAPH, tmp_path / "g.zarr")
    assert (read_graph(tmp_path / "g.zarr") != GRAPH).nnz == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "--obs '' is no name of a column; give one that is not empty"),
        ("_index", "--obs '_index' is the index of"),
        ("barcode", "--obs 'barcode' is the index of"),
        ("../x", "--obs '../x' is no name of a column; give one that is not empty, has no '/'"),
        ("depth", "has a column 'depth' in obs already; choose another name, or give --force to replace it."),
    ],
)
def test_names_that_no_column_can_have(name: str, text: str, store: Path, graph: Path) -> None:
    before = files(store)
    refused(run("cluster", graph, *QUIET, "--obs", name, "-o", store), text)
    assert files(store) == before
    if name in ("", "../x"):
        refused(run("tree", graph, "--quiet", "--obs", name, "-o", store), text[:8])
    if name != "depth":
        refused(run("cluster", graph, *QUIET, "--obs", name, "-o", store, "--force"), text)
    assert files(store) == before


def test_what_is_no_store(tmp_path: Path, graph: Path) -> None:
    zarr.create_array(tmp_path / "array.zarr", shape=(3,), dtype="f4")
    (tmp_path / "cells.h5ad").write_bytes(b"\x89HDF")
    for name, text in (
        ("array.zarr", "is no AnnData store: there is no group 'obs' in it"),
        ("cells.h5ad", "cannot be read as HDF5; give the .h5ad file that AnnData.write_h5ad has written"),
        ("none.zarr", "does not exist; --obs adds columns to what AnnData has written"),
    ):
        refused(run("cluster", graph, "--obs", "x", "-o", tmp_path / name), f"{tmp_path / name} {text}")
    refused(
        run("cluster", graph, "--force", "-o", tmp_path / "x.csv"), "--force replaces columns of an AnnData"
    )


def test_a_column_is_replaced_when_that_is_asked_for(store: Path, graph: Path) -> None:
    assert (
        run("cluster", graph, "--quiet", "--preference=-0.2", "--obs", "exemplar", "-o", store).exit_code == 0
    )
    first = anndata.read_zarr(store).obs
    done = run("cluster", graph, "--quiet", "--preference=-0.02", "--obs", "exemplar", "-o", store, "--force")
    assert done.exit_code == 0
    second = anndata.read_zarr(store).obs
    assert second.columns.tolist() == first.columns.tolist() == COLUMNS
    assert second["exemplar"].nunique() > first["exemplar"].nunique()
    assert (second["depth"] == first["depth"]).all()
    assert second.index.tolist() == NAMES


OBS = [*QUIET, "--obs", "exemplar"]


def failing(function: Any, moment: int) -> Any:
    """Return a function that fails when it is called for the n-th time, the first being 0."""
    calls = iter(range(1000))

    def called(*given: Any, **more: Any) -> Any:
        if next(calls) == moment:
            raise OSError(28, "No space left on device")
        return function(*given, **more)

    return called


@pytest.mark.parametrize(
    "holder", [(Path, "rename"), (zarr.Group, "create_array"), (zarr.Group, "create_group")]
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_after_an_error_the_store_is_as_it_was(
    force: list[str], holder: tuple[Any, str], store: Path, graph: Path, monkeypatch: Any
) -> None:
    """Whichever step fails: writing, or giving names."""
    if force:
        assert run("cluster", graph, *OBS, "-o", store).exit_code == 0
    before = files(store)
    for moment in range(10):
        with monkeypatch.context() as context:
            context.setattr(*holder, failing(getattr(*holder), moment))
            done = run("cluster", graph, *OBS, "-o", store, *force)
        if done.exit_code == 0:
            break
        assert "No space left on device" in done.stderr
        assert files(store) == before
    assert moment >= 1, "nothing has failed"
    assert anndata.read_zarr(store).obs["exemplar"].nunique() > 1


KILLED = """
import os, signal, sys
from pathlib import Path
import zarr
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
Path.rename = counted(Path.rename)
zarr.Group.create_array = counted(zarr.Group.create_array)
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_after_a_kill_the_columns_are_as_they_were(force: list[str], store: Path, graph: Path) -> None:
    if force:
        assert run("cluster", graph, *OBS, "-o", store).exit_code == 0
    kept = store.with_name("kept.zarr")
    shutil.copytree(store, kept)
    before = anndata.read_zarr(store).obs
    for moment in range(20):
        arguments = ["cluster", str(graph), *OBS, "-o", str(store), *force]
        command = [sys.executable, "-c", KILLED, str(moment), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        # What a kill has left half renamed is put right when the store is next opened.
        refused(run("cluster", graph, "--obs", "depth", "-o", store), "has a column 'depth' in obs already")
        assert anndata.read_zarr(store).obs[before.columns.tolist()].equals(before)
        shutil.rmtree(store)
        shutil.copytree(kept, store)
    assert moment >= 4
    assert anndata.read_zarr(store).obs["exemplar"].nunique() > 1


# --- errors of the system name what was written ---


WRITERS: dict[str, Any] = {
    "labels.csv": lambda graph, out: affinity(graph, out),
    "labels.npz": lambda graph, out: affinity(graph, out),
    "labels.zarr": lambda graph, out: affinity(graph, out),
    "labels.parquet": lambda graph, out: affinity(graph, out),
    "run.html": lambda graph, out: run("cluster", graph, *QUIET, "--report", out),
    "path.csv": lambda graph, out: run("path", graph, "--preferences=-1", "--quiet", "-o", out),
    "path.png": lambda graph, out: run("path", graph, "--preferences=-1", "--quiet", "--plot", out),
    "graph.zarr": lambda graph, out: run("convert", graph, "-o", out, "--quiet"),
    "other.npz": lambda graph, out: run("convert", graph, "-o", out, "--quiet"),
    "kept": lambda graph, out: run("cluster", graph, *QUIET, "--checkpoint", out, "--checkpoint-every", "1"),
}


def affinity(graph: Path, out: Path) -> Any:
    return run("cluster", graph, *QUIET, "-o", out)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_is_told_with_the_file(name: str, fault: int, tmp_path: Path, monkeypatch: Any) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)

    def fail(*_: Any) -> None:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "fsync", fail)
    done = WRITERS[name](tmp_path / "g.npz", tmp_path / name)
    assert done.exit_code == 2, done.output
    assert os.strerror(fault) in done.stderr
    assert name in done.stderr
    assert ".part" not in done.stderr
