"""Clustering from disk: seconds of a sweep against zarr's reading alone, peak memory, bytes read.

    python benchmarks/disk.py 10_000_000 20 2GB             200 million edges
    python benchmarks/disk.py 40_000_000 25 4300MB 30       a billion, 30 sweeps

Writes a graph of that size first (8 bytes an edge), unless it is there: k-NN like, its edges within a
thousand points of each other but for every tenth, which goes anywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr
from measure import no_convergence_warnings, peak_memory

from sparse_ap import SweepReport, affinity_propagation
from sparse_ap.graphs import open_graph
from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.storage.store import AS_GIVEN
from sparse_ap.storage.zarr_writer import write_csr

ROWS_AT_A_TIME = 1 << 19
PREFERENCE = -3.0


def blocks(n_points: int, degree: int) -> Iterator[Block]:
    """Make up a graph, some rows at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, n_points, ROWS_AT_A_TIME):
        stop = min(start + ROWS_AT_A_TIME, n_points)
        n = stop - start
        itself = np.arange(start, stop)[:, None]
        ids = (itself + rng.integers(-1000, 1000, (n, degree))) % n_points
        wrong = rng.random((n, degree)) < 0.1
        while wrong.any():
            ids[wrong] = rng.integers(0, n_points, np.count_nonzero(wrong))
            ids.sort(axis=1)
            wrong = ids == itself
            wrong[:, 1:] |= ids[:, 1:] == ids[:, :-1]
        data = -rng.random((n, degree), np.float32)
        indptr = np.arange(n + 1, dtype=np.int64) * degree
        yield Block(RowCut(start, stop), n_points, indptr, ids.astype(np.int32).ravel(), data.ravel())


def write(path: Path, n_points: int, degree: int) -> None:
    """Write the graph; exits where there is no room for it."""
    needed = 8 * n_points * (degree + 1)
    free = shutil.disk_usage(path.parent).free
    if free < 1.2 * needed:
        raise SystemExit(
            f"skipped: {needed / 1e9:.1f} GB are needed at {path.parent}, {free / 1e9:.1f} are free"
        )
    start = time.perf_counter()
    write_csr(path, blocks(n_points, degree), np.float32, AS_GIVEN)
    print(f"written: {needed / 1e9:.1f} GB in {time.perf_counter() - start:.0f} s", flush=True)


def forget(path: Path) -> None:
    """Drop the graph from the page cache."""
    os.sync()
    for file in path.rglob("*"):
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def read_alone(path: Path) -> tuple[float, float]:
    """Return the seconds, and the seconds of CPU, in which zarr reads data and indices, chunk by chunk."""
    group = zarr.open_group(path, mode="r")
    start, cpu = time.perf_counter(), time.process_time()
    for name in ("data", "indices"):
        array = group[name]
        for begin in range(0, array.shape[0], array.chunks[0]):
            array[begin : begin + array.chunks[0]]
    return time.perf_counter() - start, time.process_time() - cpu


def run(path: Path, n_sweeps: int, memory_limit: str, cold: bool, in_memory: bool) -> None:
    """Cluster, and print what a sweep took."""
    marks: list[tuple[float, float, int]] = []

    def note(report: SweepReport) -> None:
        if cold:
            forget(path)
        marks.append((time.perf_counter(), time.process_time(), _bytes_read()))
        begun.append((time.perf_counter(), time.process_time(), _bytes_read()))

    begun: list[tuple[float, float, int]] = []
    start = time.perf_counter()
    with no_convergence_warnings():
        clustering = affinity_propagation(
            str(path) if in_memory else open_graph(path),
            preference=PREFERENCE,
            max_iter=n_sweeps,
            convergence_iter=n_sweeps + 1,
            reorder=False,
            refine=None,
            memory_limit=memory_limit,
            callback=note,
        )
    # Every tenth sweep is followed by a look at the exemplars, which reads the edges once more.
    plain = [i for i in range(1, len(marks)) if i % 10]
    wall, cpu, read = (
        float(np.median([marks[i][which] - begun[i - 1][which] for i in plain])) for which in range(3)
    )
    peak = peak_memory()
    print(
        f"{wall:.2f} s a sweep, {cpu:.2f} s CPU, {read / 1e9:.2f} GB read; peak RSS {peak / 1e9:.2f} GB; "
        f"{len(marks)} sweeps in {time.perf_counter() - start:.0f} s, {clustering.n_clusters:,} exemplars, "
        f"{clustering.n_unsettled:,} unsettled, net similarity {clustering.net_similarity:.8g}",
        flush=True,
    )


def _bytes_read() -> int:
    """Return what this process has asked the system to read."""
    return int(Path("/proc/self/io").read_text().split()[1])


def main(n_points: int, degree: int, memory_limit: str, n_sweeps: int, folder: Path) -> None:
    path = folder / f"{n_points}x{degree}.zarr"
    if not path.exists():
        write(path, n_points, degree)
    for _ in range(2):
        wall, cpu = read_alone(path)
    print(f"zarr alone, warm cache: {wall:.2f} s, {cpu:.2f} s CPU")
    cases = ["stream", "cold"] if 8 * n_points * degree > 4e9 else ["stream", "memory", "cold"]
    for case in cases:
        if case == "cold":
            forget(path)
            wall, cpu = read_alone(path)
            print(f"zarr alone, cold cache: {wall:.2f} s, {cpu:.2f} s CPU")
        print(f"{case}: ", end="", flush=True)
        sweeps = 6 if case == "cold" else n_sweeps
        arguments = ["run", str(path), str(sweeps), "20GB" if case == "memory" else memory_limit, case]
        subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        case = sys.argv[5]
        run(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], case == "cold", case == "memory")
    else:
        more = sys.argv[4:]
        main(
            int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(more[0]) if more else 12,
            Path(more[1]) if len(more) > 1 else Path.cwd(),
        )  # fmt: skip
