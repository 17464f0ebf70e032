"""How tight the proven bound is, and what it costs.

    python benchmarks/bound.py sets          gaps on sparse and dense sets, and that of the relaxation
    python benchmarks/bound.py steps         the same after 60, 120 and 240 steps, and on the way there
    python benchmarks/bound.py moses FILE    1.9 million molecules: gaps, and seconds beside the clustering
    python benchmarks/bound.py moses FILE N  the same of the N that links reach first from the first

The linear relaxation is HiGHS's, where that takes at most five minutes. Where a graph has more edges than
60,000, HiGHS is given the 60,000 whose similarities are largest beside their points' dual variables. That is
at most the relaxation of the whole graph, so that the distance shown is at least the true one. Beside it, a
run of 1,000 steps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from measure import exemplar_constraints, moses_graph, no_convergence_warnings, peak_memory, warm_up
from refinement import knn
from scipy.optimize import linprog
from scipy.sparse.csgraph import breadth_first_order
from scipy.spatial.distance import cdist

from sparse_ap import Clustering, affinity_propagation
from sparse_ap.clustering.solver import open_problem
from sparse_ap.execution.plans import Resources
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.settings import Options
from sparse_ap.search import bound
from sparse_ap.search.dual_descent import descent
from sparse_ap.search.dual_start import dual_start

MOST_EDGES = 60_000


@cache
def graph_of(name: str) -> scipy.sparse.csr_array:
    rng = np.random.default_rng(0)
    if name == "2,000 in the plane, 20 neighbours":
        return knn(rng.normal(size=(2000, 2)), 20)
    if name == "2,000 points, 15 random edges each":
        to = np.array([rng.choice(1999, 15, replace=False) for _ in range(2000)])
        to += to >= np.arange(2000)[:, None]
        entries = -10 * rng.random(30_000), to.ravel(), np.arange(0, 30_001, 15)
        return scipy.sparse.csr_array(entries, shape=(2000, 2000))
    if name == "digits":
        from sklearn.datasets import load_digits

        points = load_digits().data
    else:
        points = rng.normal(size={"900 in the plane": (900, 2), "1,200 in 5-d": (1200, 5)}[name])
    graph = scipy.sparse.csr_array(-cdist(points, points, "sqeuclidean"))
    graph.eliminate_zeros()
    return graph


def sets() -> Iterator[tuple[str, scipy.sparse.csr_array, float]]:
    for name, factors in {
        "2,000 in the plane, 20 neighbours": (1, 10, 200),
        "2,000 points, 15 random edges each": (1, 5),
        "digits": (1, 3, 10, 30, 100),
        "900 in the plane": (0.2, 1, 5, 50),
        "1,200 in 5-d": (0.2, 1, 5, 50),
    }.items():
        graph = graph_of(name)
        for factor in factors:
            yield f"{name}, median x {factor:g}", graph, factor * float(np.median(graph.data))


def relaxation(graph: scipy.sparse.csr_array, preference: float) -> float:
    """Return the optimum of the linear relaxation."""
    n, m = graph.shape[0], graph.nnz
    one_each, only_exemplars = exemplar_constraints(graph)
    found = linprog(
        -np.r_[graph.data, np.full(n, preference)],
        A_ub=only_exemplars,
        b_ub=np.zeros(m),
        A_eq=one_each,
        b_eq=np.ones(n),
        method="highs",
        options={"time_limit": 300.0},
    )
    return -float(found.fun) if found.status == 0 else np.nan


def largest_over(graph: scipy.sparse.csr_array, dual: Any) -> scipy.sparse.csr_array | None:
    """Return the graph with the edges that are worth most beyond the dual variables, unless more matter."""
    if graph.nnz <= MOST_EDGES:
        return graph
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    over = graph.data - dual[rows]
    if np.count_nonzero(over > 0) > MOST_EDGES:
        return None
    kept = np.argpartition(-over, MOST_EDGES)[:MOST_EDGES]
    return scipy.sparse.csr_array((graph.data[kept], (rows[kept], graph.indices[kept])), shape=graph.shape)


def bounded(graph: Any, clustering: Clustering) -> tuple[Problem, bound.DualBound, float, int]:
    """Return the problem, its bound, the seconds of processor time, and the steps that were taken."""
    steps: list[None] = []
    options = Options(preference=clustering.preference, scheme="compact")
    with open_problem(graph, options, Resources(n_jobs=1)) as (_, problem, _):
        start = time.process_time()
        found = bound.upper_bound(problem, clustering, lambda: steps.append(None))
        return problem, found, time.process_time() - start, max(0, len(steps) - 1)


def table() -> None:
    bounded(graph_of("digits")[:50][:, :50], affinity_propagation(graph_of("digits")[:50][:, :50]))
    for name, graph, preference in sets():
        clustering = affinity_propagation(graph, preference=preference)
        problem, found, taken, n_steps = bounded(graph, clustering)
        reduced = largest_over(graph, found.dual)
        optimum = np.nan if reduced is None else relaxation(reduced, preference)
        above = 100 * (found.value - optimum) / abs(optimum)
        *_, last = descent(problem, dual_start(problem, clustering), 1000, lambda: None)
        print(
            f"{name}: {clustering.n_clusters} exemplars, {n_steps} steps, {taken:.2f} s, "
            f"gap {percent(found.value, clustering):.3f} %, after 1,000 steps "
            f"{percent(bound.proven(problem, last).value, clustering):.3f} %, of the linear relaxation "
            f"{percent(optimum, clustering):.3f} %, the bound {above:.3f} % above that",
            flush=True,
        )


def steps() -> None:
    for name, graph, preference in sets():
        clustering = affinity_propagation(graph, preference=preference)
        problem, *_ = bounded(graph, clustering)
        start = dual_start(problem, clustering)
        for n_steps in (60, 120, 240):
            gaps = []
            for step, dual in enumerate(descent(problem, start, n_steps, lambda: None), 1):
                if step % (n_steps // 6) == 0:
                    gaps.append(f"{percent(bound.proven(problem, dual).value, clustering):.3f}")
            print(f"{name}: {n_steps} steps, gap in percent {', '.join(gaps)}", flush=True)


def percent(value: float, clustering: Clustering) -> float:
    return 100 * (value - clustering.net_similarity) / abs(clustering.net_similarity)


def moses(file: str, n: str = "") -> None:
    graph = moses_graph(Path(file))
    if n:
        # As if links had no direction.
        near = np.sort(breadth_first_order(graph, 0, directed=False, return_predecessors=False)[: int(n)])
        graph = graph[near][:, near]
    warm_up(graph, preference=-1.0, certify=True)
    for preference in (-1.0, -3.0):
        taken = []
        for certify in (False, True):
            start = time.perf_counter(), time.process_time()
            with no_convergence_warnings():
                clustering = affinity_propagation(graph, preference=preference, certify=certify)
            taken.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        gap = 100 * (clustering.optimality_gap or 0.0)
        (seconds, processor), (seconds_with, processor_with) = taken
        print(
            f"{graph.shape[0]:,} molecules, {graph.nnz:,} edges, preference {preference:g}: "
            f"{clustering.n_clusters:,} exemplars, net similarity {clustering.net_similarity:,.0f}, "
            f"gap {gap:.2f} %, {seconds:.1f} s ({processor:.1f} of processor time) without the bound, "
            f"{seconds_with:.1f} s ({processor_with:.1f}) with it, peak {peak_memory() / 1e9:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    {"sets": table, "steps": steps, "moses": moses}[sys.argv[1]](*sys.argv[2:])
