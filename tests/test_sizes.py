"""Limits of sizes in every way of running, with everything else, and refused in words."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import click.testing
import disk
import numpy as np
import pytest
import scipy.sparse
from same_bits import bits
from samples import knn_similarity

import sparse_ap
from sparse_ap import AffinityPropagation, Clustering, InvalidInputError, affinity_propagation
from sparse_ap.cli.commands import main
from sparse_ap.errors import MemoryLimitError
from sparse_ap.graphs import open_graph, write_graph
from sparse_ap.propagation.roles import PointsError
from sparse_ap.search.sizes.refusal import Sizes

N = 600
GRAPH = knn_similarity(N, 9, 2, seed=4)
OPTIONS: dict[str, Any] = {"preference": -0.01, "max_cluster_size": 8, "min_cluster_size": 4}


@pytest.fixture(scope="module")
def free() -> Clustering:
    return affinity_propagation(GRAPH, preference=-0.01)


@pytest.fixture(scope="module")
def found() -> Clustering:
    return affinity_propagation(GRAPH, **OPTIONS)


def within(clustering: Clustering, least: int = 4, most: int = 8) -> bool:
    return bool(clustering.sizes.min() >= least and clustering.sizes.max() <= most)


def test_no_cluster_is_too_large_or_too_small(free: Clustering, found: Clustering) -> None:
    assert free.sizes.min() < 4
    assert free.sizes.max() > 8
    assert within(found)
    assert found.n_unrepresented == 0
    member = np.flatnonzero(found.exemplars[found.labels] != np.arange(N))
    along = GRAPH[member, found.exemplars[found.labels[member]]]
    assert (found.similarities[member] == np.asarray(along)).all()
    assert found.net_similarity == pytest.approx(along.sum() - 0.01 * found.n_clusters)
    assert free.net_similarity > found.net_similarity


def test_limits_that_are_kept_change_nothing(free: Clustering) -> None:
    sizes = {"max_cluster_size": int(free.sizes.max()), "min_cluster_size": int(free.sizes.min())}
    assert bits(affinity_propagation(GRAPH, preference=-0.01, **sizes)) == bits(free)


@pytest.mark.parametrize("more", [{"n_jobs": 2}, {"reorder": True}], ids=str)
def test_the_same_bits_in_memory(found: Clustering, more: dict[str, Any]) -> None:
    assert bits(affinity_propagation(GRAPH, **OPTIONS, **more)) == bits(found)


def test_the_same_bits_from_disk(found: Clustering, tmp_path: Path) -> None:
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    assert bits(affinity_propagation(open_graph(path), **OPTIONS)) == bits(found)
    write_graph(GRAPH, tmp_path / "moved.zarr", order="rcm")
    assert bits(affinity_propagation(open_graph(tmp_path / "moved.zarr"), **OPTIONS)) == bits(found)


def test_weights_count_similarities_and_not_sizes(found: Clustering) -> None:
    weights = np.where(np.arange(N) % 2, 5.0, 1.0)
    weighted = affinity_propagation(GRAPH, **OPTIONS, weights=weights)
    assert within(weighted)
    inner = weighted.exemplars[weighted.labels] != np.arange(N)
    assert weighted.data_similarity == pytest.approx((weights * weighted.similarities)[inner].sum())
    assert weighted.weighted_sizes == pytest.approx(np.bincount(weighted.labels, weights))
    assert weighted.similarities.dtype == found.similarities.dtype


@pytest.mark.parametrize("dense", [False, True])
def test_candidates_and_min_similarity(dense: bool) -> None:
    graph = GRAPH.toarray()
    graph[graph == 0] = -np.inf
    candidates, pinned = np.arange(N) % 3 > 0, np.full(N, -0.01)
    pinned[[1, 4]] = np.inf
    options = {"candidates": candidates, "min_similarity": -0.02, "unrepresented": "label"}
    clustering = affinity_propagation(
        graph if dense else GRAPH, preference=pinned, max_cluster_size=5, **options
    )
    assert clustering.sizes.max() <= 5
    assert candidates[clustering.exemplars].all()
    assert {1, 4} <= set(clustering.exemplars.tolist())
    assert np.nanmin(clustering.similarities) >= np.float32(-0.02)


def test_a_flow_finds_room_where_there_is_just_enough() -> None:
    rng = np.random.default_rng(1)
    # 40 candidates with room for two each; 80 others, each with an edge to its own and to two more.
    own = np.arange(80) // 2
    rows = np.arange(40, 120).repeat(3)
    columns = np.column_stack([own, rng.integers(0, 40, (80, 2))]).ravel()
    graph = scipy.sparse.csr_array((-1.0 - rng.random(240), (rows, columns)), shape=(120, 120)).tocsr()
    given: dict[str, Any] = {"candidates": np.arange(40), "preference": -1.0}
    full = affinity_propagation(graph, **given, max_cluster_size=3)
    assert (full.sizes == 3).all()
    with pytest.raises(PointsError, match=r"40 of the points cannot be in any cluster") as refused:
        affinity_propagation(graph, **given, max_cluster_size=2)
    assert len(refused.value.points) == 40
    labelled = affinity_propagation(graph, **given, max_cluster_size=2, unrepresented="label")
    assert labelled.n_unrepresented == 40


def test_points_in_components_that_are_too_small() -> None:
    pair = scipy.sparse.csr_array([[0, -0.001], [-0.001, 0]])
    graph = scipy.sparse.block_diag([GRAPH, pair, pair], format="csr")
    options = OPTIONS | {"min_cluster_size": 3}
    with pytest.raises(
        PointsError, match=r"4 of the points .*600, 601, 602, 603\. 4 of these are in comp"
    ) as info:
        affinity_propagation(graph, **options)
    again = pickle.loads(pickle.dumps(info.value))
    assert str(again) == str(info.value)
    assert "a, b" in str(again.named(np.array([*["x"] * 600, "a", "b", "c", "d"])))
    labelled = affinity_propagation(graph, **options, unrepresented="label")
    assert np.flatnonzero(labelled.labels < 0).tolist() == [600, 601, 602, 603]
    assert np.isnan(labelled.similarities[600:]).all()
    assert within(labelled, 3)


def test_the_bound_is_that_without_limits() -> None:
    clustering = affinity_propagation(GRAPH, **OPTIONS, certify=True)
    proven = affinity_propagation(GRAPH, preference=-0.01, certify=True)
    assert clustering.net_similarity_bound == proven.net_similarity_bound
    assert not clustering.optimal
    assert within(clustering)
    sizes = {"max_cluster_size": int(proven.sizes.max()), "min_cluster_size": 1}
    assert bits(affinity_propagation(GRAPH, preference=-0.01, certify=True, **sizes)) == bits(proven)


def test_a_run_without_limits_goes_on_with_them(found: Clustering, tmp_path: Path) -> None:
    kept: dict[str, Any] = {"preference": -0.01, "checkpoint": tmp_path, "checkpoint_every": 5}
    affinity_propagation(GRAPH, **kept)
    assert bits(affinity_propagation(GRAPH, **kept | OPTIONS, resume=True)) == bits(found)


def test_the_estimator_and_a_hierarchy(found: Clustering) -> None:
    given = OPTIONS | {"affinity": "precomputed"}
    assert bits(AffinityPropagation(**given).fit(GRAPH).clustering_) == bits(found)
    tree = sparse_ap.hierarchy(GRAPH, clustering=found)
    assert tree.n_clusters[0] == found.n_clusters


def test_the_command_line(found: Clustering, tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "g.npz", GRAPH)
    options = ["--preference=-0.01", "--max-cluster-size", "8", "--min-cluster-size", "4"]
    arguments = ["cluster", str(tmp_path / "g.npz"), *options, "-o", str(tmp_path / "c.npz"), "--quiet"]
    done = click.testing.CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert bits(Clustering.load(tmp_path / "c.npz")) == bits(found)
    arguments = ["cluster", str(tmp_path / "g.npz"), "--min-cluster-size", "40", "--quiet"]
    refused = click.testing.CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert "--min-cluster-size 40, 600 of the points" in " ".join(refused.output.split())
    assert "--unrepresented label" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_cluster_size": 0}, "max_cluster_size=0"),
        ({"max_cluster_size": 2.5}, "max_cluster_size=2.5"),
        ({"min_cluster_size": "3"}, "min_cluster_size='3'"),
        ({"max_cluster_size": 3, "min_cluster_size": 4}, "min_cluster_size=4 was given with max"),
        ({"max_cluster_size": 3, "n_clusters": 250}, "n_clusters=250 .*was given with max_cluster_size"),
        ({"max_cluster_size": 3, "collapse_duplicates": True}, "collapse_duplicates=True was given"),
        ({"min_cluster_size": 3, "preference": [np.inf] + [-1] * (N - 1)}, "with 1 points that are"),
        ({"min_cluster_size": N + 1}, f"min_cluster_size={N + 1} was given for {N} points"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        affinity_propagation(GRAPH, **options)


def test_the_memory_of_the_search_is_counted_before_the_run() -> None:
    graph = scipy.sparse.csr_array((300_000, 300_000))
    with pytest.raises(MemoryLimitError, match=r"0\.10 GB of that are for max_cluster_size"):
        affinity_propagation(graph, max_cluster_size=5, memory_limit="10MB", preference=-1)


def test_limits_are_told_as_they_are_given() -> None:
    assert str(Sizes(3, 2**31 - 1, False)) == "min_cluster_size=3 (--min-cluster-size)"
    assert str(Sizes(1, 5, False)) == "max_cluster_size=5 (--max-cluster-size)"
