"""How kernels are compiled, and where they are kept: in processes of their own."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sparse_ap.kernels import sorting
from sparse_ap.kernels.compilation import compilers, helper, kernel

PACKAGE = Path(sorting.__file__).parents[1]
RECORDED = """
from numba.core import event

recorder = event.RecordingListener()
event.register("numba:compile", recorder)
"""
CLUSTER = f"""{RECORDED}
import numpy as np
from sparse_ap import affinity_propagation
from sparse_ap.graphs import knn_graph

graph = knn_graph(np.random.default_rng(0).normal(size=(100, 2)), n_neighbors=5)
print(affinity_propagation(graph).n_clusters, "clusters,", "compiled" if recorder.buffer else "loaded")
"""


@kernel
def _total(values: np.ndarray, other: np.ndarray, sums: np.ndarray) -> None:
    sums[0] = 0.0
    for i in range(len(values)):
        sums[0] += values[i] * other[i]


def test_one_variant_for_arrays_that_can_be_written_to_and_those_that_cannot() -> None:
    values, sums = np.arange(5.0), np.empty(1)
    read_only = values.copy()
    read_only.flags.writeable = False
    for given in (values, read_only, np.broadcast_to(np.float64(2.0), 5)):
        _total(given, values, sums)
        assert sums[0] == (given * values).sum()
    assert not read_only.flags.writeable
    assert len(_total.dispatcher.signatures) == 1


@helper
def _half(number: int, times: int = 1) -> int:
    return number >> times


@kernel
def _halves(numbers: np.ndarray, halves: np.ndarray) -> None:
    for i in range(len(numbers)):
        halves[i] = _half(numbers[i]) + _half(i, times=3) + _half(_half(len(numbers)), 1)


def test_one_variant_of_a_helper_for_integers_of_all_sizes() -> None:
    numbers, halves = np.array([5, -7], np.int32), np.empty(2, np.int16)
    _halves(numbers, halves)
    assert halves.tolist() == [2, -4]
    assert sorted(map(str, _half._dispatcher.signatures)) == [
        "(int64, int64)", "(int64, omitted(default=1))",
    ]  # fmt: skip


def test_numba_has_the_methods_that_are_replaced() -> None:
    """With others helpers would be optimised again at each step: slower, and nothing else would tell."""
    part, others = compilers._Part, compilers.codegen
    replaced = {name for name in vars(part) if not name.startswith("__")}
    assert all(hasattr(part.__base__, name) for name in replaced - {"set_env"})
    assert hasattr(others.JITCPUCodegen, "set_env")
    assert "_values" in compilers.compiler.Flags.__base__.__slots__
    _halves(np.array([1], np.int32), np.empty(1, np.int16))
    kept = [overload.library for overload in _half._dispatcher.overloads.values()]
    assert kept
    assert all(isinstance(library, compilers._Part) for library in kept)


@kernel
def _order(keys: np.ndarray, room: np.ndarray) -> int:
    return sorting.ascending(keys, room)


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 33, 64, 65, 1000])
@pytest.mark.parametrize("n_distinct", [1, 3, 10**6])
def test_the_sort_is_stable(n: int, n_distinct: int) -> None:
    keys = np.random.default_rng(n).integers(0, n_distinct, n).astype(np.int32)
    room = np.empty((2, n), np.int64)
    order = room[_order(keys, room)]
    assert (order == np.argsort(keys, kind="stable")).all()


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A copy of the package, without compiled kernels, and an empty home folder."""
    shutil.copytree(PACKAGE, tmp_path / "site" / "sparse_ap", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "home").mkdir()
    return tmp_path


def run(installation: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with this installation as a user who can write to no folder that is closed."""
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("permissions do not stop root, and there is no setpriv")
        command = ("setpriv", "--bounding-set=-dac_override", sys.executable, *command)
    else:
        command = (sys.executable, *command)
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    own = {"PYTHONPATH": str(installation / "site"), "HOME": str(installation / "home")}
    return subprocess.run(
        command, cwd=installation / "home", env=outside | own | environment, capture_output=True, text=True
    )  # fmt: skip


def close(folder: Path, mode: int = 0o555) -> None:
    """Let nobody write to a folder."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(mode)


@pytest.fixture
def closed(installation: Path) -> Path:
    """An installation where nothing can be written."""
    close(installation / "site")
    close(installation / "home")
    return installation


def test_where_nothing_can_be_written_it_starts(closed: Path) -> None:
    done = run(closed, "-m", "sparse_ap", "--version")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_where_nothing_can_be_written_it_runs_and_says_so_once(closed: Path) -> None:
    done = run(closed, "-c", CLUSTER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("clusters, compiled\n")
    assert done.stderr.count("Kernels are compiled anew") == 1


@pytest.mark.slow
@pytest.mark.parametrize("where", ["beside the modules", "NUMBA_CACHE_DIR"])
def test_an_image_that_has_been_warmed_compiles_nothing(installation: Path, where: str) -> None:
    kernels = installation / "kernels"
    environment = {"NUMBA_CACHE_DIR": str(kernels)} if where == "NUMBA_CACHE_DIR" else {}
    assert run(installation, "-c", CLUSTER, **environment).stdout.endswith("compiled\n")
    close(installation / "site")
    if kernels.exists():
        close(kernels)
    # A home folder that can be written to, but is empty, does not come first.
    done = run(installation, "-c", CLUSTER, **environment)
    assert done.stdout.endswith("clusters, loaded\n")
    assert done.stderr == ""


SORT = """
import numpy as np
from sparse_ap.kernels.rows import canonical_block
from sparse_ap.kernels.block import Block, RowCut

edges = np.array([2, 1, 0], np.int32), np.array([1.0, 2.0, 3.0], np.float32)
block = Block(RowCut(3, 4), 4, np.array([0, 3]), *edges)
print(canonical_block(block).indices.tolist())
"""
TOLD_SORT = f'{RECORDED}{SORT}print("compiled" if recorder.buffer else "loaded")'


def test_a_kernel_is_compiled_anew_when_a_helper_in_another_module_changes(installation: Path) -> None:
    assert run(installation, "-c", SORT).stdout == "[0, 1, 2]\n"
    module = installation / "site" / "sparse_ap" / "kernels" / "sorting.py"
    text = module.read_text()
    module.write_text(text + "\n\n@helper\ndef ascending(keys, room):\n    for i in range(len(keys)):\n"
                      "        room[0, i] = i\n    return 0\n")  # fmt: skip
    assert run(installation, "-c", SORT).stdout == "[2, 1, 0]\n"


@pytest.mark.slow
def test_kernels_kept_of_types_that_are_gone_are_compiled_anew(installation: Path) -> None:
    """As after an update that has renamed a record."""
    assert run(installation, "-c", TOLD_SORT).stdout.endswith("compiled\n")
    gone = b"csparse_ap.kernels.block\nNoSuchClass\n."
    kept = [*installation.rglob("*.nbi")]
    assert kept
    for path in kept:
        path.write_bytes(pickle.dumps(numba.__version__) + gone)
    again = run(installation, "-c", TOLD_SORT)
    assert (again.stdout, again.stderr) == ("[0, 1, 2]\ncompiled\n", "")
    assert run(installation, "-c", TOLD_SORT).stdout.endswith("loaded\n")
