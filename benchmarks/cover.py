"""Covers of the demonstration's 171,075 places, beside a greedy cover.

python benchmarks/cover.py 50      representatives within 50 km of every place
"""

from __future__ import annotations

import sys
import time

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap import cover
from sparse_ap.cli.demo.places import EARTH_RADIUS_KM, load_places, unit_vectors
from sparse_ap.graphs import radius_graph


def greedy(graph: scipy.sparse.csr_array) -> int:
    """Return how many points are taken if each covers most of those left, in a symmetric graph."""
    indptr, indices = graph.indptr, graph.indices
    gains, left, n_taken = np.diff(indptr) + 1, np.ones(graph.shape[0], bool), 0
    while left.any():
        best = int(gains.argmax())
        covered = np.append(indices[indptr[best] : indptr[best + 1]], best)
        for point in covered[left[covered]]:
            left[point] = False
            gains[indices[indptr[point] : indptr[point + 1]]] -= 1
            gains[point] -= 1
        n_taken += 1
    return n_taken


def measured(km: float, vectors: NDArray[np.float64]) -> None:
    """Print one row of the table of covers."""
    chord = 2 * np.sin(km / (2 * EARTH_RADIUS_KM))
    times = [time.process_time()]
    graph = radius_graph(vectors, -chord, similarity="-d")
    times.append(time.process_time())
    plain = cover(graph, min_similarity=-chord)
    times.append(time.process_time())
    proven = cover(graph, min_similarity=-chord, certify=True)
    times.append(time.process_time())
    n_greedy = greedy(graph)
    times.append(time.process_time())
    of_graph, of_cover, of_both, of_greedy = np.diff(times)
    print(
        f"{km:g} km: {graph.nnz / len(vectors):.1f} edges a point ({of_graph:.0f} s of processor time); "
        f"cover {plain.n_clusters:,} ({of_cover:.0f} s); at least {proven.n_clusters_bound:,} "
        f"({of_both - of_cover:.0f} s more); greedy {n_greedy:,} ({of_greedy:.1f} s)",
        flush=True,
    )


if __name__ == "__main__":
    places = load_places()
    for given in sys.argv[1:]:
        measured(float(given), unit_vectors(places))
