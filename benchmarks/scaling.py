"""Seconds of a sweep from 1 to 100 million edges: how they grow."""

from __future__ import annotations

import numpy as np
from measure import sweep_seconds, uniform_graph, warm_up

SIZES = (50_000, 150_000, 500_000, 1_500_000, 5_000_000)
N_SWEEPS = 40


def main() -> None:
    edges, times = [], []
    for n in SIZES:
        graph = uniform_graph(n)
        preference = 5 * float(np.median(graph.data))
        warm_up(graph, preference=preference, reorder=True)
        sweep = float(np.median(sweep_seconds(graph, N_SWEEPS, preference=preference, reorder=True)))
        edges.append(graph.nnz)
        times.append(sweep)
        print(
            f"{graph.nnz:>12,} edges: {1e3 * sweep:8.2f} ms a sweep, {1e9 * sweep / graph.nnz:.2f} ns an edge"
        )
    exponent = np.polyfit(np.log(edges), np.log(times), 1)[0]
    print(f"time grows as edges ** {exponent:.2f}")


if __name__ == "__main__":
    main()
