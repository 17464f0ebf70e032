"""Peak memory above a canonical float32 graph, in a process of its own for each case.

The promise: 80 bytes a point, 8 for each thread beyond two, 1 byte an edge; 9 with reordering.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import scipy.sparse
from measure import extra_peak_memory, no_convergence_warnings, uniform_graph, warm_up

from sparse_ap import affinity_propagation

CASES = ((1_000_000, 20, 2), (1_000_000, 20, 4), (2_000_000, 10, 2), (500_000, 60, 2))


def measure(path: Path, n_jobs: int, reorder: bool) -> None:
    """Print a row for one case."""
    # Read from a file: building a graph would leave freed memory behind that the run could use unseen.
    graph = scipy.sparse.load_npz(path)
    options = {"n_jobs": n_jobs, "reorder": reorder, "preference": -1e-3}
    warm_up(graph, **options)

    def run() -> None:
        with no_convergence_warnings():
            affinity_propagation(graph, max_iter=30, refine="medoid", **options)

    extra = extra_peak_memory(run)
    n_points = graph.shape[0]
    promised = (80 + 8 * max(0, n_jobs - 2)) * n_points + (9 if reorder else 1) * graph.nnz
    print(
        f"| {n_points:,} x {graph.nnz // n_points} | {n_jobs} | {'yes' if reorder else 'no'} | "
        f"{extra / 1e6:.0f} MB | {promised / 1e6:.0f} MB | {extra / promised:.2f} |",
        flush=True,
    )


def main() -> None:
    """Run every case in a new process."""
    print("| points x neighbours | threads | reordered | above the graph | promised | share |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for n_points, degree, n_jobs in CASES:
            path = Path(folder) / f"{n_points}x{degree}.npz"
            if not path.exists():
                scipy.sparse.save_npz(path, uniform_graph(n_points, degree), compressed=False)
            for reorder in (0, 1):
                arguments = [str(path), str(n_jobs), str(reorder)]
                subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]), int(sys.argv[2]), bool(int(sys.argv[3])))
    else:
        main()
