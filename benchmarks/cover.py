"""Covers beside a greedy cover: of the demonstration's 171,075 places, or of another graph.

python benchmarks/cover.py 50 4GB 40   representatives within 50 km of every place, from a graph on disk
                                       within 4 GB; at most 40 restarts of the bound
python benchmarks/cover.py identity.zarr .3
                                       representatives of the points of a symmetric graph on disk, each
                                       point .3 or more similar to one
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap import PositiveSimilarityWarning, cover
from sparse_ap.cli.demo.places import EARTH_RADIUS_KM, load_places, unit_vectors
from sparse_ap.graphs import radius_graph, read_graph
from sparse_ap.search.cover_bound import least_exemplars


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


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Return what a function returns; print the time that it takes, and the peak of memory (on Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    began, processed = time.perf_counter(), time.process_time()
    result = work()
    seconds, of_processor = time.perf_counter() - began, time.process_time() - processed
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak is not None
    held = int(peak[1]) / 1e6
    print(f"{what}: {seconds:.0f} s, {of_processor:.0f} of processor time, {held:.2f} GB", flush=True)
    return result


def measured(km: float, memory_limit: str, restarts: int, folder: Path) -> None:
    """Print what covers of one radius take."""
    chord, path = 2 * np.sin(km / (2 * EARTH_RADIUS_KM)), folder / "near.zarr"
    vectors = unit_vectors(load_places())
    timed(
        f"{km:g} km, the graph",
        lambda: radius_graph(vectors, -chord, similarity="-d", output=path, memory_limit=memory_limit),
    )
    found = timed("cover", lambda: cover(path, min_similarity=-chord, memory_limit=memory_limit))
    graph = read_graph(path)
    print(f"{found.n_clusters:,} representatives, {graph.nnz / len(vectors):.1f} edges a point", flush=True)
    print(f"{timed('greedy', lambda: greedy(graph)):,} by the greedy cover", flush=True)
    order = np.arange(len(vectors), dtype=np.int32)
    exemplar = np.isin(order, found.exemplars)
    least = timed(
        f"the bound, {restarts} restarts",
        lambda: least_exemplars(graph.indptr, graph.indices, exemplar, order, restarts),
    )
    print(f"at least {least:,}", flush=True)


def of_graph(path: Path, least: float) -> None:
    """Print how many representatives a graph needs."""
    warnings.filterwarnings("ignore", category=PositiveSimilarityWarning)
    graph = read_graph(path)
    found = timed("cover", lambda: cover(graph, min_similarity=least, certify=True))
    print(f"{found.n_clusters:,} representatives, at least {found.n_clusters_bound:,}")
    pairs = graph.tocoo()
    near = pairs.data >= least
    coords = tuple(place[near] for place in pairs.coords)
    kept = scipy.sparse.csr_array((pairs.data[near], coords), shape=graph.shape)
    print(f"{timed('greedy', lambda: greedy(kept)):,} by the greedy cover")


if __name__ == "__main__":
    if Path(sys.argv[1]).exists():
        of_graph(Path(sys.argv[1]), float(sys.argv[2]))
        raise SystemExit
    with tempfile.TemporaryDirectory() as here:
        measured(float(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(here))
