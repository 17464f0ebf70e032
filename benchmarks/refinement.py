"""What the local search after the sweeps gains, and how far from the optimum it ends.

    python benchmarks/refinement.py plane        2,000 points in the plane: cost, and the bound proven
    python benchmarks/refinement.py small        50 k-NN graphs of 100 to 200 points, against HiGHS (hours)
    python benchmarks/refinement.py dense SET... five dense sets, ten preferences each, against the best of 40
                                                 runs of FasterPAM, greedy, five other seeds, and HiGHS
    python benchmarks/refinement.py moses FILE   1.9 million molecules: gain and seconds

`dense` needs the package kmedoids.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from measure import exemplar_constraints, moses_graph, no_convergence_warnings
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from sparse_ap import Clustering, affinity_propagation

REFINEMENTS = (None, "medoid", "search")


def knn(points: Any, k: int) -> scipy.sparse.csr_array:
    """Return a directed k-NN graph, minus the squared distance, without the points themselves."""
    distances, indices = cKDTree(points).query(points, k + 1)
    n = len(points)
    entries = -(distances[:, 1:].ravel() ** 2), indices[:, 1:].ravel(), np.arange(0, n * k + 1, k)
    return scipy.sparse.csr_array(entries, shape=(n, n))


def timed(graph: Any, preference: float, **options: Any) -> tuple[Clustering, float]:
    start = time.perf_counter()
    with no_convergence_warnings():
        clustering = affinity_propagation(graph, preference=preference, **options)
    return clustering, time.perf_counter() - start


def plane() -> None:
    graph = knn(np.random.default_rng(0).normal(size=(2000, 2)), 20)
    for times in (1, 10, 200):
        for refine in REFINEMENTS:
            found, taken = timed(graph, times * np.median(graph.data), refine=refine, certify=True)
            print(
                f"median x {times}, {refine}: {found.n_clusters} exemplars, {taken:.2f} s, "
                f"cost {-found.net_similarity:.3f}, optimum at least {-found.net_similarity_bound:.3f}",
                flush=True,
            )


def optimum(graph: scipy.sparse.csr_array, preference: float, seconds: float) -> float:
    """Return the largest net similarity, or the best that HiGHS has found in the time."""
    n, m = graph.shape[0], graph.nnz
    one_each, only_exemplars = exemplar_constraints(graph)
    found = milp(
        -np.r_[graph.data, np.full(n, preference)],
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(only_exemplars, -np.inf, 0)],
        integrality=np.r_[np.zeros(m), np.ones(n)],
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0, "time_limit": seconds},
    )
    return -float(found.fun)


def small_graphs() -> Iterator[scipy.sparse.csr_array]:
    rng = np.random.default_rng(7)
    for _ in range(50):
        n, d, k = int(rng.integers(100, 201)), int(rng.choice([2, 3, 5, 10])), int(rng.integers(5, 16))
        yield knn(rng.normal(size=(n, d)), k)


def small() -> None:
    for times in (1, 5, 50):
        gaps = []
        for graph in small_graphs():
            preference = times * float(np.median(graph.data))
            best = optimum(graph, preference, 40)
            values = [timed(graph, preference, refine=how)[0].net_similarity for how in REFINEMENTS]
            gaps.append([100 * (value - best) / best for value in values])
        mean, worst = np.mean(gaps, axis=0), np.max(gaps, axis=0)
        for refine, average, most in zip(REFINEMENTS, mean, worst, strict=True):
            print(
                f"median x {times}, {refine}: {average:.3f} % from the optimum, worst {most:.2f} %",
                flush=True,
            )


def dense_sets() -> Iterator[tuple[str, Any]]:
    """Yield names and costs: five dense sets, one with costs of its own for either direction."""
    from sklearn.datasets import load_breast_cancer, load_digits

    rng = np.random.default_rng(0)
    plane, space = rng.normal(size=(900, 2)), rng.normal(size=(1200, 5))
    rng = np.random.default_rng(1)
    places, height = rng.random((800, 2)), rng.random(800)
    tissue = load_breast_cancer().data
    yield "plane", cdist(plane, plane, "sqeuclidean")
    yield "tissue", cdist(*[(tissue - tissue.mean(axis=0)) / tissue.std(axis=0)] * 2, "sqeuclidean")
    # The way up takes longer than the way down.
    yield "hills", cdist(places, places) + 0.5 * np.maximum(0.0, height - height[:, None])
    yield "space", cdist(space, space, "sqeuclidean")
    yield "digits", cdist(*[load_digits().data] * 2, "sqeuclidean")


def dense(*names: str) -> None:
    import kmedoids

    for name, cost in dense_sets():
        if names and name not in names:
            continue
        graph = scipy.sparse.csr_array(-cost)
        ahead: dict[str, list[float]] = {"FasterPAM": [], "greedy": [], "five seeds": [], "HiGHS": []}
        for times in np.geomspace(0.2, 50, 10):
            preference = -times * float(np.median(cost[~np.eye(len(cost), dtype=bool)]))
            found, taken = timed(graph, preference)
            k, ours = found.n_clusters, found.net_similarity
            best = k * preference - min(
                kmedoids.fasterpam(cost, k, random_state=run, max_iter=200).loss for run in range(40)
            )
            seeds = [timed(graph, preference, random_state=seed)[0].net_similarity for seed in range(1, 6)]
            certain = timed(graph, preference, certify=True)[0]
            rivals = {"FasterPAM": best, "greedy": greedy(cost, preference), "five seeds": max(seeds)}
            if certain.optimal:
                rivals["HiGHS"] = certain.net_similarity
            for rival, value in rivals.items():
                ahead[rival].append(round(100 * (value - ours) / value, 6) + 0.0)
            against = ", ".join(f"{ahead[rival][-1]:+.4f} % against {rival}" for rival in rivals)
            at = f"{name}, median x {times:.2f}: {k} exemplars, {taken:.2f} s, {ours:.6f}"
            print(f"{at}: {against}", flush=True)
        for rival, percent in ahead.items():
            n_wins = sum(gain >= 0 for gain in percent)
            worst = min(percent, default=0.0)
            print(f"{name}, {rival}: at least as good on {n_wins} of {len(percent)}, worst {worst:+.4f} %")


def greedy(cost: Any, preference: float) -> float:
    """Return the net similarity of opening whatever gains most, until nothing gains."""
    nearest = np.full(len(cost), np.inf)
    best = -np.inf
    for n_opened in range(1, len(cost) + 1):
        left = np.minimum(nearest[:, None], cost).sum(axis=0)
        nearest = np.minimum(nearest, cost[:, left.argmin()])
        value = n_opened * preference - nearest.sum()
        if value <= best:
            break
        best = value
    return best


def moses(file: str) -> None:
    graph = moses_graph(Path(file))
    for preference in (-1.0, -3.0):
        for refine in REFINEMENTS:
            print(
                f"preference {preference:g}, {refine}:", *timed(graph, preference, refine=refine), flush=True
            )


if __name__ == "__main__":
    {"plane": plane, "small": small, "dense": dense, "moses": moses}[sys.argv[1]](*sys.argv[2:])
