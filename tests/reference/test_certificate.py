"""The bound is never below the optimum, which is enumerated in exact fractions; and it is close."""

import itertools
import math
from fractions import Fraction
from typing import Any

import engine
import numpy as np
import pytest
from graphs import Graph, graphs, patient, random_graph
from hypothesis import given
from hypothesis import strategies as st
from soundness import cluster

from sparse_ap import Outcome, affinity_propagation

pytestmark = pytest.mark.full_search


def exact_optimum(graph: Graph) -> Fraction:
    """Return the largest net similarity of all sets of exemplars, without any rounding."""
    n = len(graph.preference)
    s = [[Fraction(x) if x > -math.inf else None for x in row] for row in graph.similarity.tolist()]
    p = [Fraction(x) for x in graph.preference.tolist()]
    best = None
    for size in range(1, n + 1):
        for exemplars in itertools.combinations(range(n), size):
            total = sum((p[k] for k in exemplars), Fraction(0))
            for i in set(range(n)) - set(exemplars):
                reachable = [x for k in exemplars if (x := s[i][k]) is not None]
                if not reachable:
                    break
                total += max(reachable)
            else:
                best = total if best is None else max(best, total)
    assert best is not None
    return best


def with_bound(graph: Graph, **options: Any) -> Any:
    return cluster(engine.csr_of_dense(graph.similarity), graph.preference, certify=True, **options)


@patient
@given(graphs(most_points=7), st.sampled_from([1, 200]))
def test_no_clustering_is_better_than_the_bound(graph: Graph, max_iter: int) -> None:
    clustering = with_bound(graph, max_iter=max_iter)
    assert Fraction(clustering.net_similarity_bound) >= exact_optimum(graph)
    assert clustering.optimality_gap >= 0


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e7, 1e-9])
@pytest.mark.parametrize("seed", range(40))
def test_nor_with_positive_similarities_or_a_common_offset(seed: int, offset: float) -> None:
    given = random_graph(seed, 7, 0.6, symmetric=False)
    rng = np.random.default_rng(seed)
    preference = rng.normal(size=7) * 10.0 ** rng.integers(-3, 3) + offset
    there = given.similarity > -np.inf
    finite = np.where(there, given.similarity, 0.0) * rng.choice([-1.0, 1.0, 0.1]) + offset
    graph = Graph(np.where(there, finite, -np.inf), preference)
    assert Fraction(with_bound(graph).net_similarity_bound) >= exact_optimum(graph)


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_close_on_small_graphs(seed: int) -> None:
    graph = random_graph(seed, 10, 0.5, symmetric=False)
    optimum = float(exact_optimum(graph))
    assert with_bound(graph).net_similarity_bound - optimum <= 0.02 * abs(optimum)


@patient
@given(graphs(most_points=12))
def test_the_bound_is_the_same_to_the_bit_for_any_threads_and_order(graph: Graph) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    bounds = {
        cluster(csr, graph.preference, certify=True, reorder=reorder, scheme="compact").net_similarity_bound
        for reorder in (False, True)
    }
    assert len(bounds) == 1


def test_where_all_are_alike_the_bound_is_the_answer() -> None:
    graph = Graph(np.full((4, 4), -2.0), np.full(4, -5.0))
    clustering = with_bound(graph)
    assert clustering.outcome is Outcome.ALL_EQUAL
    assert clustering.net_similarity == -11
    assert clustering.net_similarity_bound == pytest.approx(-11, abs=1e-12)


def test_without_certify_there_is_no_bound() -> None:
    graph = random_graph(0, 6, 0.5, symmetric=False)
    clustering = cluster(engine.csr_of_dense(graph.similarity), graph.preference)
    assert clustering.net_similarity_bound is None
    assert clustering.optimality_gap is None


@pytest.mark.parametrize("similarity", [-2e-323, -1e-310, -1e-290])
def test_of_similarities_next_to_nothing(similarity: float) -> None:
    """The corners cannot be rounded where numbers end."""
    graph = [[0.0, similarity], [2 * similarity, 0.0]]
    clustering = affinity_propagation(np.array(graph), preference=3 * similarity, certify=True)
    assert clustering.net_similarity_bound is not None
    assert clustering.net_similarity_bound >= clustering.net_similarity
