"""Nothing that happens to a graph on disk goes into a result unseen."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from samples import knn_similarity
from zarr.storage import LocalStore, WrapperStore

from sparse_ap import Clustering, DamagedGraphError, affinity_propagation
from sparse_ap.graphs import open_graph, write_graph

GRAPH = knn_similarity(200, 6, 2, seed=1, dtype=np.float32)
OPTIONS: dict[str, Any] = {
    "preference": -0.02,
    "max_iter": 12,
    "tol": 0.9,
    "convergence_iter": 5,
    "n_jobs": 1,
    "refine": "medoid",
}


@functools.cache
def expected() -> Clustering:
    """What comes of a graph that nothing happens to."""
    return affinity_propagation(GRAPH, **OPTIONS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_graph(GRAPH, tmp_path / "graph.zarr").path


class FailingStore(WrapperStore[LocalStore]):
    """A store one of whose reads fails."""

    def __init__(self, path: Path, failing: int) -> None:
        super().__init__(LocalStore(path, read_only=True))
        self.failing = failing
        self.n_reads = 0

    async def get(self, key: str, *more: Any, **options: Any) -> Any:
        self.n_reads += 1
        if self.n_reads == self.failing:
            raise OSError(5, "Input/output error")
        return await super().get(key, *more, **options)


def run(store: FailingStore) -> Any:
    return affinity_propagation(open_graph(zarr.open_group(store, mode="r")), **OPTIONS)


def test_any_read_may_fail(path: Path) -> None:
    """Each in turn: a clear error, and the next run is right."""
    counting = FailingStore(path, 0)
    assert (run(counting).labels == expected().labels).all()
    assert counting.n_reads > 40
    told = 0
    for failing in range(1, counting.n_reads + 1):
        with pytest.raises(OSError, match="Input/output error") as error:
            run(FailingStore(path, failing))
        told += isinstance(error.value, DamagedGraphError)
    # But for the first few: zarr finding out what is there, before there is a graph.
    assert told >= counting.n_reads - 16
    assert (run(FailingStore(path, 0)).labels == expected().labels).all()


def chunks(path: Path) -> list[Path]:
    return sorted(file for name in ("data", "indices", "indptr") for file in (path / name / "c").rglob("*"))


def test_any_flipped_bit_is_seen(path: Path) -> None:
    rng = np.random.default_rng(0)
    for file in chunks(path):
        content = file.read_bytes()
        for bit in rng.choice(8 * len(content), 25, replace=False):
            spoilt = bytearray(content)
            spoilt[bit // 8] ^= 1 << bit % 8
            file.write_bytes(spoilt)
            with pytest.raises(DamagedGraphError, match=r"graph\.zarr/"):
                affinity_propagation(path, **OPTIONS)
            with pytest.raises(DamagedGraphError, match=r"graph\.zarr/"):
                affinity_propagation(open_graph(path), **OPTIONS)
        file.write_bytes(content)
    assert (affinity_propagation(path, **OPTIONS).labels == expected().labels).all()


@pytest.mark.parametrize("name", ["order", "ids"])
@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_order_and_names_are_guarded_too(tmp_path: Path, name: str, damage: str) -> None:
    table = tmp_path / "edges.tsv"
    table.write_text("".join(f"p{i}\tp{(i + j) % 50}\t{-j}\n" for i in range(50) for j in (1, 2, 3)))
    path = write_graph(table, tmp_path / "graph.zarr", order="rcm").path
    (file,) = (path / name / "c").iterdir()
    if damage == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[17] ^= 4
        file.write_bytes(content)
    with pytest.raises(DamagedGraphError, match=rf"graph\.zarr/{name}"):
        open_graph(path).names()


@pytest.mark.parametrize("damage", ["missing", "spoilt"])
def test_a_dense_array_is_guarded_too(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "dense.zarr"
    zarr.create_array(path, data=-np.random.default_rng(0).random((60, 60)), chunks=(16, 16))
    file = path / "c" / "2" / "1"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"spoilt")
    with pytest.raises(DamagedGraphError, match=r"dense\.zarr"):
        affinity_propagation(path, preference=-0.9)


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "long"])
def test_any_chunk_may_be_damaged(path: Path, damage: str) -> None:
    for file in chunks(path):
        content = file.read_bytes()
        file.unlink()
        if damage != "missing":
            file.write_bytes({"empty": b"", "short": content[:-3], "long": content + b"123"}[damage])
        for graph in (lambda: path, lambda: open_graph(path)):
            with pytest.raises(DamagedGraphError, match=r"graph\.zarr/"):
                affinity_propagation(graph(), **OPTIONS)
        file.write_bytes(content)
