"""Ways of clustering into a wanted number: the hierarchy, Leiden, SCC, HDBSCAN, EVoC, k-means."""

from __future__ import annotations

import pickle
import random
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from measure import no_convergence_warnings
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA, TruncatedSVD

from sparse_ap import hierarchy
from sparse_ap.graphs import knn_graph

N_TRIED_RESOLUTIONS = 12
NEAR = 0.01
N_TRIED_SIZES = 60
N_COMPONENTS = 20
N_TEXT_COMPONENTS = 100
N_THRESHOLDS, LEAST_THRESHOLD = 100, 1e-7


class Answer(NamedTuple):
    """Labels, −1 where there is none, and the processor's seconds they took."""

    labels: NDArray[Any]
    seconds: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters, noise not counted."""
        return len(np.unique(self.labels[self.labels >= 0]))


def by_hierarchy(stem: Path, wanted: list[int], seed: int) -> dict[str, list[Answer]]:
    """Return the wanted numbers of clusters and the natural number, with points free and nested."""
    graph = scipy.sparse.load_npz(stem.with_suffix(".npz"))
    # Compiles, or loads, the kernels.
    warming = knn_graph(np.random.default_rng(0).normal(size=(500, 2)), 10)
    with no_convergence_warnings():
        hierarchy(warming).cut_exactly(3)
        start = time.process_time()
        tree = hierarchy(graph, random_state=seed, n_jobs=1)
        built = time.process_time() - start
    numbers = [*wanted, len(tree.free.natural.exemplars)]
    return {
        "free": [Answer(tree.cut_exactly(k, nested=False).labels, built) for k in numbers],
        "nested": [Answer(tree.cut_exactly(k, n_jobs=1).labels, built) for k in numbers],
    }


def by_leiden(stem: Path, wanted: list[int], seed: int) -> list[Answer]:
    """Return communities by modularity."""
    return _communities(stem, wanted, seed, "modularity", 1.0)


def by_leiden_cpm(stem: Path, wanted: list[int], seed: int) -> list[Answer]:
    """Return communities by the constant Potts model."""
    return _communities(stem, wanted, seed, "CPM", 0.01)


def _communities(stem: Path, wanted: list[int], seed: int, objective: str, first: float) -> list[Answer]:
    """Return communities of the graph, each number by the resolution that leads nearest to it."""
    import igraph

    links = scipy.sparse.load_npz(stem.with_suffix(".npz"))
    links.data[:] = 1
    pairs = scipy.sparse.triu(links + links.T, 1).tocoo()
    graph = igraph.Graph(n=links.shape[0], edges=np.column_stack([pairs.row, pairs.col]))
    random.seed(seed)
    tried: dict[float, Answer] = {}
    return [_searched(graph, k, objective, first, tried) for k in wanted]


def _searched(graph: Any, k: int, objective: str, first: float, tried: dict[float, Answer]) -> Answer:
    """Try resolutions until one leads to k clusters, or nearly."""
    for _ in range(N_TRIED_RESOLUTIONS):
        numbers = {r: answer.n_clusters for r, answer in tried.items()}
        resolution = next_resolution(k, numbers) if tried else first
        if resolution in tried:
            break
        start = time.process_time()
        found = graph.community_leiden(objective, resolution=resolution, n_iterations=3)
        tried[resolution] = Answer(np.array(found.membership), time.process_time() - start)
    return nearest(list(tried.values()), k)


def next_resolution(k: int, n_clusters: dict[float, int]) -> float:
    """Return one that led to k, or nearly, or one between the nearest that led to fewer and to more."""
    for resolution, n in n_clusters.items():
        if abs(n - k) <= NEAR * k:
            return resolution
    low = max((r for r, n in n_clusters.items() if n < k), default=None)
    high = min((r for r, n in n_clusters.items() if n > k), default=None)
    if low is None:
        return 1.0 if high is None else high / 4
    if high is None:
        return low * 4
    # By logarithms: the number grows as a power of the resolution. Not too near to either end.
    share = np.log(k / n_clusters[low]) / np.log(n_clusters[high] / n_clusters[low])
    return float(low * (high / low) ** np.clip(share, 0.15, 0.85))


def by_scc(stem: Path, wanted: list[int], seed: int) -> list[Answer]:
    """Return sub-cluster components (Monath et al., KDD 2021), each number by the round nearest to it.

    Round by round the threshold falls. Each cluster is linked with the one that is most similar in the mean
    over all pairs of points, of which those without an edge count 0, if that is above the threshold; what
    is linked is a cluster of the next round.
    """
    graph = scipy.sparse.load_npz(stem.with_suffix(".npz"))
    start = time.process_time()
    # As far from the largest distance: edges of that length say nothing.
    graph.data = 1 + graph.data / -graph.data.min()
    weights = ((graph + graph.T) / 2).tocsr()
    labels, sizes, answers = np.arange(graph.shape[0]), np.ones(graph.shape[0]), []
    for threshold in np.geomspace(1, LEAST_THRESHOLD, N_THRESHOLDS):
        n, joined = connected_components(_most_similar(weights, sizes, threshold), directed=False)
        if n < len(sizes):
            by = scipy.sparse.csr_array((np.ones(len(joined)), (np.arange(len(joined)), joined)))
            weights, sizes, labels = (by.T @ weights @ by).tocsr(), by.T @ sizes, joined[labels]
            answers.append(Answer(labels, time.process_time() - start))
    return [nearest(answers, k) for k in wanted]


def _most_similar(weights: Any, sizes: Any, threshold: float) -> Any:
    """Return the link of each cluster with the most similar one, as far as it is above a threshold."""
    pairs = weights.tocoo()
    here, there = pairs.coords
    means = pairs.data / (sizes[here] * sizes[there])
    kept = (here != there) & (means >= threshold)
    here, there = here[kept], there[kept]
    order = np.lexsort((-means[kept], here))
    first = order[np.diff(here[order], prepend=-1) > 0]
    return scipy.sparse.csr_array((np.ones(len(first)), (here[first], there[first])), shape=weights.shape)


def by_hdbscan(stem: Path, wanted: list[int], seed: int) -> list[Answer]:
    """Return dense regions of the points, each number by the min_cluster_size that leads nearest to it."""
    from fast_hdbscan.hdbscan import clusters_from_spanning_tree, compute_minimum_spanning_tree

    # Compiled for rows that lie one after the other.
    points = np.ascontiguousarray(
        _of_few_features(pickle.loads(stem.with_suffix(".points").read_bytes()), seed)
    )
    # Compiles, or loads, the kernels.
    clusters_from_spanning_tree(compute_minimum_spanning_tree(points[:300], min_samples=10)[0])
    start = time.process_time()
    tree = compute_minimum_spanning_tree(points, min_samples=10)[0]
    built = time.process_time() - start
    answers = []
    for size in np.unique(np.geomspace(2, len(points) // 4, N_TRIED_SIZES).astype(int)):
        start = time.process_time()
        labels = clusters_from_spanning_tree(tree, min_cluster_size=size)[0]
        answers.append(Answer(labels, built + time.process_time() - start))
    return [nearest(answers, k) for k in wanted]


def by_evoc(stem: Path, wanted: list[int], seed: int) -> list[Answer]:
    """Return EVoC's clusters, which it makes for a number of its own accord; of texts 100 components."""
    from evoc import EVoC

    points = pickle.loads(stem.with_suffix(".points").read_bytes())
    if scipy.sparse.issparse(points):
        points = _of_few_features(points, seed, N_TEXT_COMPONENTS)
    points, answers = np.ascontiguousarray(points, np.float32), []
    EVoC(random_state=seed).fit(points[:300])
    for k in wanted:
        start = time.process_time()
        labels = EVoC(approx_n_clusters=k, random_state=seed).fit_predict(points)
        answers.append(Answer(labels, time.process_time() - start))
    return answers


def _of_few_features(points: Any, seed: int, n_features: int = N_COMPONENTS) -> Any:
    if points.shape[1] <= n_features:
        return points
    reduction = TruncatedSVD if scipy.sparse.issparse(points) else PCA
    return reduction(n_features, random_state=seed).fit_transform(points)


def by_k_means(stem: Path, wanted: list[int], seed: int) -> list[Answer]:
    """Return points by the nearest of so many centres."""
    points, answers = pickle.loads(stem.with_suffix(".points").read_bytes()), []
    for k in wanted:
        start = time.process_time()
        labels = MiniBatchKMeans(k, random_state=seed).fit(points).labels_
        answers.append(Answer(labels, time.process_time() - start))
    return answers


def nearest(answers: list[Answer], k: int) -> Answer:
    """Return the answer whose number of clusters is nearest, by their quotient."""
    return min(answers, key=lambda answer: abs(np.log(max(answer.n_clusters, 1) / k)))


GRAPH_WAYS = {"Leiden": by_leiden, "Leiden, CPM": by_leiden_cpm, "SCC": by_scc}
POINT_WAYS = {"HDBSCAN": by_hdbscan, "EVoC": by_evoc, "MiniBatchKMeans": by_k_means}
