"""Limits of sizes: against enumeration, and against HiGHS."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
from engine import csr_of_dense
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, hstack

from sparse_ap import Clustering, InvalidInputError, affinity_propagation

# Of the 500 graphs the quick tests take the first 100.
PARTS = [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 5))]

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning"
)


@cache
def all_choices(n: int) -> Any:
    """Return every way to give n points an exemplar, one a row: each exemplar is its own."""
    found = []
    for size in range(1, n + 1):
        for exemplars in itertools.combinations(range(n), size):
            others = [i for i in range(n) if i not in exemplars]
            chosen = np.empty((size ** len(others), n), np.int64)
            chosen[:, exemplars] = exemplars
            chosen[:, others] = list(itertools.product(exemplars, repeat=len(others)))
            found.append(chosen)
    return np.concatenate(found)


@cache
def all_sizes(n: int) -> tuple[Any, Any]:
    """Return the smallest and the largest cluster of each of these."""
    chosen = all_choices(n)
    sizes = np.stack([(chosen == k).sum(axis=1) for k in range(n)])
    return np.where(sizes == 0, n, sizes).min(axis=0), sizes.max(axis=0)


def optimum(similarity: Any, preference: Any, least: int, most: int) -> float:
    """Return the largest net similarity within the limits; -inf: there is none."""
    n = len(preference)
    s = similarity.copy()
    np.fill_diagonal(s, preference)
    smallest, largest = all_sizes(n)
    chosen = all_choices(n)[(smallest >= least) & (largest <= most)]
    return float(s[np.arange(n), chosen].sum(axis=1).max(initial=-np.inf))


def drawn(seed: int) -> tuple[Any, Any, int, int]:
    """Return similarities with -inf for no edge, preferences with -inf for no candidates, and limits."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    ties = rng.random() < 0.5
    s = rng.integers(-6, 1, (n, n)).astype(float) if ties else -np.abs(rng.normal(size=(n, n))) * 3
    s[rng.random((n, n)) < rng.choice([0, 0.3, 0.6])] = -np.inf
    p = rng.integers(-6, 2, n).astype(float)
    if rng.random() < 0.4:
        p[rng.random(n) < 0.5] = -np.inf
        p[int(rng.integers(n))] = -2.0
    least = int(rng.integers(1, 4))
    return s, p, least, int(rng.integers(least, n + 1)) if n >= least else least


def kept(found: Clustering, least: int, most: int) -> bool:
    return not found.n_clusters or bool(found.sizes.min() >= least and found.sizes.max() <= most)


@pytest.mark.parametrize("part", PARTS)
def test_feasible_where_enumeration_says_so_and_nearly_as_good(part: int) -> None:
    losses = []
    for seed in range(100 * part, 100 * part + 100):
        s, p, least, most = drawn(seed)
        best, graph = optimum(s, p, least, most), csr_of_dense(s)
        sizes = {"min_cluster_size": least, "max_cluster_size": most}
        if best == -np.inf:
            with pytest.raises(InvalidInputError, match=r"of the points|points\. Give a number"):
                affinity_propagation(graph, preference=p, **sizes)
            labelled = affinity_propagation(graph, preference=p, **sizes, unrepresented="label")
            assert labelled.n_unrepresented > 0
            assert kept(labelled, least, most)
            continue
        found = affinity_propagation(graph, preference=p, **sizes)
        assert found.n_unrepresented == 0
        assert kept(found, least, most)
        value = sum(p[k] if k == i else s[i, k] for i, k in enumerate(found.exemplars[found.labels]))
        assert found.net_similarity == pytest.approx(value)
        losses.append((best - value) / max(abs(best), 1.0))
    assert min(losses) > -1e-9
    # Over all 500: .0013.
    assert np.mean(losses) < 0.005


def solved(s: Any, p: Any, least: int, most: int) -> float:
    """Return HiGHS's optimum."""
    n = len(p)
    row, column = np.nonzero(~np.eye(n, dtype=bool) & (s > -np.inf))
    m = len(row)
    ones, edges = np.ones(m), np.arange(m)
    out, to = (csr_array((ones, (ends, edges)), shape=(n, m)) for ends in (row, column))
    found = milp(
        -np.r_[s[row, column], p],
        constraints=[
            LinearConstraint(hstack([out, eye_array(n)]), 1, 1),
            LinearConstraint(
                hstack([eye_array(m), -csr_array((ones, (edges, column)), shape=(m, n))]), -np.inf, 0
            ),
            LinearConstraint(hstack([to, -(most - 1) * eye_array(n)]), -np.inf, 0),
            LinearConstraint(hstack([to, -(least - 1) * eye_array(n)]), 0, np.inf),
        ],
        integrality=np.r_[np.zeros(m), np.ones(n)],
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    return -float(found.fun)


@pytest.mark.slow
@pytest.mark.parametrize(("least", "share", "mean"), [(1, 0.5, 0.006), (3, 1.0, 0.012), (3, 0.8, 0.02)])
def test_problems_of_30_to_60_points_are_solved_nearly_as_well_as_by_highs(
    least: int, share: float, mean: float
) -> None:
    losses = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(30, 61))
        x = rng.normal(size=(n, 2))
        s = -((x[:, None] - x) ** 2).sum(axis=2)
        s[s < np.sort(s, axis=1)[:, [-int(rng.integers(6, 13))]]] = -np.inf
        graph = csr_of_dense(s)
        p = float(np.median(graph.data)) * rng.choice([1, 3])
        free = affinity_propagation(graph, preference=p)
        most = max(least + 1, int(share * free.sizes.max()))
        found = affinity_propagation(graph, preference=p, min_cluster_size=least, max_cluster_size=most)
        assert kept(found, least, most)
        best = solved(s, np.full(n, p), least, most)
        losses.append((best - found.net_similarity) / abs(best))
    assert min(losses) > -1e-6
    print(f"least {least}, share {share}: mean {np.mean(losses):.5f}, most {max(losses):.5f}")
    assert np.mean(losses) < mean
