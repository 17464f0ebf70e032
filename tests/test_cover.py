"""The fewest exemplars above a threshold, against enumeration, HiGHS and greedy covers."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from click.testing import CliRunner
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import connected_components

import sparse_ap
from sparse_ap import Clustering, InvalidInputError, MemoryLimitError, cover
from sparse_ap.cli.commands import main
from sparse_ap.graphs import knn_graph, open_graph, radius_graph, write_graph
from sparse_ap.search.cover_bound import least_exemplars, packed, parts_of

POINTS = np.random.default_rng(5).random((400, 2))
RADIUS = 0.08
GRAPH = radius_graph(POINTS, -RADIUS, similarity="-d")


def random_graph(rng: np.random.Generator) -> tuple[Any, float]:
    """Similarities of mixed signs, with ties, minus infinity where there is no edge; and a threshold."""
    n = int(rng.integers(1, 9))
    dense = rng.normal(size=(n, n)).round(int(rng.integers(0, 2)))
    dense[rng.random((n, n)) < rng.random()] = -np.inf
    np.fill_diagonal(dense, -np.inf)
    return dense, round(0.7 * float(rng.normal()), 1)


def sparse_of(dense: Any) -> Any:
    rows, columns = np.nonzero(dense > -np.inf)
    return scipy.sparse.csr_array((dense[rows, columns], (rows, columns)), shape=dense.shape)


def best_by_enumeration(dense: Any, threshold: float) -> tuple[int, float]:
    """The fewest exemplars, and of those sets the largest sum of similarities."""
    n = len(dense)
    allowed = np.where(dense >= threshold, dense, -np.inf)
    for size in range(1, n + 1):
        totals = []
        for exemplars in map(list, combinations(range(n), size)):
            others = np.setdiff1d(np.arange(n), exemplars)
            totals.append(allowed[np.ix_(others, exemplars)].max(axis=1, initial=-np.inf).sum())
        if max(totals) > -np.inf:
            return size, max(totals)
    raise AssertionError("every point alone is a cover")


def require_cover(found: Clustering, dense: Any, threshold: float) -> None:
    chosen = found.exemplars[found.labels]
    rows = np.arange(len(dense))
    others = rows != chosen
    similarities = dense[rows, chosen]
    assert (similarities[others] >= threshold).all()
    assert (chosen[found.exemplars] == found.exemplars).all()
    # Each goes to its most similar exemplar, of equals to the first.
    allowed = dense[:, found.exemplars]
    assert (allowed.max(axis=1)[others] == similarities[others]).all()
    assert (found.labels[others] == allowed.argmax(axis=1)[others]).all()
    assert found.data_similarity == pytest.approx(similarities[others].sum())
    assert (found.net_similarity, found.exemplar_preference) == (found.data_similarity, 0)


def others_of(found: Clustering) -> Any:
    return np.setdiff1d(np.arange(len(found.labels)), found.exemplars)


def three_values(allowed: Any, weights: Any, preference: Any, exemplars: Any) -> tuple[int, float, float]:
    """What a cover gains, the most important first."""
    chosen = np.asarray(exemplars)
    rest = np.setdiff1d(np.arange(len(allowed)), chosen)
    total = float((weights[rest] * allowed[np.ix_(rest, chosen)].max(axis=1)).sum())
    finite = preference[chosen][np.isfinite(preference[chosen])]
    return -len(chosen), round(float(finite.sum()), 6), total


# Some look like distances, and some like rows of neighbours.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "seeds", [range(50), pytest.param(range(50, 500), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_small_covers_are_the_best(seeds: range) -> None:
    n_below = 0
    for seed in seeds:
        dense, threshold = random_graph(np.random.default_rng(seed))
        found = cover(sparse_of(dense), min_similarity=threshold, certify=True)
        require_cover(found, dense, threshold)
        fewest, total = best_by_enumeration(dense, threshold)
        assert found.n_clusters_bound is not None
        assert found.n_clusters_bound <= fewest == found.n_clusters
        n_below += found.data_similarity < total - 1e-9
    # The sum comes second, and without a proof.
    assert n_below <= 0.02 * len(seeds)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "seeds", [range(40), pytest.param(range(40, 500), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_with_weights_and_candidates_they_are_the_best(seeds: range) -> None:
    n_below = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        dense, threshold = random_graph(rng)
        n = len(dense)
        weights, candidates = rng.integers(1, 6, n) / 2, rng.random(n) < 0.8
        allowed = np.where((dense >= threshold) & candidates, dense, -np.inf)
        sparse, options = sparse_of(dense), {"weights": weights, "candidates": candidates}
        if not candidates.any() or (~candidates & np.isneginf(allowed.max(axis=1))).any():
            with pytest.raises(InvalidInputError, match=r"may not be exemplars|may be an exemplar"):
                cover(sparse, min_similarity=threshold, **options)
            continue
        found = cover(sparse, min_similarity=threshold, certify=True, **options)
        others = np.setdiff1d(np.arange(n), found.exemplars)
        assert candidates[found.exemplars].all()
        assert (found.similarities[others] == allowed[np.ix_(others, found.exemplars)].max(axis=1)).all()
        totals = {
            chosen: float((weights[rest] * allowed[np.ix_(rest, chosen)].max(axis=1)).sum())
            for size in range(1, n + 1)
            for chosen in combinations(np.flatnonzero(candidates), size)
            if (rest := np.setdiff1d(np.arange(n), chosen)) is not None
        }
        fewest = min(len(chosen) for chosen, total in totals.items() if total > -np.inf)
        best = max(total for chosen, total in totals.items() if len(chosen) == fewest)
        assert found.n_clusters_bound is not None
        assert found.n_clusters_bound <= fewest == found.n_clusters
        assert found.optimal == (found.n_clusters_bound == fewest)
        assert found.data_similarity <= best + 1e-9
        n_below += found.data_similarity < best - 1e-9
    assert n_below <= 0.03 * len(seeds)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 500), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_preferences_come_after_the_number_and_before_the_sum(seeds: range) -> None:
    n_below, n_covered = 0, 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        dense, threshold = random_graph(rng)
        n = len(dense)
        preference = rng.integers(-3, 4, n) / 10
        preference[rng.random(n) < 0.1] = np.inf
        preference[rng.random(n) < 0.1] = -np.inf
        weights, candidates = rng.integers(1, 6, n) / 2, (rng.random(n) < 0.9) | (preference == np.inf)
        pinned, may = preference == np.inf, candidates & (preference > -np.inf)
        allowed = np.where((dense >= threshold) & may, dense, -np.inf)
        options = {"weights": weights, "preference": preference, "candidates": candidates}
        if not may.any() or (~may & np.isneginf(allowed.max(axis=1))).any():
            with pytest.raises(InvalidInputError, match=r"may not be exemplars|may be an exemplar"):
                cover(sparse_of(dense), min_similarity=threshold, **options)
            continue
        found = cover(sparse_of(dense), min_similarity=threshold, certify=True, **options)
        best = max(
            value
            for size in range(1, n + 1)
            for chosen in combinations(np.flatnonzero(may), size)
            if pinned.sum() == pinned[list(chosen)].sum()
            and (value := three_values(allowed, weights, preference, chosen))[2] > -np.inf
        )
        got = three_values(allowed, weights, preference, found.exemplars)
        assert may[found.exemplars].all()
        assert pinned.sum() == pinned[found.exemplars].sum()
        assert found.n_clusters_bound is not None
        assert found.n_clusters_bound <= -best[0] == found.n_clusters
        assert found.exemplar_preference == pytest.approx(got[1])
        assert found.data_similarity == pytest.approx(got[2])
        assert found.net_similarity == pytest.approx(got[1] + got[2])
        n_below += got[1] < best[1] or got[2] < best[2] - 1e-9
        n_covered += 1
    assert n_covered > 0.5 * len(seeds)
    assert n_below <= 0.03 * n_covered


def test_the_bound_counts_the_points_that_are_always_exemplars() -> None:
    # Both ends of a path of four, where one point in the middle of each half would do as well.
    path = radius_graph(np.arange(4.0)[:, None], -1, similarity="-d")
    found = cover(path, min_similarity=-1, preference=[np.inf, 0, 0, np.inf], certify=True)
    assert (found.exemplars.tolist(), found.n_clusters_bound, found.optimal) == ([0, 3], 2, True)
    every = cover(path, min_similarity=-1, preference=[np.inf] * 4, certify=True)
    assert (every.n_clusters, every.n_clusters_bound, every.exemplar_preference) == (4, 4, 0)


def fewest_by_highs(graph: Any, relaxed: bool) -> float:
    covers = scipy.sparse.csr_array((np.ones(graph.nnz), graph.indices, graph.indptr), graph.shape)
    covers = covers + scipy.sparse.eye_array(graph.shape[0])
    n = graph.shape[0]
    found = milp(
        np.ones(n), integrality=np.full(n, not relaxed), bounds=Bounds(0, 1),
        constraints=LinearConstraint(covers, 1, np.inf),
    )  # fmt: skip
    return float(found.fun)


def test_the_number_and_the_bound_are_those_of_highs() -> None:
    graph = radius_graph(POINTS[:150], -RADIUS, similarity="-d")
    found = cover(graph, min_similarity=-RADIUS, certify=True)
    fewest, relaxed = fewest_by_highs(graph, False), fewest_by_highs(graph, True)
    assert found.n_clusters_bound is not None
    assert 0.99 * relaxed <= found.n_clusters_bound <= round(fewest) <= found.n_clusters
    assert found.n_clusters <= 1.05 * fewest


def test_fewer_exemplars_than_by_greedy_covers() -> None:
    covers = np.where(GRAPH.toarray() < 0, 1, 0) + np.eye(400, dtype=int)
    left, n_greedy = np.ones(400, bool), 0
    while left.any():
        left &= covers[covers[:, left].sum(axis=1).argmax()] == 0
        n_greedy += 1
    assert cover(GRAPH, min_similarity=-RADIUS).n_clusters < n_greedy


def test_the_bound_holds_for_any_search(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cover(GRAPH, min_similarity=-RADIUS)
    exemplar = np.zeros(400, bool)
    exemplar[found.exemplars] = True
    for steps in (1, 5, 50):
        monkeypatch.setattr("sparse_ap.search.cover_bound._STEPS", steps)
        assert 1 <= least_exemplars(GRAPH.indptr, GRAPH.indices, exemplar, np.arange(400)) <= found.n_clusters


def test_parts_are_those_of_scipy_where_points_are_joined_one_by_one_to_smaller_ones() -> None:
    h = 200_000
    # Row h + t joins the group of h - t to h - t - 1; then row 2 h + t asks for the group of h - t - 1.
    rows = np.r_[np.repeat(np.arange(h, 2 * h - 1), 2), np.arange(2 * h, 3 * h)]
    columns = np.r_[
        np.column_stack([np.arange(h - 1, 0, -1), np.arange(h - 2, -1, -1)]).ravel(), np.arange(h)
    ]
    rng = np.random.default_rng(0)
    for at, to, n in ((rows, columns[: len(rows)], 3 * h), (*rng.integers(0, 5000, (2, 3000)), 5000)):
        graph = scipy.sparse.csr_array((np.ones(len(at), np.int8), (at, to)), shape=(n, n))
        n_parts, part = parts_of(graph.indptr, graph.indices.astype(np.int32))
        expected = connected_components(graph, connection="weak")
        assert n_parts == expected[0]
        assert (part == expected[1]).all()


def test_threads_orders_and_places_change_nothing(tmp_path: Path) -> None:
    whole = radius_graph(POINTS, -2 * RADIUS, similarity="-d")
    write_graph(whole, tmp_path / "graph.zarr")
    write_graph(whole, tmp_path / "renumbered.zarr", order="rcm")
    dense = np.where(whole.toarray() < 0, whole.toarray(), -np.inf)
    rng = np.random.default_rng(3)
    preference = np.where(rng.random(400) < 0.02, np.inf, rng.integers(0, 9, 400) / 10)
    of_points = {
        "weights": rng.integers(1, 9, 400) / 2,
        "preference": preference,
        "candidates": (rng.random(400) < 0.95) | (preference == np.inf),
    }
    others: list[tuple[Any, dict[str, Any]]] = [
        (whole, {"n_jobs": 2}),
        (GRAPH, {}),
        (whole.tocoo(), {}),
        (tmp_path / "graph.zarr", {"memory_limit": "2GB"}),
        (open_graph(tmp_path / "graph.zarr"), {}),
        (open_graph(tmp_path / "renumbered.zarr"), {"n_jobs": 2}),
        (dense, {}),
    ]
    for options in ({}, of_points):
        expected = cover(whole, min_similarity=-RADIUS, certify=True, n_jobs=1, **options)
        assert expected.n_clusters_bound is not None
        for graph, resources in others:
            found = cover(graph, min_similarity=-RADIUS, certify=True, **options, **resources)
            assert (found.labels == expected.labels).all()
            assert (found.similarities[others_of(found)] == expected.similarities[others_of(found)]).all()
            assert found.data_similarity == expected.data_similarity
            assert found.exemplar_preference == expected.exemplar_preference
            assert found.n_clusters_bound == expected.n_clusters_bound


def test_a_nan_may_be_no_edge(tmp_path: Path) -> None:
    expected = cover(GRAPH, min_similarity=-RADIUS, certify=True)
    n = GRAPH.shape[0]
    dense = np.full((n, n), np.nan, np.float32)
    entries = GRAPH.tocoo()
    dense[entries.coords] = entries.data
    scipy.sparse.save_npz(tmp_path / "nan.npz", scipy.sparse.csr_array(dense))
    for graph in (dense, scipy.sparse.load_npz(tmp_path / "nan.npz"), tmp_path / "nan.npz"):
        found = cover(graph, min_similarity=-RADIUS, certify=True, missing="nan")
        assert (found.labels == expected.labels).all()
        assert (found.data_similarity, found.n_clusters_bound) == (
            expected.data_similarity,
            expected.n_clusters_bound,
        )
        with pytest.raises(InvalidInputError, match="missing='nan'"):
            cover(graph, min_similarity=-RADIUS)


def test_a_bound_that_does_not_fit_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = tmp_path / "near.zarr"
    radius_graph(POINTS, -RADIUS, similarity="-d", output=near)
    monkeypatch.setattr("sparse_ap.execution.budget._BOUNDING_READ", 10**9)
    limited: dict[str, Any] = {"min_similarity": -RADIUS, "memory_limit": "100GB"}
    text = rf"The bound .* the {GRAPH.nnz:,} edges of .* needs [\d.]+ GB at least: .* leave out certify"
    with pytest.raises(MemoryLimitError, match=text):
        cover(open_graph(near), certify=True, **limited)
    assert cover(open_graph(near), **limited).n_clusters > 1
    with pytest.raises(MemoryLimitError, match=r"400 points and .* edges need"):
        cover(near, **limited | {"memory_limit": "1MB"})


def test_a_similarity_at_the_threshold_is_enough() -> None:
    graph = scipy.sparse.csr_array(np.float32([[0, -0.6], [-0.6, 0]]))
    assert float(np.float32(-0.6)) < -0.6
    assert cover(graph, min_similarity=-0.6).n_clusters == 1
    assert cover(graph, min_similarity=-0.5).n_clusters == 2


def test_few_points() -> None:
    assert cover(scipy.sparse.csr_array((1, 1)), min_similarity=0, certify=True).n_clusters_bound == 1
    alone = cover(scipy.sparse.csr_array((5, 5)), min_similarity=0, certify=True)
    assert (alone.n_clusters, alone.n_clusters_bound) == (5, 5)
    equal = radius_graph(np.zeros((4, 1)), 0)
    assert cover(equal, min_similarity=0, certify=True).n_clusters == 1


def test_rows_that_may_break_off_are_told() -> None:
    known = knn_graph(POINTS, 5, similarity="-d")
    reach = -float(np.median(known.missing_at_most))
    n = int((known.missing_at_most >= np.float32(-reach)).sum())
    assert 0 < n < 400
    text = f"{n} of 400 points may have more pairs of a similarity of"
    with pytest.warns(UserWarning, match=text):
        cover(known, min_similarity=-reach)
    # Of a plain matrix of neighbours the same is seen.
    plain = scipy.sparse.csr_array((known.data, known.indices, known.indptr), shape=known.shape)
    with pytest.warns(UserWarning, match=text):
        cover(plain, min_similarity=-reach)
    with pytest.warns(UserWarning, match="400 of 400 points may have more pairs"):
        cover(GRAPH, min_similarity=-2 * RADIUS)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"min_similarity": np.nan}, "min_similarity=nan; it must be a finite number"),
        ({"min_similarity": "0"}, "min_similarity='0'; it must be a finite number"),
        ({"min_similarity": -1, "certify": 1}, "certify=1; it must be True or False"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        cover(GRAPH, **options)


@pytest.mark.parametrize(
    ("preference", "text"),
    [
        (np.zeros(3), r"preference has shape \(3,\); one number is needed, or one for each of the 400"),
        (np.full(400, np.nan), "preference is NaN at 400 positions"),
        (np.inf, "was given for all points"),
        (POINTS[:, 0], "not all whole numbers of a common unit"),
        (np.arange(400) * 1000.0 + 1, "span 399,000 times their common unit; .* at most 53,687 can be told"),
    ],
)
def test_preferences_that_cannot_be_kept_apart_are_refused(preference: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        cover(GRAPH, min_similarity=-RADIUS, preference=preference)


def test_a_graph_written_without_such_edges_is_refused(tmp_path: Path) -> None:
    write_graph(GRAPH, tmp_path / "graph.zarr", min_similarity=-0.05)
    for threshold in (-0.05, -RADIUS):
        with pytest.raises(InvalidInputError, match=r"without the edges of similarity -0\.05 or less"):
            cover(tmp_path / "graph.zarr", min_similarity=threshold)
    # Both are rounded to the numbers of the graph.
    pair = scipy.sparse.csr_array(np.float32([[0, 0.6], [0.6, 0]]))
    write_graph(pair, tmp_path / "pair.zarr", min_similarity=0.6)
    with pytest.raises(InvalidInputError, match=r"without the edges of similarity 0\.6 or less"):
        cover(tmp_path / "pair.zarr", min_similarity=0.6)
    # What was dropped has raised what may be missing, to no more than the threshold.
    assert cover(tmp_path / "graph.zarr", min_similarity=-0.04).n_clusters > 1


def test_it_is_saved_with_its_bound(tmp_path: Path) -> None:
    found = cover(GRAPH, min_similarity=-RADIUS, certify=True)
    found.save(tmp_path / "found.npz")
    assert Clustering.load(tmp_path / "found.npz").n_clusters_bound == found.n_clusters_bound
    plain = sparse_ap.affinity_propagation(GRAPH, preference=-1)
    plain.save(tmp_path / "plain.npz")
    assert Clustering.load(tmp_path / "plain.npz").n_clusters_bound is None


def test_the_command_writes_labels(tmp_path: Path) -> None:
    names = np.array([f"p{i}" for i in range(400)], object)
    near, out = tmp_path / "near.zarr", tmp_path / "labels.csv"
    radius_graph(POINTS, -RADIUS, similarity="-d", output=near, names=names)
    arguments = ["cover", str(near), "-t", str(-RADIUS), "--certify", "--memory-limit", "2GB", "-o", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    expected = cover(GRAPH, min_similarity=-RADIUS, certify=True)
    lines = result.output.splitlines()
    assert lines[:3] == [
        "points          400",
        f"exemplars       {expected.n_clusters}",
        f"at least        {expected.n_clusters_bound}  (proven)",
    ]
    with out.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[2] for row in rows] == names[expected.exemplars[expected.labels]].tolist()
    result = CliRunner().invoke(main, ["cover", str(near), "-t", "-0.2", "--quiet"])
    assert result.exit_code == 0
    assert "Warning: 400 of 400 points may have more pairs" in result.output


def test_the_command_takes_columns_of_a_table(tmp_path: Path) -> None:
    names = np.array([f"p{i}" for i in range(400)], object)
    near, out, table = tmp_path / "near.zarr", tmp_path / "labels.csv", tmp_path / "points.csv"
    radius_graph(POINTS, -RADIUS, similarity="-d", output=near, names=names)
    rng = np.random.default_rng(2)
    weights, candidates = rng.integers(1, 9, 400) / 2, rng.random(400) < 0.9
    preference = rng.integers(0, 9, 400) / 100
    # Nobody can represent point 0.
    candidates[np.append(0, GRAPH.indices[: GRAPH.indptr[1]])] = False
    linked = scipy.sparse.csr_array(GRAPH[:, candidates]).count_nonzero(axis=1) > 0

    def covered(may: Any) -> Any:
        rows = list(zip(names, weights, may, preference, strict=True))
        rng.shuffle(rows)
        table.write_text("who,w,may,p\n" + "".join(f"{who},{w},{bool(m)},{p}\n" for who, w, m, p in rows))
        columns = ["--table", str(table), "--weights-column", "w", "--candidates-column", "may"]
        columns += ["--preference-column", "p"]
        return CliRunner().invoke(main, ["cover", str(near), "-t", str(-RADIUS), *columns, "-o", str(out)])

    result = covered(candidates)
    text = "no edge of similarity -0.08 or more to any that may: p0"
    assert (result.exit_code, text in result.output) == (2, True), result.output
    assert "unrepresented" not in result.output
    result = covered(candidates | ~linked)
    assert result.exit_code == 0, result.output
    given = {"weights": weights, "preference": preference, "candidates": candidates | ~linked}
    expected = cover(GRAPH, min_similarity=-RADIUS, **given)
    with out.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[2] for row in rows] == names[expected.exemplars[expected.labels]].tolist()
    result = CliRunner().invoke(main, ["cover", str(near), "-t", "-1", "--weights-column", "w"])
    assert "--weights-column names a column, but not of what: give --table" in result.output


def test_the_rough_bound_holds() -> None:
    """Beside the smallest cover of all; stars and points alone are met exactly."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        edges = scipy.sparse.csr_array(rng.random((9, 9)) < rng.choice([0.05, 0.2, 0.5]))
        edges.setdiag(0)
        edges.eliminate_zeros()
        covered = edges.toarray() | np.eye(9, dtype=bool)
        fewest = next(
            k for k in range(1, 10) for chosen in combinations(range(9), k)
            if covered[:, chosen].any(axis=1).all()
        )  # fmt: skip
        assert 0 < packed(edges.indptr, edges.indices) <= fewest
    star = scipy.sparse.csr_array(([1.0] * 5, (range(5), [5] * 5)), shape=(8, 8))
    assert packed(star.indptr, star.indices) == 3
