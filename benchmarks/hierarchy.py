"""A hierarchy of a large graph: what it costs, and whether every way of running gives the same one.

    python benchmarks/hierarchy.py moses FILE [PREFERENCE]   1.9 million molecules: each level, and seconds
    python benchmarks/hierarchy.py ways GRAPH.zarr           from disk in 2 GB, on two workers, in memory
    python benchmarks/hierarchy.py faces POINTS.npy [METRIC] [K]   whether exemplars look like their groups

The first level of `ways` is clustered once, from disk; each way builds the levels above in its own process.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from distributed import Client, LocalCluster
from measure import moses_graph, peak_memory, warm_up

from sparse_ap import Clustering, Hierarchy, affinity_propagation, hierarchy
from sparse_ap.graphs import knn_graph

LIMIT = "2GB"


def moses(file: str, preference: str = "-1") -> None:
    """Print a row for each level; by chance: the share of edges inside random clusters of the same sizes."""
    graph = moses_graph(Path(file))
    warm_up(graph)
    start = time.perf_counter()
    first = affinity_propagation(graph, preference=float(preference))
    middle = time.perf_counter()
    tree = hierarchy(graph, clustering=first)
    end = time.perf_counter()
    print("| level | clusters | median size | largest | edges inside | by chance | net similarity | sweeps |")
    print("|---|---|---|---|---|---|---|---|")
    for level, clustering in enumerate(tree.clusterings):
        sizes = tree.sizes(level)
        by_chance = np.square(sizes / sizes.sum()).sum()
        print(
            f"| {level} | {len(sizes):,} | {np.median(sizes):,g} | {sizes.max():,} | "
            f"{tree.inner_share[level]:.1%} | {by_chance:.2%} | {clustering.net_similarity:,.1f} | "
            f"{clustering.n_iter} |"
        )
    print(f"first level {middle - start:.1f} s, all {(end - start) / (middle - start):.2f} times that")


def ways(graph: str) -> None:
    """Print what each way takes, and a digest of all that it gives."""
    with tempfile.TemporaryDirectory() as folder:
        first = str(Path(folder) / "first.npz")
        alone(cluster, graph, first)
        for way in (from_disk, on_workers, in_memory):
            alone(way, graph, first)


def alone(work: Any, *arguments: Any) -> None:
    """Run some work in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def cluster(graph: str, first: str) -> None:
    start = time.perf_counter()
    clustering = affinity_propagation(graph, memory_limit=LIMIT)
    clustering.save(first)
    print(f"{clustering}: {time.perf_counter() - start:.0f} s, peak {peak_memory() / 1e9:.2f} GB", flush=True)


def from_disk(graph: str, first: str) -> None:
    tell("from disk", graph, first, memory_limit=LIMIT)


def on_workers(graph: str, first: str) -> None:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as local,
        Client(local, set_as_default=False) as client,
    ):
        tell("on two workers", graph, first, client=client)


def in_memory(graph: str, first: str) -> None:
    tell("in memory", graph, first)


def tell(way: str, graph: str, first: str, **options: Any) -> None:
    clustering = Clustering.load(first)
    start = time.perf_counter()
    tree = hierarchy(graph, clustering=clustering, **options)
    print(
        f"{way}: {tree.n_clusters.tolist()}, {time.perf_counter() - start:.0f} s, peak "
        f"{peak_memory() / 1e9:.2f} GB, {digest(tree)}",
        flush=True,
    )


def digest(tree: Hierarchy) -> str:
    """Return a digest of every bit of a hierarchy."""
    found = hashlib.sha256(tree.n_inner_edges.tobytes())
    for clustering, graph in zip(tree.clusterings, tree.graphs, strict=True):
        for values in (clustering.labels, clustering.exemplars, graph.indptr, graph.indices, graph.data):
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:16]


def faces(file: str, metric: str = "euclidean", n_neighbors: str = "15") -> None:
    """Print, level by level, the percentiles of the exemplars among the members of groups of ten or more.

    Members are ordered by similarity to the group's mean: the cosine, or minus the squared distance. The last
    two columns need no points: members are ordered by their links into the group, less those expected.
    """
    points = np.load(file).astype(np.float64)
    graph = knn_graph(points.astype(np.float32), int(n_neighbors), metric=metric)
    tree = hierarchy(graph)
    if metric == "cosine":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    linked = scipy.sparse.csr_array(graph) != 0
    linked = (linked + linked.T).astype(np.float64).tocoo()
    degree = np.bincount(linked.coords[0], minlength=len(points))
    print("| level | groups of ten or more | percentile | under 50 | by links | under 50 |")
    print("|---|---|---|---|---|---|")
    found = [of_level(tree.level(level), points, metric, linked, degree) for level in range(tree.n_levels)]
    for level, figures in [*enumerate(found), ("all", np.concatenate(found, axis=1))]:
        means, low = figures.mean(axis=1), (figures < 50).mean(axis=1)
        row = f"{means[0]:.1f} | {low[0]:.1%} | {means[1]:.1f} | {low[1]:.1%}"
        print(f"| {level} | {figures.shape[1]:,} | {row} |")


def of_level(cut: Any, points: Any, metric: str, linked: Any, degree: Any) -> Any:
    """Return the percentiles of a level's exemplars by points and by links, shape (2, n_groups)."""
    labels = cut.labels
    means = np.zeros((cut.n_clusters, points.shape[1]))
    np.add.at(means, labels, points)
    means /= cut.sizes[:, None]
    offset = points if metric == "cosine" else points - means[labels]
    like = (offset * means[labels]).sum(axis=1) if metric == "cosine" else -np.square(offset).sum(axis=1)
    row, column = linked.coords
    inner = np.bincount(row[labels[row] == labels[column]], minlength=len(labels))
    volume = np.bincount(labels, degree, cut.n_clusters)
    gain = inner - degree * volume[labels] / degree.sum()
    large = cut.exemplars[cut.sizes >= 10]
    return np.array([percentiles(values, labels)[large] for values in (like, gain)])


def percentiles(values: Any, labels: Any) -> Any:
    """Return the share of the other members of its group that each point is above, in percent."""
    order = np.lexsort((values, labels))
    ordered = labels[order]
    place = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    found = np.empty(len(order))
    found[order] = 100 * place / np.maximum(1, np.bincount(labels)[ordered] - 1)
    return found


WORKS: dict[str, Any] = {"moses": moses, "ways": ways, "faces": faces}

if __name__ == "__main__":
    WORKS[sys.argv[1]](*sys.argv[2:])
