"""A wanted number of clusters: whether it is met, how good the answer is, and what it costs.

    python benchmarks/number.py plane|ten|wide [points]
    python benchmarks/number.py moses FILE

The numbers asked for are those that runs at some preferences lead to. Readings of the edges are counted,
which noise does not change; the cost of an answer is told against the run that led to its number.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import moses_graph, no_convergence_warnings
from suite import knn

from sparse_ap import Clustering, InvalidInputError, affinity_propagation, preference_path
from sparse_ap.execution.blocking import BlockedGraph

FACTORS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
DIMENSIONS = {"plane": 2, "ten": 10, "wide": 50}


class Counted:
    """Counts how often the edges are read."""

    def __init__(self) -> None:
        self.n_readings = 0
        run = BlockedGraph.run

        def counted(blocked: BlockedGraph, *arguments: Any) -> Any:
            self.n_readings += 1
            return run(blocked, *arguments)

        BlockedGraph.run = counted  # type: ignore[method-assign,assignment]

    def of(self, graph: Any, **options: Any) -> tuple[Clustering, int, float]:
        """Return a clustering, the readings and the seconds it took."""
        before, start = self.n_readings, time.perf_counter()
        with no_convergence_warnings():
            clustering = affinity_propagation(graph, **options)
        return clustering, self.n_readings - before, time.perf_counter() - start


def ask(graph: Any, preferences: Any) -> None:
    counted = Counted()
    for preference in preferences:
        run, n_run, taken_run = counted.of(graph, preference=preference)
        k = run.n_clusters
        try:
            asked, n_asked, taken = counted.of(graph, n_clusters=k)
        except InvalidInputError as error:
            print(f"preference {preference:.4g}, {k:,} clusters: {error}", flush=True)
            continue
        loss = 100 * (asked.data_similarity / run.data_similarity - 1)
        print(
            f"preference {preference:.4g}, {k:,} clusters: {asked.n_clusters:,} found, "
            f"similarity {loss:+.2f} % farther, readings {n_asked} against {n_run} ({n_asked / n_run:.1f}), "
            f"seconds {taken:.1f} against {taken_run:.1f} ({taken / taken_run:.1f})",
            flush=True,
        )
    path_against_runs(graph, counted)


def path_against_runs(graph: Any, counted: Counted) -> None:
    before, start = counted.n_readings, time.process_time()
    path = preference_path(graph)
    n_path, taken_path = counted.n_readings - before, time.process_time() - start
    start = time.process_time()
    runs = [counted.of(graph, preference=float(preference)) for preference in path.preferences]
    taken = (time.process_time() - start) / len(runs)
    best = np.array([run.net_similarity for run, _, _ in runs])
    loss = 100 * (best - path.net_similarities) / np.abs(best)
    n_run = np.mean([n for _, n, _ in runs])
    print(f"a path of {len(runs)}, clusters {path.n_clusters.tolist()}")
    print(f"{n_path / n_run:.2f} of a run's readings, {taken_path / taken:.2f} of its processor time")
    print(f"net similarity less by {loss.mean():.3f} % in the mean: {loss.round(2).tolist()}", flush=True)


def main(which: str, *arguments: str) -> None:
    if which == "moses":
        ask(moses_graph(Path(arguments[0])), (-1.0, -3.0))
        return
    n = int(arguments[0]) if arguments else 100_000
    graph = knn(np.random.default_rng(0).normal(size=(n, DIMENSIONS[which])), 15)
    ask(graph, [factor * float(np.median(graph.data)) for factor in FACTORS])


if __name__ == "__main__":
    main(*sys.argv[1:])
