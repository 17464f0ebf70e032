"""What every store and every runner must do: a new one joins by adding a subclass."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from conftest import knn_similarity

from sparse_ap.model import RowCut
from sparse_ap.passes.contract import COUNT, EXACT_SUM
from sparse_ap.runners.serial import SerialRunner
from sparse_ap.runners.threads import ThreadsRunner
from sparse_ap.stores import block_of
from sparse_ap.stores.memory import MemoryStore

GRAPH = knn_similarity(500, 7, 2, seed=11)


class StoreContract:
    """Blocks of any cut hold the graph's rows, and nothing can be changed through them unnoticed."""

    def store(self) -> Any:
        """Return a store that holds GRAPH."""
        raise NotImplementedError

    def test_type_and_rows(self) -> None:
        store = self.store()
        assert store.dtype == np.float32
        assert store.indptr.dtype == np.int64
        assert (store.indptr == GRAPH.indptr).all()

    @pytest.mark.parametrize("rows", [(0, 500), (0, 0), (17, 18), (499, 500), (120, 377)])
    def test_a_block_holds_its_rows(self, rows: tuple[int, int]) -> None:
        block = block_of(self.store(), RowCut(*rows))
        expected = GRAPH[rows[0] : rows[1]]
        assert block.rows == rows
        assert block.n_points == 500
        assert block.indices.dtype == np.int32
        assert block.data.dtype == np.float32
        assert (block.indptr - block.indptr[0] == expected.indptr).all()
        assert block.indptr[0] == GRAPH.indptr[rows[0]]
        assert (block.indices == expected.indices).all()
        assert (block.data == expected.data).all()

    def test_reading_again_gives_the_same(self) -> None:
        store = self.store()
        first, second = (block_of(store, RowCut(3, 90)) for _ in range(2))
        assert (first.data == second.data).all()


class TestMemoryStore(StoreContract):
    def store(self) -> Any:
        return MemoryStore.from_sparse(GRAPH)

    def test_a_canonical_graph_is_not_copied(self) -> None:
        graph = GRAPH.copy()
        graph.indices = graph.indices.astype(np.int32)
        store = MemoryStore.from_sparse(graph)
        assert np.shares_memory(store.data, graph.data)
        assert np.shares_memory(store.indices, graph.indices)


class InDegrees(NamedTuple):
    """Rows of the pass below."""

    out_degree: Any


class DegreePass:
    """Counts edges in every way a pass can: by row, by column (as count and as sum), in all."""

    column_reductions: ClassVar[Any] = (COUNT, EXACT_SUM)
    nothing = 0

    def __call__(self, block: Any, vectors: Any, rows: InDegrees, columns: Any) -> int:
        rows.out_degree[:] = np.diff(block.indptr)
        np.add.at(columns[0], block.indices, 1)
        np.add.at(columns[1], block.indices, vectors[0][block.indices])
        return len(block.data)


class FailingStore:
    """A store whose k-th read fails."""

    def __init__(self, failing: int) -> None:
        self._store = MemoryStore.from_sparse(GRAPH)
        self._left = failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, cuts: Any) -> Iterator[Any]:
        for block in self._store.read(cuts):
            self._left -= 1
            if self._left == 0:
                raise OSError(5, "the disk is gone")
            yield block


class RunnerContract:
    """Every row once, every column's total, the tally: for any cut; and errors come through."""

    @contextmanager
    def runner(self) -> Iterator[Any]:
        """Yield a runner."""
        raise NotImplementedError
        yield

    @pytest.mark.parametrize("n_cuts", [1, 2, 40])
    def test_rows_columns_and_tally(self, n_cuts: int) -> None:
        bounds = np.linspace(0, 500, n_cuts + 1).astype(int).tolist()
        cuts = [RowCut(a, b) for a, b in itertools.pairwise(bounds)]
        rows = InDegrees(np.full(500, -1))
        weights = np.arange(500) / 4
        with self.runner() as runner:
            (count, total), tally = runner.run(
                DegreePass(), MemoryStore.from_sparse(GRAPH), cuts, (weights,), rows
            )
        in_degree = np.bincount(GRAPH.indices, minlength=500)
        assert (rows.out_degree == 7).all()
        assert (count == in_degree).all()
        assert (total == in_degree * weights).all()
        assert tally == GRAPH.nnz

    @pytest.mark.parametrize("failing", [1, 7, 20])
    def test_what_a_store_raises_comes_through(self, failing: int) -> None:
        cuts = [RowCut(25 * i, 25 * i + 25) for i in range(20)]
        rows = InDegrees(np.zeros(500, int))
        with self.runner() as runner, pytest.raises(OSError, match="the disk is gone"):
            runner.run(DegreePass(), FailingStore(failing), cuts, (np.ones(500),), rows)

    def test_it_can_be_used_again_after_an_error(self) -> None:
        rows = InDegrees(np.zeros(500, int))
        with self.runner() as runner:
            with pytest.raises(OSError, match="the disk is gone"):
                runner.run(DegreePass(), FailingStore(1), [RowCut(0, 500)], (np.ones(500),), rows)
            _, tally = runner.run(
                DegreePass(), MemoryStore.from_sparse(GRAPH), [RowCut(0, 500)], (np.ones(500),), rows
            )
        assert tally == GRAPH.nnz


class TestSerialRunner(RunnerContract):
    @contextmanager
    def runner(self) -> Iterator[Any]:
        yield SerialRunner()


class TestThreadsRunner(RunnerContract):
    @contextmanager
    def runner(self) -> Iterator[Any]:
        with ThreadsRunner(3) as threads:
            yield threads
