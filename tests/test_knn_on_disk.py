"""The search for neighbours in files: as in memory to the bit, after kills, on a cluster."""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
import zarr
from click.testing import CliRunner
from distributed import Client, LocalCluster

from sparse_ap.cli.commands import main
from sparse_ap.errors import InvalidInputError, MemoryLimitError, RunInterrupted
from sparse_ap.graphs import knn_graph, read_graph
from sparse_ap.graphs.conversion.parquet_parts import ParquetRows
from sparse_ap.graphs.neighbours import search
from sparse_ap.graphs.neighbours.stages import FileStages
from sparse_ap.storage.mapped_arrays import created_array, mapped_array

K = 6
N_THREADS = 2


def some_points(kind: str) -> Any:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(60, 12))[rng.integers(60, size=3_000)] + 0.5 * rng.normal(size=(3_000, 12))
    points = points.astype(np.float32)
    if kind == "bits":
        return np.packbits(rng.random((3_000, 64)) < 0.2, axis=1)
    if kind == "odd ones":
        points[100:160], points[200:203], points[300] = points[0], 0, 1e6 * points[1]
    return points


CASES = [
    ("plain", "euclidean", None),
    ("plain", "cosine", "1-d"),
    ("odd ones", "euclidean", None),
    ("odd ones", "cosine", None),
    ("odd ones", "inner_product", None),
    ("bits", "tanimoto", None),
]


@pytest.fixture
def few_are_searched_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_EXACT_POINTS", 500)


def require_same(path: Path, expected: Any) -> None:
    """Compare a graph on disk with one in memory, to the bit."""
    expected = expected.copy()
    expected.sort_indices()
    written = read_graph(path)
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(written, name), getattr(expected, name))


@pytest.mark.usefixtures("few_are_searched_exactly")
@pytest.mark.parametrize(("kind", "metric", "similarity"), CASES)
def test_in_files_as_in_memory(kind: str, metric: str, similarity: Any, tmp_path: Path) -> None:
    points, path = some_points(kind), tmp_path / "graph.zarr"
    expected = knn_graph(points, K, metric=metric, similarity=similarity)
    written = knn_graph(points, K, metric=metric, similarity=similarity, output=path)
    require_same(path, expected)
    assert written.recall == read_graph(path).recall == expected.recall
    assert [entry.name for entry in tmp_path.iterdir()] == ["graph.zarr"]


def given(form: str, points: Any, folder: Path) -> Any:
    """Return points as people have them on disk."""
    if form == "zarr array":
        array = zarr.create_array(
            folder / "points.zarr", shape=points.shape, chunks=(700, 5), dtype="float32"
        )
        array[:] = points
        return array
    if form == "first rows of a file":
        np.save(folder / "points.npy", np.concatenate([points, points]))
        return np.memmap(folder / "points.npy", np.float32, "r", 128, points.shape)
    if form == "columns first":
        points = np.asfortranarray(points)
    np.save(folder / "points.npy", points.astype(np.float16) if form == "half precision" else points)
    mapped = np.load(folder / "points.npy", mmap_mode="c" if form == "copy on write" else "r")
    return mapped[::2] if form == "every second row" else mapped


FORMS = [
    "mapped",
    "zarr array",
    "columns first",
    "half precision",
    "copy on write",
    "every second row",
    "first rows of a file",
]


@pytest.mark.usefixtures("few_are_searched_exactly")
@pytest.mark.parametrize("form", FORMS)
def test_points_on_disk_in_every_form(form: str, tmp_path: Path) -> None:
    points = given(form, some_points("plain"), tmp_path)
    if form == "copy on write":
        # These changes are not in the file, and must be neither lost nor passed over.
        points[:50] = points[50:100]
    knn_graph(points, K, output=tmp_path / "graph.zarr")
    require_same(tmp_path / "graph.zarr", knn_graph(np.asarray(points), K))
    if form == "copy on write":
        np.testing.assert_array_equal(points[:50], points[50:100])


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_points_in_groups_of_rows_of_a_parquet_file(tmp_path: Path) -> None:
    points, source, path = some_points("plain"), tmp_path / "points.parquet", tmp_path / "graph.zarr"
    columns = {"number": range(3_000)} | {f"x{i}": column for i, column in enumerate(points.T)}
    columns["x3"] = points[:, 3].astype(np.float64)
    table = pyarrow.table(columns).rename_columns(["index", *list(columns)[1:]])
    pyarrow.parquet.write_table(table, source, row_group_size=700)
    done = CliRunner().invoke(main, ["knn", str(source), "-k", str(K), "-o", str(path)])
    assert done.exit_code == 0, done.output
    require_same(path, knn_graph(points.astype(np.float64), K))
    rows = ParquetRows(source, [f"x{i}" for i in range(12)])
    for part in (slice(690, 1500), slice(0, 3), slice(2_999, 3_000), slice(5, 5), slice(None)):
        np.testing.assert_array_equal(rows[part], points[part])


@pytest.mark.usefixtures("few_are_searched_exactly")
@pytest.mark.parametrize("after", [0, 2, 4, 5, 7])
def test_what_was_interrupted_goes_on(after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many steps the search is interrupted; these are not done again."""
    points, path = some_points("odd ones"), tmp_path / "graph.zarr"
    run, steps = FileStages.run, list[str]()

    def counted(self: FileStages, name: str, step: Any, *rest: Any) -> None:
        def begun() -> Any:
            if len(steps) == after:
                raise KeyboardInterrupt
            steps.append(name)
            return step()

        run(self, name, begun, *rest)

    monkeypatch.setattr(FileStages, "run", counted)
    with pytest.raises(RunInterrupted, match=r"is in .*\.graph\.zarr\.search; ask for the same again"):
        knn_graph(points, K, recall=0.99, output=path)
    assert len(steps) == after
    assert not path.exists()
    done, after = set(steps), 100
    steps.clear()
    knn_graph(points, K, recall=0.99, output=path)
    assert not done & set(steps)
    require_same(path, knn_graph(points, K, recall=0.99))
    assert [entry.name for entry in tmp_path.iterdir()] == ["graph.zarr"]


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_a_search_for_something_else_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, path = some_points("plain"), tmp_path / "graph.zarr"
    folder = tmp_path / ".graph.zarr.search"

    def interrupted(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FileStages, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            knn_graph(points, K, output=path)
    with pytest.raises(InvalidInputError, match=r"recall=0\.95, and now 0\.9\. Ask"):
        knn_graph(points, K, recall=0.9, output=path)
    with pytest.raises(InvalidInputError, match=r"points=[0-9]+, and now [0-9]+"):
        knn_graph(points + 1, K, output=path)
    changed = points.copy()
    changed[1_234, 5] += 1
    with pytest.raises(InvalidInputError, match="The points are not those of the search that did not end"):
        knn_graph(changed, K, output=path)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(InvalidInputError, match="Another process is searching"):
        knn_graph(points, K, output=path)
    os.close(lock)
    knn_graph(points, K, output=path)
    with pytest.raises(InvalidInputError, match="exists"):
        knn_graph(points, K, output=path)
    with monkeypatch.context() as patched:
        patched.setattr(FileStages, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            knn_graph(points, K, output=path, overwrite=True)
    # What was asked for before is not wanted any more.
    assert knn_graph(points, np.int64(K - 1), output=path, overwrite=True).n_edges == 3_000 * (K - 1)


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_a_folder_of_the_users_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / ".graph.zarr.search"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="is no folder of a search"):
        knn_graph(some_points("plain"), K, output=tmp_path / "graph.zarr")
    assert (folder / "mine.txt").read_text() == "mine"


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_what_is_refused(tmp_path: Path) -> None:
    points, path = some_points("plain"), tmp_path / "graph.zarr"
    with pytest.raises(MemoryLimitError, match=r"3,000 points on 1 threads needs 0\.50 GB, and 0\.40 GB"):
        knn_graph(points, K, output=path, memory_limit="400MB", n_jobs=1)
    with pytest.raises(InvalidInputError, match="'manhattan' was given for more than"):
        knn_graph(points, K, metric="manhattan", output=path)
    points[2_500, 3] = np.nan
    with pytest.raises(InvalidInputError, match="first in row 2500, column 3"):
        knn_graph(points, K, output=path)
    assert not list(tmp_path.iterdir())


def test_exact_graphs_are_written_too(tmp_path: Path) -> None:
    points = some_points("plain")
    written = knn_graph(points, K, output=tmp_path / "graph.zarr", memory_limit="2GB")
    expected = knn_graph(points, K)
    require_same(tmp_path / "graph.zarr", expected)
    assert str(written.recall) == "1, exact"
    np.testing.assert_array_equal(read_graph(written.path).missing_at_most, expected.missing_at_most)
    with pytest.raises(InvalidInputError, match="exists"):
        knn_graph(points, K, output=tmp_path / "graph.zarr")
    with pytest.raises(InvalidInputError, match="memory_limit, client and overwrite are for a graph"):
        knn_graph(points, K, memory_limit="2GB")


@pytest.mark.usefixtures("few_are_searched_exactly")
def test_the_command_searches_in_files(tmp_path: Path) -> None:
    points, path = some_points("plain"), tmp_path / "graph.zarr"
    for form in ("mapped", "zarr array"):
        given(form, points, tmp_path)
    expected = knn_graph(points, K)
    for number, name in enumerate(["points.npy", "points.zarr"]):
        path = tmp_path / f"{number}.zarr"
        arguments = ["knn", str(tmp_path / name), "-o", str(path), "-k", str(K), "--memory-limit", "2GB"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert f"recall      {expected.recall}\n" in result.output
        assert f"edges       {3_000 * K:,}\n" in result.output
        require_same(path, expected)
    arguments[3] = str(tmp_path / "graph.npz")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "graph.npz is an .npz file" in result.output
    result = CliRunner().invoke(main, ["knn", str(path), "-o", str(tmp_path / "other.zarr")])
    assert result.exit_code == 2
    assert "no zarr array of points" in result.output


@pytest.mark.slow
def test_the_command_searches_on_workers_of_its_own(tmp_path: Path) -> None:
    points = blobs(11_000, 12)
    np.save(tmp_path / "points.npy", points)
    command = [sys.executable, "-m", "sparse_ap", "knn", tmp_path / "points.npy", "-k", "5", "--quiet"]
    subprocess.run([*command, "--dask-workers", "1", "-o", tmp_path / "g.zarr"], check=True)
    require_same(tmp_path / "g.zarr", knn_graph(points, 5))


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "graph.zarr"
    np.save(tmp_path / "points.npy", blobs(15_000, 12))
    command = [
        sys.executable,
        "-m",
        "sparse_ap",
        "knn",
        tmp_path / "points.npy",
        "-o",
        path,
        "--recall",
        "0.99",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob(".graph.zarr.search/*.kept")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "ask for the same again to go on from it" in said
    assert subprocess.run(command, check=True, capture_output=True).returncode == 0
    require_same(path, knn_graph(blobs(15_000, 12), 15, recall=0.99))


def test_mapped_arrays_are_pickled_by_name(tmp_path: Path) -> None:
    array = created_array(tmp_path / "array.npy", (1000, 3), np.float32)
    array[:] = np.arange(3_000).reshape(1000, 3)
    assert len(pickle.dumps(array)) < 1000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)), array)
    # What is computed from it has no file of its own.
    for other in (array[5:9], array * 2):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(other)), other)
    read_only = mapped_array(tmp_path / "array.npy", writable=False)
    assert not pickle.loads(pickle.dumps(read_only)).flags.writeable


PROGRAM = """
import sys, numpy as np
from sparse_ap.graphs import knn_graph
points = np.load(sys.argv[1], mmap_mode="r")
knn_graph(points, 10, recall=0.97, output=sys.argv[2], n_jobs=2, memory_limit=sys.argv[3])
"""


def blobs(n: int, n_features: int) -> Any:
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(300, n_features)).astype(np.float32)
    return centres[rng.integers(300, size=n)] + 0.4 * rng.normal(size=(n, n_features)).astype(np.float32)


@pytest.mark.slow
def test_killed_again_and_again_the_search_ends_with_the_same_bits(tmp_path: Path) -> None:
    points, path = blobs(30_000, 16), tmp_path / "graph.zarr"
    np.save(tmp_path / "points.npy", points)
    command = [sys.executable, "-c", PROGRAM, tmp_path / "points.npy", path, "2GB"]
    rng, n_killed = np.random.default_rng(0), 0
    while not path.exists():
        process = subprocess.Popen(command)
        # Not before it has begun: then there is nothing to go on from.
        while process.poll() is None and not (tmp_path / ".graph.zarr.search").exists():
            time.sleep(0.01)
        try:
            process.wait(timeout=float(rng.uniform(0.2, 1)) * (1 + n_killed))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            n_killed += 1
        assert process.returncode in (0, -signal.SIGKILL)
    assert n_killed
    require_same(path, knn_graph(points, 10, recall=0.97))
    assert not (tmp_path / ".graph.zarr.search").exists()


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
def test_two_dask_workers_find_the_same_bits(metric: str, tmp_path: Path) -> None:
    points, path = blobs(30_000, 16), tmp_path / "graph.zarr"
    np.save(tmp_path / "points.npy", points)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True) as cluster,
        Client(cluster) as client,
    ):
        knn_graph(mapped, 10, metric=metric, output=path, client=client)
    require_same(path, knn_graph(points, 10, metric=metric))


@pytest.mark.parametrize("kind", ["all pairs", "k-d tree", "sparse"])
def test_a_search_in_memory_is_refused_if_it_does_not_fit(kind: str, tmp_path: Path) -> None:
    points: Any = some_points("plain")[:, : 3 if kind == "k-d tree" else None]
    points = scipy.sparse.csr_array(points) if kind == "sparse" else points
    way = "k-d tree" if kind == "k-d tree" else "all pairs"
    path = tmp_path / "graph.zarr"
    text = rf"3,000 points \({way}\) is in memory and needs 0\.\d\d GB, and 0\.40 GB are allowed\. Raise"
    with pytest.raises(MemoryLimitError, match=text):
        knn_graph(points, K, output=path, memory_limit="400MB")
    assert list(tmp_path.iterdir()) == []
    knn_graph(points, K, output=path, memory_limit="2GB")
    require_same(path, knn_graph(points, K))


@pytest.mark.slow
def test_parquet_is_not_held_in_memory(tmp_path: Path) -> None:
    """230 MB in four groups of rows, which take as much again as a file of the search."""
    points = blobs(600_000, 96)
    columns = {f"x{i}": points[:, i] for i in range(96)}
    source = tmp_path / "points.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), source, row_group_size=150_000)
    program = (
        "import sys; from pathlib import Path; from sparse_ap.cli.points import read_points;"
        "from sparse_ap.graphs.search_folder import points_on_disk;"
        "from sparse_ap.storage.mapped_arrays import hold_at_most; hold_at_most(250e6);"
        "points_on_disk(read_points(Path(sys.argv[1])).table, 'euclidean', Path(sys.argv[2]));"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", program, source, tmp_path]
    peak = 1024 * int(subprocess.run(command, check=True, capture_output=True).stdout)
    np.testing.assert_array_equal(np.load(tmp_path / "points.npy", mmap_mode="r")[::999], points[::999])
    assert peak < 500e6, f"{peak / 1e6:.0f} MB"


@pytest.mark.slow
def test_the_memory_limit_is_kept(tmp_path: Path) -> None:
    """The points, their codes and the lists take 600 MB, and the program .3 GB."""
    np.save(tmp_path / "points.npy", blobs(600_000, 96))
    files = [tmp_path / "points.npy", tmp_path / "graph.zarr"]
    # Of this process alone: ru_maxrss begins with what the parent holds.
    peak_of_it = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    program = PROGRAM.replace("0.97", "0.7") + peak_of_it
    command = [sys.executable, "-c", program, *files, "700MB"]
    peak = 1024 * int(subprocess.run(command, check=True, capture_output=True).stdout)
    assert peak < 700e6, f"{peak / 1e6:.0f} MB"
