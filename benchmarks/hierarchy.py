"""A hierarchy of a large graph: what it costs, and whether every way of running gives the same one.

    python benchmarks/hierarchy.py moses FILE [PREFERENCE]   1.9 million molecules: each level, and seconds
    python benchmarks/hierarchy.py ways GRAPH.zarr           from disk in 2 GB, on two workers, in memory

The first level of `ways` is clustered once, from disk; each way then builds the levels above it in a process of
its own.
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
from distributed import Client, LocalCluster
from measure import moses_graph, peak_memory, warm_up

from sparse_ap import Clustering, Hierarchy, affinity_propagation, hierarchy

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


if __name__ == "__main__":
    {"moses": moses, "ways": ways}[sys.argv[1]](*sys.argv[2:])
