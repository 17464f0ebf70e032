"""How the package starts and stops: what is imported when, and what Ctrl-C does meanwhile."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import scipy.sparse
from internals import change
from same_bits import bits
from samples import knn_similarity

import sparse_ap
from sparse_ap import affinity_propagation
from sparse_ap.arguments import usable_threads
from sparse_ap.cli.commands import ImportedCommand, main

PACKAGE = Path(sparse_ap.__file__).parent
HEAVY = {
    "numpy",
    "scipy",
    "numba",
    "sklearn",
    "zarr",
    "dask",
    "distributed",
    "pandas",
    "psutil",
    "matplotlib",
}
# What a graph in memory does without.
ONLY_WHERE_USED = {
    "sklearn",
    "zarr",
    "dask",
    "distributed",
    "pandas",
    "matplotlib",
    "scipy.sparse.csgraph",
    "scipy.optimize",
}
COMMAND = [sys.executable, "-m", "sparse_ap"]
SCRIPT = [str(Path(sys.executable).parent / "sparse-ap")]
# What runs before Ctrl-C can end in one line, beside Python's own start.
UNGUARDED = {PACKAGE / "__init__.py", PACKAGE / "__main__.py", PACKAGE / "cli" / "__init__.py"}
UNGUARDED |= {PACKAGE / "cli" / "interrupts.py"}


def imported_by(code: str) -> set[str]:
    """Return what is imported in a new process after some code, without what the process is asked by."""
    code += "\nimport sys; print(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def processor_seconds(*command: str) -> float:
    """Return what a process has taken of the processors, the least of three."""
    return min(_processor_seconds(command) for _ in range(3))


def _processor_seconds(command: tuple[str, ...]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_command_line_starts_light(option: str) -> None:
    code = f"import sys; sys.argv[1:] = [{option!r}]; from sparse_ap.cli import main\ntry: main()"
    assert not imported_by(f"{code}\nexcept SystemExit: pass") & HEAVY
    assert processor_seconds(*COMMAND, option) < 0.3


def test_the_package_starts_light() -> None:
    assert not imported_by("import sparse_ap, sparse_ap.graphs, sparse_ap.plotting") & HEAVY
    assert processor_seconds(sys.executable, "-c", "import sparse_ap") < 0.5


def test_a_graph_in_memory_needs_neither_zarr_nor_dask() -> None:
    code = """
import numpy, scipy.sparse, sparse_ap
graph = scipy.sparse.csr_array(-numpy.ones((20, 20)))
sparse_ap.affinity_propagation(graph, preference=-3)
"""
    assert not imported_by(code) & ONLY_WHERE_USED


def test_a_search_in_memory_needs_neither_zarr_nor_dask() -> None:
    code = """
import numpy
from sparse_ap.graphs import knn_graph, radius_graph
points = numpy.random.default_rng(0).random((50, 3))
knn_graph(points, 4), radius_graph(points, -0.1)
"""
    assert not imported_by(code) & ONLY_WHERE_USED


@pytest.mark.parametrize("name", ["sparse_ap", "sparse_ap.graphs", "sparse_ap.plotting"])
def test_names_that_are_imported_late_are_all_the_names(name: str) -> None:
    """What type checkers see, what is listed, and what there is when it is asked for."""
    package = importlib.import_module(name)
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    for_checkers = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {
        alias.name: node.module
        for node in for_checkers.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module != name
    }
    modules = {"errors", "graphs", "plotting"} if name == "sparse_ap" else set()
    assert sorted(homes) == package.__all__
    assert set(dir(package)) == {*package.__all__, *modules}
    for public, home in homes.items():
        assert getattr(package, public) is getattr(importlib.import_module(str(home)), public)
    for module in modules:
        assert getattr(package, module) is importlib.import_module(f"{name}.{module}")
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = package.nothing_such
    with pytest.raises(ImportError):
        exec(f"from {name} import nothing_such")
    everything: dict[str, Any] = {}
    exec(f"from {name} import *", everything)
    assert everything.keys() - {"__builtins__"} == set(package.__all__)


def test_modules_of_earlier_pickles_are_there() -> None:
    code = "import sparse_ap, inspect; inspect.getmodule(0); inspect.stack()"
    assert not imported_by(code) & HEAVY
    for module, name in [("model", "Clustering"), ("model", "Outcome"), ("tree", "Hierarchy")]:
        earlier = pickle.loads(f"csparse_ap.{module}\n{name}\n.".encode())
        assert earlier is getattr(sparse_ap, name)


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    known = {
        "cluster",
        "convert",
        "cover",
        "demo",
        "extend",
        "info",
        "knn",
        "memberships",
        "outliers",
        "path",
        "predict",
        "radius",
        "rank",
        "tree",
    }
    assert sorted(main.commands) == sorted(known)
    for listed in main.commands.values():
        assert isinstance(listed, ImportedCommand)
        command = listed.load()
        assert command.name == listed.name
        assert listed.get_short_help_str(1000) == command.get_short_help_str(1000)
        assert listed.get_short_help_str(20) == command.get_short_help_str(1000)
        assert (listed.hidden, listed.deprecated) == (command.hidden, command.deprecated)
        assert listed.help == " ".join(inspect.cleandoc(str(command.help)).split("\n\n")[0].split())
        context = click.Context(main, info_name="sparse-ap")
        found = listed.make_context(str(listed.name), [], parent=context, resilient_parsing=True).command
        assert found is command


def interrupted(command: list[str], seconds: float) -> tuple[int, str]:
    """Press Ctrl-C some seconds after the start of a process; return its exit code and what it said."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.communicate()
    return process.returncode, said


def is_python_itself(code: int, said: str) -> bool:
    """Whether a process has ended before it could run the package: while Python starts and finds it.

    Before Python listens for Ctrl-C, the process is ended by the signal; then, by an error of Python's.
    """
    ours = {path for path in PACKAGE.rglob("*.py") if f'"{path}"' in said}
    return code in (-signal.SIGINT, 1) and ours <= UNGUARDED and "Aborted" not in said


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments of a run that goes on until it is interrupted."""
    path = tmp_path_factory.mktemp("start") / "graph.npz"
    scipy.sparse.save_npz(path, knn_similarity(3000, 12, 2, seed=0))
    return [
        "cluster",
        str(path),
        "--max-iter",
        "10000000",
        "--convergence-iter",
        "9999999",
        "--quiet",
    ]


def check_moments(arguments: list[str], moments: list[float], at_a_time: int = 1) -> None:
    """Interrupt a command at several moments: it ends with one line, wherever it is."""
    commands = itertools.cycle([[*COMMAND, *arguments], [*SCRIPT, *arguments]])
    with ThreadPoolExecutor(at_a_time) as pool:
        ends = dict(zip(moments, pool.map(interrupted, commands, moments), strict=True))
    late = {when: end for when, end in ends.items() if not is_python_itself(*end)}
    assert late
    assert {when: end for when, end in late.items() if end != (130, "Interrupted.\n")} == {}


def test_ctrl_c_ends_with_one_line(endless: list[str]) -> None:
    check_moments(endless, [0.15, 0.25, 0.4, 0.6, 0.9, 1.4])


@pytest.mark.slow
def test_ctrl_c_ends_with_one_line_at_any_moment(endless: list[str]) -> None:
    check_moments(endless, np.arange(0, 2, 0.02).tolist(), at_a_time=4)


SWALLOWED = """
import os, signal, time
from sparse_ap.cli.interrupts import end_at_once, raise_an_error

class Pressed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

end_at_once()
raise_an_error()
try:
    Pressed()
    time.sleep(20)
    print("lost")
except KeyboardInterrupt:
    print("ended")
"""


def test_ctrl_c_where_python_swallows_errors_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_no_more_threads_than_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = knn_similarity(3000, 12, 2, seed=0)
    assert usable_threads(1000) == usable_threads(-1)
    assert most_threads(graph, n_jobs=1000) == 0
    alone = bits(affinity_propagation(graph, preference=-0.02, n_jobs=1))
    change(monkeypatch, least_edges=512)
    if usable_threads(-1) > 1:
        assert 1 < most_threads(graph, n_jobs=1000) <= usable_threads(-1)
    assert bits(affinity_propagation(graph, preference=-0.02, n_jobs=1000)) == alone


def most_threads(graph: Any, **options: Any) -> int:
    """Return how many threads of the package there are at a time, beside the one that calls it."""
    seen = []

    def count(report: Any) -> None:
        seen.append(sum(thread.name.startswith("sparse_ap") for thread in threading.enumerate()))

    affinity_propagation(graph, preference=-0.02, callback=count, **options)
    return max(seen)
