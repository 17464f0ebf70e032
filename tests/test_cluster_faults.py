"""Whatever happens to a cluster in the middle of a run: the same bits, or an error in bounded time."""

from __future__ import annotations

import functools
import gc
import operator
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import clusters
import disk
import numpy as np
import psutil
import pytest
import scipy.sparse
from clusters import RunningCluster, running, until
from distributed import Client, get_task_stream
from distributed.comm.core import FatalCommClosedError
from distributed.comm.tcp import TCPConnector
from internals import change
from same_bits import bits
from samples import knn_similarity

from sparse_ap import ClusterError, Clustering, affinity_propagation
from sparse_ap.execution.dask.executor import DaskExecutor
from sparse_ap.execution.dask.transfer import LostError, Transfer
from sparse_ap.execution.dask.workers import Workers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OPTIONS: dict[str, Any] = {
    "preference": -0.001,
    "max_iter": 20,
    "convergence_iter": 19,
    "refine": "medoid",
}
# The same for the command line, which leaves nothing out in the end.
COMMAND = {"--preference": -0.001, "--max-iter": 20, "--convergence-iter": 19}
# Seconds after which a run hangs.
HANGS = 90.0
# When something happens: as a pass begins, or some seconds later. The first pass opens the parts.
MOMENTS = [
    ("StatisticsPass", 1, 0.0),
    ("StatisticsPass", 1, 0.01),
    ("EdgeSummaryPass", 1, 0.0),
    ("SupportBoundPass", 1, 0.005),
    ("CompactSweep", 1, 0.0),
    ("CompactSweep", 5, 0.01),
    ("CompactSweep", 9, 0.03),
    ("CompactSweep", 14, 0.06),
    ("AssignmentPass", 1, 0.0),
    ("MedoidPass", 1, 0.02),
]


@functools.cache
def large() -> scipy.sparse.csr_array:
    """A graph that several workers have work with."""
    return knn_similarity(60_000, 12, 2, seed=1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker has work to do, though the graph is small."""
    change(monkeypatch, least_edges=50_000, streamed_edges=50_000)


@pytest.fixture(scope="module")
def expected() -> tuple[Any, ...]:
    """What comes out in memory."""
    return bits(affinity_propagation(large(), **OPTIONS))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk.write(tmp_path_factory.mktemp("graph") / "graph.zarr", large())


@pytest.fixture
def pair(cluster: RunningCluster) -> RunningCluster:
    """A cluster of two workers."""
    return cluster


class Moments:
    """Lets something happen at moments of a run: a kind of pass, its number among those, and seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._events: dict[tuple[str, int], tuple[float, Callable[[], object], Callable[[], object]]] = {}
        self._seen: Counter[str] = Counter()
        self._timers: list[threading.Timer] = []
        original = DaskExecutor.run

        def run(executor: Any, pass_: Any, *args: Any) -> Any:
            self._begins(type(pass_).__name__)
            return original(executor, pass_, *args)

        monkeypatch.setattr(DaskExecutor, "run", run)

    def at(
        self,
        moment: tuple[str, int, float],
        action: Callable[[], object],
        before: Callable[[], object] = lambda: None,
    ) -> None:
        """Have something done at a moment; ``before`` is done as the pass begins."""
        name, number, delay = moment
        self._events[name, number] = delay, action, before

    def all_passed(self) -> bool:
        for timer in self._timers:
            timer.join(HANGS)
        return not self._events

    def _begins(self, name: str) -> None:
        self._seen[name] += 1
        if (name, self._seen[name]) not in self._events:
            return
        delay, action, before = self._events.pop((name, self._seen[name]))
        before()
        if not delay:
            action()
            return
        self._timers.append(threading.Timer(delay, action))
        self._timers[-1].start()


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    return Moments(monkeypatch)


def run(graph: Any, cluster: RunningCluster, **options: Any) -> Clustering:
    """Cluster a graph; fail where it takes for ever."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(affinity_propagation(graph, client=cluster.client, **OPTIONS, **options))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(HANGS)
    assert outcome, f"It hangs.\n{cluster.logs()}"
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def at_sweep(number: int, action: Callable[[], object]) -> Callable[[Any], None]:
    """A callback that does something after a sweep."""

    def callback(report: Any) -> None:
        if report.sweep == number:
            action()

    return callback


def killed(cluster: RunningCluster) -> None:
    """Kill the oldest worker."""
    cluster.living()[0].kill()


@pytest.mark.parametrize("in_memory", [pytest.param(False, marks=pytest.mark.slow), True])
def test_workers_are_killed_and_others_come(
    in_memory: bool, pair: RunningCluster, moments: Moments, path: Path, expected: Any
) -> None:
    def replaced() -> None:
        killed(pair)
        pair.start_worker(wait=False)

    def both_there() -> None:
        until(lambda: len(pair.client.nthreads()) == 2, "the worker in place of the one killed before")

    for moment in MOMENTS[in_memory::2]:
        moments.at(moment, replaced, before=both_there)
    assert bits(run(large() if in_memory else path, pair)) == expected
    assert moments.all_passed()


@pytest.mark.slow
@pytest.mark.parametrize("in_memory", [False, True])
def test_workers_are_killed_until_one_does_everything(
    in_memory: bool, pair: RunningCluster, moments: Moments, path: Path, expected: Any
) -> None:
    for worker in [pair.start_worker(wait=False) for _ in range(4)]:
        worker.wait()
    for moment in MOMENTS[1 - in_memory :: 2]:
        moments.at(moment, lambda: killed(pair))
    assert bits(run(large() if in_memory else path, pair)) == expected
    assert moments.all_passed()
    assert len(pair.client.nthreads()) == 1


@pytest.mark.slow
def test_nannies_start_workers_again(moments: Moments, path: Path, expected: Any) -> None:
    """One is killed; the other takes more than its memory limit, and its nanny kills it."""
    with running(2, memory="800MB", nanny=True) as cluster:
        first, second = cluster.workers
        pids = {worker.pid() for worker in cluster.workers}
        excess: list[Any] = []

        def exceed() -> None:
            address = [second.address()]
            task = cluster.client.submit(operator.mul, b"x", 800_000_000, workers=address, pure=False)
            excess.append(task)

        def gone() -> bool:
            return not pids & {process.pid for process in psutil.process_iter() if alive(process)}

        moments.at(("CompactSweep", 5, 0.01), lambda: os.kill(first.pid(), signal.SIGKILL))
        moments.at(("CompactSweep", 12, 0.0), exceed)
        # The run does not end before.
        moments.at(("CompactSweep", 16, 0.0), lambda: until(gone, "the worker's end", second))
        assert bits(run(path, cluster)) == expected
        assert moments.all_passed()
        until(lambda: len(cluster.client.nthreads()) == 2, "both workers again")


def test_no_worker_is_left(pair: RunningCluster, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_killed() -> None:
        change(monkeypatch, patience=2.0)
        killed(pair)
        killed(pair)
        since.append(time.monotonic())

    since: list[float] = []
    with pytest.raises(ClusterError, match=r"has had no workers that accept work for 2 seconds\. Start some"):
        run(path, pair, callback=at_sweep(5, all_killed))
    assert time.monotonic() - since[0] < 15


def test_waiting_for_workers_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    waiting = object.__new__(Workers)
    waiting._client = SimpleNamespace(status="running")  # type: ignore[assignment]
    waiting._scheduler, waiting._told = "tcp://node:8786", 0.0
    deadline = waiting.deadline()
    waiting._go_on_waiting(deadline)
    assert not caplog.records
    for _ in range(3):
        waiting._go_on_waiting(deadline - 3.5)
    assert [record.getMessage() for record in caplog.records] == [
        "Waiting for workers: the scheduler tcp://node:8786 has none that accept work. Start some: dask "
        "worker tcp://node:8786. The run ends if none comes in 60 seconds."
    ]


@pytest.mark.slow
def test_all_workers_are_killed_and_one_comes(pair: RunningCluster, path: Path, expected: Any) -> None:
    def replaced() -> None:
        killed(pair)
        killed(pair)
        pair.start_worker(wait=False)

    assert bits(run(path, pair, callback=at_sweep(5, replaced))) == expected


@pytest.mark.slow
def test_the_scheduler_is_killed_and_the_run_goes_on_elsewhere(
    tmp_path: Path, pair: RunningCluster, path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end() -> None:
        change(monkeypatch, patience=2.0)
        cluster.scheduler.kill()
        since.append(time.monotonic())

    kept = tmp_path / "kept"
    since: list[float] = []
    message = r"has not answered for 2 seconds\. With checkpoint=.* can be resumed on any other cluster"
    with running(1) as cluster:
        with pytest.raises(ClusterError, match=message):
            run(path, cluster, checkpoint=kept, checkpoint_every=5, callback=at_sweep(12, end))
        assert time.monotonic() - since[0] < 15
    assert sorted(file.name for file in kept.glob("*")) == ["sweep-00000005.npz", "sweep-00000010.npz"]
    shutil.copytree(kept, tmp_path / "copy")
    in_memory = affinity_propagation(large(), checkpoint=kept, resume=True, reorder=False, **OPTIONS)
    assert bits(in_memory) == expected
    elsewhere = run(path, pair, checkpoint=tmp_path / "copy", resume=True)
    assert bits(elsewhere) == expected


@pytest.mark.slow
def test_workers_join_and_leave(path: Path, expected: Any) -> None:
    with running(1) as cluster, get_task_stream(cluster.client) as tasks:
        addresses = [cluster.workers[0].address()]

        def change(report: Any) -> None:
            if report.sweep == 3:
                addresses.append(cluster.start_worker().address())
                # It has what it takes before the next sweep begins.
                cluster.client.run(clusters.import_what_workers_need, workers=addresses[1:])
                time.sleep(0.5)
            elif report.sweep == 12:
                cluster.client.retire_workers(addresses[:1])

        assert bits(run(path, cluster, callback=change)) == expected
    did = [(task["worker"], task["key"][0]) for task in tasks.data if "compact-sweep" in str(task["key"])]
    done_by = Counter(worker for worker, _ in did)
    # Three by the first alone, nine by both in two parts, eight by the second alone.
    assert done_by[addresses[0]] >= 3 + 4
    assert done_by[addresses[1]] >= 4 + 8
    assert {worker for worker, _ in did[-4:]} == {addresses[1]}


@pytest.mark.slow
def test_a_worker_that_hangs_is_given_up(moments: Moments, expected: Any) -> None:
    """It has not ended, and its connections are open; the scheduler gives it up after some time."""
    with running(2, DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="2s") as cluster:
        moments.at(("CompactSweep", 5, 0.01), lambda: cluster.workers[0].popen.send_signal(signal.SIGSTOP))
        assert bits(run(large(), cluster)) == expected
        assert moments.all_passed()


def test_tasks_may_run_twice(
    pair: RunningCluster, path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each pass, on the same objects."""
    change(monkeypatch, read_part=clusters.read_part_twice)
    assert bits(run(path, pair)) == expected


def parts_alone(cluster: RunningCluster) -> None:
    """Wait until its scheduler has no tasks but the two parts of a graph; fail with what else it has."""
    try:
        until(
            lambda: len(cluster.client.run_on_scheduler(clusters.keys_of_tasks)) == 2,
            "a scheduler of two parts",
            seconds=10,
        )
    except AssertionError as error:
        error.add_note(f"It has {cluster.client.run_on_scheduler(clusters.keys_of_tasks)}.")
        raise


@pytest.mark.parametrize(
    "how", ["its tasks are cancelled", pytest.param("its worker is gone", marks=pytest.mark.slow)]
)
def test_nothing_is_left_of_an_aborted_pass(
    how: str, pair: RunningCluster, path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks would go on beside those of the next attempt."""
    lost: list[LostError] = []
    fetch, client = Transfer.fetch, pair.client

    def losing(transfer: Transfer, futures: Any, owners: Any) -> Any:
        if not 5 <= len(told) + len(lost) < 8 or len(lost) == 3:
            return fetch(transfer, futures, owners)
        if how == "its tasks are cancelled":
            client.cancel(futures[:1])
        else:
            owners = {*owners, "tcp://127.0.0.1:1"}
            futures = [*futures, client.submit(time.sleep, 2, pure=False)]
        try:
            return fetch(transfer, futures, owners)
        except LostError as error:
            lost.append(LostError(str(error)))
            raise

    told: list[int] = []

    def callback(report: Any) -> None:
        told.append(report.sweep)
        if report.sweep in (4, 10):
            parts_alone(pair)

    monkeypatch.setattr(Transfer, "fetch", losing)
    # An error that an earlier test has caught may be kept by its own frames, and with it a graph's parts.
    gc.collect()
    gc.disable()
    try:
        assert bits(run(path, pair, callback=callback)) == expected
    finally:
        gc.enable()
    assert len(lost) == 3


def test_where_one_task_fails_the_others_are_let_go(
    pair: RunningCluster, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, read_part=clusters.fail_or_take_long)
    with pytest.raises(ZeroDivisionError) as caught:
        run(path, pair)
    began = time.monotonic()
    until(lambda: pair.client.run_on_scheduler(clusters.keys_of_passes) == [], "a scheduler without passes")
    assert time.monotonic() - began < clusters.LONG / 2
    assert str(caught.value) == "the first part"


class Unpacked:
    """Raises an error where it is unpickled."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return clusters.throw, (self.error,)


@pytest.mark.parametrize("error", [ValueError("no number"), KeyError("no name")])
def test_an_error_of_what_is_sent_is_no_lost_worker(error: Exception, pair: RunningCluster) -> None:
    transfer = Transfer(pair.client, Workers(pair.client))
    with pytest.raises(type(error), match=str(error)):
        transfer.send({str(pair.living()[-1].address()): {"sent": Unpacked(error)}})


@pytest.mark.parametrize("direct", [True, False])
def test_sending_to_a_worker_that_is_gone(direct: bool, pair: RunningCluster) -> None:
    transfer = Transfer(pair.client, Workers(pair.client))
    transfer._direct = direct
    with pytest.raises(LostError):
        transfer.send({"tcp://127.0.0.1:1": {"sent": 0}})
    assert transfer._direct == direct


@pytest.mark.slow
def test_a_worker_that_is_out_of_reach_is_sent_to_through_the_scheduler(
    pair: RunningCluster, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a firewall; the first one can be reached, so that it is not noticed at once."""
    behind = list(pair.client.nthreads())[-1].removeprefix("tcp://")
    connect = TCPConnector.connect
    tried: list[str] = []

    async def connected(self: Any, address: str, *args: Any, **options: Any) -> Any:
        if address == behind:
            tried.append(address)
            raise FatalCommClosedError("No way through")
        return await connect(self, address, *args, **options)

    monkeypatch.setattr(TCPConnector, "connect", connected)
    # A client that has no connections yet.
    with Client(pair.address, set_as_default=False) as client:
        assert bits(affinity_propagation(large(), client=client, **OPTIONS)) == expected
    assert tried


@pytest.mark.parametrize("n_paused", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_work_goes_on_where_workers_are_paused(
    n_paused: int, pair: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, patience=6.0)
    client = pair.client
    transfer = Transfer(client, Workers(client))
    owners = list(client.nthreads())[:n_paused]
    tasks = [client.submit(clusters.slowly, 2.0, owner, workers=[owner]) for owner in owners]
    until(lambda: sum(map(bool, client.processing().values())) == n_paused, "tasks at work")
    client.run(clusters.paused, workers=owners)
    try:
        until(lambda: len(client.sync(client.scheduler.ncores_running)) == 2 - n_paused, "paused workers")
        assert transfer.fetch(tasks, owners) == owners
    finally:
        client.run(clusters.unpaused, workers=owners)
        until(lambda: len(client.sync(client.scheduler.ncores_running)) == 2, "both workers at work")


def test_workers_that_are_paused_for_long_are_given_up(
    pair: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, patience=1.5)
    client = pair.client
    transfer = Transfer(client, Workers(client))
    owners = list(client.nthreads())
    task = client.submit(clusters.until_there, str(tmp_path / "end"), workers=owners[:1], pure=False)
    until(lambda: any(client.processing().values()), "a task at work")
    try:
        client.run(clusters.paused, workers=owners[:1])
        with pytest.raises(LostError, match=f"{owners[0]} went, or accepts no work"):
            transfer.fetch([task], owners)
        client.run(clusters.paused, workers=owners)
        with pytest.raises(ClusterError, match=r"no workers that accept work for 2 seconds\."):
            transfer.fetch([task], owners)
    finally:
        (tmp_path / "end").touch()
        client.run(clusters.unpaused)
        until(lambda: len(client.sync(client.scheduler.ncores_running)) == 2, "both workers at work")


def test_software_that_is_not_installed_here(pair: RunningCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, must_agree=("numpy", "imported-from-a-folder"))
    with pytest.raises(ClusterError) as caught:
        Workers(pair.client)
    assert str(caught.value) == (
        "The version of imported-from-a-folder here cannot be compared with the workers': it is not "
        "installed, but imported from a folder. Install it here as there (pip install)."
    )


def command(path: Path, output: Path, *options: str) -> list[str]:
    given = [str(word) for option in COMMAND.items() for word in option]
    return [sys.executable, "-m", "sparse_ap", "cluster", str(path), "-o", str(output), *given, *options]


def session_of(pid: int) -> list[psutil.Process]:
    """The living processes of a session."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == pid and alive(process)
        except ProcessLookupError:
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.full_search
@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_ctrl_c_ends_a_command_and_its_workers(tmp_path: Path, path: Path, keep: bool) -> None:
    kept, output = tmp_path / "kept", tmp_path / "labels.npz"
    options = ["--dask-workers", "2", "--checkpoint", str(kept), "--checkpoint-every", "5"]
    # A terminal sends SIGINT to every process of the command.
    process = subprocess.Popen(
        command(path, output, *(options if keep else options[:2])),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if keep:
            until(lambda: (kept / "sweep-00000005.npz").exists(), "the first checkpoint")
        else:
            until(lambda: len(session_of(process.pid)) >= 4, "the workers")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=HANGS)
        until(lambda: not session_of(process.pid), "the end of the workers", seconds=10)
    finally:
        for left in session_of(process.pid):
            left.kill()
    assert process.returncode == 130
    if not keep:
        assert said == "Interrupted.\n"
        return
    assert said.startswith("Stopped by SIGINT after sweep")
    assert len(said.splitlines()) == 1
    resumed = subprocess.run(
        command(path, output, *options[2:], "--resume"), capture_output=True, text=True, timeout=HANGS
    )
    assert resumed.returncode == 3, resumed.stderr
    labels = affinity_propagation(large(), **{**OPTIONS, "refine": "auto"}).labels
    np.testing.assert_array_equal(np.load(output)["labels"], labels)
