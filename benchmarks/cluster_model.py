"""Seconds and memory of a sweep on clusters nobody here has: a model, fed with rates measured here.

    python benchmarks/cluster_model.py            10^9 to 10^12 edges on 1 to 1,000 workers, with RATES
    python benchmarks/cluster_model.py measure    the rates, measured here and now
    python benchmarks/cluster_model.py check      the model against what benchmarks/cluster.py has measured

A sweep is: vectors and rows go out, parts are computed, shares are added in a tree, rows and totals come
back, the client takes them in. Each step is bytes over a bandwidth, or items times a cost. Steps of one
process follow each other; those of different workers are at the same time.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse
from cluster import cluster, sweep_seconds
from disk import blocks
from distributed import Client


@dataclass(frozen=True)
class Rates:
    """What things cost.

    Attributes
    ----------
    edge : float
        Seconds of one thread for an edge.
    point : float
        Seconds of one thread for a row.
    take_in : float
        Seconds of the client for damping a point's totals.
    read : float
        Bytes a second that a worker reads of a graph that does not fit into its memory.
    link : float
        Bytes a second between two processes, both busy with it.
    add : float
        Bytes a second at which shares are added.
    task : float
        Seconds of the scheduler for a task.
    exchange : float
        Seconds of a pass with nothing to do: messages to and fro.
    """

    edge: float
    point: float
    take_in: float
    read: float
    link: float
    add: float
    task: float
    exchange: float


@dataclass(frozen=True)
class Machine:
    """A cluster.

    Attributes
    ----------
    n_workers, n_threads : int
        Processes, and threads of each.
    memory : float
        Bytes of each.
    """

    n_workers: int
    n_threads: int
    memory: float


@dataclass(frozen=True)
class Traffic:
    """Bytes a point that travel in a sweep.

    Attributes
    ----------
    vectors : float
        To every worker.
    rows_out, rows_back : float
        Of every row, between the client and the worker that has it.
    share : float
        Of a column total, in the tree and back.
    """

    vectors: float = 4.0
    rows_out: float = 36.0
    rows_back: float = 28.0
    share: float = 8.0


@dataclass(frozen=True)
class Sweep:
    """Seconds of the steps of a sweep, and bytes held."""

    compute: float
    read: float
    out: float
    tree: float
    back: float
    client: float
    worker_memory: float
    client_memory: float

    @property
    def seconds(self) -> float:
        """All steps."""
        return max(self.compute, self.read) + self.beyond

    @property
    def beyond(self) -> float:
        """All steps but the computing."""
        return self.out + self.tree + self.back + self.client


def sweep(n_points: float, n_edges: float, machine: Machine, rates: Rates, traffic: Traffic) -> Sweep:
    """Predict a sweep."""
    slots = machine.n_workers * machine.n_threads
    # As the rows are cut: into blocks of two million edges, or, where threads would get none, smaller ones.
    n_blocks = n_edges / 2**21 if n_edges > slots * 2**21 else min(16 * slots, (n_edges + n_points) / 2**17)
    rounds = max(1, math.ceil(n_edges / slots / 128e6), math.ceil(n_points / slots / 4e6))
    n_tasks = min(slots * rounds, max(1, int(n_blocks)))
    # The client sends the vectors to two workers, and adds the last two sums.
    ends = min(2, machine.n_workers)
    levels = math.ceil(math.log2(machine.n_workers / ends))
    local_adds = max(0, n_tasks / machine.n_workers - 1)
    # One for each part, and another for its rows unless it is fetched whole; and the sums.
    alone = n_tasks == ends == machine.n_workers
    sums = local_adds * machine.n_workers + machine.n_workers - ends
    scheduled = n_tasks if alone else 2 * n_tasks + sums
    work = (n_edges * rates.edge + n_points * rates.point) / min(slots, n_tasks)
    vectors, share = traffic.vectors * n_points, traffic.share * n_points
    edges_each = 8 * n_edges / machine.n_workers
    fixed = 350e6 + n_points * (9 + 32 * machine.n_threads) + 80 * n_points / machine.n_workers
    room = 0.6 * machine.memory - fixed
    streamed = max(0.0, edges_each - max(0.0, room))
    local = local_adds * share / rates.add
    return Sweep(
        compute=work,
        read=streamed / rates.read,
        out=(ends * vectors + traffic.rows_out * n_points) / rates.link + levels * vectors / rates.link,
        tree=local + levels * (share / rates.link + share / rates.add) + rates.exchange,
        back=(ends * share + traffic.rows_back * n_points) / rates.link,
        client=n_points * rates.take_in + (ends - 1) * share / rates.add + scheduled * rates.task,
        worker_memory=fixed + edges_each - streamed,
        client_memory=(94 + 72) * n_points,
    )


# What `measure` and benchmarks/disk.py gave on the machine of docs/explanation/scaling.md.
RATES = Rates(
    edge=11.6e-9,
    point=114e-9,
    take_in=4.5e-9,
    read=0.57e9,
    link=1.86e9,
    add=5.95e9,
    task=2.1e-3,
    exchange=0.04,
)

# Points, edges, workers of one thread, and the seconds of a sweep that benchmarks/cluster.py measured.
MEASURED: list[tuple[float, float, int, float]] = [
    (1e6, 2e8, 1, 1.98),
    (1e6, 2e8, 2, 1.34),
    (1e7, 2e8, 1, 5.22),
    (1e7, 2e8, 2, 3.37),
]

# What would be done where vectors are the limit; shares of bytes that are left.
REMEDIES = {
    "as it is": Traffic(),
    "rows stay on workers": Traffic(rows_out=8, rows_back=8),
    "and shares of a tenth of the columns": Traffic(rows_out=8, rows_back=8, share=0.1 * 12),
    "and totals as changes of a tenth": Traffic(
        vectors=0.1 * 8, rows_out=0.1 * 12, rows_back=8, share=0.1 * 12
    ),
}


def grid_cut(machine: Machine, traffic: Traffic) -> Traffic:
    """Return the traffic where blocks are cut by columns too, as many strips as workers allow.

    A worker then has the vectors of its strip alone. Rows are computed by several workers: their best and
    second best values, and the winner, travel once more each way.
    """
    strips = max(1, round(math.sqrt(machine.n_workers)))
    return replace(
        traffic,
        vectors=traffic.vectors / strips,
        share=traffic.share / strips,
        rows_back=traffic.rows_back + 2 * 12,
    )


def table() -> None:
    """Print seconds of a sweep, of how many workers each is, and what limits it."""
    print("| edges | points | workers x threads | sweep, s | computing | vectors | worker, GB | client, GB |")
    print("|---|---|---|---|---|---|---|---|")
    for n_edges in (1e9, 1e10, 1e11, 1e12):
        for n_workers in (1, 10, 100, 1000):
            n_points = min(n_edges / 50, 2e9)
            machine = Machine(n_workers, 8, 128e9)
            found = sweep(n_points, n_edges, machine, RATES, Traffic())
            print(
                f"| {n_edges:.0e} | {n_points:.0e} | {n_workers} x 8 | {found.seconds:.1f} | "
                f"{max(found.compute, found.read):.1f} | {found.beyond:.1f} | "
                f"{found.worker_memory / 1e9:.0f} | {found.client_memory / 1e9:.0f} |"
            )


def remedies() -> None:
    """Print what remains of a sweep's exchange, with each remedy."""
    n_points, n_edges, machine = 2e8, 1e10, Machine(100, 8, 128e9)
    print(f"\n{n_edges:.0e} edges, {n_points:.0e} points, {machine.n_workers} workers:")
    for name, traffic in REMEDIES.items():
        found = sweep(n_points, n_edges, machine, RATES, traffic)
        print(f"  {name}: {found.beyond:.1f} s beyond {max(found.compute, found.read):.1f} s of computing")
    cut = sweep(n_points, n_edges, machine, RATES, grid_cut(machine, Traffic()))
    print(f"  cut by columns too: {cut.beyond:.1f} s")


def check() -> None:
    """Print the model beside measured points."""
    for n_points, n_edges, n_workers, seconds in MEASURED:
        # Both workers, the scheduler and the client share two processors here.
        found = sweep(n_points, n_edges, Machine(n_workers, 1, 8e9), RATES, Traffic())
        print(
            f"{n_points:.0e} points, {n_edges:.0e} edges, {n_workers} workers: {found.seconds:.2f} s "
            f"({found.beyond:.2f} beyond computing); measured {seconds:.2f} s: {found.seconds / seconds:.2f}"
        )


def measure() -> None:
    """Print the rates of this machine."""
    few, many = (sweep_of(n_points, degree) for n_points, degree in ((1_000_000, 8), (1_000_000, 40)))
    edge = (many - few) / 32e6
    point = (few - 8e6 * edge) / 1e6
    values, more = np.ones(10_000_000), np.ones(10_000_000)
    add = values.nbytes / best(lambda: np.add(values, more, out=values))
    with cluster(2) as client:
        link = values.nbytes / best(lambda: there_and_back(client, values)) * 2
        task = best(lambda: client.gather([client.submit(abs, i, pure=False) for i in range(1000)])) / 1000
        exchange = sweep_seconds(graph_of(10_000, 8), client=client)[0]
    print(f"Rates({edge=:.3g}, {point=:.3g}, {link=:.3g}, {add=:.3g}, {task=:.3g}, {exchange=:.3g})")


def graph_of(n_points: int, degree: int) -> Any:
    """Make up a graph in memory, its points near each other as in a graph written renumbered."""
    pieces = list(blocks(n_points, degree))
    return scipy.sparse.csr_array(
        (
            np.concatenate([piece.data for piece in pieces]),
            np.concatenate([piece.indices for piece in pieces]),
            np.arange(n_points + 1) * degree,
        ),
        shape=(n_points, n_points),
    )


def sweep_of(n_points: int, degree: int) -> float:
    """Return the seconds of a sweep in one thread."""
    return sweep_seconds(graph_of(n_points, degree), n_jobs=1)[0]


def there_and_back(client: Client, values: Any) -> None:
    """Send an array to a worker, and fetch it."""
    client.gather(client.scatter(values, direct=True, hash=False), direct=True)


def best(work: Callable[[], object]) -> float:
    """Return the least seconds of five times."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        measure()
    elif sys.argv[1:] == ["check"]:
        check()
    else:
        table()
        remedies()
