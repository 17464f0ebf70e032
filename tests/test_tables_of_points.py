"""Points for `sparse-ap knn` from tables, as other programs write them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
from click.testing import CliRunner, Result

from sparse_ap.cli.commands import main
from sparse_ap.cli.points import read_points
from sparse_ap.errors import InvalidInputError

X = np.round(np.random.default_rng(0).random((30, 3)), 6)
NAMES = [f"p{i}" for i in range(30)]
TABLE = pd.DataFrame(X, columns=["x", "y", "z"])
NAMED = TABLE.set_axis(NAMES).rename_axis("sample")


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def r_like(path: Path) -> None:
    """As write.table(x, sep=","): a heading fewer than columns."""
    lines = [f'"{name}",{",".join(map(str, row))}\n' for name, row in zip(NAMES, X.tolist(), strict=True)]
    path.write_text('"x","y","z"\n' + "".join(lines))


# How it is written, and whether the points have names.
RIGHT: dict[str, tuple[str, Any, bool]] = {
    "headings": ("x.csv", lambda path: TABLE.to_csv(path, index=False), False),
    "headings, tabs": ("x.tsv", lambda path: TABLE.to_csv(path, index=False, sep="\t"), False),
    "tabs in .csv": ("x.csv", lambda path: TABLE.to_csv(path, index=False, sep="\t"), False),
    "no headings": ("x.csv", lambda path: TABLE.to_csv(path, index=False, header=False), False),
    "numpy": ("x.csv", lambda path: np.savetxt(path, X, delimiter=",", fmt="%.6f"), False),
    "pandas' index": ("x.csv", lambda path: TABLE.to_csv(path), False),
    "pandas' index, no names": ("x.csv", lambda path: pd.DataFrame(X).to_csv(path), False),
    "names": ("x.csv", lambda path: NAMED.to_csv(path), True),
    "names, semicolons": ("x.csv", lambda path: NAMED.to_csv(path, sep=";"), True),
    "names, no headings": ("x.csv", lambda path: NAMED.to_csv(path, header=False), True),
    "names, R": ("x.csv", r_like, True),
    "gzip": ("x.csv.gz", lambda path: NAMED.to_csv(path), True),
    "UTF-16, CRLF": (
        "x.csv", lambda path: path.write_bytes(NAMED.to_csv(lineterminator="\r\n").encode("utf-16")), True
    ),
    "blanks": ("x.csv", lambda path: path.write_text(NAMED.to_csv().replace(",", ", ")), True),
    "parquet": ("x.parquet", lambda path: TABLE.to_parquet(path), False),
    "parquet, an index of names": ("x.parquet", lambda path: NAMED.to_parquet(path), True),
    "parquet, names first": ("x.pq", lambda path: NAMED.reset_index().to_parquet(path, index=False), True),
    "parquet, a kept index": ("x.parquet", lambda path: TABLE.to_parquet(path, index=True), False),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_tables_of_points(case: str, tmp_path: Path) -> None:
    name, write, named = RIGHT[case]
    write(tmp_path / name)
    points = read_points(tmp_path / name)
    assert np.asarray(points.table).tolist() == X.tolist()
    assert (None if points.names is None else points.names.tolist()) == (NAMES if named else None)


LONG = [9007199254740993 + i for i in range(30)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_names_that_are_numbers_are_told(ending: str, tmp_path: Path) -> None:
    """And keep all their digits, more than a float has."""
    table = pd.concat([pd.Series(LONG, name="id"), TABLE], axis=1)
    path = tmp_path / f"x.{ending}"
    (table.to_csv if ending == "csv" else table.to_parquet)(path, index=False)
    with pytest.warns(UserWarning, match="the first column is taken for the names of the points"):
        points = read_points(path)
    assert points.names is not None
    assert points.names.tolist() == list(map(str, LONG))
    assert np.asarray(points.table).tolist() == X.tolist()


def test_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    column = pyarrow.array([0.5, 1.0])
    pyarrow.parquet.write_table(pyarrow.table([column, column], names=["a", "a"]), tmp_path / "x.parquet")
    with pytest.raises(InvalidInputError, match="several columns named 'a'"):
        read_points(tmp_path / "x.parquet")


def test_types_are_kept_in_parquet(tmp_path: Path) -> None:
    TABLE.astype(np.float32).to_parquet(tmp_path / "x.parquet")
    assert read_points(tmp_path / "x.parquet").table.dtype == np.float32
    (TABLE > 0.5).to_parquet(tmp_path / "bits.parquet")
    assert read_points(tmp_path / "bits.parquet").table.dtype == bool


REFUSED: dict[str, tuple[str, str | Any, str]] = {
    "counts": ("x.csv", "0,.5\n1,.25\n2,.125\n", "the first column counts the rows: it is a feature, or"),
    "numbers of columns": ("x.csv", "0,1\n.5,.25\n", "is a point or pandas' numbers of the columns"),
    "a class": ("x.csv", "kind,x\na,1\na,2\n", "has equal values in several rows, so it does not name"),
    "text": ("x.csv", "x,y,kind\n1,2,a\n2,3,b\n", "invalid value 'a'. Needed are numbers in every column"),
    "missing": ("x.csv", "x,y\n1,2\n2,\n", "invalid value ''"),
    "NA": ("x.csv", "x,y\n1,2\n2,NA\n", "invalid value 'NA'"),
    "decimal commas": ("x.csv", "x;y\n1,5;2,5\n", "so what is between two numbers is not plain"),
    "nothing": ("x.csv", "", "has no points"),
    "only headings": ("x.csv", "x,y\n", "has no points"),
    "a short line": ("x.csv", "1.5,2\n2\n", "Expected 2 columns, got 1"),
    "names alone": ("x.parquet", pd.DataFrame({"a": ["x", "y"]}), "has no column of numbers"),
    "text in parquet": ("x.parquet", pd.DataFrame({"x": [1], "a": ["x"]}), "the column 'a' holds"),
    "dates in parquet": (
        "x.parquet", pd.DataFrame({"d": pd.to_datetime(["2026-01-01"]), "x": [1.0]}), "'d' holds",
    ),
    "missing in parquet": ("x.parquet", pd.DataFrame({"x": [1, None]}), "'x' 1 values are missing"),
    "lists alone": ("x.parquet", pd.DataFrame({"v": [[1.0, 2.0]]}), "Of lists make a table"),
    "lists": ("x.parquet", pd.DataFrame({"n": ["a"], "v": [[1.0, 2.0]]}), "Of lists make a table"),
    "no table": ("x.txt", "1 2\n", "has blanks between its columns; commas, semicolons or tabs are needed"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_be_a_feature_or_not_is_refused(case: str, tmp_path: Path) -> None:
    name, content, text = REFUSED[case]
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        content.to_parquet(tmp_path / name)
    with pytest.raises(InvalidInputError) as error:
        read_points(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))
    assert text in str(error.value)


def test_names_go_from_points_to_labels(tmp_path: Path) -> None:
    """Through the graph that knn writes, which scipy reads too, and through conversions of it."""
    NAMED.to_csv(tmp_path / "x.csv")
    np.save(tmp_path / "x.npy", X)
    done = run("knn", tmp_path / "x.csv", "-k", 5, "-o", tmp_path / "g.npz", "--quiet")
    assert done.exit_code == 0, done.output
    assert run("knn", tmp_path / "x.npy", "-k", 5, "-o", tmp_path / "plain.npz", "--quiet").exit_code == 0
    graphs = (scipy.sparse.load_npz(tmp_path / name) for name in ("g.npz", "plain.npz"))
    assert (next(graphs) != next(graphs)).nnz == 0
    for source, target in (("g.npz", "g.zarr"), ("g.zarr", "again.npz")):
        assert run("convert", tmp_path / source, "-o", tmp_path / target, "--quiet").exit_code == 0
    for name in ("g.npz", "g.zarr", "again.npz"):
        done = run("cluster", tmp_path / name, "--quiet", "-o", tmp_path / "labels.csv")
        assert done.exit_code == 0, done.output
        assert pd.read_csv(tmp_path / "labels.csv")["point"].tolist() == NAMES


def test_gzip_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"1.5,2\n" * 9)[:-8])
    done = run("knn", tmp_path / "x.csv.gz", "-o", tmp_path / "g.npz")
    assert done.exit_code == 2
    assert "cannot be decompressed as .gz" in done.stderr
