"""1.9 million molecules, 29 million edges: time to the net similarity that naffprop 0.2 reaches.

naffprop runs 100 iterations. Its answer is repaired as ours is (points that no exemplar reaches become
exemplars, everybody is assigned again) before it is valued. Then sparse_ap runs with its defaults, and
what counts is the whole call, reordering and read-out included, cut off at the first sweep after which
the answer is as good. Needs `pip install naffprop==0.2.0`. Arguments: the file moses_knn15.npz, and
naffprop's dampings.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import naffprop
import numpy as np
from measure import moses_graph, no_convergence_warnings, warm_up

from sparse_ap import Clustering, affinity_propagation

NAFFPROP_ITERATIONS = 100
# Sweeps more or less do not matter to how soon it is as good.
RESOLUTION = 5


def main() -> None:
    graph = moses_graph(Path(sys.argv[1]))
    dampings = [float(value) for value in sys.argv[2:]] or [0.9]
    print(f"{graph.shape[0]:,} points, {graph.nnz:,} edges", flush=True)
    for preference in (-1.0, -3.0):
        warm_up(graph, preference=preference, reorder=True)
        full, full_seconds = timed(graph, preference, 200)
        print(row(f"sparse_ap, preference {preference:g}", full, full_seconds), flush=True)
        for damping in dampings:
            compare(graph, preference, damping)


def compare(graph: Any, preference: float, damping: float) -> None:
    """Run naffprop, then find how soon we have an answer as good."""
    start = time.perf_counter()
    theirs = naffprop.apcluster(
        graph, p=preference, lam=damping, maxits=NAFFPROP_ITERATIONS, convits=NAFFPROP_ITERATIONS, seed=0
    )
    their_seconds = time.perf_counter() - start
    reached, n_exemplars, promoted = repaired_value(graph, np.asarray(theirs.exemplars), preference)
    print(
        f"| naffprop, damping {damping:g}, preference {preference:g} | {theirs.iterations} | "
        f"{their_seconds:.1f} | {n_exemplars:,} | | {promoted:,} | {reached:,.0f} |",
        flush=True,
    )
    ours, our_seconds = timed(graph, preference, 200)
    too_few, enough = RESOLUTION, ours.n_iter
    while enough - too_few > RESOLUTION:
        cut = (too_few + enough) // 2
        clustering, cut_seconds = timed(graph, preference, cut)
        if clustering.net_similarity >= reached:
            enough, ours, our_seconds = cut, clustering, cut_seconds
        else:
            too_few = cut
    print(row("sparse_ap, cut off as soon as it is as good", ours, our_seconds))
    print(f"{our_seconds / their_seconds:.3f} of naffprop's time, 1/{their_seconds / our_seconds:.1f}")


def timed(graph: Any, preference: float, max_iter: int) -> tuple[Clustering, float]:
    """Return a clustering and the seconds of the whole call."""
    start = time.perf_counter()
    with no_convergence_warnings():
        clustering = affinity_propagation(graph, preference=preference, max_iter=max_iter, refine=None)
    return clustering, time.perf_counter() - start


def row(name: str, c: Clustering, seconds: float) -> str:
    """Return a row: name, sweeps, seconds, exemplars, unsettled, promoted, net similarity."""
    return (
        f"| {name} | {c.n_iter} | {seconds:.1f} | {c.n_clusters:,} | {c.n_unsettled:,} | "
        f"{c.n_promoted:,} | {c.net_similarity:,.0f} |"
    )


def repaired_value(graph: Any, exemplars: Any, preference: float) -> tuple[float, int, int]:
    """Return the net similarity, the exemplars and the promoted points of a repaired exemplar set."""
    exemplar = np.zeros(graph.shape[0], bool)
    exemplar[exemplars] = True
    best = best_similarity(graph, exemplar)
    alone = ~exemplar & np.isneginf(best)
    exemplar |= alone
    best = best_similarity(graph, exemplar)
    total = best[~exemplar].sum(dtype=np.float64) + preference * exemplar.sum()
    return float(total), int(exemplar.sum()), int(alone.sum())


def best_similarity(graph: Any, exemplar: Any) -> Any:
    """Return each point's largest similarity to an exemplar, -inf where it has an edge to none."""
    values = np.where(exemplar[graph.indices], graph.data, -np.inf)
    # Every row of this graph has edges, as reduceat needs.
    return np.maximum.reduceat(values, graph.indptr[:-1])


if __name__ == "__main__":
    main()
