"""Shares, runner-ups, outliers and rankings, against loops, and in every way of running."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import disk
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from click.testing import CliRunner, Result
from matplotlib.figure import Figure
from same_bits import asked_bits
from samples import knn_similarity

from sparse_ap import (
    AffinityPropagation,
    Clustering,
    InvalidInputError,
    MemoryLimitError,
    Outcome,
    affinity_propagation,
    hierarchy,
)
from sparse_ap.cli.commands import main
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.graphs import knn_graph, open_graph, write_graph
from sparse_ap.plotting import plot_coverage

N_SMALL = 500
GRAPH = knn_similarity(400, 25, 2, seed=3)
FOUND = affinity_propagation(GRAPH, preference=-0.05, refine=None)


class Small(NamedTuple):
    """A graph of up to 8 points, as rows of edges, and any clustering along edges that are similar enough."""

    graph: Any
    edges: list[dict[int, float]]
    found: Clustering
    preference: Any
    weights: Any

    def near(self, i: int) -> dict[int, float]:
        """The edges of a point that the run allowed."""
        least = self.found.min_similarity
        return {k: s for k, s in self.edges[i].items() if least is None or s >= least}


def small(seed: int) -> Small:
    """Mixed signs and ties; labels that are not the nearest; points that are nobody's; roles; weights."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    values = rng.integers(-6, 4, (n, n)) / 4
    stored = (rng.random((n, n)) < rng.choice([0.2, 0.6, 1.0])) & ~np.eye(n, dtype=bool)
    row, column = np.nonzero(stored)
    graph = scipy.sparse.csr_array((values[stored], (row, column)), shape=(n, n))
    edges = [{int(k): float(values[i, k]) for k in np.flatnonzero(stored[i])} for i in range(n)]
    exemplars = np.sort(rng.choice(n, int(rng.integers(1, n + 1)), replace=False))
    labels, similarities = np.full(n, -1), np.full(n, np.nan)
    least = -0.5 if seed % 5 == 0 else None
    for i in range(n):
        near = [k for k in exemplars if k in edges[i] and edges[i][k] >= (least or -9)]
        if i in exemplars:
            labels[i], similarities[i] = np.searchsorted(exemplars, i), 0
        elif near and rng.random() < 0.9:
            own = max(near, key=lambda k: edges[i][k]) if seed % 2 else rng.choice(near)
            labels[i], similarities[i] = np.searchsorted(exemplars, own), edges[i][own]
    preference = rng.integers(-12, 2, n) / 4
    preference[rng.random(n) < 0.2] = np.inf
    weights = rng.integers(1, 5, n) / 2 if seed % 3 else np.ones(n)
    found = replace(
        FOUND, labels=labels, exemplars=exemplars, similarities=similarities, preference=None,
        min_similarity=least,
    )  # fmt: skip
    return Small(graph, edges, found, preference, weights)


SMALL = [small(seed) for seed in range(N_SMALL)]


def reached(given: Small, i: int) -> list[tuple[float, int]]:
    """The labels of the exemplars other than its own that a point reaches, the best first."""
    found = given.found
    if found.labels[i] < 0:
        return []
    others = [
        (s, int(np.searchsorted(found.exemplars, k)))
        for k, s in given.near(i).items()
        if k in found.exemplars and k != found.exemplars[found.labels[i]]
    ]
    return sorted(others, key=lambda other: (-other[0], other[1]))


def test_runner_ups_are_those_of_a_loop() -> None:
    for given in SMALL:
        runner = given.found.runner_up(given.graph)
        for i in range(len(given.edges)):
            others = reached(given, i)
            s, label = others[0] if others else (math.nan, -1)
            assert runner.labels[i] == label
            assert runner.exemplars[i] == (given.found.exemplars[label] if others else -1)
            assert np.array_equal(runner.similarities[i], s, equal_nan=True)
            alone = i in given.found.exemplars
            margin = math.nan if alone or not others else given.found.similarities[i] - s
            assert np.array_equal(runner.margins[i], margin, equal_nan=True)


def test_shares_are_those_of_a_loop() -> None:
    for seed, given in enumerate(SMALL):
        top, found = 1 + seed % 4, given.found
        margins = given.found.runner_up(given.graph).margins
        positive = margins[margins > 0]
        temperature = None if seed % 2 else 0.7
        wide = temperature or (float(np.median(positive)) if len(positive) and top > 1 else 1.0)
        shares = found.memberships(given.graph, top, temperature=temperature)
        assert shares.has_canonical_format
        for i, label in enumerate(found.labels):
            expected = {}
            if label >= 0:
                expected[int(label)] = 1.0
                if i not in found.exemplars:
                    of = [(float(found.similarities[i]), int(label)), *reached(given, i)[: top - 1]]
                    sizes = {k: math.exp((s - of[0][0]) / wide) for s, k in of}
                    expected = {k: size / sum(sizes.values()) for k, size in sizes.items()}
            row = slice(shares.indptr[i], shares.indptr[i + 1])
            assert dict(zip(shares.indices[row].tolist(), shares.data[row].tolist(), strict=True)) == (
                pytest.approx(expected, rel=1e-12)
            )


def value_of(given: Small, kept: Any) -> tuple[float, float, int]:
    """Net similarity, weight covered, and the number of exemplars that must be there: by loops."""
    found, net, covered = given.found, 0.0, 0.0
    every = [s for row in given.edges for s in row.values()]
    for i, edges in enumerate(given.edges):
        near = [s for k, s in given.near(i).items() if k in kept]
        if i in kept:
            net += 0.0 if given.preference[i] == np.inf else given.preference[i]
        elif found.labels[i] >= 0:
            net += given.weights[i] * (max(near) if near else min(edges.values() or every or [0.0]))
        covered += given.weights[i] * (found.labels[i] >= 0 and (i in kept or bool(near)))
    return net, covered, sum(given.preference[k] == np.inf for k in kept)


def test_rankings_are_those_of_a_loop() -> None:
    for given in SMALL:
        ranking = given.found.ranking(given.graph, preference=given.preference, weights=given.weights)
        kept = given.found.exemplars.tolist()
        for m in range(len(kept), 0, -1):
            net, covered, _ = value_of(given, kept)
            assert ranking.net_similarities[m - 1] == net
            assert ranking.coverage[m - 1] == pytest.approx(covered / given.weights.sum(), rel=1e-15)
            left = [[k for k in kept if k != gone] for gone in kept]
            # The best of what is left; those that must be there stay; of equals the larger number goes.
            best = max(left, key=lambda k: (value_of(given, k)[2], value_of(given, k)[0], -sum(k)))
            gone = (set(kept) - set(best)).pop()
            assert ranking.exemplars[m - 1] == gone
            kept = best


def test_no_set_of_exemplars_is_better_than_the_first_step_and_the_last() -> None:
    """All but one, and all, are the best of all sets; what is between is at most that."""
    for given in SMALL[:100]:
        free = given._replace(preference=np.full(len(given.edges), -0.5))
        ranking = given.found.ranking(given.graph, preference=-0.5, weights=given.weights)
        for m, net in enumerate(ranking.net_similarities, 1):
            best = max(value_of(free, kept)[0] for kept in combinations(given.found.exemplars.tolist(), m))
            assert net <= best
            assert net == best or m < len(ranking.exemplars) - 1


def test_the_same_bits_in_memory_and_on_disk(tmp_path: Path) -> None:
    expected = asked_bits(FOUND, GRAPH)
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    write_graph(GRAPH, tmp_path / "moved.zarr", order="rcm")
    for graph in (path, open_graph(path), open_graph(tmp_path / "moved.zarr")):
        assert asked_bits(FOUND, graph) == expected
    assert asked_bits(FOUND, open_graph(path), memory_limit="4GB", n_jobs=1) == expected
    # With a diagonal, and with smaller duplicates.
    row = np.repeat(np.arange(400), 25)
    rows, columns = np.r_[row, row, np.arange(400)], np.r_[GRAPH.indices, GRAPH.indices, np.arange(400)]
    values = np.r_[GRAPH.data, GRAPH.data - 1, np.ones(400, np.float32)]
    assert asked_bits(FOUND, scipy.sparse.coo_array((values, (rows, columns)), shape=GRAPH.shape)) == expected


def test_edges_are_read_once_for_all_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, run, passes = asked_bits(FOUND, GRAPH), BlockedGraph.run, []
    monkeypatch.setattr(BlockedGraph, "run", lambda graph, *given: passes.append(given) or run(graph, *given))
    edges = FOUND.exemplar_edges(GRAPH, memory_limit="8GB")
    assert len(passes) == 1
    assert asked_bits(FOUND, edges) == expected
    assert len(passes) == 1
    found = affinity_propagation(GRAPH, preference=-0.05, min_similarity=-0.01, refine=None)
    assert (
        Clustering.from_arrays({k: np.asarray(v) for k, v in found.arrays().items()}).min_similarity == -0.01
    )
    assert np.nanmin(FOUND.runner_up(GRAPH).similarities) < np.nanmin(found.runner_up(GRAPH).similarities)
    assert np.nanmin(found.runner_up(GRAPH).similarities) >= np.float32(-0.01)
    with pytest.raises(InvalidInputError, match="edges to the exemplars of another clustering"):
        found.ranking(edges)
    with pytest.raises(InvalidInputError, match="edges to the exemplars of another clustering"):
        replace(FOUND, min_similarity=-0.01).ranking(edges)


def test_what_the_clustering_says_itself_is_in_them() -> None:
    ranking = FOUND.ranking(GRAPH)
    assert ranking.net_similarities[-1] == pytest.approx(FOUND.net_similarity, rel=1e-13)
    assert ranking.coverage[-1] == 1
    assert (np.diff(ranking.coverage) >= 0).all()
    assert sorted(ranking.exemplars) == FOUND.exemplars.tolist()
    shares = FOUND.memberships(GRAPH)
    assert shares.sum(axis=1) == pytest.approx(np.ones(400), rel=1e-15)
    assert (shares.toarray().argmax(axis=1) == FOUND.labels).all()
    assert (shares[FOUND.exemplars].toarray() == np.eye(FOUND.n_clusters)).all()
    margins = FOUND.runner_up(GRAPH).margins
    typical = float(np.median(margins[margins > 0]))
    assert (shares != FOUND.memberships(GRAPH, temperature=typical)).nnz == 0
    assert (FOUND.memberships(GRAPH, top=1).data == 1).all()


def test_the_curve_of_coverage_is_drawn() -> None:
    ranking = FOUND.ranking(GRAPH)
    axes = plot_coverage(ranking, ax=Figure().add_subplot())
    x, y = axes.lines[0].get_data()
    assert x.tolist() == list(range(1, FOUND.n_clusters + 1))
    assert y.tolist() == ranking.coverage.tolist()
    half = 1 + int((ranking.coverage < 0.5).sum())
    assert axes.get_title(loc="left").startswith(f"{half} of {FOUND.n_clusters} exemplars reach half")
    axes.figure.canvas.draw()
    many = SimpleNamespace(coverage=np.linspace(0.001, 1, 1000))
    assert plot_coverage(many, ax=Figure().add_subplot()).get_xscale() == "log"
    assert plot_coverage(SimpleNamespace(coverage=[]), ax=Figure().add_subplot()).get_title(loc="left")
    with pytest.raises(InvalidInputError, match=r"is a str; what Clustering\.ranking returns"):
        plot_coverage("ranking")


def test_extreme_temperatures() -> None:
    cold, hot = (FOUND.memberships(GRAPH, temperature=t) for t in (5e-324, 1e300))
    assert (cold.toarray().argmax(axis=1) == FOUND.labels).all()
    assert cold.max() == 1
    others = np.setdiff1d(np.arange(400), FOUND.exemplars)
    assert hot[others].data == pytest.approx(
        np.repeat(1 / np.diff(hot[others].indptr), np.diff(hot[others].indptr))
    )


def test_weights_roles_and_points_that_nobody_represents() -> None:
    candidates, weights = np.arange(0, 400, 9), np.random.default_rng(0).integers(1, 5, 400) / 2
    pinned = np.full(400, -0.05)
    pinned[candidates[:3]] = np.inf
    options: Any = {"weights": weights, "preference": pinned}
    found = affinity_propagation(GRAPH, candidates=candidates, unrepresented="label", refine=None, **options)
    assert found.n_unrepresented
    lost = found.labels < 0
    ranking = found.ranking(GRAPH, **options)
    assert ranking.net_similarities[-1] == pytest.approx(found.net_similarity, rel=1e-12)
    assert ranking.coverage[-1] == pytest.approx(1 - weights[lost].sum() / weights.sum())
    assert set(ranking.exemplars[:3]) == set(candidates[:3])
    runner, shares = found.runner_up(GRAPH), found.memberships(GRAPH)
    assert (runner.labels[lost] == -1).all()
    assert np.isnan(runner.margins[lost]).all()
    assert (np.diff(shares.indptr) == 0).tolist() == lost.tolist()
    assert found.outliers(min_size=1).tolist() == lost.tolist()
    with pytest.raises(InvalidInputError, match=r"knows only their sums\. Give weights"):
        found.ranking(GRAPH, preference=pinned)
    with pytest.raises(
        InvalidInputError, match=r"were not the same for all, or it is a table or a cover\. Give preference"
    ):
        found.ranking(GRAPH, weights=weights)


def test_a_preference_that_some_do_not_have_is_not_taken_for_all() -> None:
    pinned = np.full(400, -0.05)
    pinned[7] = np.inf
    found = affinity_propagation(GRAPH, preference=pinned, refine=None)
    assert found.preference == -0.05
    with pytest.raises(InvalidInputError, match="not the same for all"):
        found.ranking(GRAPH)
    assert found.ranking(GRAPH, preference=pinned).exemplars[0] == 7


def test_equal_points_that_lack_an_edge_to_their_exemplar() -> None:
    points = np.random.default_rng(0).random((60, 2)).astype(np.float32)
    graph = knn_graph(points[np.repeat(np.arange(60), 5)], 3)
    found = affinity_propagation(graph, preference=-0.1, collapse_duplicates=True, refine=None)
    assert found.n_collapsed
    assert np.diff(found.memberships(graph).indptr).min() == 1
    assert found.ranking(graph).coverage[-1] == 1


def test_more_edges_of_the_same_points_may_be_given() -> None:
    points = np.random.default_rng(3).random((400, 2))
    found = affinity_propagation(knn_graph(points, 8), preference=-0.05, refine=None)
    few, many = (found.memberships(knn_graph(points, k)) for k in (8, 60))
    assert many.nnz > few.nnz
    estimator = AffinityPropagation(n_neighbors=8, preference=-0.05).fit(points)
    assert estimator.clustering_.memberships(estimator.affinity_matrix_).shape[0] == 400


def test_groups_of_a_tree() -> None:
    cut = hierarchy(GRAPH, clustering=FOUND).cut(3)
    unknown = np.where(np.isin(np.arange(400), cut.exemplars), 0, np.nan)
    found = replace(
        FOUND, labels=cut.labels, exemplars=cut.exemplars, similarities=unknown, outcome=Outcome.GROUPED
    )
    assert (found.runner_up(GRAPH).labels >= -1).all()
    assert found.ranking(GRAPH, preference=0).coverage[-1] < 1
    with pytest.raises(InvalidInputError, match=r"along whose edges there are no shares"):
        found.memberships(GRAPH)
    with pytest.raises(InvalidInputError, match=r"Give min_size \(--min-size\) alone"):
        found.outliers(min_similarity=-1)
    assert found.outliers(min_size=500).all()


def test_outliers_are_those_that_were_asked_for() -> None:
    sizes = FOUND.sizes[FOUND.labels]
    small_ones = FOUND.outliers(min_size=20)
    assert small_ones.tolist() == (sizes < 20).tolist()
    least = float(np.sort(FOUND.similarities)[50])
    far = FOUND.outliers(min_similarity=least)
    assert far.tolist() == (FOUND.similarities < np.float32(least)).tolist()
    assert far.sum() == 50
    assert FOUND.outliers(min_similarity=np.float32(least)).tolist() == far.tolist()
    assert FOUND.outliers(min_size=20, min_similarity=least).tolist() == (small_ones | far).tolist()
    assert FOUND.outliers(min_similarity=1.0).tolist() == (~np.isin(np.arange(400), FOUND.exemplars)).tolist()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: FOUND.outliers(), "is for you to say: give min_size"),
        (lambda: FOUND.outliers(min_size=0), "min_size=0; it must be at least 1"),
        (lambda: FOUND.outliers(min_similarity=math.nan), "min_similarity=nan; it must be a finite number"),
        (lambda: FOUND.outliers(min_similarity=10**400), "0; it must be a finite number"),
        (lambda: FOUND.outliers(min_similarity=np.float32(-np.inf)), r"inf\)?; it must be a finite number"),
        (lambda: FOUND.memberships(GRAPH, temperature=10**400), "0; it must be a finite number above"),
        (lambda: FOUND.memberships(GRAPH, 0), "top=0; it must be at least 1"),
        (lambda: FOUND.memberships(GRAPH, 2.5), "top=2.5; it must be at least 1"),
        (lambda: FOUND.memberships(GRAPH, temperature=0), "temperature=0; it must be a finite number above"),
        (lambda: FOUND.memberships(GRAPH, temperature="1"), "temperature='1'; it must be a finite number"),
        (lambda: FOUND.runner_up(GRAPH, missing="no"), "missing='no'; it must be 'nan' or None"),
        (lambda: FOUND.runner_up(GRAPH[:9, :9]), "similarity has 9 points, and the clustering 400"),
        (lambda: FOUND.runner_up(GRAPH * 2), "similarity is not the graph that was clustered: from point 0"),
        (lambda: FOUND.ranking(abs(GRAPH)), "similarity is not the graph"),
        (lambda: FOUND.memberships(GRAPH * 0), "has -?0, and the clustering"),
        (lambda: FOUND.runner_up(scipy.sparse.csr_array((400, 400))), "it has no edge, and the clustering"),
        (lambda: FOUND.runner_up(GRAPH * np.nan), "are NaN"),
        (lambda: FOUND.ranking(GRAPH, preference=np.inf), "preference=inf was given for all points"),
        (lambda: FOUND.ranking(GRAPH, preference=[1, 2]), r"preference has shape \(2,\)"),
        (lambda: FOUND.ranking(GRAPH, preference=np.full(400, -np.inf)), "never an exemplar, for"),
        (lambda: FOUND.ranking(GRAPH, weights=np.zeros(400)), "weights is zero or less"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        call()


def test_memory_limits_are_kept() -> None:
    many = 10**6
    path = knn_similarity(400, 5, 2, seed=1)
    with pytest.raises(MemoryLimitError, match=r"limit is 0\.00 GB"):
        FOUND.memberships(path, memory_limit=many)


def test_no_points_and_no_exemplars() -> None:
    empty = affinity_propagation(scipy.sparse.csr_array((0, 0)))
    assert empty.memberships(scipy.sparse.csr_array((0, 0))).shape == (0, 0)
    assert len(empty.ranking(scipy.sparse.csr_array((0, 0))).coverage) == 0
    lonely = affinity_propagation(scipy.sparse.csr_array((3, 3)))
    assert lonely.memberships(scipy.sparse.csr_array((3, 3))).toarray().tolist() == np.eye(3).tolist()
    ranking = lonely.ranking(scipy.sparse.csr_array((3, 3)))
    assert ranking.exemplars.tolist() == [0, 1, 2]
    assert ranking.coverage.tolist() == [1 / 3, 2 / 3, 1]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def graph_file(tmp_path: Path) -> Path:
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    return tmp_path / "g.npz"


def test_tables_have_runner_ups(graph_file: Path, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "names.txt", [f"p{i}" for i in range(400)], fmt="%s")
    named = ["--names", tmp_path / "names.txt"]
    near = "--min-similarity=-0.02"
    for command, least in (
        (["cluster", graph_file, "--preference=-0.05"], None),
        (["cluster", graph_file, "--preference=-0.05", near], -0.02),
        (["cover", graph_file, near], -0.02),
    ):
        done = run(*command, *named, "--quiet", "-o", tmp_path / "labels.csv")
        assert done.exit_code == 0, done.output
        table = pd.read_csv(tmp_path / "labels.csv", keep_default_na=False)
        own = table["exemplar"].str[1:].astype(int)
        exemplars, labels = np.unique(own, return_inverse=True)
        similarities = table["similarity"].to_numpy(np.float32)
        found = replace(
            FOUND, labels=labels, exemplars=exemplars, similarities=similarities, min_similarity=least
        )
        runner = found.runner_up(GRAPH)
        assert table["runner_up"].tolist() == [f"p{k}" if k >= 0 else "" for k in runner.exemplars]
        margins = np.array([float(x) for x in table["margin"]])
        assert np.array_equal(margins, runner.margins, equal_nan=True)


def test_a_result_is_kept_if_there_is_no_room_for_runner_ups(
    graph_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparse_ap.propagation.representation.exemplar_edges._A_POINT", 1 << 30)
    done = run("cluster", graph_file, "--memory-limit", "8GB", "-o", tmp_path / "labels.csv")
    assert done.exit_code == 0, done.output
    assert "Warning: The result has no columns for the exemplar that comes next: The 400 sim" in done.stderr
    assert (tmp_path / "labels.csv").read_text().startswith("point,label,exemplar,similarity\n")
    near = ["cover", graph_file, "-t", -0.2, "-o", tmp_path / "near.csv"]
    assert "no columns" not in run(*near).stderr
    assert "exemplar that comes next: The 400 sim" in run(*near, "--memory-limit", "8GB").stderr


def test_rankings_are_written(graph_file: Path, tmp_path: Path) -> None:
    saved, first, second = (tmp_path / name for name in ("labels.npz", "first.csv", "second.csv"))
    done = run("cluster", graph_file, "--preference=-0.05", "--rank", first, "-o", saved)
    assert done.exit_code == 0, done.output
    done = run("rank", saved, graph_file, "-o", second, "--plot", tmp_path / "coverage.png")
    assert done.exit_code == 0, done.output
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")
    ranking = Clustering.load(saved).ranking(GRAPH)
    table = pd.read_csv(first, float_precision="round_trip")
    assert table.columns.tolist() == ["rank", "exemplar", "net_similarity", "coverage"]
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert table["exemplar"].tolist() == ranking.exemplars.tolist()
    assert table["net_similarity"].tolist() == ranking.net_similarities.tolist()
    assert f"exemplars   {len(table)}, which reach 100.0% of the points" in done.output
    assert run("rank", saved, graph_file, "-o", tmp_path / "r.npz", "--quiet").exit_code == 0
    with np.load(tmp_path / "r.npz") as arrays:
        assert arrays["coverage"].tolist() == ranking.coverage.tolist()


def test_a_ranking_knows_the_columns_of_the_run(graph_file: Path, tmp_path: Path) -> None:
    values = {"w": np.arange(1, 401) / 100, "p": np.where(np.arange(400) == 5, np.inf, -0.05)}
    pd.DataFrame({"point": np.arange(400)} | values).to_csv(tmp_path / "t.csv", index=False)
    columns = ["--table", tmp_path / "t.csv", "--preference-column", "p", "--weights-column", "w"]
    saved, first, second = (tmp_path / name for name in ("labels.npz", "first.csv", "second.csv"))
    done = run("cluster", graph_file, *columns, "--refine", "none", "--rank", first, "-o", saved)
    assert done.exit_code in (0, 3), done.output
    done = run("rank", saved, graph_file, *columns, "-o", second, "--quiet")
    assert done.exit_code == 0, done.output
    assert first.read_bytes() == second.read_bytes()
    assert pd.read_csv(first)["exemplar"][0] == 5
    refused = run("rank", saved, graph_file, "-o", second)
    assert refused.exit_code == 2
    assert "Give weights (--weights-column), those of the run" in refused.stderr


def test_wrong_rankings_are_refused_and_nothing_is_lost(graph_file: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    for arguments, text in (
        (["cluster", graph_file, "-o", labels, "--rank", labels], "--rank and --output are both"),
        (["cluster", graph_file, "--rank", graph_file], "is what the command reads"),
        (["cluster", graph_file, "--rank", tmp_path / "x.txt"], "ends in '.txt'; one of"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert text in done.stderr
        assert not labels.exists()
    # Groups of a tree have no preference.
    done = run("cluster", graph_file, "--n-clusters", 2, "-o", labels, "--rank", tmp_path / "rank.csv")
    assert done.exit_code == 2
    assert "does not say what each exemplar gains" in done.stderr
    assert len(pd.read_csv(labels)) == 400
    assert not (tmp_path / "rank.csv").exists()
    done = run("rank", labels, graph_file, "-o", tmp_path / "rank.csv")
    assert done.exit_code == 2
    assert "Give --preference, that of the run" in done.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph whose points have names, and its result as a table and as an archive."""
    folder = tmp_path_factory.mktemp("results")
    scipy.sparse.save_npz(folder / "g.npz", GRAPH)
    np.savetxt(folder / "names.txt", [f"p{i}" for i in range(400)], fmt="%s")
    for output in ("labels.csv", "labels.npz"):
        given = ["--names", folder / "names.txt", "--preference=-0.05", "--min-similarity=-0.01"]
        assert run("cluster", folder / "g.npz", *given, "-o", folder / output).exit_code == 0
    return folder


@pytest.mark.parametrize("result", ["labels.csv", "labels.npz"])
def test_shares_rankings_and_outliers_of_any_result(results: Path, result: str, tmp_path: Path) -> None:
    found, graph = Clustering.load(results / "labels.npz"), results / "g.npz"
    table, names = result.endswith(".csv"), ["--names", results / "names.txt"]
    again = ["-t", "-0.01"] * table
    done = run("memberships", results / result, graph, *names, *again, "--top", 3, "-o", tmp_path / "s.csv")
    assert done.exit_code == 0, done.output
    shares = pd.read_csv(tmp_path / "s.csv", float_precision="round_trip")
    expected = found.memberships(GRAPH, 3)
    assert shares["share"].tolist() == expected.data.tolist()
    assert shares["exemplar"].tolist() == [f"p{k}" for k in found.exemplars[expected.indices]]
    assert shares["point"].tolist() == [f"p{i}" for i in np.repeat(np.arange(400), np.diff(expected.indptr))]
    assert f"{len(shares) / 400:.1f} a point" in done.output
    done = run("memberships", results / result, graph, *again, "--top", 3, "-o", tmp_path / "s.npz")
    assert (scipy.sparse.load_npz(tmp_path / "s.npz") != expected).nnz == 0
    preference = ["--preference=-0.05"] * table
    done = run("rank", results / result, graph, *again, *preference, *names, "-o", tmp_path / "r.csv")
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "r.csv")["exemplar"].tolist() == [
        f"p{k}" for k in found.ranking(GRAPH).exemplars
    ]
    done = run(
        "outliers", results / result, "--min-size", 9, "--min-similarity=-0.005", "-o", tmp_path / "o.csv"
    )
    assert done.exit_code == 0, done.output
    outlier, out = found.outliers(min_size=9, min_similarity=-0.005), pd.read_csv(tmp_path / "o.csv")
    assert out["outlier"].tolist() == outlier.tolist()
    assert out["label"].tolist() == np.where(outlier, -1, found.labels).tolist()
    assert out["point"][3] == ("p3" if table else 3)
    assert f"outliers    {outlier.sum()}" in done.output


def test_wrong_questions_are_refused(results: Path, tmp_path: Path) -> None:
    table, graph, output = results / "labels.csv", results / "g.npz", tmp_path / "o.csv"
    others, shorter = tmp_path / "others.txt", tmp_path / "shorter.csv"
    np.savetxt(others, [f"p{(i + 1) % 400}" for i in range(400)], fmt="%s")
    pd.read_csv(table).drop(columns="similarity").to_csv(shorter, index=False)
    for arguments, text in (
        (["outliers", table, "-o", output], "give --min-size, the fewest points"),
        (["outliers", table, "--min-size", 0, "-o", output], "it must be at least 1"),
        (["outliers", shorter, "--min-similarity", -1, "-o", output], "does not know all similarities"),
        (["outliers", table, "--min-size", 3, "-o", table], "is what the command reads"),
        (["memberships", table, graph, "--top", 0, "-o", output], "it must be at least 1"),
        (["memberships", table, graph, "-t", "nan", "-o", output], "it must be a finite number"),
        (
            ["memberships", table, graph, "--names", others, "-o", output],
            "point 0 is 'p1' in one and 'p0' in",
        ),
        (["memberships", graph, graph, "-o", output], "no clustering"),
        (["rank", table, graph, "-o", output], "does not say what each exemplar gains"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, done.output
        assert text in done.stderr, done.stderr
        assert not output.exists()
    # Without similarities the graph alone says them.
    assert run("memberships", shorter, graph, "-o", output).exit_code == 0
