"""What is known of a graph's missing edges, against all similarities; and that it travels with the graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner

import sparse_ap
from sparse_ap.cli.commands import main
from sparse_ap.errors import DamagedGraphError
from sparse_ap.graphs import knn_graph, open_graph, read_graph, symmetrise, top_k, write_graph
from sparse_ap.graphs.conversion.transforms import Scratch
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbours import search
from sparse_ap.graphs.neighbours.recall import Recall

N = 40
# Rounded, so that many similarities are equal.
POINTS = np.random.default_rng(11).normal(size=(N, 3)).round(1)


def all_similarities(points: Any) -> Any:
    """The dense matrix, minus infinity on the diagonal."""
    dense = np.full((len(points), len(points)), -np.inf, np.float32)
    full = knn_graph(points, len(points) - 1).tocoo()
    dense[full.coords] = full.data
    return dense


def stored(graph: Any) -> Any:
    """Which entries of the dense matrix are edges."""
    there = np.zeros(graph.shape, bool)
    there[graph.tocoo().coords] = True
    return there


def largest_missing(points: Any, graph: Any) -> Any:
    """The oracle: of every row the largest similarity that is no edge."""
    return np.where(stored(graph), -np.inf, all_similarities(points)).max(axis=1)


def through_disk(**options: Any) -> Callable[[Any, Path], Any]:
    def written(graph: Any, folder: Path) -> Any:
        write_graph(graph, folder / "graph.zarr", **options)
        return read_graph(folder / "graph.zarr")

    return written


OPERATIONS: dict[str, Callable[[Any, Path], Any]] = {
    "nothing": lambda graph, folder: graph,
    "union": lambda graph, folder: symmetrise(graph),
    "mutual": lambda graph, folder: symmetrise(graph, how="min"),
    "largest": lambda graph, folder: top_k(graph, 3),
    "largest-of-union": lambda graph, folder: top_k(symmetrise(graph), 4),
    "union-of-largest": lambda graph, folder: symmetrise(top_k(graph, 2)),
    "disk": through_disk(),
    "disk-floor": through_disk(min_similarity=-0.7),
    "disk-union": through_disk(symmetrise=True),
    "disk-largest": through_disk(top_k=3),
    "disk-all": through_disk(min_similarity=-0.7, symmetrise=True, top_k=4),
    "disk-moved": through_disk(min_similarity=-0.7, symmetrise=True, top_k=4, order="rcm"),
    "disk-twice": lambda graph, folder: through_disk(top_k=2)(
        through_disk(order=np.arange(N)[::-1])(graph, folder), folder / "again"
    ),
}


# Each step of "disk-all" by itself.
SLOW = ("disk-floor", "disk-union", "disk-largest", "disk-moved", "disk-twice")


@pytest.mark.parametrize("k", [6, N - 1])
@pytest.mark.parametrize(
    "operation", [pytest.param(o, marks=[pytest.mark.slow] * (o in SLOW)) for o in OPERATIONS]
)
def test_no_missing_edge_is_larger(operation: str, k: int, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    graph = knn_graph(POINTS, k)
    result = OPERATIONS[operation](graph, tmp_path)
    truth, bound = largest_missing(POINTS, result), result.missing_at_most
    assert isinstance(result, KNNGraph)
    assert result.recall == graph.recall == Recall(1.0, 0.0, 0)
    assert bound.dtype == result.dtype
    assert (truth <= bound).all()
    full = stored(result).sum(axis=1) == N - 1
    assert (bound[full] == -np.inf).all()
    if operation == "union-of-largest":
        # What was dropped may have come back from the other direction; the bound is true, but not the least.
        return
    # Where an edge of the lists was dropped it is the largest that is missing; other rows keep their bound.
    lost = (stored(graph) & ~stored(result)).any(axis=1)
    assert (truth[lost] == bound[lost]).all()
    rest = ~lost & ~full
    if operation not in ("largest-of-union", "disk-all", "disk-moved"):
        assert (bound[rest] == graph.missing_at_most[rest]).all()


def test_what_is_dropped_after_the_union_counts() -> None:
    """Edges that came from the other direction are dropped too."""
    graph = knn_graph(POINTS, 6)
    union = symmetrise(graph)
    result = top_k(union, 4)
    lost = (stored(union) & ~stored(result)).any(axis=1)
    assert lost.sum() > 20
    assert (result.missing_at_most[lost] >= largest_missing(POINTS, result)[lost]).all()
    assert (result.missing_at_most >= graph.missing_at_most).all()


@pytest.mark.parametrize("options", [{"top_k": 3}, {"symmetrise": True}, {"symmetrise": True, "top_k": 2}])
def test_in_memory_as_on_disk(options: dict[str, Any], tmp_path: Path) -> None:
    graph = expected = knn_graph(POINTS, 6)
    if "symmetrise" in options:
        expected = symmetrise(expected)
    if "top_k" in options:
        expected = top_k(expected, options["top_k"])
    for place, order in enumerate([None, "rcm", np.random.default_rng(0).permutation(N)]):
        (tmp_path / str(place)).mkdir()
        found = through_disk(order=order, **options)(graph, tmp_path / str(place))
        assert (found != expected).nnz == 0
        assert (found.missing_at_most == expected.missing_at_most).all()


def test_sorted_on_disk_or_held_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = knn_graph(POINTS, 6)
    expected = top_k(symmetrise(graph), 2)
    monkeypatch.setattr(Scratch, "left", lambda scratch: 0)
    found = through_disk(symmetrise=True, top_k=2, dtype="float64")(graph, tmp_path)
    assert found.missing_at_most.dtype == found.dtype == np.float64
    assert (found.missing_at_most == expected.missing_at_most).all()


def test_a_renumbered_graph_loses_edges(tmp_path: Path) -> None:
    """The numbers are the user's, however the rows lie."""
    graph = knn_graph(POINTS, 6)
    write_graph(graph, tmp_path / "moved.zarr", order=np.random.default_rng(1).permutation(N))
    write_graph(tmp_path / "moved.zarr", tmp_path / "fewer.zarr", top_k=2, min_similarity=-0.9)
    found = read_graph(tmp_path / "fewer.zarr")
    write_graph(graph, tmp_path / "plain.zarr", top_k=2, min_similarity=-0.9)
    assert (found.missing_at_most == open_graph(tmp_path / "plain.zarr").missing_at_most).all()
    assert (found.missing_at_most >= largest_missing(POINTS, found)).all()


def test_an_approximate_graph_keeps_its_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_EXACT_POINTS", 100)
    graph = knn_graph(np.random.default_rng(2).normal(size=(300, 9)), 5, recall=0.6)
    write_graph(graph, tmp_path / "graph.zarr", top_k=3, symmetrise=True)
    opened = open_graph(tmp_path / "graph.zarr")
    assert graph.recall is not None
    assert 0.6 <= graph.recall.value < 1
    for other in (opened, read_graph(tmp_path / "graph.zarr"), symmetrise(graph), top_k(graph, 2)):
        assert other.recall == graph.recall
        assert other.missing_at_most is None


def test_of_a_plain_graph_nothing_is_known(tmp_path: Path) -> None:
    plain = scipy.sparse.csr_array(knn_graph(POINTS, 6))
    write_graph(plain, tmp_path / "graph.zarr", top_k=2)
    for graph in (symmetrise(plain), top_k(plain, 2), read_graph(tmp_path / "graph.zarr")):
        assert type(graph) is scipy.sparse.csr_array
    opened = open_graph(tmp_path / "graph.zarr")
    assert (opened.recall, opened.missing_at_most) == (None, None)
    group = zarr.open_group(tmp_path / "graph.zarr", mode="r")
    assert "missing_at_most" not in group
    assert "recall" not in group.attrs["sparse_ap"]


def test_of_what_is_computed_nothing_is_known(tmp_path: Path) -> None:
    """Neither of other numbers, nor of distances that become similarities."""
    graph = knn_graph(POINTS, 6)
    doubled = graph * 2
    assert (doubled.recall, doubled.missing_at_most) == (None, None)
    assert type(symmetrise(doubled)) is scipy.sparse.csr_array
    assert type(through_disk(similarity="-d")(-graph, tmp_path)) is scipy.sparse.csr_array
    write_graph(graph, tmp_path / "graph.npz.zarr", similarity=lambda s: s)
    assert open_graph(tmp_path / "graph.npz.zarr").recall is None


def test_the_graph_that_was_given_is_left_alone(tmp_path: Path) -> None:
    graph = knn_graph(POINTS, 6)
    before = graph.missing_at_most.copy()
    top_k(graph, 1)
    write_graph(graph, tmp_path / "graph.zarr", top_k=1)
    assert (graph.missing_at_most == before).all()


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_files_keep_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From ``knn`` to ``.npz`` and ``.zarr``, and from each to the other."""
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", POINTS)
    graph = knn_graph(POINTS, 6)
    for name in ("graph.npz", "graph.zarr"):
        result = run("knn", "points.npy", "-k", 6, "-o", name)
        assert result.exit_code == 0, result.output
    for source, target in [
        ("graph.npz", "back.zarr"),
        ("graph.zarr", "back.npz"),
        ("back.npz", "again.zarr"),
    ]:
        assert run("convert", source, "-o", target).exit_code == 0
    for name in ("graph.zarr", "back.zarr", "again.zarr"):
        found = read_graph(name)
        assert (found != graph).nnz == 0
        assert found.recall == graph.recall
        assert (found.missing_at_most == graph.missing_at_most).all()
    for name in ("graph.npz", "back.npz"):
        arrays = np.load(name)
        assert arrays["recall"].tolist() == [1, 0, 0]
        assert (arrays["missing_at_most"] == graph.missing_at_most).all()
        assert (scipy.sparse.load_npz(name) != graph).nnz == 0
    for name in ("graph.npz", "graph.zarr", "back.npz"):
        assert "recall             1, exact\n" in run("info", name).output
    assert run("convert", "graph.zarr", "-o", "fewer.npz", "--top-k", 2).exit_code == 0
    assert (np.load("fewer.npz")["missing_at_most"] == top_k(graph, 2).missing_at_most).all()


def test_knn_writes_names_to_zarr_and_replaces_nothing(tmp_path: Path) -> None:
    rows = ["name,x,y", *(f"p{i},{x},{y}" for i, (x, y, _) in enumerate(POINTS.tolist()))]
    (tmp_path / "points.csv").write_text("\n".join(rows))
    output = tmp_path / "graph.zarr"
    assert run("knn", tmp_path / "points.csv", "-k", 6, "-o", output).exit_code == 0
    names = open_graph(output).names()
    assert names is not None
    assert names.tolist() == [f"p{i}" for i in range(N)]
    again = run("knn", tmp_path / "points.csv", "-k", 6, "-o", output)
    assert again.exit_code == 2
    assert "graph.zarr exists, and folders are not replaced. Choose another name" in again.stderr
    assert run("cluster", output, "-o", tmp_path / "labels.csv").output.splitlines()[1] == (
        "recall          1, exact"
    )


def test_a_clustering_does_not_depend_on_what_is_known() -> None:
    graph = knn_graph(POINTS, 6)
    labels = sparse_ap.affinity_propagation(graph).labels
    assert (labels == sparse_ap.affinity_propagation(scipy.sparse.csr_array(graph)).labels).all()


def test_damage_is_told(tmp_path: Path) -> None:
    graph = knn_graph(POINTS, 6)
    for name in ("short", "gone", "noted"):
        write_graph(graph, tmp_path / name)
    group = zarr.open_group(tmp_path / "short")
    group["missing_at_most"].resize((N - 1,))
    with pytest.raises(DamagedGraphError, match=r"missing_at_most has 39 entries of float32; 40 floats"):
        open_graph(tmp_path / "short")
    (tmp_path / "gone" / "missing_at_most" / "c" / "0").unlink()
    with pytest.raises(DamagedGraphError, match=r"chunks of .*missing_at_most 1 is missing"):
        open_graph(tmp_path / "gone")
    group = zarr.open_group(tmp_path / "noted")
    group.attrs["sparse_ap"] = {**group.attrs["sparse_ap"], "recall": {"value": 1}}
    with pytest.raises(DamagedGraphError, match=r"'recall' of .* without value, half_width, n_rows"):
        open_graph(tmp_path / "noted")
