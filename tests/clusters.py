"""Real dask clusters for tests: a scheduler and workers, each a process of its own, started as users do.

    with running(2) as cluster:
        affinity_propagation(graph, client=cluster.client)
        cluster.workers[0].kill()
        cluster.start_worker()

Nothing of it waits for ever, and nothing is left behind: the processes are killed at the end of the block.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client, Worker

# Seconds until a scheduler or a worker must be there.
READY = 60.0
# Seconds of work that nobody waits for.
LONG = 4.0


@dataclass(eq=False)
class Started:
    """A process in a group of its own, and the file that its output goes to."""

    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """Kill it with all that it has started (SIGKILL), and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(READY)

    def said(self) -> str:
        """Its output until now."""
        return self.log.read_text(errors="replace")


@dataclass(eq=False)
class WorkerProcess(Started):
    """A ``dask worker``: the worker itself, or the nanny that keeps one."""

    name: str
    client: Client

    def address(self) -> str | None:
        """The worker's address, as the scheduler knows it; None while it is not there."""
        for address, found in scheduler_view(self.client)["workers"].items():
            if found["name"] == self.name:
                return str(address)
        return None

    def pid(self) -> int:
        """The process that computes: another one than ``popen.pid`` under a nanny."""
        found = self.client.run(os.getpid, workers=[self.address()])
        return int(next(iter(found.values())))

    def wait(self) -> WorkerProcess:
        """Wait until the scheduler knows it."""
        until(lambda: self.address() is not None, f"the worker {self.name}", self)
        return self


@dataclass(eq=False)
class RunningCluster:
    """A scheduler, its workers, and a client (which is not the default one)."""

    client: Client
    address: str
    scheduler: Started
    folder: Path
    environment: dict[str, str]
    n_threads: int
    memory: str
    nanny: bool
    workers: list[WorkerProcess] = field(default_factory=list)

    def start_worker(
        self, n_threads: int | None = None, memory: str | None = None, wait: bool = True
    ) -> WorkerProcess:
        """Start one more worker; with ``wait``, return when it is there."""
        name = f"worker-{len(self.workers)}"
        command = ["worker", self.address, "--name", name, "--no-dashboard", "--host", "127.0.0.1"]
        command += ["--nthreads", str(n_threads or self.n_threads), "--memory-limit", memory or self.memory]
        command += ["--nanny" if self.nanny else "--no-nanny", "--local-directory", str(self.folder / name)]
        popen, log = _start(command, self.folder / f"{name}.log", self.environment)
        worker = WorkerProcess(popen, log, name, self.client)
        self.workers.append(worker)
        return worker.wait() if wait else worker

    def living(self) -> list[WorkerProcess]:
        """The workers whose processes have not ended, the oldest first."""
        return [worker for worker in self.workers if worker.popen.poll() is None]

    def logs(self) -> str:
        """What every process has said."""
        return "\n".join(f"--- {p.log.name}\n{p.said()}" for p in (self.scheduler, *self.workers))


@contextlib.contextmanager
def running(
    n_workers: int,
    n_threads: int = 1,
    memory: str = "1GB",
    nanny: bool = False,
    **environment: str,
) -> Iterator[RunningCluster]:
    """Start a scheduler and workers, and yield them with a client when all are there.

    Parameters
    ----------
    n_workers, n_threads : int
        Worker processes, and threads of each.
    memory : str
        Of each worker: ``--memory-limit``.
    nanny : bool
        Whether each is kept, and started again, by a nanny.
    **environment : str
        Environment variables of the processes.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, contextlib.ExitStack() as stack:
        folder, found = Path(name), Path(name) / "scheduler.json"
        # Workers can import what tests send to them.
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment}
        command = ["scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
        # Should this process be killed, they end by themselves, the workers with their scheduler.
        command += ["--idle-timeout", "2 minutes"]
        popen, log = _start([*command, "--scheduler-file", str(found)], folder / "scheduler.log", environment)
        scheduler = Started(popen, log)
        stack.callback(scheduler.kill)
        until(lambda: _address_in(found) is not None, "the scheduler", scheduler)
        address = str(_address_in(found))
        client = Client(address, timeout=READY, set_as_default=False)
        stack.callback(_closed, client)
        cluster = RunningCluster(client, address, scheduler, folder, environment, n_threads, memory, nanny)
        stack.callback(lambda: [worker.kill() for worker in cluster.workers])
        for worker in [cluster.start_worker(wait=False) for _ in range(n_workers)]:
            worker.wait()
        yield cluster


def scheduler_view(client: Client) -> Any:
    """What the scheduler says of itself, all workers included, as of now."""
    return client.sync(client.scheduler.identity, n_workers=-1)


def import_what_workers_need() -> None:
    """Do in a worker what its first task would begin with."""
    import sparse_ap.execution.dask.tasks  # noqa: F401


def fail_or_take_long(pass_: Any, part: Any, *rest: Any) -> Any:
    """Fail over the first part of a graph, take long over others."""
    if part.rows.start == 0:
        raise ZeroDivisionError("the first part")
    time.sleep(LONG)


def throw(error: Exception) -> None:
    """Raise an error."""
    raise error


def until_there(path: str) -> None:
    """Go on until there is a file."""
    while not Path(path).exists():
        time.sleep(0.02)


def slowly(seconds: float, answer: Any) -> Any:
    """Answer after some time."""
    time.sleep(seconds)
    return answer


def read_part_twice(*args: Any) -> Any:
    """Do the work of a pass twice, on the same objects; the answers are the same to the bit."""
    from sparse_ap.execution.dask.tasks import read_part

    first, second = read_part(*args), read_part(*args)
    assert pickle.dumps(first) == pickle.dumps(second)
    return second


# What tests ask a scheduler, or have workers do.


def sizes_of_tasks(dask_scheduler: Any, keys: list[Any]) -> list[int]:
    return [dask_scheduler.tasks[key].nbytes for key in keys]


def keys_of_tasks(dask_scheduler: Any) -> set[Any]:
    return set(dask_scheduler.tasks)


def keys_of_passes(dask_scheduler: Any) -> list[Any]:
    return [key for key in dask_scheduler.tasks if isinstance(key, tuple)]


def paused(dask_worker: Worker) -> None:
    """Have a worker be paused, as if it were short of memory."""
    dask_worker.memory_manager.memory_pause_fraction = 1e-9


def unpaused(dask_worker: Worker) -> None:
    dask_worker.memory_manager.memory_pause_fraction = 0.8


def prefixes_of_tasks(dask_scheduler: Any) -> set[str]:
    return set(dask_scheduler.task_prefixes)


def ids_of_shuffles(dask_scheduler: Any) -> set[str]:
    found: set[str] = dask_scheduler.plugins["shuffle"].shuffle_ids()
    return found


def memory_limit(dask_worker: Any) -> int:
    return int(dask_worker.memory_manager.memory_limit)


def until(
    true: Callable[[], bool], what: str, process: Started | None = None, seconds: float = READY
) -> None:
    """Wait until something is so; fail when it is not in time, or when the process has ended."""
    deadline = time.monotonic() + seconds
    while not true():
        ended = process is not None and process.popen.poll() is not None
        if ended or time.monotonic() > deadline:
            said = process.said() if process is not None else ""
            raise AssertionError(f"No sign of {what} within {seconds:.0f} seconds. {said}")
        time.sleep(0.02)


def _start(
    command: list[str], log: Path, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start ``dask ...``; in a session of its own, so that Ctrl-C does not reach it and it can be killed."""
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    return popen, log


def _address_in(found: Path) -> str | None:
    """The address in a scheduler's file; None while it is not written, or half written."""
    try:
        return str(json.loads(found.read_text())["address"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _closed(client: Client) -> None:
    """Close a client, though its scheduler may be gone."""
    with contextlib.suppress(TimeoutError):
        client.close(timeout=5)
