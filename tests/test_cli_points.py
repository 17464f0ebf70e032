"""The commands that take a graph, given points and the number of neighbours."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner

from sparse_ap.cli.commands import main
from sparse_ap.graphs import knn_graph
from sparse_ap.graphs.neighbours import search

POINTS = np.random.default_rng(7).normal(size=(300, 9)).astype(np.float32)


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def points_file(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", POINTS)
    return tmp_path / "points.npy"


@pytest.fixture
def few_are_searched_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_EXACT_POINTS", 100)


SEARCHES: list[list[Any]] = [
    ["-k", 5],
    ["-k", 5, "--metric", "cosine", "--similarity", "1-d"],
    ["-k", 5, "--recall", 0.5, "--seed", 3],
]


@pytest.mark.usefixtures("few_are_searched_exactly")
@pytest.mark.parametrize("options", SEARCHES, ids=["plain", "cosine", "half"])
@pytest.mark.parametrize("command", ["cluster", "tree", "path"])
def test_in_one_line_as_in_two(command: str, options: list[Any], points_file: Path, tmp_path: Path) -> None:
    """The bytes are those of ``knn`` and then the command; what it says has the recall."""
    seed = options[options.index("--seed") :] if "--seed" in options else []
    at_once, graph, later = (tmp_path / name for name in ("at-once.csv", "graph.npz", "later.csv"))
    result = run(command, points_file, *options, "-o", at_once)
    assert result.exit_code == 0, result.output
    assert run("knn", points_file, *options, "-o", graph, "--quiet").exit_code == 0
    assert run(command, graph, *seed, "-o", later, "--quiet").exit_code == 0
    assert at_once.read_bytes() == later.read_bytes()
    (line,) = (line for line in result.output.splitlines() if line.startswith("recall"))
    assert "estimated on 300 points" in line


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_info_shows_the_recall(points_file: Path) -> None:
    recall = knn_graph(POINTS, 5).recall
    assert f"recall             {recall}\n" in run("info", points_file, "-k", 5).output
    assert "recall             1, exact\n" in run("info", points_file, "-k", 5, "--recall", 1).output
    other = knn_graph(POINTS, 5, random_state=9, recall=0.5).recall
    assert str(other) in run("info", points_file, "-k", 5, "--recall", 0.5, "--seed", 9).output


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_the_page_about_a_run_shows_the_recall(points_file: Path, tmp_path: Path) -> None:
    """From points at once, and from a graph on disk, which keeps it."""
    page, graph = tmp_path / "run.html", tmp_path / "graph.zarr"
    told = f"neighbours found</th><td>{knn_graph(POINTS, 5).recall}</td>"
    assert run("knn", points_file, "-k", 5, "-o", graph, "--quiet").exit_code == 0
    for source in ([points_file, "-k", 5], [graph]):
        assert run("cluster", *source, "--report", page, "--quiet").exit_code == 0
        assert told in page.read_text()


@pytest.mark.parametrize("command", ["cluster", "tree", "path"])
def test_points_in_a_zarr_array_and_from_standard_input(
    command: str, points_file: Path, tmp_path: Path
) -> None:
    """What `knn` takes the others take too: the bytes are those from the .npy file."""
    zarr.save_array(tmp_path / "points.zarr", POINTS)
    lines = "\n".join(",".join(map(repr, row)) for row in POINTS.astype(float).tolist())
    expected, output = tmp_path / "expected.csv", tmp_path / "labels.csv"
    assert run(command, points_file, "-k", 5, "-o", expected).exit_code == 0
    for source, given in [
        (tmp_path / "points.zarr", None),
        ("-", points_file.read_bytes()),
        ("-", lines.encode()),
    ]:
        result = CliRunner().invoke(
            main, [command, str(source), "-k", "5", "-o", str(output), "--quiet"], input=given
        )
        assert result.exit_code == 0, result.output
        assert output.read_bytes() == expected.read_bytes()
    assert CliRunner().invoke(
        main, ["knn", "-", "-k", "5", "-o", str(tmp_path / "graph.npz")], input=lines
    ).exit_code == 0  # fmt: skip
    assert (scipy.sparse.load_npz(tmp_path / "graph.npz") != knn_graph(POINTS, 5)).nnz == 0
    blank = CliRunner().invoke(main, [command, "-", "-k", "5"], input=lines.replace(",", " "))
    assert "standard input has blanks between its columns; commas" in blank.output


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_the_search_of_a_command_keeps_its_memory_limit(points_file: Path, tmp_path: Path) -> None:
    """The graph is made in files, and the labels are the same."""
    for limit in ([], ["--memory-limit", "4GB"]):
        output = tmp_path / f"{len(limit)}.csv"
        result = run("cluster", points_file, "-k", 5, "-o", output, *limit)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    refused = run("cluster", points_file, "-k", 5, "--memory-limit", "100MB")
    assert "and 0.10 GB are allowed. Raise --memory-limit" in refused.output
    apart = run("cluster", points_file, "-k", 5, "--memory-limit", "4GB", "--scheduler", "tcp://127.0.0.1:1")
    assert "sparse-ap knn" in apart.output
    assert apart.exit_code == 2


@pytest.mark.parametrize("ending", ["npz", "csv", "tsv", "parquet"])
def test_points_of_every_form(ending: str, points_file: Path, tmp_path: Path) -> None:
    """Numbers are read as from ``.npy``, and names go into the results."""
    names = [f"p{i}" for i in range(len(POINTS))]
    path, output = tmp_path / f"points.{ending}", tmp_path / "labels.csv"
    table = POINTS.astype(np.float64)
    if ending == "npz":
        np.savez(path, table)
    elif ending == "parquet":
        columns = {"name": names} | {f"x{i}": column for i, column in enumerate(table.T)}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        delimiter = "," if ending == "csv" else "\t"
        rows = [
            delimiter.join([name, *map(repr, row.tolist())]) for name, row in zip(names, table, strict=True)
        ]
        path.write_text("\n".join([delimiter.join(["name", *(f"x{i}" for i in range(9))]), *rows]))
    result = run("cluster", path, "-k", 5, "-o", output)
    assert result.exit_code == 0, result.output
    assert run("cluster", points_file, "-k", 5, "-o", tmp_path / "plain.csv").exit_code == 0
    with output.open() as named, (tmp_path / "plain.csv").open() as plain:
        pairs = list(zip(csv.DictReader(named), csv.DictReader(plain), strict=True))
    assert len(pairs) == len(POINTS)
    prefix = "" if ending == "npz" else "p"
    for row, expected in pairs:
        assert row["point"] == prefix + expected["point"]
        assert row["exemplar"] == prefix + expected["exemplar"]
        assert row["similarity"] == expected["similarity"]


def test_names_may_be_given(points_file: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(f"n{i}" for i in range(300)))
    output = tmp_path / "labels.csv"
    assert (
        run("cluster", points_file, "-k", 5, "--names", tmp_path / "names.txt", "-o", output).exit_code == 0
    )
    assert output.read_text().splitlines()[300].startswith("n299,")


def test_an_array_without_k_is_told_how_to_go_on(points_file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", POINTS)
    for path in (points_file, tmp_path / "one.npz"):
        result = run("cluster", path)
        assert result.exit_code == 2
        assert f"{path.name} holds an array of 300 × 9 numbers, which are points, one a row: add -k 15" in (
            result.stderr
        )
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    assert "(2, 2, 2); a table of points has two dimensions" in run("info", tmp_path / "cube.npy").stderr


@pytest.mark.parametrize("command", ["cluster", "tree", "path", "info"])
def test_a_square_array_has_two_ways(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    matrix = -np.square(POINTS[:40, None, :2] - POINTS[None, :40, :2]).sum(axis=2)
    np.save("square.npy", matrix)
    result = run(command, "square.npy")
    assert result.exit_code == 2
    (said,) = result.stderr.splitlines()
    assert (
        "square.npy holds an array of 40 × 40 numbers, which are points or similarities. As points: add"
        in said
    )
    assert run(command, "square.npy", "-k", 15).exit_code == 0
    # The other way, as it is told.
    line = said.partition("dense matrix: ")[2].removesuffix(".")
    exec(line, {"zarr": zarr, "numpy": np})
    assert run(command, "matrix.zarr").exit_code == 0


def test_a_graph_has_its_neighbours(points_file: Path, tmp_path: Path) -> None:
    graph = knn_graph(POINTS, 5)
    scipy.sparse.save_npz(tmp_path / "graph.npz", graph)
    np.savez(
        tmp_path / "lists.npz", indices=graph.indices.reshape(300, 5), distances=-graph.data.reshape(300, 5)
    )
    (tmp_path / "graph.zarr").mkdir()
    (tmp_path / "edges.csv").write_text("source,target,weight\n0,1,.5\n1,2,.25\n2,0,.125\n")
    (tmp_path / "hits.m8").write_text("a\tb\t1\n")
    for name, text in [
        ("graph.npz", "holds a sparse matrix, which is a graph; -k/--n-neighbors is for points"),
        ("lists.npz", "holds neighbour lists, which are a graph; -k/--n-neighbors is for points"),
        ("graph.zarr", "is a folder, which holds a graph; -k/--n-neighbors is for points"),
        ("edges.csv", "has the columns 'source', 'target', 'weight': a table of edges, which is a graph."),
        ("hits.m8", "ends in '.m8'; points are read from .npy, .npz, .csv, .tsv, .txt or .parquet"),
    ]:
        result = run("cluster", tmp_path / name, "-k", 2)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert text in result.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["--metric", "cosine"],
            "--metric is for points, whose neighbours are searched: give -k/--n-neighbors",
        ),
        (["--recall", 0.9], "--recall is for points, whose neighbours are searched: give -k/--n-neighbors"),
        (["-k", 300], "--n-neighbors 300; it must be a whole number from 1 to 299 for 300 points"),
        (["-k", 0], "--n-neighbors 0; it must be a whole number from 1 to 299 for 300 points"),
        (["-k", 5, "--ids", "string"], "--ids is for tables of edges and AnnData files;"),
        (["-k", 5, "--key", "obsp/distances"], "--key is for tables of edges and AnnData files;"),
    ],
)
def test_options_that_do_not_fit(options: list[Any], text: str, points_file: Path) -> None:
    result = run("info", points_file, *options)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert text in result.stderr
