"""Points that are always or never exemplars, or that nobody can represent: against enumeration."""

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
    """A small graph with -inf for no edge, preferences with inf and -inf, and who may be an exemplar."""

    similarity: Any
    preference: Any
    candidates: Any

    @property
    def allowed(self) -> list[int]:
        return [k for k in range(len(self.preference)) if self.candidates[k] and self.preference[k] > -np.inf]

    @property
    def pinned(self) -> list[int]:
        return np.flatnonzero(self.preference == np.inf).tolist()

    @property
    def unrepresented(self) -> list[int]:
        s, allowed = self.similarity, self.allowed
        rest = set(range(len(self.preference))) - set(allowed)
        return sorted(i for i in rest if not any(s[i, k] > -np.inf for k in allowed))


def drawn(seed: int) -> Given:
    """Mixed signs and, in half of the graphs, ties."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    ties = rng.random() < 0.5
    s = rng.integers(-4, 5, (n, n)).astype(float) if ties else rng.normal(size=(n, n)) * 3
    s -= 5 * (rng.random() < 0.3)
    s[rng.random((n, n)) < rng.choice([0, 0.3, 0.6])] = -np.inf
    p = rng.integers(-6, 2, n).astype(float)
    role = rng.random(n)
    p[role < 0.15], p[role > 0.6] = np.inf, -np.inf
    candidates = (rng.random(n) < 0.8) | (p == np.inf)
    if not (candidates & (p > -np.inf)).any():
        candidates[0], p[0] = True, -1
    return Given(s, p, candidates)


def value_of(given: Given, exemplars: Any) -> Fraction | None:
    """Return the net similarity of a set of exemplars, without rounding; None: someone has nobody."""
    s, p = given.similarity, given.preference
    total = sum((Fraction(p[k]) for k in exemplars if p[k] < np.inf), Fraction(0))
    for i in set(range(len(p))) - set(exemplars) - set(given.unrepresented):
        reachable = [s[i, k] for k in exemplars if s[i, k] > -np.inf]
        if not reachable:
            return None
        total += Fraction(max(reachable))
    return total


def optimum(given: Given, n_clusters: int | None = None) -> Fraction | None:
    allowed, pinned = given.allowed, set(given.pinned)
    values = [
        value_of(given, exemplars)
        for size in range(1, len(allowed) + 1)
        if n_clusters is None or size == n_clusters
        for exemplars in itertools.combinations(allowed, size)
        if pinned <= set(exemplars)
    ]
    return max((value for value in values if value is not None), default=None)


def assert_allowed(given: Given, found: Any) -> None:
    exemplars = found.exemplars.tolist()
    assert set(given.pinned) <= set(exemplars) <= set(given.allowed)
    assert np.flatnonzero(found.labels < 0).tolist() == given.unrepresented
    assert np.flatnonzero(np.isnan(found.similarities)).tolist() == given.unrepresented
    for i, label in enumerate(found.labels.tolist()):
        if i in exemplars:
            assert exemplars[label] == i
            assert found.similarities[i] == 0
        elif label >= 0:
            best = max(given.similarity[i, k] for k in exemplars)
            assert given.similarity[i, exemplars[label]] == best == found.similarities[i]
    assert found.sizes.sum() + found.n_unrepresented == len(found.labels)
    value = value_of(given, exemplars)
    assert value is not None
    assert found.net_similarity == pytest.approx(float(value), rel=0, abs=1e-11)
    finite = [given.preference[k] for k in exemplars if given.preference[k] < np.inf]
    assert found.exemplar_preference == pytest.approx(sum(finite), rel=0, abs=1e-11)


def clustered(given: Given, **options: Any) -> Any:
    options = {"unrepresented": "label", "candidates": given.candidates} | options
    return cluster(engine.csr_of_dense(given.similarity), given.preference, **options)


@pytest.mark.parametrize("part", PARTS)
def test_the_best_allowed_clustering_is_found_and_none_exceeds_the_bound(part: int) -> None:
    for seed in range(100 * part, 100 * part + 100):
        given = drawn(seed)
        found = clustered(given, certify=True)
        assert_allowed(given, found)
        best = optimum(given)
        assert best is not None
        assert found.net_similarity <= float(best) + 1e-11
        assert Fraction(found.net_similarity_bound) >= best
        assert found.optimal
        assert found.net_similarity >= float(best) - 1e-11


def test_medoids_are_called_optimal_where_they_are() -> None:
    n_optimal = 0
    for seed in range(60):
        given = drawn(seed)
        found = clustered(given, certify=True, refine="medoid", max_iter=1)
        best = optimum(given)
        assert best is not None
        assert found.optimal == (found.net_similarity >= float(best) - 1e-11)
        n_optimal += found.optimal
    assert 10 < n_optimal < 60


@pytest.mark.parametrize("refine", [None, "medoid"])
def test_without_the_search_they_are_allowed_too(refine: Any) -> None:
    for seed in range(30):
        given = drawn(seed)
        for max_iter in (1, 200):
            assert_allowed(given, clustered(given, refine=refine, max_iter=max_iter))


def test_exactly_so_many_clusters() -> None:
    n_reached = 0
    for seed in range(30):
        given = drawn(seed)
        one = np.where(np.isinf(given.preference), given.preference, -1.0)
        given = given._replace(preference=one)
        if not np.isinf(one).any() or np.isinf(one).all():
            continue
        for n_clusters in range(max(1, len(given.pinned)), len(given.allowed) + 1):
            best = optimum(given, n_clusters)
            if best is None:
                continue
            found = clustered(given, n_clusters=n_clusters)
            assert found.n_clusters == n_clusters
            assert_allowed(given._replace(preference=np.where(np.isinf(one), one, found.preference)), found)
            n_reached += 1
    assert n_reached > 25


def test_whom_nobody_can_represent_is_counted_and_named() -> None:
    given = next(g for g in map(drawn, range(100)) if len(g.unrepresented) > 1)
    with pytest.raises(ValueError, match=f"^{len(given.unrepresented)} of the points may not be exempl") as e:
        clustered(given, unrepresented="error")
    assert f": {', '.join(map(str, given.unrepresented))}. " in str(e.value)
