"""Clustering on a dask cluster of worker processes on this machine, against threads in one process.

    python benchmarks/cluster.py cost 1_000_000 200 FOLDER      seconds of a sweep: threads, 1 and 2 workers
    python benchmarks/cluster.py cost 10_000_000 20 FOLDER
    python benchmarks/cluster.py flat 1_000_000 20 FOLDER       200 sweeps: tasks, and memory of every process
    python benchmarks/cluster.py moses FILE FOLDER              1.9 million molecules, to the end

Graphs of made-up edges are written to the folder first, as benchmarks/disk.py makes them. Scheduler and
workers are processes of their own, started with dask's command line, one thread each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from disk import PREFERENCE, write
from distributed import Client
from measure import moses_graph, no_convergence_warnings

from sparse_ap import Clustering, SweepReport, affinity_propagation
from sparse_ap.graphs import write_graph

N_SWEEPS = 14
ROUNDS = 3


@contextmanager
def cluster(n_workers: int, memory: str = "8GB") -> Iterator[Client]:
    """Yield the client of a scheduler and its workers."""
    dask = [sys.executable, "-m", "dask"]
    silent: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    address = "tcp://127.0.0.1:8799"
    processes = [subprocess.Popen([*dask, "scheduler", "--port", "8799", "--no-dashboard"], **silent)]
    options = ["--nthreads", "1", "--memory-limit", memory, "--no-dashboard"]
    processes += [subprocess.Popen([*dask, "worker", address, *options], **silent) for _ in range(n_workers)]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(n_workers, timeout=60)
            yield client
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def sweeps(graph: Any, n_sweeps: int, note: Callable[[SweepReport], object], **options: Any) -> Clustering:
    """Cluster for some sweeps, whatever comes of it."""
    with no_convergence_warnings():
        return affinity_propagation(
            graph,
            preference=PREFERENCE,
            max_iter=n_sweeps,
            convergence_iter=n_sweeps + 1,
            reorder=False,
            refine=None,
            callback=note,
            **options,
        )


def sweep_seconds(graph: Any, **options: Any) -> tuple[float, Clustering]:
    """Return the median seconds of a sweep, and the result."""
    ends: list[float] = []
    result = sweeps(graph, N_SWEEPS, lambda report: ends.append(time.perf_counter()), **options)
    # The tenth is followed by a look at the exemplars, which reads the edges once more.
    return float(np.median(np.diff(ends[1:10]))), result


def computing_seconds(client: Client, begun: float, n_sweeps: int) -> float:
    """Return the seconds a sweep in which the busiest worker computed."""
    busy: dict[str, float] = {}
    for task in client.get_task_stream(start=begun):
        if "compact-sweep" in str(task["key"]):
            spent = sum(s["stop"] - s["start"] for s in task["startstops"] if s["action"] == "compute")
            busy[task["worker"]] = busy.get(task["worker"], 0.0) + spent
    return max(busy.values()) / n_sweeps


def cost(path: Path) -> None:
    """Print what a sweep takes, in rounds, side by side."""
    for _ in range(ROUNDS):
        threads, expected = sweep_seconds(str(path), n_jobs=2, memory_limit="16GB")
        print(f"2 threads: {threads:.3f} s a sweep", flush=True)
        taken = {}
        for n_workers in (1, 2):
            with cluster(n_workers) as client:
                client.get_task_stream()
                begun = time.time()
                taken[n_workers], result = sweep_seconds(str(path), client=client)
                computing = computing_seconds(client, begun, result.n_iter)
            assert (result.labels == expected.labels).all()
            assert result.net_similarity == expected.net_similarity
            print(
                f"{n_workers} workers: {taken[n_workers]:.3f} s a sweep, {computing:.3f} s of them "
                f"computing, {1000 * (taken[n_workers] - computing):.0f} ms beyond it",
                flush=True,
            )
        print(
            f"2 workers : 2 threads = {taken[2] / threads:.2f}; 1 worker : 2 workers = "
            f"{taken[1] / taken[2]:.2f}",
            flush=True,
        )


def flat(path: Path) -> None:
    """Print how many tasks the scheduler knows, and what every process holds, over 200 sweeps."""
    with cluster(2) as client:
        pids = client.run(lambda: psutil.Process().pid).values()
        watched = [psutil.Process(), *map(psutil.Process, pids)]

        def note(report: SweepReport) -> None:
            if report.sweep % 20 == 0:
                tasks = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
                held = ", ".join(f"{process.memory_info().rss / 1e6:.0f}" for process in watched)
                print(f"sweep {report.sweep}: {tasks} tasks; MB of client and workers: {held}", flush=True)

        sweeps(str(path), 200, note, client=client)


def moses(file: Path, path: Path) -> None:
    """Cluster the molecules to the end, in memory and on two workers."""
    if not path.exists():
        write_graph(moses_graph(file), path)
    for preference in (-1.0, -3.0):
        with cluster(2) as client:
            results = [timed(str(path), preference, client=client)]
        results += [timed(str(path), preference), timed(str(path), preference, reorder=False)]
        names = ("2 workers", "in memory", "in memory, not renumbered")
        for name, (result, seconds) in zip(names, results, strict=True):
            assert (result.labels == results[0][0].labels).all()
            assert result.net_similarity == results[0][0].net_similarity
            print(f"preference {preference:g}, {name}: {seconds:.1f} s, {result}", flush=True)


def timed(graph: Any, preference: float, **options: Any) -> tuple[Clustering, float]:
    start = time.perf_counter()
    return affinity_propagation(graph, preference=preference, **options), time.perf_counter() - start


def main(what: str, *arguments: str) -> None:
    if what == "moses":
        moses(Path(arguments[0]), Path(arguments[1]) / "moses.zarr")
        return
    n_points, degree, folder = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    path = folder / f"{n_points}x{degree}.zarr"
    if not path.exists():
        write(path, n_points, degree)
    {"cost": cost, "flat": flat}[what](path)


if __name__ == "__main__":
    main(*sys.argv[1:])
