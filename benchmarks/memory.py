"""Peak memory above a canonical float32 graph, in a process of its own for each case.

The promise: 80 bytes a point, 8 for each thread beyond two, 1 byte an edge; 9 with reordering.
"""

from __future__ import annotations

import subprocess
import sys

from measure import extra_peak_memory, no_convergence_warnings, uniform_graph, warm_up

from sparse_ap import affinity_propagation

CASES = ((1_000_000, 20, 2), (1_000_000, 20, 4), (2_000_000, 10, 2), (500_000, 60, 2))


def measure(n_points: int, degree: int, n_jobs: int, reorder: bool) -> None:
    """Print a row for one case."""
    graph = uniform_graph(n_points, degree)
    options = {"n_jobs": n_jobs, "reorder": reorder, "preference": -1e-3}
    warm_up(graph, **options)

    def run() -> None:
        with no_convergence_warnings():
            affinity_propagation(graph, max_iter=30, **options)

    extra = extra_peak_memory(run)
    promised = (80 + 8 * max(0, n_jobs - 2)) * n_points + (9 if reorder else 1) * graph.nnz
    print(
        f"| {n_points:,} x {degree} | {n_jobs} | {'yes' if reorder else 'no'} | {extra / 1e6:.0f} MB | "
        f"{promised / 1e6:.0f} MB | {extra / promised:.2f} |",
        flush=True,
    )


def main() -> None:
    """Run every case in a new process."""
    print("| points x neighbours | threads | reordered | above the graph | promised | share |")
    print("|---|---|---|---|---|---|", flush=True)
    for case in CASES:
        for reorder in (False, True):
            arguments = [str(value) for value in (*case, int(reorder))]
            subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        n_points, degree, n_jobs, reorder = (int(value) for value in sys.argv[1:])
        measure(n_points, degree, n_jobs, bool(reorder))
    else:
        main()
