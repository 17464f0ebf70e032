"""Clusters of limited sizes beside clusters of any size: sizes, net similarity lost, seconds, memory.

python benchmarks/sizes.py molecules FILE.npz 200000   so many molecules around one, with all their neighbours
python benchmarks/sizes.py places 30                   the largest component of the places' graph
python benchmarks/sizes.py blobs 300000 20             so many points on a plane, and neighbours of each

Limits after these, such as 20-500 or 1-10, are measured instead of the usual ones. Seconds are of the
processor; memory is the largest that the process has held up to then, its own graph included.
"""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import numpy as np
import scipy.sparse
from measure import peak_memory

from sparse_ap import affinity_propagation
from sparse_ap.cli.demo.places import load_places, unit_vectors
from sparse_ap.graphs import knn_graph


def molecules(file: str, n_points: str) -> Any:
    """Return the neighbours among the molecules that are reached first from one of them."""
    given = np.load(file)
    indices = given["indices"]
    n, k = indices.shape
    distances = given["distance_table"][given["distance_code"]]
    everything = scipy.sparse.csr_array(
        (np.ones(n * k, np.int8), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n)
    )
    reached = scipy.sparse.csgraph.breadth_first_order(everything, 0, return_predecessors=False)
    inside = np.zeros(n, np.bool_)
    inside[reached[: int(n_points)]] = True
    number = np.cumsum(inside) - 1
    edge = inside[indices] & inside[:, None]
    rows = number[np.nonzero(edge)[0]]
    shape = 2 * (int(inside.sum()),)
    return scipy.sparse.coo_array((-distances[edge], (rows, number[indices[edge]])), shape=shape).tocsr()


def places(n_neighbors: str) -> Any:
    """Return the largest component of the places' graph."""
    graph = knn_graph(unit_vectors(load_places()), n_neighbors=int(n_neighbors), similarity="-d")
    component = scipy.sparse.csgraph.connected_components(graph, connection="weak")[1]
    inside = np.flatnonzero(component == np.bincount(component).argmax())
    return scipy.sparse.csr_array(graph[inside][:, inside])


def blobs(n_points: str, n_neighbors: str) -> Any:
    """Return the graph of points in clouds of unequal density."""
    rng = np.random.default_rng(0)
    n = int(n_points)
    centre = rng.random((n // 100, 2))[rng.integers(0, n // 100, n)]
    return knn_graph(
        centre + rng.normal(size=(n, 2)) * 0.02, n_neighbors=int(n_neighbors), similarity="-d**2"
    )


def measured(graph: Any, limits: list[tuple[int, int]]) -> None:
    """Print a row for a run without limits, and one for each pair of limits."""
    free = None
    for least, most in [(None, None), *limits]:
        start = time.process_time()
        found = affinity_propagation(
            graph, min_cluster_size=least, max_cluster_size=most, unrepresented="label"
        )
        seconds = time.process_time() - start
        free = found if free is None else free
        sizes = found.sizes
        lost = (free.net_similarity - found.net_similarity) / abs(free.net_similarity)
        print(
            f"at least {least}, at most {most}: {found.n_clusters:,} clusters of {sizes.min()} to "
            f"{sizes.max()} "
            f"(median {np.median(sizes):g}); net similarity {found.net_similarity:.6g} "
            + (
                f"(lost {lost:.2%})"
                if not found.n_unrepresented
                else f"without {found.n_unrepresented:,} points"
            )
            + f"; {seconds:.1f} s, {peak_memory() / 1e9:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    pairs = [word for word in sys.argv[1:] if re.fullmatch(r"\d+-\d+", word)]
    kind, *given = (word for word in sys.argv[1:] if word not in pairs)
    limits = [(int(least), int(most)) for least, most in (pair.split("-") for pair in pairs)]
    graph = {"molecules": molecules, "places": places, "blobs": blobs}[kind](*given)
    print(f"{kind}: {graph.shape[0]:,} points, {graph.nnz:,} edges", flush=True)
    affinity_propagation(graph[:300][:, :300], max_cluster_size=2, preference=graph.data.min())
    measured(graph, limits or ([(3, 20)] if kind == "blobs" else [(1, 500), (1, 10), (3, 500), (20, 500)]))
