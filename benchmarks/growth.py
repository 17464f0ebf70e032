"""A clustering that grows by batches, beside a full run after each of them.

Arguments: a .npy file of fingerprints (uint8, bits packed), how many of them (0: all), how many batches,
a preference, and a min_gain or more.

    python benchmarks/growth.py fingerprints.npy 0 10 -1 0.25

The fingerprints are in a random order; each batch has the graph of all points so far, 15 neighbours by
Tanimoto distances, negative. The first clustering is a full run. Seconds are of one processor, graphs apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sparse_ap
from sparse_ap.graphs import knn_graph


def main() -> None:
    """Print a row for each batch and each min_gain."""
    points = np.load(Path(sys.argv[1]))
    n, n_batches, preference = int(sys.argv[2]) or len(points), int(sys.argv[3]), float(sys.argv[4])
    points = points[np.random.default_rng(0).permutation(len(points))[:n]]
    # Compiled before seconds count.
    small = knn_graph(points[:500], 15, metric="tanimoto", similarity="-d")
    sparse_ap.extend(sparse_ap.affinity_propagation(small[:400, :400], preference=-1), small)
    growing = {float(given): Growing(float(given)) for given in sys.argv[5:]}
    seconds_in_full = 0.0
    for n_points in np.linspace(n / n_batches, n, n_batches).astype(int):
        graph = knn_graph(points[:n_points], 15, metric="tanimoto", similarity="-d")
        full, seconds = timed(sparse_ap.affinity_propagation, graph, preference=preference, n_jobs=1)
        seconds_in_full += seconds
        print(
            f"{n_points:,} points: {full.n_clusters:,} exemplars, {full.net_similarity:.1f}, {seconds:.2f} s"
        )
        for one in growing.values():
            print(one.grown(graph, full, seconds), flush=True)
    for one in growing.values():
        print(f"min_gain {one.min_gain}: {one.seconds / seconds_in_full:.3f} of the seconds of full runs")


class Growing:
    """A clustering that is extended with each batch."""

    def __init__(self, min_gain: float) -> None:
        self.min_gain = min_gain
        self.seconds = 0.0
        self.clustering: sparse_ap.Clustering | None = None

    def grown(self, graph: Any, full: sparse_ap.Clustering, seconds_in_full: float) -> str:
        """Extend the clustering; return what was kept and lost, beside the full run."""
        before = self.clustering
        if before is None:
            self.clustering, self.seconds = full, seconds_in_full
            return "    the same"
        found, seconds = timed(sparse_ap.extend, before, graph, min_gain=self.min_gain, n_jobs=1)
        self.clustering, self.seconds = found, self.seconds + seconds
        lost = 1 - found.net_similarity / full.net_similarity
        kept = 1 - len(found.recourse.closed) / before.n_clusters
        return (
            f"    min_gain {self.min_gain}: {found.n_clusters:,} exemplars, net similarity {lost:+.2%}, "
            f"{kept:.1%} kept, {len(found.recourse.moved) / len(before.labels):.1%} of the old points moved, "
            f"{seconds / seconds_in_full:.2f} of the seconds"
        )


def timed(run: Callable[..., sparse_ap.Clustering], *given: Any, **options: Any) -> tuple[Any, float]:
    """Return the result and the processor seconds of a call."""
    start = time.process_time()
    return run(*given, **options), time.process_time() - start


if __name__ == "__main__":
    main()
