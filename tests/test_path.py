"""Paths on the command line, and drawn."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import scipy.sparse
from click.testing import CliRunner
from samples import knn_similarity

from sparse_ap import PreferencePath, affinity_propagation, preference_path
from sparse_ap.cli.commands import main
from sparse_ap.plotting import plot_path

matplotlib.use("agg")


@pytest.fixture(scope="module")
def graph() -> scipy.sparse.csr_array:
    return knn_similarity(400, 10, 2, seed=5)


@pytest.fixture(scope="module")
def path(graph: Any) -> PreferencePath:
    return preference_path(graph, np.median(graph.data) * np.array([0.5, 1, 2, 4, 8]))


@pytest.fixture
def graph_file(graph: Any, tmp_path: Path) -> Path:
    scipy.sparse.save_npz(tmp_path / "graph.npz", scipy.sparse.csr_matrix(graph))
    return tmp_path / "graph.npz"


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_both_curves_are_drawn(path: PreferencePath) -> None:
    upper, lower = plot_path(path)
    for ax, values in ((upper, path.n_clusters), (lower, path.net_similarities / 400)):
        (line,) = ax.lines
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([path.preferences, values]))
        left, right = ax.get_xlim()
        assert left < path.preferences.min() < path.preferences.max() < right
    upper.figure.canvas.draw()
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("clusters", "net similarity a point")


def test_preferences_of_both_signs_can_be_drawn(graph: Any) -> None:
    upper, lower = plot_path(preference_path(graph, [-0.1, 0.0, 0.1]))
    upper.figure.canvas.draw()
    assert lower.get_xlim()[1] > 0.1


def test_the_callers_axes_are_used(path: PreferencePath) -> None:
    from matplotlib.figure import Figure

    pair = tuple(Figure().subplots(2))
    assert plot_path(path, axes=pair) == pair  # type: ignore[arg-type]


def test_the_command_shows_writes_and_draws(graph_file: Path, path: PreferencePath, tmp_path: Path) -> None:
    table, picture = tmp_path / "path.csv", tmp_path / "path.png"
    wanted = ",".join(map(repr, path.preferences.tolist()))
    result = run("path", graph_file, f"--preferences={wanted}", "-o", table, "--plot", picture)
    assert result.exit_code == 0, result.output
    header, *lines = result.output.splitlines()
    assert header.split()[:2] == ["preference", "clusters"]
    assert [int(line.split()[1]) for line in lines] == path.n_clusters.tolist()
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["net_similarity"]) for row in rows] == path.net_similarities.tolist()
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--preferences=low,high"],
            "Error: --preferences=low,high; numbers with commas between are needed, such as -1,-2.5,-10.",
        ),
        (["--preferences=nan"], "Error: preferences=[nan]; a list of at least one number is needed, and all"),
        (["--plot", "path.jpgg"], "Error: --plot=path.jpgg ends in '.jpgg'; one of"),
        (["-o", "nowhere/path.csv"], "Error: "),
        (["-o", "path.txt"], "Error: path.txt ends in '.txt'; a table is written to a .csv file."),
    ],
)
def test_what_cannot_be_shown(graph_file: Path, arguments: list[str], text: str) -> None:
    result = run("path", graph_file, *arguments)
    assert result.exit_code == 2
    assert result.output.startswith(text)


def test_a_number_from_the_command_line(graph_file: Path, graph: Any, tmp_path: Path) -> None:
    result = run("cluster", graph_file, "--n-clusters", 50, "-o", tmp_path / "labels.npz")
    assert "exemplars       50\npreference      -0.0" in result.output
    expected = affinity_propagation(graph, n_clusters=50)
    with np.load(tmp_path / "labels.npz") as kept:
        np.testing.assert_array_equal(kept["labels"], expected.labels)
        assert float(kept["preference"]) == expected.preference


def test_a_path_says_what_it_is(path: PreferencePath) -> None:
    counts, preferences = path.n_clusters, path.preferences
    assert repr(path) == (
        f"PreferencePath({len(counts)} preferences, {preferences[0]:.6g} to {preferences[-1]:.6g}: "
        f"{counts[0]} to {counts[-1]} clusters)"
    )


def test_without_points_there_is_a_path_of_nothing() -> None:
    assert preference_path(scipy.sparse.csr_array((0, 0))).n_clusters.tolist() == [0] * 10
