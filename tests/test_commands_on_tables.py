"""Commands that read graphs take what `convert` takes, and read and write standard streams."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
from click.testing import CliRunner, Result
from samples import knn_similarity

from sparse_ap.cli.commands import main

GRAPH = knn_similarity(60, 6, 2, seed=0)
NAMES = np.array([f"p{point:02}" for point in range(60)])
EDGES = pd.DataFrame(
    {"source": NAMES[GRAPH.tocoo().coords[0]], "target": NAMES[GRAPH.tocoo().coords[1]], "weight": GRAPH.data}
)


def run(*arguments: Any, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder for temporary files, which must be empty in the end."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def written(folder: Path, name: str) -> Path:
    """Write the graph, by the ending of the name."""
    path = folder / name
    if name.endswith(".npz"):
        scipy.sparse.save_npz(path, GRAPH)
    elif name.endswith(".mtx"):
        scipy.io.mmwrite(path, GRAPH)
    elif name.endswith(".h5ad"):
        cells = anndata.AnnData(np.zeros((60, 1), np.float32))
        cells.obsp["similarities"] = GRAPH
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            cells.write_h5ad(path)
    elif name.endswith(".parquet"):
        EDGES.to_parquet(path)
    elif ".m8" in name:
        middle = pd.DataFrame(np.zeros((len(EDGES), 9), int), index=EDGES.index)
        table = pd.concat([EDGES.iloc[:, :2], middle, EDGES.iloc[:, 2]], axis=1)
        table.to_csv(path, sep="\t", index=False, header=False)
    else:
        separator = "," if ".csv" in name else "\t"
        EDGES.to_csv(path, sep=separator, index=False, header=".abc" not in name)
    return path


TABLES = ["e.tsv", "e.csv.gz", "e.csv.bz2", "e.abc", "e.m8", "e.parquet"]
NUMBERED = ["g.mtx", "g.h5ad"]
KEPT = ["--quiet", "--preference=-0.2"]


@pytest.mark.parametrize("name", [*TABLES, *NUMBERED])
def test_a_table_is_clustered_as_its_graph_is(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    done = run("convert", path, "-o", tmp_path / "g.zarr", "--quiet")
    assert done.exit_code == 0, done.output
    for source, output in ((path, "a.csv"), (tmp_path / "g.zarr", "b.csv")):
        done = run("cluster", source, *KEPT, "-o", tmp_path / output)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    points = pd.read_csv(tmp_path / "a.csv")["point"].tolist()
    assert points == (NAMES.tolist() if name in TABLES else list(range(60)))


def test_every_command_reads_tables(tmp_path: Path) -> None:
    table, graph = written(tmp_path, "e.tsv"), written(tmp_path, "g.npz")
    for command in (["info"], ["path", "--preferences=-0.2"]):
        ours, plain = (run(*command, path) for path in (table, graph))
        assert ours.exit_code == 0, ours.output
        assert ours.stdout == plain.stdout
    done = run("tree", table, "--quiet", "-o", tmp_path / "tree.csv")
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "tree.csv")["level_0"].isin(NAMES).all()


def test_options_for_reading_are_those_of_convert(tmp_path: Path) -> None:
    EDGES.assign(distance=-EDGES["weight"], weight=1.0).to_csv(tmp_path / "d.csv", index=False)
    options = ["--column", "distance", "--similarity=-d"]
    done = run("cluster", tmp_path / "d.csv", *options, *KEPT, "-o", tmp_path / "a.csv")
    assert done.exit_code == 0, done.output
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    assert run("cluster", tmp_path / "g.npz", *KEPT, "-o", tmp_path / "b.csv").exit_code == 0
    ours, plain = (pd.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert ours["label"].tolist() == plain["label"].tolist()
    assert ours["similarity"].tolist() == plain["similarity"].tolist()


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("g.npz", ["--column", "weight"], "--column is for tables of edges and AnnData files;"),
        ("g.npz", ["--ids", "string"], "--ids is for tables of edges"),
        ("e.tsv", ["--column", "score"], "the similarity was looked for in 'score'"),
        ("g.mtx", ["--ids", "string"], "--ids string is for edge lists"),
        ("g.mtx", ["--n-points", "70"], "is for edge lists"),
        ("e.tsv", ["--key", "obsp/x"], "--key obsp/x is for .h5ad files and zarr stores"),
        ("g.h5ad", ["--key", "distances"], "has no sparse matrix 'obsp/distances'"),
        ("e.tsv", ["--scheduler", "tcp://nowhere:1"], "sparse-ap convert"),
    ],
)
def test_options_for_another_kind_of_input(name: str, options: list[str], text: str, tmp_path: Path) -> None:
    done = run("cluster", written(tmp_path, name), *options)
    assert done.exit_code == 2
    assert text in done.stderr


def test_an_option_of_tables_is_refused_for_a_folder(tmp_path: Path) -> None:
    assert run("convert", written(tmp_path, "g.npz"), "-o", tmp_path / "g.zarr").exit_code == 0
    done = run("info", tmp_path / "g.zarr", "--n-points", 70)
    assert done.exit_code == 2
    assert "--n-points is for tables of edges and AnnData files" in done.stderr


def test_a_store_by_its_key(tmp_path: Path) -> None:
    cells = anndata.AnnData(np.zeros((60, 1), np.float32))
    cells.obsp["similarities"] = GRAPH
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        cells.write_zarr(tmp_path / "cells.zarr")
    done = run("info", tmp_path / "cells.zarr", "--key", "similarities")
    assert "points             60\n" in done.stdout


# Standard streams


@pytest.mark.parametrize("name", ["e.tsv", "e.csv.gz", "e.parquet", "g.mtx", "g.h5ad", "g.npz"])
def test_a_table_from_standard_input(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    piped = run("cluster", "-", *KEPT, "-o", "-", stdin=path.read_bytes())
    assert piped.exit_code == 0, piped.output
    assert run("cluster", path, *KEPT, "-o", tmp_path / "a.csv").exit_code == 0
    assert piped.stdout.encode() == (tmp_path / "a.csv").read_bytes().replace(b"\r", b"")
    assert piped.stderr == ""


def test_matrix_market_in_gzip_from_standard_input(tmp_path: Path) -> None:
    packed = gzip.compress(written(tmp_path, "g.mtx").read_bytes())
    assert "points             60\n" in run("info", "-", stdin=packed).stdout


@pytest.mark.parametrize("command", [["cluster"], ["tree"], ["path", "--preferences=-0.2"]])
def test_only_the_table_is_on_standard_output(command: list[str], tmp_path: Path) -> None:
    done = run(*command, written(tmp_path, "e.tsv"), "-o", "-")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(io.StringIO(done.stdout))
    assert len(table) == (1 if command[0] == "path" else 60)
    assert "\r" not in done.stdout
    assert "clusters" in done.stderr or "exemplars" in done.stderr
    if command[0] != "path":
        assert "standard output" in done.stderr


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "Error: Nothing came in from standard input; a table of edges is needed.\n"),
        (b"a\tb\t1\na\tc\n", "Error: standard input: line 2 ('a\\tc'): 2 columns, but 3 are needed"),
        (b"a\tb\t1\t2\nb\tc\t2\t3\n", "Warning: standard input: the similarity is taken from the column 3;"),
        (
            gzip.compress(b"a\tb\t1\n" * 9, mtime=0)[:-8],
            "Error: standard input cannot be decompressed as .gz",
        ),
    ],
)
def test_messages_name_standard_input(content: bytes, text: str) -> None:
    assert text in run("info", "-", stdin=content).stderr


@pytest.mark.parametrize("command", [["knn", "-"], ["radius", "-", "-t", "-1"], ["cluster", "-", "-k", "3"]])
def test_points_are_asked_for_where_points_are_read(command: list[str], tmp_path: Path) -> None:
    refused = run(*command, "-o", tmp_path / "new.npz", stdin=b"")
    assert refused.exit_code == 2
    assert "Nothing came in from standard input; points are needed." in refused.stderr


def test_convert_reads_standard_input_and_writes_none(tmp_path: Path) -> None:
    table = written(tmp_path, "e.tsv").read_bytes()
    assert run("convert", "-", "-o", tmp_path / "g.zarr", stdin=table).exit_code == 0
    assert "points             60\n" in run("info", tmp_path / "g.zarr").stdout
    refused = run("convert", "-", "-o", "-", stdin=table)
    assert refused.exit_code == 2
    assert "-o - is for tables" in refused.stderr


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    """As a shell gives one: sparse-ap info <(zcat edges.tsv.gz)."""
    table = written(tmp_path, "e.tsv").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(table,))
    writer.start()
    done = run("info", tmp_path / "pipe")
    writer.join()
    assert "points             60\n" in done.stdout


def test_the_table_that_a_run_writes_can_be_read() -> None:
    """Each point has an edge to its exemplar."""
    content = b"point,label,exemplar,similarity\na,0,b,-0.5\nb,0,b,0.0\nc,0,b,-0.25\n"
    with_label = run("info", "-", stdin=content)
    assert "edges              2\n" in with_label.stdout
    assert "numbers are also in 'label'" in with_label.stderr


INTERRUPTED = """
import importlib, os, signal
from sparse_ap.cli.commands import main

def interrupted(*arguments, **options):
    os.kill(os.getpid(), signal.{which})

importlib.import_module("sparse_ap.cli.cluster").clustered_or_grouped = interrupted
main()
"""


@pytest.mark.parametrize("which", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_an_interruption_removes_the_temporary_graph(which: str, tmp_path: Path, temporary: Path) -> None:
    program = INTERRUPTED.replace("{which}", which)
    command = [sys.executable, "-c", program, "cluster", str(written(tmp_path, "e.tsv"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert "Interrupted." in done.stderr
    assert list(temporary.iterdir()) == []
