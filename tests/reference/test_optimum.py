"""Every clustering of a small graph is valid, adds up, and is no better than the enumerated optimum."""

import math
from typing import Any

import engine
import numpy as np
import paper
import pytest
from graphs import Graph, graphs, patient, random_graph
from hypothesis import given
from hypothesis import strategies as st
from soundness import assert_valid, cluster

from sparse_ap import Clustering

pytestmark = pytest.mark.full_search

SMALL = graphs(most_points=8)
OPTIONS = st.fixed_dictionaries(
    {
        "scheme": st.sampled_from(["classic", "compact"]),
        "refine": st.sampled_from([None, "medoid", "search"]),
        "damping": st.sampled_from([0.5, 0.9]),
        "max_iter": st.sampled_from([1, 3, 200]),
    }
)


def assert_adds_up(graph: Graph, clustering: Clustering) -> None:
    """The net similarity is that of the labels, in the given similarities and preferences."""
    s = paper.with_preferences(graph.similarity, graph.preference)
    expected = paper.net_similarity(s, clustering.exemplars[clustering.labels].tolist())
    assert math.isfinite(clustering.net_similarity)
    assert clustering.net_similarity == pytest.approx(expected, rel=0, abs=1e-12 * graph.scale)
    total = clustering.data_similarity + clustering.exemplar_preference
    assert clustering.net_similarity == pytest.approx(total, rel=0, abs=1e-12 * graph.scale)


def assert_everybody_is_with_the_nearest_exemplar(graph: Graph, clustering: Clustering) -> None:
    s = paper.with_preferences(graph.similarity, graph.preference)
    exemplars = clustering.exemplars.tolist()
    for i, label in enumerate(clustering.labels.tolist()):
        assert s[i][exemplars[label]] == s[i][paper.best_exemplar(s, i, exemplars)]


def assert_no_better_than_the_optimum(graph: Graph, clustering: Clustering) -> None:
    optimum = paper.optimum(paper.with_preferences(graph.similarity, graph.preference))
    assert clustering.net_similarity <= optimum + 1e-12 * graph.scale


def assert_sound(graph: Graph, clustering: Clustering) -> None:
    assert_valid(graph, clustering)
    assert_adds_up(graph, clustering)
    assert_everybody_is_with_the_nearest_exemplar(graph, clustering)
    assert_no_better_than_the_optimum(graph, clustering)


def test_enumeration_finds_an_optimum_known_by_hand() -> None:
    pairs = [[-1.0, -0.5, paper.NO_EDGE], [-0.5, -2.0, -3.0], [paper.NO_EDGE, -0.25, -1.0]]
    assert paper.optimum(pairs) == -2.5  # 0 for itself and 1, 2 for itself: -1 - 0.5 - 1
    assert paper.optimum([[-7.0]]) == -7.0


@patient
@given(SMALL, OPTIONS)
def test_clustering_of_a_sparse_matrix_is_sound(graph: Graph, options: dict[str, Any]) -> None:
    assert_sound(graph, cluster(engine.csr_of_dense(graph.similarity), graph.preference, **options))


@patient
@given(SMALL, OPTIONS)
def test_clustering_of_a_dense_matrix_is_sound(graph: Graph, options: dict[str, Any]) -> None:
    assert_sound(graph, cluster(graph.similarity, graph.preference, **options))


@patient
@given(SMALL, st.sampled_from(["classic", "compact"]))
def test_clustering_of_a_float32_matrix_is_sound(graph: Graph, scheme: str) -> None:
    csr = engine.csr_of_dense(graph.similarity, np.float32)
    assert_sound(graph, cluster(csr, graph.preference, scheme=scheme))


@patient
@given(SMALL, OPTIONS)
def test_refinement_never_lowers_the_net_similarity(graph: Graph, options: dict[str, Any]) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    raw, refined = (
        cluster(csr, graph.preference, **{**options, "refine": refine}) for refine in (None, "medoid")
    )
    assert refined.net_similarity >= raw.net_similarity - 1e-12 * graph.scale


@pytest.mark.parametrize("scheme", ["classic", "compact"])
@pytest.mark.parametrize(("density", "least"), [(1.0, 30), (0.4, 30)], ids=["dense", "sparse"])
def test_most_optima_are_reached(scheme: str, density: float, least: int) -> None:
    reached = 0
    for seed in range(40):
        graph = random_graph(seed, 8, density, symmetric=False)
        clustering = cluster(
            engine.csr_of_dense(graph.similarity), graph.preference, scheme=scheme, damping=0.8
        )
        assert_sound(graph, clustering)
        optimum = paper.optimum(paper.with_preferences(graph.similarity, graph.preference))
        reached += clustering.net_similarity > optimum - 1e-9
    assert reached >= least
