"""Names of points that come in a file of their own."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from click.testing import CliRunner, Result
from samples import knn_similarity

from sparse_ap import InvalidInputError
from sparse_ap.cli.commands import main
from sparse_ap.cli.point_columns import PointColumns
from sparse_ap.graphs import open_graph, write_graph
from sparse_ap.graphs.conversion.names import read_names

GRAPH = knn_similarity(40, 5, 2, seed=0)
NAMES = [f"café, {i}" for i in range(40)]
KEPT = ["--quiet", "--preference=-0.2"]


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    return tmp_path / "g.npz"


def lines(path: Path, names: list[str] = NAMES) -> list[Any]:
    path.write_bytes(("\n".join(names) + "\n").encode("utf-8-sig"))
    return ["--names", path]


def packed(path: Path) -> list[Any]:
    path.write_bytes(gzip.compress("\r\n".join(NAMES).encode()))
    return ["--names", path]


def table(path: Path) -> list[Any]:
    """As AnnData's obs, written by pandas."""
    cells = pd.DataFrame({"depth": range(40)}, index=pd.Index(NAMES, name="barcode"))
    (cells.reset_index().to_parquet if path.suffix == ".parquet" else cells.to_csv)(path)
    return ["--names", path, "--names-column", "barcode"]


def one_column(path: Path) -> list[Any]:
    pd.Series(NAMES).to_csv(path, index=False, header=False)
    return ["--names", path]


WRITERS: dict[str, Any] = {
    "names.txt": lines, "names": lines, "names.txt.gz": packed, "cells.csv": table, "cells.parquet": table,
    "names.csv": one_column,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_points_have_the_names_of_a_file(name: str, graph: Path, tmp_path: Path) -> None:
    options = WRITERS[name](tmp_path / name)
    plain = run("cluster", graph, *KEPT, "-o", tmp_path / "plain.csv")
    named = run("cluster", graph, *KEPT, *options, "-o", tmp_path / "named.csv")
    assert (plain.exit_code, named.exit_code) == (0, 0), named.output
    ours, theirs = pd.read_csv(tmp_path / "named.csv"), pd.read_csv(tmp_path / "plain.csv")
    assert ours["point"].tolist() == NAMES
    assert ours["exemplar"].tolist() == [NAMES[point] for point in theirs["exemplar"]]


def test_a_quoted_name_may_go_over_two_lines(tmp_path: Path) -> None:
    cells = tmp_path / "cells.csv"
    pd.DataFrame({"name": ["a\nb", "ab"], "p": [1.0, 2.0]}).to_csv(cells, index=False)
    names = read_names(cells, "name")
    assert names.tolist() == ["a\nb", "ab"]
    values = PointColumns(cells, {"preference": "p"}).values(2, lambda: names[::-1])
    assert values["preference"].tolist() == [2.0, 1.0]


def test_every_command_that_writes_points(graph: Path, tmp_path: Path) -> None:
    options = lines(tmp_path / "names.txt")
    assert run("tree", graph, "--quiet", *options, "-o", tmp_path / "tree.csv").exit_code == 0
    assert pd.read_csv(tmp_path / "tree.csv")["point"].tolist() == NAMES
    assert run("convert", graph, "--order", "rcm", *options, "-o", tmp_path / "g.zarr").exit_code == 0
    names = open_graph(tmp_path / "g.zarr").names()
    assert names is not None
    assert names.tolist() == NAMES


def test_names_say_how_many_points_a_table_has(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text("0\t1\t-0.5\n0\t30\t-0.25\n")
    options = lines(tmp_path / "names.txt")
    done = run("cluster", tmp_path / "e.tsv", *KEPT, *options, "-o", tmp_path / "labels.csv")
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "labels.csv")["point"].tolist() == NAMES
    (tmp_path / "named.tsv").write_text("a\tb\t-0.5\n")
    refused = run("cluster", tmp_path / "named.tsv", *options)
    assert refused.exit_code == 2
    assert "the ids of" in refused.stderr
    assert "are text: they are names" in refused.stderr


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (NAMES[1:], "39 names (--names) were given for 40 points; one for each is needed"),
        (["name", *NAMES], "If the first is a heading, name the column: --names-column."),
        ([*NAMES[:-2], "x", "x"], "1 names (--names) are there again, such as 'x'"),
        ([*NAMES[:-2], "", "x"], "A name (--names) is empty"),
    ],
)
def test_names_that_tell_no_points_apart(names: list[str], text: str, graph: Path, tmp_path: Path) -> None:
    options = lines(tmp_path / "names.txt", names)
    commands = (["cluster"], ["convert", "-o", tmp_path / "g.zarr"])
    for command in commands:
        done = run(*command, graph, *options)
        assert done.exit_code == 2
        # On the command line the parameter is not named, only the option.
        assert text.replace("names (--names)", "--names") in done.stderr
    assert not (tmp_path / "g.zarr").exists()
    with pytest.raises(InvalidInputError):
        write_graph(GRAPH, tmp_path / "g.zarr", names=names)


def test_options_that_miss_something(graph: Path, tmp_path: Path) -> None:
    options = table(tmp_path / "cells.csv")
    for given, text in (
        (options[:2], "cells.csv has the columns barcode, depth, and none was named. Name the one"),
        ([*options[:3], "name"], "and 'name' was named"),
        (options[2:], "--names-column names a column, but not of what"),
        ([*lines(tmp_path / "names.txt"), "--names-column", "x"], "--names-column is for .csv"),
    ):
        done = run("cluster", graph, *given)
        assert done.exit_code == 2
        assert text in done.stderr


def test_points_with_names_get_no_others(tmp_path: Path) -> None:
    write_graph(GRAPH, tmp_path / "g.zarr", names=np.array(NAMES))
    options = lines(tmp_path / "names.txt")
    for command in (["cluster"], ["convert", "-o", tmp_path / "h.zarr"]):
        done = run(*command, tmp_path / "g.zarr", *options)
        assert done.exit_code == 2
        assert "the points of the graph have names already" in done.stderr
