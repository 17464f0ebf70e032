"""Graphs of all pairs above a threshold, against all distances in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from click.testing import CliRunner
from scipy.spatial.distance import cdist
from sklearn.neighbors import radius_neighbors_graph

from sparse_ap import InvalidInputError, MemoryLimitError
from sparse_ap.cli.commands import main
from sparse_ap.graphs import knn_graph, open_graph, radius_graph, read_graph
from sparse_ap.graphs.conversion.transforms import Scratch
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.pairs import write_pairs as on_disk
from sparse_ap.graphs.pairs.threshold import Threshold, falling

N = 300
IN_SCIPY = {"manhattan": "cityblock", "tanimoto": "jaccard"}
METRICS = ["euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming"]
SPARSE = scipy.sparse.random_array((N, 80), density=0.05, rng=np.random.default_rng(4), format="csr")


def points_for(metric: str, n_features: int, dtype: str = "f8") -> Any:
    rng = np.random.default_rng([n_features, len(metric)])
    if metric in ("tanimoto", "hamming"):
        # The last two have no bits, which are equal.
        return np.concatenate(
            [rng.random((N - 2, 30 * n_features)) < 0.2, np.zeros((2, 30 * n_features), bool)]
        )
    return (rng.normal(size=(N, n_features)) + 1).astype(dtype)


def edges_of(graph: Any) -> Any:
    there = np.zeros(graph.shape, bool)
    there[graph.tocoo().coords] = True
    return there


def bits(graph: Any) -> tuple[bytes, ...]:
    return tuple(x.tobytes() for x in (graph.indptr, graph.indices, graph.data, graph.missing_at_most))


@pytest.mark.parametrize("share", [0.003, pytest.param(0.1, marks=pytest.mark.slow), 0.95])
@pytest.mark.parametrize("n_features", [3, 14])
@pytest.mark.parametrize("metric", METRICS)
def test_all_pairs_within_the_distance_are_linked(metric: str, n_features: int, share: float) -> None:
    points = points_for(metric, n_features, "f4")
    distances = cdist(points, points, IN_SCIPY.get(metric, metric))
    others = np.sort(distances[~np.eye(N, dtype=bool)])
    # Between two distances that are apart, so that no rounding decides.
    place = int(share * len(others))
    place += int(np.argmax(np.diff(others[place:]) > 1e-6))
    reach = others[place : place + 2].mean()
    graph = radius_graph(points, -reach, metric=metric, similarity="-d")
    expected = (distances < reach) & ~np.eye(N, dtype=bool)
    assert (edges_of(graph) == expected).all()
    np.testing.assert_allclose(-graph.data, distances[graph.tocoo().coords], rtol=1e-5, atol=1e-6)
    assert graph.has_canonical_format
    assert (graph.dtype, graph.recall.value) == (np.float32, 1)


# Of nearly equal rows.
@pytest.mark.filterwarnings("ignore:Different similarities become equal")
@pytest.mark.parametrize(
    "similarity", ["-d**2", *(pytest.param(other, marks=pytest.mark.slow) for other in ("-d", "1-d"))]
)
@pytest.mark.parametrize("metric", METRICS)
def test_an_edge_at_the_threshold_stays_with_the_similarity_that_neighbours_have(
    metric: str, similarity: str
) -> None:
    for points in (points_for(metric, 3), points_for(metric, 11)):
        points = points if points.dtype == bool else points.round(1)
        full = knn_graph(points, N - 1, metric=metric, similarity=similarity, recall=1)
        dense = np.full((N, N), -np.inf, np.float32)
        dense[full.tocoo().coords] = full.data
        for threshold in np.quantile(full.data, [0.999, 0.8, 0.3], method="nearest"):
            graph = radius_graph(points, threshold, metric=metric, similarity=similarity)
            assert (edges_of(graph) == (dense >= threshold)).all()
            assert (graph.data == dense[graph.tocoo().coords]).all()
            missing = np.where(dense >= threshold, -np.inf, dense).max(axis=1)
            assert (missing <= graph.missing_at_most).all()
            assert ((graph.missing_at_most == -np.inf) == (edges_of(graph).sum(axis=1) == N - 1)).all()
            known = graph.missing_at_most[graph.missing_at_most > -np.inf]
            assert (known == np.nextafter(np.float32(threshold), np.float32(-np.inf))).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("share", [0.002, 0.05, 1.0])
def test_sparse_rows_are_linked_as_dense_ones(metric: str, share: float) -> None:
    distances = cdist(SPARSE.toarray(), SPARSE.toarray(), metric)
    empty = np.diff(SPARSE.indptr) == 0
    if metric == "cosine":
        assert empty.any()
        distances[empty | empty[:, None]] = 1
    off = ~np.eye(N, dtype=bool)
    reach = np.sort(distances[off])[int(share * (off.sum() - 1))] * (1 + 1e-6)
    graph = radius_graph(SPARSE, -reach, metric=metric, similarity="-d")
    assert (edges_of(graph) == ((distances <= reach) & off)).all()
    np.testing.assert_allclose(-graph.data, distances[graph.tocoo().coords], rtol=1e-5, atol=1e-6)


def test_the_graph_is_that_of_scikit_learn() -> None:
    points = points_for("euclidean", 12)
    graph = radius_graph(points, -4.0, similarity="-d")
    theirs = radius_neighbors_graph(points, 4.0, mode="distance", include_self=False)
    assert (edges_of(graph) == edges_of(theirs)).all()
    np.testing.assert_allclose(-graph.toarray(), theirs.toarray(), rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_threads_change_no_bit(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparse_ap.graphs.pairs.products._QUERIES", 32)
    monkeypatch.setattr("sparse_ap.graphs.pairs.products._SPAN", 128)
    monkeypatch.setattr("sparse_ap.graphs.pairs.products._POINTS", 64)
    monkeypatch.setattr("sparse_ap.graphs.pairs.products._PAIRS", 5000)
    points = points_for(metric, 12, "f4")
    one, two = (radius_graph(points, -0.6, metric=metric, similarity="-d", n_jobs=n) for n in (1, 2))
    monkeypatch.undo()
    whole = radius_graph(points, -0.6, metric=metric, similarity="-d")
    assert bits(one) == bits(two) == bits(whole)


def test_rows_are_found_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = radius_graph(SPARSE, -0.9, metric="cosine", similarity="-d")
    monkeypatch.setattr("sparse_ap.graphs.pairs.sharing._CANDIDATES", 1)
    monkeypatch.setattr("sparse_ap.graphs.pairs.sharing._ROWS", 7)
    assert bits(radius_graph(SPARSE, -0.9, metric="cosine", similarity="-d")) == bits(expected)


@pytest.mark.parametrize("n_features", [2, 10])
@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e18])
def test_points_far_away_and_other_units_hide_no_pair(n_features: int, scale: float) -> None:
    points = np.random.default_rng(3).integers(0, 4, (100, n_features)).astype(float)
    points[7] = 1e9
    points[8:10] = -1e12
    distances = cdist(points, points)
    if scale == 1e-200:
        # In float32 all distances but the far ones are 0.
        graph = radius_graph(points * 1e-200, 0, similarity="-d")
        assert graph.nnz == 100 * 99
        return
    graph = radius_graph(points * scale, -3.0 * scale, similarity="-d")
    assert (edges_of(graph) == ((distances <= 3) & ~np.eye(100, dtype=bool))).all()
    assert graph.indptr[8] == graph.indptr[7]


def test_a_threshold_that_float32_rounds_loses_nothing() -> None:
    # Six of ten bits differ: a distance of .6, whose float32 is below -.6.
    points = np.array([[1] * 6 + [0] * 4, [0] * 10], bool)
    assert float(np.float32(-0.6)) < -0.6
    assert radius_graph(points, -0.6, metric="hamming").nnz == 2
    assert radius_graph(points, 0.4, metric="hamming", similarity="1-d").nnz == 2
    assert radius_graph(points, -0.59, metric="hamming").nnz == 0
    # 3, 4 and 5: a distance that is exact.
    assert radius_graph([[0.0, 0.0], [3.0, 4.0]], -25).nnz == 2
    assert radius_graph([[0.0, 0.0], [3.0, 4.0]], np.nextafter(-25, 0, dtype=np.float32)).nnz == 0


@pytest.mark.parametrize("similarity", ["-d", "-d**2", "1-d"])
def test_the_reach_is_the_last_distance_that_passes(similarity: str) -> None:
    for least in (-1e30, -0.7, -1e-20, 0.0) + ((0.3, 1.0) if similarity == "1-d" else ()):
        threshold = Threshold.of(least, similarity)
        beside = np.array([threshold.reach, np.nextafter(threshold.reach, np.inf)])
        values = falling(similarity, beside).astype(np.float32)
        assert values[0] >= np.float32(least) > values[1]


def test_equal_points_are_linked_at_similarity_0() -> None:
    graph = radius_graph([[1.0], [1.0], [2.0]], 0)
    assert graph.nnz == 2
    assert (graph.data == 0).all()
    assert radius_graph([[1.0]], -1).nnz == 0
    assert radius_graph([[1.0]], -1).missing_at_most.tolist() == [-np.inf]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"min_similarity": 0.4},
            "min_similarity=0.4 is above every similarity: similarity='-d' makes -?0 of",
        ),
        ({"min_similarity": np.nan}, "min_similarity=nan; it must be a number that float32 can hold."),
        ({"min_similarity": -1e39}, "min_similarity=-1e"),
        ({"min_similarity": "-1"}, "min_similarity='-1'; it must be a number"),
        ({"similarity": np.negative}, "similarity is a function, which need not fall with the distance"),
        ({"similarity": "d"}, "similarity='d'; it must be one of '-d', '-d[*][*]2', '1-d'."),
        ({"metric": "cityblock"}, "metric='cityblock'; one of"),
        (
            {"metric": "inner_product"},
            "metric='inner_product' is no distance.*cosine",
        ),
        ({"names": ["a", "b"]}, "names is for a graph on disk: give output"),
        ({"overwrite": True}, "overwrite is for a graph on disk: give output"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: Any, text: str) -> None:
    options = {"min_similarity": -0.5, "metric": "manhattan", "similarity": "-d"} | given
    with pytest.raises(InvalidInputError, match=text):
        radius_graph([[0.0], [1.0]], **options)


def test_more_pairs_than_memory_are_refused() -> None:
    with pytest.raises(MemoryLimitError, match=r"4\d,\d+ pairs and more .* give output='graph\.zarr'"):
        radius_graph(points_for("euclidean", 2), -100, memory_limit="1MB")


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_graph_on_disk_is_that_in_memory(
    tmp_path: Path, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr(Scratch, "fits", lambda self, n_edges: False)
    points, names = points_for("euclidean", 3), [f"p{i}" for i in range(N)]
    held = radius_graph(points, -2.5)
    assert (held.missing_at_most == -np.inf).sum() in range(N)
    written = radius_graph(points, -2.5, output=tmp_path / "graph.zarr", names=names)
    stored = read_graph(tmp_path / "graph.zarr")
    assert isinstance(stored, KNNGraph)
    assert bits(stored) == bits(held)
    assert stored.recall == held.recall
    assert (written.n_points, written.n_edges) == (N, held.nnz)
    assert open_graph(tmp_path / "graph.zarr").names().tolist() == names
    with pytest.raises(InvalidInputError, match=r"graph\.zarr exists"):
        radius_graph(points, -1, output=tmp_path / "graph.zarr")
    radius_graph(points, -1e9, output=tmp_path / "graph.zarr", overwrite=True)
    assert (open_graph(tmp_path / "graph.zarr").missing_at_most == -np.inf).all()


def test_an_error_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(on_disk, "write_csr", fail)
    with pytest.raises(OSError, match="no room"):
        radius_graph(points_for("euclidean", 3), -1, output=tmp_path / "graph.zarr")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_the_graph(tmp_path: Path) -> None:
    bits_of_points = points_for("tanimoto", 5)
    np.save(tmp_path / "points.npy", np.packbits(bits_of_points, axis=1))
    options = ["--metric", "tanimoto", "--similarity=1-d", "-t", "0.25"]
    held = radius_graph(bits_of_points, 0.25, metric="tanimoto", similarity="1-d")
    for ending in ("npz", "zarr"):
        path = tmp_path / f"graph.{ending}"
        result = CliRunner().invoke(main, ["radius", str(tmp_path / "points.npy"), *options, "-o", str(path)])
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert lines[:2] == [f"points      {N}", f"edges       {held.nnz:,}"]
        assert lines[2] == "search      all pairs, tanimoto, exact"
    stored = read_graph(tmp_path / "graph.zarr")
    assert bits(stored) == bits(held)
    assert (scipy.sparse.load_npz(tmp_path / "graph.npz") != held).nnz == 0


def test_the_command_speaks_of_options(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("name,x\na,0\nb,1\nc,3\n")
    points = str(tmp_path / "points.csv")
    result = CliRunner().invoke(main, ["radius", points, "-t", "0.4", "-o", str(tmp_path / "graph.npz")])
    assert result.exit_code == 2
    assert "Error: --min-similarity 0.4 is above every similarity: --similarity=-d**2 makes" in result.output
    out = str(tmp_path / "graph.zarr")
    result = CliRunner().invoke(main, ["radius", points, "-t", "-1", "-o", out, "--quiet"])
    assert (result.exit_code, result.output) == (0, "")
    assert open_graph(out).names().tolist() == ["a", "b", "c"]
