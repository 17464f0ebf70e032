"""Weights of points: against enumeration, and against points that are repeated."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any, NamedTuple

import engine
import numpy as np
import pytest
from soundness import cluster

# Of the 500 graphs the quick tests take the first 100.
PARTS = [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 5))]


class Given(NamedTuple):
    """A small graph with -inf for no edge, preferences, and weights."""

    similarity: Any
    preference: Any
    weights: Any


def drawn(seed: int) -> Given:
    """Mixed signs and, in half of the graphs, ties."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    ties = rng.random() < 0.5
    s = rng.integers(-4, 5, (n, n)).astype(float) if ties else rng.normal(size=(n, n)) * 3
    s[rng.random((n, n)) < rng.choice([0, 0.3, 0.6])] = -np.inf
    weights = rng.integers(1, 9, n) / 2 if ties else np.exp(2 * rng.normal(size=n))
    return Given(s, rng.integers(-6, 2, n).astype(float), weights)


def value_of(given: Given, exemplars: Any) -> Fraction | None:
    """Return the net similarity of a set of exemplars, without rounding; None: someone has nobody."""
    total = sum((Fraction(given.preference[k]) for k in exemplars), Fraction(0))
    for i in set(range(len(given.preference))) - set(exemplars):
        reachable = [x for k in exemplars if (x := given.similarity[i, k]) > -np.inf]
        if not reachable:
            return None
        total += Fraction(given.weights[i]) * Fraction(max(reachable))
    return total


def optimum(given: Given) -> Fraction:
    n = len(given.preference)
    sets = (s for size in range(1, n + 1) for s in itertools.combinations(range(n), size))
    return max(value for s in sets if (value := value_of(given, s)) is not None)


def clustered(given: Given, **options: Any) -> Any:
    graph = engine.csr_of_dense(given.similarity)
    return cluster(graph, given.preference, weights=given.weights, **options)


def assert_adds_up(given: Given, found: Any) -> None:
    exemplars = found.exemplars.tolist()
    for i, label in enumerate(found.labels.tolist()):
        best = 0 if i in exemplars else max(given.similarity[i, k] for k in exemplars)
        assert found.similarities[i] == best
        assert i == exemplars[label] if i in exemplars else given.similarity[i, exemplars[label]] == best
    value = value_of(given, exemplars)
    assert value is not None
    scale = 1 + float(np.abs(given.weights).max()) * 10
    assert found.net_similarity == pytest.approx(float(value), rel=0, abs=1e-13 * scale)
    together = found.data_similarity + found.exemplar_preference
    assert together == pytest.approx(float(value), rel=0, abs=1e-13 * scale)
    wanted = [given.weights[found.labels == label].sum() for label in range(found.n_clusters)]
    if not (given.weights == 1).all():
        assert found.weighted_sizes == pytest.approx(wanted)


@pytest.mark.parametrize("part", PARTS)
def test_the_best_clustering_is_found_and_none_exceeds_the_bound(part: int) -> None:
    for seed in range(100 * part, 100 * part + 100):
        given = drawn(seed)
        found = clustered(given, certify=True)
        assert_adds_up(given, found)
        best = optimum(given)
        near = 1e-12 * (1 + abs(float(best)))
        assert found.net_similarity <= float(best) + near
        assert Fraction(found.net_similarity_bound) >= best
        assert found.optimal
        assert found.net_similarity >= float(best) - near


@pytest.mark.parametrize("scheme", ["classic", "compact"])
@pytest.mark.parametrize("refine", [None, "medoid", "search"])
def test_every_way_adds_up(scheme: str, refine: Any) -> None:
    for seed in range(15):
        given = drawn(seed)
        assert_adds_up(given, clustered(given, scheme=scheme, refine=refine))


def test_a_medoid_is_that_of_the_weights() -> None:
    at = np.array([0.0, 1.0, 2.0])
    s = -np.abs(at[:, None] - at)
    for weights, wanted in (([1.0, 2, 9], 2), ([9.0, 2, 1], 0), ([2.0, 1, 2], 1)):
        given = Given(s, np.full(3, -100.0) - [0, 0.1, 0.2], np.array(weights))
        for scheme in ("classic", "compact"):
            found = clustered(given, scheme=scheme, refine="medoid", max_iter=500)
            assert found.exemplars.tolist() == [wanted]


def repeated(given: Given) -> tuple[Any, Any]:
    """As many equal points as each weighs, their similarity to each other being 0."""
    rows = np.repeat(np.arange(len(given.weights)), given.weights.astype(int))
    s = given.similarity[np.ix_(rows, rows)]
    s[rows[:, None] == rows] = 0
    return s, given.preference[rows]


@pytest.mark.parametrize("part", PARTS[:4])
def test_a_weight_is_as_many_equal_points(part: int) -> None:
    for seed in range(50 * part, 50 * part + 50):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 7))
        at = rng.integers(0, 20, (n, 2)) / 2 + rng.random((n, 2)) * (seed % 2)
        s = -np.sqrt(((at[:, None] - at) ** 2).sum(2))
        given = Given(s, -8 * rng.random(n) - 0.5, rng.integers(1, 5, n).astype(float))
        best = optimum(given)
        found = clustered(given)
        assert found.net_similarity == pytest.approx(float(best), abs=1e-11)
        many, preference = repeated(given)
        copies = cluster(engine.csr_of_dense(many), preference)
        assert copies.net_similarity == pytest.approx(float(best), abs=1e-9)
