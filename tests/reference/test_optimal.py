"""A clustering is called optimal where enumeration finds no better one; HiGHS's is taken where it may be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import disk
import engine
import numpy as np
import pytest
from graphs import Graph
from optima import mixed_graph, optimum_of
from samples import knn_similarity
from soundness import assert_valid, cluster

from sparse_ap import Clustering, affinity_propagation
from sparse_ap.search import exact, integer_program

GRAPH = knn_similarity(300, 8, 2, seed=1)
PREFERENCE = 8 * float(np.median(GRAPH.data))


def rounding(graph: Graph) -> float:
    return 1e-11 * graph.scale * len(graph.preference)


def missed(found: Clustering) -> float:
    """Return what HiGHS may miss: a millionth of the gap."""
    assert found.net_similarity_bound is not None
    return 1e-6 * (found.net_similarity_bound - found.net_similarity)


def assert_optimal(graph: Graph, optimum: float) -> None:
    found = cluster(engine.csr_of_dense(graph.similarity), graph.preference, certify=True, max_iter=10)
    assert_valid(graph, found)
    assert found.optimal
    assert found.net_similarity == pytest.approx(optimum, rel=0, abs=rounding(graph) + missed(found))


def assert_known(graph: Graph, optimum: float) -> bool:
    """The medoids of three sweeps are called optimal if and only if they are; return whether they are."""
    options: dict[str, Any] = {"max_iter": 3, "refine": "medoid"}
    csr = engine.csr_of_dense(graph.similarity)
    found = cluster(csr, graph.preference, certify=True, **options)
    assert (found.labels == cluster(csr, graph.preference, **options).labels).all()
    below = optimum - found.net_similarity
    # In between HiGHS may say either.
    assert found.optimal or below > rounding(graph)
    assert not found.optimal or below <= rounding(graph) + missed(found)
    return found.optimal


def test_the_best_exemplars_are_found_and_known_as_such() -> None:
    n_optimal = 0
    for seed in range(50):
        graph = mixed_graph(50_000 + seed, 8)
        optimum = optimum_of(graph)
        assert_optimal(graph, optimum)
        n_optimal += assert_known(graph, optimum)
    assert 10 < n_optimal < 50


@pytest.mark.slow
@pytest.mark.parametrize("tens", range(200))
def test_so_they_are_on_many_more(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        graph = mixed_graph(60_000 + seed, 11)
        optimum = optimum_of(graph)
        assert_optimal(graph, optimum)
        assert_known(graph, optimum)


def test_better_exemplars_are_taken_whatever_holds_the_graph(tmp_path: Path) -> None:
    options: dict[str, Any] = {"preference": PREFERENCE, "scheme": "compact"}
    before = affinity_propagation(GRAPH, **options)
    assert not before.optimal
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    ways = [
        affinity_propagation(given, certify=True, n_jobs=n_jobs, reorder=reorder, **options)
        for given, n_jobs, reorder in ((GRAPH, 1, False), (GRAPH, 2, True), (path, 2, False), (path, 1, True))
    ]
    for found in ways:
        assert found.optimal
        assert before.net_similarity < found.net_similarity <= (found.net_similarity_bound or 0.0)
        assert (found.labels == ways[0].labels).all()
        assert found.net_similarity == ways[0].net_similarity
        assert found.history == before.history
        assert found.outcome is before.outcome


@pytest.mark.parametrize("options", [{"refine": "medoid"}, {"refine": None}, {"n_clusters": 50}])
def test_they_are_not_taken_where_others_were_asked_for(options: dict[str, Any]) -> None:
    given = {"preference": PREFERENCE} if "refine" in options else {}
    before = affinity_propagation(GRAPH, **options, **given)
    found = affinity_propagation(GRAPH, certify=True, **options, **given)
    assert (found.labels == before.labels).all()
    assert not found.optimal


@pytest.mark.parametrize("limit", ["_MOST_EDGES", "_ITERATIONS", "_FRACTIONAL"])
def test_what_is_too_much_is_left_alone(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where = exact if limit == "_MOST_EDGES" else integer_program
    monkeypatch.setattr(where, limit, 1)
    found = affinity_propagation(GRAPH, preference=PREFERENCE, certify=True)
    assert not found.optimal
    assert (found.labels == affinity_propagation(GRAPH, preference=PREFERENCE).labels).all()


def test_that_it_is_optimal_is_kept(tmp_path: Path) -> None:
    found = affinity_propagation(GRAPH[:50][:, :50], preference=-0.01, certify=True)
    assert found.optimal
    found.save(tmp_path / "found.npz")
    assert Clustering.load(tmp_path / "found.npz").optimal
    replace(found, optimal=False).save(tmp_path / "found.npz")
    assert not Clustering.load(tmp_path / "found.npz").optimal
