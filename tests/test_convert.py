"""The command that writes graphs to disk, run as a user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner

from sparse_ap.cli.commands import Commands
from sparse_ap.cli.convert import convert
from sparse_ap.graphs import read_graph

M8 = "".join(
    f"{a}\t{b}\t90\t50\t5\t0\t1\t50\t1\t50\t{e}\t{bits}\n"
    for a, b, e, bits in [
        ("P2", "P1", 1e-9, 70),
        ("P1", "P3", 1e-5, 50),
        ("P1", "P1", 0, 99),
        ("P3", "P2", 1, 10),
    ]
)


def run(*arguments: Any) -> Any:
    commands = Commands(commands={"convert": convert})
    return CliRunner().invoke(commands, ["convert", *map(str, arguments)])


@pytest.fixture
def hits(tmp_path: Path) -> Path:
    (tmp_path / "hits.m8").write_text(M8)
    return tmp_path / "hits.m8"


def test_hits_become_a_graph(hits: Path, tmp_path: Path) -> None:
    target = tmp_path / "proteins.zarr"
    result = run(hits, "-o", target, "--symmetrise", "--min-similarity", 20, "--memory-limit", "8GB")
    assert result.exit_code == 0, result.output
    assert read_graph(target).toarray().tolist() == [[0, 70, 50], [70, 0, 0], [50, 0, 0]]
    assert result.stdout.splitlines()[:4] == [
        "points          3",
        "edges           4",
        "a point         at most 2; none: 0 points",
        "similarities    50 to 70",
    ]
    assert result.stdout.splitlines()[-1] == f"written to      {target}"


def test_options_are_those_of_write_graph(hits: Path, tmp_path: Path) -> None:
    options = [
        "--column",
        "evalue",
        "--similarity=-d",
        "--top-k",
        1,
        "--order",
        "rcm",
        "--float64",
        "--quiet",
    ]
    result = run(hits, "-o", tmp_path / "g.zarr", *options)
    assert (result.exit_code, result.stdout) == (0, "")
    group = zarr.open_group(tmp_path / "g.zarr", mode="r")
    assert sorted(group["order"][:]) == [0, 1, 2]  # type: ignore[index]
    dense = read_graph(tmp_path / "g.zarr").toarray()
    assert dense.tolist() == [[0, 0, -1e-5], [-1e-9, 0, 0], [0, -1.0, 0]]


def test_numbers_and_points_without_edges(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text("0\t1\t-0.5\n")
    result = run(tmp_path / "e.tsv", "-o", tmp_path / "g.zarr", "--n-points", 3)
    assert result.exit_code == 0, result.output
    assert "a point         at most 1; none: 2 points" in result.stdout


def test_no_edges_at_all(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", scipy.sparse.csr_array((2, 2)))
    result = run(tmp_path / "g.npz", "-o", tmp_path / "g.zarr")
    assert "similarities    none" in result.stdout


def test_what_is_there_is_kept_unless_forced(hits: Path, tmp_path: Path) -> None:
    target = tmp_path / "g.zarr"
    assert run(hits, "-o", target).exit_code == 0
    result = run(hits, "-o", target, "--top-k", 1)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {target} exists. Give another name, or --force to replace it once the "
        "new graph is complete.\n"
    )
    assert run(hits, "-o", target, "--top-k", 1, "--force").exit_code == 0
    assert read_graph(target).nnz == 3


def test_a_wrong_line_ends_with_2(hits: Path, tmp_path: Path) -> None:
    hits.write_text(M8 + "P4\tP5\n")
    result = run(hits, "-o", tmp_path / "g.zarr")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {hits}: line 5 ('P4\\tP5'): 2 columns, but 12 are needed, as in the first edge's line. "
        "Correct the file, or leave the line out.\n"
    )
    assert not (tmp_path / "g.zarr").exists()
