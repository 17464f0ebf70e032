"""How good the first m exemplars of a ranking are: beside greedy choices, and beside runs with exactly m.

python benchmarks/ranking.py places        10, 100, 1,000 of the demonstration's places
python benchmarks/ranking.py digits        5 to 40 of scikit-learn's digits, all pairs of which are edges
"""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from sparse_ap import affinity_propagation
from sparse_ap.cli.demo.places import load_places
from sparse_ap.cli.demo.run import EXEMPLAR_COST_KM, N_NEIGHBORS, great_circle_graph


def greedy(graph: scipy.sparse.csr_array, most: int, among: Iterable[int], cover: bool) -> NDArray[np.intp]:
    """Choose one point after the other, each time the one that adds most.

    To the net similarity as a `Ranking` counts it (greedy facility location); or with ``cover`` to the number
    of points that are chosen, or have an edge to one that is.
    """
    n = graph.shape[0]
    if cover:
        graph = scipy.sparse.csr_array((np.ones(graph.nnz), graph.indices, graph.indptr), shape=graph.shape)
        has = np.zeros(n)
    else:
        has = np.minimum.reduceat(graph.data.astype(float), graph.indptr[:-1])
    columns = graph.tocsc()

    def gain(k: int) -> float:
        span = slice(columns.indptr[k], columns.indptr[k + 1])
        from_others = np.maximum(columns.data[span] - has[columns.indices[span]], 0).sum()
        return float(from_others) + (1.0 - has[k] if cover else -has[k])

    heap = [(-gain(k), k) for k in among]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < most:
        promised, k = heapq.heappop(heap)
        now = -gain(k)
        if now > promised:
            heapq.heappush(heap, (now, k))
            continue
        chosen.append(k)
        span = slice(columns.indptr[k], columns.indptr[k + 1])
        rows = columns.indices[span]
        has[rows] = np.maximum(has[rows], columns.data[span])
        has[k] = 1.0 if cover else np.inf
    return np.array(chosen)


def value(graph: scipy.sparse.csr_array, chosen: NDArray[Any], preference: float) -> tuple[float, float]:
    """Return the net similarity with these exemplars, as a `Ranking` counts it, and their coverage."""
    n = graph.shape[0]
    is_exemplar = np.zeros(n, bool)
    is_exemplar[chosen] = True
    best = np.minimum.reduceat(graph.data.astype(float), graph.indptr[:-1])
    row = np.repeat(np.arange(n), np.diff(graph.indptr))
    near = is_exemplar[graph.indices]
    np.maximum.at(best, row[near], graph.data[near])
    reached = is_exemplar.copy()
    reached[row[near]] = True
    return float(best[~is_exemplar].sum()) + preference * len(chosen), float(reached.mean())


def places() -> None:
    """Print one row for each number of exemplars and way to choose them."""
    graph, preference = great_circle_graph(load_places(), N_NEIGHBORS), -EXEMPLAR_COST_KM
    clustering = affinity_propagation(graph, preference=preference)
    begun = time.process_time()
    ranking = clustering.ranking(graph)
    taken = time.process_time() - begun
    print(f"{clustering.n_clusters:,} exemplars, ranked in {taken:.1f} s of processor time")
    ways = {
        "ranking": ranking.exemplars,
        "greedy, of the exemplars": greedy(graph, 1_000, clustering.exemplars.tolist(), cover=False),
        "greedy facility location": greedy(graph, 1_000, range(graph.shape[0]), cover=False),
        "greedy cover": greedy(graph, 1_000, range(graph.shape[0]), cover=True),
    }
    for m in (10, 100, 1_000):
        for way, chosen in ways.items():
            net, covered = value(graph, chosen[:m], preference)
            print(f"{m:>6} {way:<26} coverage {covered:.4f}  net similarity {net:,.0f} km", flush=True)


def digits() -> None:
    """Print how much the first m lose against runs with exactly m."""
    points = load_digits().data
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(distances, 0)
    graph = scipy.sparse.csr_array(-distances)
    clustering = affinity_propagation(graph, preference=-5_000)
    ranking = clustering.ranking(graph)
    for m in (5, 10, 20, 40, clustering.n_clusters - 5):
        exact = affinity_propagation(graph, n_clusters=m, preference=-5_000)
        ours = ranking.net_similarities[m - 1] + m * 5_000
        forward = value(graph, greedy(graph, m, clustering.exemplars.tolist(), cover=False), 0)[0]
        more = [f"{similarity / exact.data_similarity - 1:.2%}" for similarity in (ours, forward)]
        print(
            f"{m:>4} of {clustering.n_clusters}: {more[0]} more distance than a run with exactly {m}; taken "
            f"greedily one after the other {more[1]}",
            flush=True,
        )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        {"places": places, "digits": digits}[name]()
