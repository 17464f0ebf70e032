"""From a shuffled table of edges with names to a graph on disk, within a limit of memory.

    python benchmarks/convert.py                      # 100 million edges, 2 GB
    python benchmarks/convert.py --edges 2e7 --folder /data
    python benchmarks/convert.py --writer             # the streaming writer alone

Prints edges a second, peak memory and the disk used. Needs duckdb: pip install 'sparse-ap[edges]'.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measure import peak_memory

from sparse_ap.graphs import write_graph

NEIGHBOURS = 20
# The table, what duckdb keeps of it and sorts, and the graph.
BYTES_AN_EDGE = 36 + 45 + 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", type=float, default=1e8)
    parser.add_argument("--memory-limit", default="2GB")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--writer", action="store_true", help="row blocks to disk, nothing else")
    options = parser.parse_args()
    n_edges = int(options.edges) // NEIGHBOURS * NEIGHBOURS
    require_room(options.folder, n_edges * (8 if options.writer else BYTES_AN_EDGE))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.writer:
            write_blocks(Path(folder), n_edges)
        else:
            convert(Path(folder), n_edges, options.memory_limit)


def require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed. Name another "
            "--folder, or fewer --edges."
        )


def convert(folder: Path, n_edges: int, memory_limit: str) -> None:
    table = folder / "edges.tsv"
    write_table(table, n_edges)
    print(f"table       {n_edges:,} edges, {table.stat().st_size / 1e9:.2f} GB")
    with DiskWatch(folder) as watch:
        start = time.perf_counter()
        command = ["convert", str(table), "-o", str(folder / "graph.zarr"), "--memory-limit", memory_limit]
        subprocess.run([sys.executable, "-m", "sparse_ap", *command], check=True)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"rate        {n_edges / seconds:,.0f} edges/s ({seconds:.1f} s)")
    print(f"peak RSS    {peak / 1e9:.2f} GB of {memory_limit}")
    print(f"disk        {(watch.peak - table.stat().st_size) / 1e9:.2f} GB at most beside the table")


def write_table(path: Path, n_edges: int) -> None:
    """Write edges of a graph with locality, in random order, a tenth of them anywhere."""
    n_points = n_edges // NEIGHBOURS
    step = coprime(n_edges)
    with path.open("wb") as file:
        for start in range(0, n_edges, 2**20):
            edge = np.arange(start, min(start + 2**20, n_edges), dtype=np.int64)
            rng = np.random.default_rng(start)
            row = (edge * step + 17) % n_edges // NEIGHBOURS
            near = (row + rng.integers(1, 60, len(row))) % n_points
            column = np.where(rng.random(len(row)) < 0.1, rng.integers(0, n_points, len(row)), near)
            score = np.round(rng.uniform(20, 2000, len(row)), 2)
            lines = zip(names(row), names(column), score.tolist(), strict=True)
            file.write("".join([f"UPI{a:010X}\tUPI{b:010X}\t{s}\n" for a, b, s in lines]).encode())


def coprime(n: int) -> int:
    step = 982_451_653
    while np.gcd(step, n) != 1:
        step += 2
    return step


def names(points: np.ndarray) -> list[int]:
    """Scatter the numbers, so that the order of the names is not that of the neighbours."""
    return [point * 2_654_435_761 % 2**32 for point in points.tolist()]


def write_blocks(folder: Path, n_edges: int) -> None:
    n_points = n_edges // NEIGHBOURS

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        rows = 50_000
        near = np.tile(np.arange(1, NEIGHBOURS + 1, dtype=np.int32), rows)
        similarities = -np.random.default_rng(0).random(rows * NEIGHBOURS, np.float32)
        for start in range(0, n_points, rows):
            count = min(rows, n_points - start) * NEIGHBOURS
            of = np.repeat(np.arange(start, start + rows, dtype=np.int32), NEIGHBOURS)
            yield (
                np.full(count // NEIGHBOURS, NEIGHBOURS),
                ((of + near) % n_points)[:count],
                similarities[:count],
            )

    produced = time.perf_counter()
    for _ in blocks():
        pass
    produced = time.perf_counter() - produced
    start = time.perf_counter()
    write_graph(blocks(), folder / "graph.zarr", n_points=n_points)
    seconds = time.perf_counter() - start
    peak = peak_memory()
    print(
        f"writer      {n_edges * 8 / 1e6 / (seconds - produced):,.0f} MB/s ({seconds:.1f} s, "
        f"{produced:.1f} s of them making blocks)"
    )
    print(f"peak RSS    {peak / 1e9:.2f} GB")


class DiskWatch:
    """Notes the most that a folder takes while something runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.peak, self._over = folder, 0, threading.Event()

    def __enter__(self) -> DiskWatch:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            done = subprocess.run(
                ["du", "-sB1", str(self.folder)], capture_output=True, text=True, check=False
            )
            self.peak = max(self.peak, int(done.stdout.split()[0]))


if __name__ == "__main__":
    main()
