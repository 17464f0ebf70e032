"""A run goes on after whatever ended it, and ends as if nothing had happened."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import disk
import killable
import numpy as np
import pytest
from samples import knn_similarity

from sparse_ap import CheckpointError, Clustering, InvalidInputError, RunInterrupted, affinity_propagation
from sparse_ap.graphs import open_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GRAPH = knn_similarity(1500, 12, 2, seed=1, dtype=np.float32)
OPTIONS = killable.OPTIONS


class StopError(Exception):
    pass


def bits(clustering: Clustering) -> tuple[Any, ...]:
    return clustering.labels.tobytes(), clustering.net_similarity, clustering.history


@functools.cache
def expected() -> tuple[Any, ...]:
    """What comes of a run that nothing ends."""
    return bits(affinity_propagation(GRAPH, **OPTIONS))


def stop_after(sweep: int) -> Any:
    def stop(report: Any) -> None:
        if report.sweep == sweep:
            raise StopError

    return stop


def interrupted(graph: Any, folder: Path, after: int, **options: Any) -> None:
    """Run with checkpoints until an exception after some sweep."""
    options = {**OPTIONS, "checkpoint": folder, "checkpoint_every": 10, **options}
    with pytest.raises(StopError):
        affinity_propagation(graph, callback=stop_after(after), **options)


@pytest.mark.parametrize("after", [1, 10, 11, 37, 60])
@pytest.mark.parametrize("reorder", [True, False])
def test_it_goes_on_to_the_same_bits(tmp_path: Path, after: int, reorder: bool) -> None:
    interrupted(GRAPH, tmp_path / "kept", after, reorder=reorder)
    assert len(list((tmp_path / "kept").glob("*"))) == min(2, (after - 1) // 10)
    seen: list[int] = []
    found = affinity_propagation(
        GRAPH,
        checkpoint=tmp_path / "kept",
        resume=True,
        callback=lambda report: seen.append(report.sweep),
        **OPTIONS,
    )
    assert bits(found) == expected()
    assert seen[0] == (after - 1) // 10 * 10 + 1


def test_from_memory_to_disk_and_with_other_threads(tmp_path: Path) -> None:
    path = disk.write(tmp_path / "graph.zarr", GRAPH)
    interrupted(GRAPH, tmp_path / "kept", 25, n_jobs=1)
    options = {**OPTIONS, "checkpoint": tmp_path / "kept", "resume": True}
    assert bits(affinity_propagation(open_graph(path), n_jobs=2, **options)) == expected()


def test_a_run_that_has_ended_ends_again(tmp_path: Path) -> None:
    options = {"preference": -0.02, "checkpoint": tmp_path / "kept", "checkpoint_every": 1}
    first = affinity_propagation(GRAPH, **options)
    assert first.converged
    again = affinity_propagation(GRAPH, resume=True, **options)
    assert bits(first) == bits(again)


def test_more_sweeps_can_be_allowed(tmp_path: Path) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "kept", "checkpoint_every": 15}
    affinity_propagation(GRAPH, **{**options, "max_iter": 30})
    assert bits(affinity_propagation(GRAPH, resume=True, **options)) == expected()


@pytest.mark.parametrize("seed", range(16))
def test_a_run_cut_off_goes_on_as_if_it_had_not_been(tmp_path: Path, seed: int) -> None:
    """What is looked at only because the run ends there must not be remembered."""
    graph = knn_similarity(60, 6, 2, seed=seed, dtype=np.float32)
    options: dict[str, Any] = {"preference": -0.3, "checkpoint": tmp_path, "checkpoint_every": 1}
    affinity_propagation(graph, max_iter=13, **options)
    found = affinity_propagation(graph, max_iter=40, resume=True, **options)
    assert bits(found) == bits(affinity_propagation(graph, preference=-0.3, max_iter=40))


def test_new_checkpoints_outlive_damaged_ones(tmp_path: Path) -> None:
    for sweep in (90, 100):
        (tmp_path / f"sweep-{sweep:08d}.npz").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(StopError):
        affinity_propagation(
            GRAPH, checkpoint=tmp_path, checkpoint_every=10, resume=True, callback=stop_after(25), **OPTIONS
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep-00000010.npz", "sweep-00000020.npz"]


def test_without_a_checkpoint_it_begins(tmp_path: Path) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "none", "resume": True}
    assert bits(affinity_propagation(GRAPH, **options)) == expected()


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for spoil in ("cut", "flip", "empty"):
        for path in folder.glob("*"):
            path.unlink()
        interrupted(GRAPH, folder, 35)
        newest = folder / "sweep-00000030.npz"
        content = bytearray(newest.read_bytes())
        if spoil == "flip":
            content[len(content) // 2] ^= 1
        newest.write_bytes({"cut": content[:-500], "flip": content, "empty": b""}[spoil])
        with pytest.warns(UserWarning, match=f"The checkpoint {re.escape(str(newest))} is damaged"):
            found = affinity_propagation(GRAPH, checkpoint=folder, resume=True, **OPTIONS)
        assert bits(found) == expected()


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({"preference": -0.03}, "preference, preference_quantile or random_state (--seed) is another."),
        ({"random_state": 1}, "preference, preference_quantile or random_state (--seed) is another."),
        ({"damping": 0.6}, "damping was None and is 0.6."),
        ({"tol": 0.1}, "tol was 0.0001 and is 0.1."),
        ({"convergence_iter": 20}, "convergence_iter was 59 and is 20."),
    ],
)
def test_other_parameters_are_refused(tmp_path: Path, options: Any, differs: str) -> None:
    interrupted(GRAPH, tmp_path, 15)
    with pytest.raises(CheckpointError, match=re.escape(f"sweep-00000010.npz is of another run: {differs}")):
        affinity_propagation(GRAPH, checkpoint=tmp_path, resume=True, **{**OPTIONS, **options})


def test_another_graph_is_refused(tmp_path: Path) -> None:
    interrupted(GRAPH, tmp_path, 15)
    other = GRAPH.copy()
    other.data[77] *= 1.01
    text = (
        "is of another run: the graph has as many points and edges, but other ones or other similarities. G"
    )
    with pytest.raises(CheckpointError, match=text):
        affinity_propagation(other, checkpoint=tmp_path, resume=True, **OPTIONS)
    n = GRAPH.shape[0]
    smaller = GRAPH[: n - 1, : n - 1]
    with pytest.raises(
        CheckpointError, match=rf"another run: number of points was {n} and is {n - 1}; num"
    ) as e:
        affinity_propagation(smaller, checkpoint=tmp_path, resume=True, **OPTIONS)
    assert "similarities" not in str(e.value)


def test_a_resumed_run_says_so(tmp_path: Path, capsys: Any) -> None:
    interrupted(GRAPH, tmp_path, 15)
    capsys.readouterr()
    affinity_propagation(GRAPH, checkpoint=tmp_path, resume=True, verbose=True, **OPTIONS)
    assert "Resumed after sweep 10." in capsys.readouterr().err
    affinity_propagation(GRAPH, verbose=True, **OPTIONS)
    assert "Resumed" not in capsys.readouterr().err


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"^resume=True needs checkpoint, the folder"):
        affinity_propagation(GRAPH, resume=True)
    with pytest.raises(InvalidInputError, match=r"^checkpoint was given with scheme='classic'"):
        affinity_propagation(GRAPH, checkpoint=tmp_path, scheme="classic")
    with pytest.raises(InvalidInputError, match=r"^checkpoint_every=0; it must be at least 1"):
        affinity_propagation(GRAPH, checkpoint=tmp_path, checkpoint_every=0)
    interrupted(GRAPH, tmp_path, 15)
    text = f"{tmp_path} holds checkpoints of an earlier run, the newest being sweep-00000010.npz. Give resume"
    with pytest.raises(CheckpointError, match=re.escape(text)):
        affinity_propagation(GRAPH, checkpoint=tmp_path, **OPTIONS)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_sweep(tmp_path: Path, which: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def send(report: Any) -> None:
        if report.sweep == 17:
            os.kill(os.getpid(), which)

    text = (
        f"Stopped by {which.name} after sweep 17; the state is in {tmp_path}. To go on, give the same graph "
        "and parameters with resume=True (--resume)."
    )
    with pytest.raises(RunInterrupted, match=f"^{re.escape(text)}$"):
        affinity_propagation(GRAPH, checkpoint=tmp_path, callback=send, **OPTIONS)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert bits(affinity_propagation(GRAPH, checkpoint=tmp_path, resume=True, **OPTIONS)) == expected()


def test_other_threads_have_no_signals(tmp_path: Path) -> None:
    found: list[Clustering] = []
    run = threading.Thread(
        target=lambda: found.append(affinity_propagation(GRAPH, checkpoint=tmp_path, **OPTIONS))
    )
    run.start()
    run.join()
    assert bits(found[0]) == expected()


def kill_at(moments: list[int], given: list[str]) -> int:
    """Begin a run, or go on, and kill it a little after each of the moments; return how many were killed."""
    rng = np.random.default_rng(0)
    n_killed = 0
    for moment in moments:
        process, told = killable.started(*given)
        while True:
            sweep = told.recv()
            if sweep == killable.SAVING or (moment != killable.SAVING and sweep >= moment):
                break
        time.sleep(rng.uniform(0, 0.005))
        process.kill()
        process.join()
        told.close()
        n_killed += process.exitcode == -signal.SIGKILL
    return n_killed


def require_the_same_end(moments: list[int], folder: Path) -> None:
    """One run, killed again and again at moments spread over its course, ends with the same bits."""
    path, result = disk.write(folder / "graph.zarr", GRAPH), folder / "result.npz"
    given = [str(path), str(folder / "kept"), str(result)]
    assert kill_at(moments, given) >= len(moments) - 1
    subprocess.run([sys.executable, killable.__file__, *given], check=True)
    with np.load(result) as saved:
        assert saved["labels"].tobytes() == expected()[0]
        assert float(saved["net_similarity"]) == expected()[1]


def test_killed_at_a_few_moments_it_goes_on(tmp_path: Path) -> None:
    """In the first sweep, on both sides of a checkpoint, in the last sweep, and while the result is saved."""
    require_the_same_end([1, 29, 30, 31, 59, killable.SAVING], tmp_path)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    require_the_same_end([*np.linspace(1, 59, 25).astype(int).tolist(), killable.SAVING], tmp_path)
