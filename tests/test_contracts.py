"""What every store, executor and pass must do: a new one joins by adding a subclass, or a case."""

from __future__ import annotations

import importlib
import itertools
import pickle
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import dask
import dask.array
import disk
import numpy as np
import pytest
import scipy.sparse
import zarr
from dask.delayed import Delayed, delayed
from distributed import Client, LocalCluster
from samples import knn_similarity

import sparse_ap
from sparse_ap.execution.dask.executor import DaskExecutor
from sparse_ap.execution.executor import new_columns, read_blocks
from sparse_ap.execution.local import SerialExecutor, ThreadsExecutor
from sparse_ap.execution.renumbering import ReorderingPass
from sparse_ap.graphs import open_graph
from sparse_ap.kernels.assignment import (
    AssignmentPass,
    AssignmentRows,
    EvaluationPass,
    ExemplarVectors,
    RankedVectors,
)
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.classic import ClassicRows, ClassicSweep, ClassicVectors, Messages
from sparse_ap.kernels.coarsening import CoarseningPass, Links
from sparse_ap.kernels.compact import DIAGONAL, NOBODY, CompactRows, CompactSweep, CompactVectors
from sparse_ap.kernels.edge_pass import COUNT, EXACT_SUM, LabelVectors
from sparse_ap.kernels.edge_summary import BestRows, EdgeSummaryPass, OutDegreePass, OutDegreeRows
from sparse_ap.kernels.entry_statistics import ExaminingPass, StatisticsPass
from sparse_ap.kernels.equal_rows import ContradictionPass, HeldRowsPass, LinkPass, LinkVectors, RowEnds
from sparse_ap.kernels.equal_rows import GroupVectors as EqualVectors
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.kernels.grouping import (
    ContractionPass,
    GroupVectors,
    InnerPass,
    InnerRows,
    InsidePass,
    MovePass,
    MoveRows,
)
from sparse_ap.kernels.quantiles import HistogramPass
from sparse_ap.kernels.rows import Collected, CollectPass
from sparse_ap.kernels.support_bound import PreferenceRows, SupportBoundPass
from sparse_ap.propagation.assignment import ChosenVectors, MedoidPass
from sparse_ap.propagation.repair import (
    NominationPass,
    NominationRows,
    NominationVectors,
    RepairGainPass,
    UncoveredVectors,
)
from sparse_ap.propagation.representation.exemplar_edges import OtherExemplarsPass, OwnRows
from sparse_ap.search.bound import ProvenGainPass
from sparse_ap.search.crossover import ComponentPass, ComponentRows
from sparse_ap.search.dual_descent import DualStepPass, DualStepRows, OpenVectors
from sparse_ap.search.edge_lists import GatherPass, PlaceVectors, TableRows
from sparse_ap.search.moves import (
    ConflictPass,
    ConflictRows,
    ConflictVectors,
    GainPass,
    GainRows,
    NearestTwoPass,
    NearestTwoRows,
    NearestVectors,
)
from sparse_ap.search.reduction import AllowedVectors, DualRows, LeftEdges, ReductionPass
from sparse_ap.storage.dask_collections import open_collection
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.parts import ChangedStore, StreamedPart
from sparse_ap.storage.store import HeldPart, block_of

GRAPH = knn_similarity(500, 7, 2, seed=11)
# Rows without edges, ties, and not every column a row.
SCATTERED = scipy.sparse.csr_array(GRAPH.multiply((np.arange(500) % 9 > 0)[:, None]))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster in this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


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


class PartContract:
    """Rows for another process are the blocks that the store reads, held there or not."""

    def store(self, folder: Path, client: Client) -> Any:
        """Return a store."""
        raise NotImplementedError

    def cuts(self, store: Any) -> tuple[RowCut, ...]:
        """Return consecutive blocks."""
        return tuple(RowCut(a, b) for a, b in itertools.pairwise([120, 130, 131, 300, 499]))

    @pytest.mark.parametrize("hold", [True, False])
    def test_a_part_is_what_the_store_reads(self, hold: bool, tmp_path: Path, client: Client) -> None:
        store = self.store(tmp_path, client)
        cuts = self.cuts(store)
        part = self.there(store.part(cuts, hold))
        assert part.rows == (cuts[0].start, cuts[-1].stop)
        for _ in range(2):
            seen = []
            for block, expected in zip(part.read(), map(_copy, store.read(cuts)), strict=True):
                assert block.rows == expected.rows
                assert block.n_points == expected.n_points
                assert block.data.dtype == store.dtype
                assert (np.diff(block.indptr) == np.diff(expected.indptr)).all()
                assert block.indices.tobytes() == expected.indices.tobytes()
                assert block.data.tobytes() == expected.data.tobytes()
                seen.append(block.rows)
            assert seen == list(cuts)

    @pytest.mark.parametrize("hold", [True, False])
    def test_it_is_held_where_that_is_asked_for(self, hold: bool, tmp_path: Path, client: Client) -> None:
        store = self.store(tmp_path, client)
        part = self.there(store.part(self.cuts(store), hold))
        assert isinstance(part, HeldPart if hold or self.always_held else StreamedPart)
        if isinstance(part, HeldPart):
            # Blocks of their own, not one memory that each is read into.
            kept = [_copy(block) for block in part.read()]
            assert all((a.data == b.data).all() for a, b in zip(part.blocks, kept, strict=True))

    always_held = False

    def there(self, part: Any) -> Any:
        """Return what the other process makes of it."""
        if isinstance(part, HeldPart):
            return pickle.loads(pickle.dumps(part))
        assert isinstance(part, Delayed)
        return dask.compute(part, scheduler="synchronous")[0]


def _copy(block: Any) -> Any:
    return pickle.loads(pickle.dumps(block))


class TestPartInMemory(PartContract):
    always_held = True

    def store(self, folder: Path, client: Client) -> Any:
        return MemoryStore.from_sparse(SCATTERED)


class TestPartOnDisk(PartContract):
    def store(self, folder: Path, client: Client) -> Any:
        # Chunks that end within blocks, and within rows.
        return open_graph(disk.write(folder / "graph.zarr", SCATTERED, chunks=100)).store


class TestPartOfDenseArray(PartContract):
    def store(self, folder: Path, client: Client) -> Any:
        values = SCATTERED.toarray()
        values[values == 0] = np.nan
        array = zarr.create_array(str(folder / "dense.zarr"), shape=(500, 500), chunks=(70, 90), dtype="f4")
        array[:] = values
        return open_graph(array, threshold=-0.004, top_k=5).store


class UntidyParts(PartContract):
    """Of a graph with a diagonal, duplicates and -inf, in no order."""

    graph: ClassVar[Any]

    def test_it_is_tidy(self, tmp_path: Path, client: Client) -> None:
        expected = MemoryStore.from_sparse(untidy()).canonical()
        store = self.store(tmp_path, client)
        for block in self.there(store.part(self.cuts(store), hold=False)).read():
            wanted = block_of(expected, block.rows)
            assert block.indices.tobytes() == wanted.indices.tobytes()
            assert block.data.tobytes() == wanted.data.tobytes()


def untidy() -> Any:
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 500, 4000), rng.integers(0, 60, 4000)
    values = np.where(rng.random(4000) < 0.1, -np.inf, -rng.integers(0, 5, 4000)).astype(np.float32)
    graph = scipy.sparse.csr_array((500, 500), dtype=np.float32)
    order = np.argsort(rows, kind="stable")
    graph.indices, graph.data = columns[order].astype(np.int32), values[order]
    graph.indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=500))]).astype(np.int32)
    return graph


class TestUntidyPartOnDisk(UntidyParts):
    def store(self, folder: Path, client: Client) -> Any:
        store = open_graph(disk.write(folder / "graph.zarr", untidy(), chunks=100)).store
        return ChangedStore(store)


class TestUntidyPartInMemory(UntidyParts):
    always_held = True

    def store(self, folder: Path, client: Client) -> Any:
        return ChangedStore(MemoryStore.from_sparse(untidy()))


class InChunks:
    """Blocks that are on a cluster already, which are parts as they are."""

    always_held = True

    def cuts(self, store: Any) -> tuple[RowCut, ...]:
        return tuple(store.divisions[1:4])


class ChunkedParts(InChunks, PartContract):
    def there(self, part: Any) -> Any:
        return self.client.compute(part).result(60)

    def chunked(self, graph: Any, client: Client) -> Any:
        self.client = client
        bounds = [0, 7, 8, 200, 430, 500]
        blocks = [
            dask.array.from_delayed(
                delayed(graph[a:b]), (b - a, 500), meta=scipy.sparse.csr_array((0, 0), dtype=graph.dtype)
            )
            for a, b in itertools.pairwise(bounds)
        ]
        return open_collection(dask.array.concatenate(blocks), client, client.gather)


class TestPartOfChunks(ChunkedParts):
    def store(self, folder: Path, client: Client) -> Any:
        return self.chunked(SCATTERED, client)


class TestUntidyPartOfChunks(ChunkedParts, UntidyParts):
    def store(self, folder: Path, client: Client) -> Any:
        return ChangedStore(self.chunked(untidy(), client))


class InDegrees(NamedTuple):
    """Rows of the pass below."""

    out_degree: Any


class DegreePass:
    """Counts edges in every way a pass can: by row, by column (as count and as sum), in all."""

    column_reductions: ClassVar[Any] = (COUNT, EXACT_SUM)
    reads = ()
    writes = ("out_degree",)
    nothing = 0

    def __call__(self, block: Any, vectors: Any, rows: InDegrees, columns: Any) -> int:
        rows.out_degree[:] = np.diff(block.indptr)
        np.add.at(columns[0], block.indices, 1)
        np.add.at(columns[1], block.indices, vectors[0][block.indices])
        return len(block.data)


class FailingStore:
    """A store that cannot read the block beginning with some row, here or in another process."""

    def __init__(self, row: int) -> None:
        self._store = MemoryStore.from_sparse(GRAPH)
        self._row = row

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._store, name)

    def read(self, cuts: Any) -> Iterator[Any]:
        for block in self._store.read(cuts):
            if block.rows.start == self._row:
                raise OSError(5, "the disk is gone")
            yield block

    def part(self, cuts: Any, hold: bool) -> Any:
        return delayed(StreamedPart, pure=False)(self, tuple(cuts))


class RunnerContract:
    """Every row once, every column's total, the tally: for any cut; and errors come through."""

    @contextmanager
    def executor(self) -> Iterator[Any]:
        """Yield an executor."""
        raise NotImplementedError
        yield

    @pytest.mark.parametrize("n_cuts", [1, 2, 40])
    def test_rows_columns_and_tally(self, n_cuts: int) -> None:
        bounds = np.linspace(0, 500, n_cuts + 1).astype(int).tolist()
        cuts = [RowCut(a, b) for a, b in itertools.pairwise(bounds)]
        rows = InDegrees(np.full(500, -1))
        weights = np.arange(500) / 4
        with self.executor() as executor:
            (count, total), tally = executor.run(
                DegreePass(), MemoryStore.from_sparse(GRAPH), cuts, (weights,), rows
            )
        in_degree = np.bincount(GRAPH.indices, minlength=500)
        assert (rows.out_degree == 7).all()
        assert (count == in_degree).all()
        assert (total == in_degree * weights).all()
        assert tally == GRAPH.nnz

    @pytest.mark.parametrize("failing", [0, 150, 475])
    def test_what_a_store_raises_comes_through(self, failing: int) -> None:
        cuts = [RowCut(25 * i, 25 * i + 25) for i in range(20)]
        rows = InDegrees(np.zeros(500, int))
        with self.executor() as executor, pytest.raises(OSError, match="the disk is gone"):
            executor.run(DegreePass(), FailingStore(failing), cuts, (np.ones(500),), rows)

    def test_it_can_be_used_again_after_an_error(self) -> None:
        rows = InDegrees(np.zeros(500, int))
        with self.executor() as executor:
            with pytest.raises(OSError, match="the disk is gone"):
                executor.run(DegreePass(), FailingStore(0), [RowCut(0, 500)], (np.ones(500),), rows)
            _, tally = executor.run(
                DegreePass(), MemoryStore.from_sparse(GRAPH), [RowCut(0, 500)], (np.ones(500),), rows
            )
        assert tally == GRAPH.nnz


class TestSerialRunner(RunnerContract):
    @contextmanager
    def executor(self) -> Iterator[Any]:
        yield SerialExecutor()


class TestThreadsRunner(RunnerContract):
    @contextmanager
    def executor(self) -> Iterator[Any]:
        with ThreadsExecutor(3) as threads:
            yield threads


class TestClusterRunner(RunnerContract):
    @pytest.fixture(autouse=True)
    def _of_the_cluster(self, client: Client) -> None:
        self.client = client

    @contextmanager
    def executor(self) -> Iterator[Any]:
        yield DaskExecutor(self.client)


GRID = Grid.for_totals(2000.0)
RNG = np.random.default_rng(3)
EXEMPLAR, UNCOVERED = RNG.random(500) < 0.1, RNG.random(500) < 0.4
USER_ID = RNG.permutation(500).astype(np.int32)
TOTAL = RNG.normal(size=500)
PREFERENCE, SUPPORT = -RNG.random(500) / 100, RNG.random(500)
# Each of the exemplars' own, the others anybody's; what they have is somewhere among the similarities.
FIRST = np.where(EXEMPLAR, np.arange(500), RNG.choice(np.flatnonzero(EXEMPLAR), 500)).astype(np.int32)
SECOND = RNG.choice([-1, *np.flatnonzero(EXEMPLAR)], 500).astype(np.int32)
VALUE = -RNG.random(500) / 500
FALLBACK = VALUE - RNG.random(500) / 500


def _csr_of(graph: scipy.sparse.csr_array) -> tuple[Any, Any, Any]:
    return graph.indptr.astype(np.int64), graph.indices.astype(np.int32), graph.data


def _compact_rows() -> CompactRows:
    """In the middle of a run: winners anywhere."""
    degree = np.diff(SCATTERED.indptr)
    edges = [np.minimum(RNG.integers(NOBODY, 7, 500), degree - 1).astype(np.int32) for _ in range(2)]
    edges[1][edges[0] == edges[1]] = NOBODY
    edges[0][::5] = DIAGONAL
    deltas = [-RNG.random(500).astype(np.float32) for _ in range(2)]
    mean = RNG.normal(size=500).astype(np.float32)
    own = np.zeros(500)
    return CompactRows(PREFERENCE, SUPPORT, own, mean, edges[0], deltas[0], edges[1], deltas[1])


def _messages() -> Messages:
    return Messages.at_rest(SCATTERED.nnz)


def _reordering() -> ReorderingPass:
    indptr = np.concatenate([[0], np.cumsum(np.diff(SCATTERED.indptr)[np.argsort(USER_ID)])])
    indices, data = np.zeros(SCATTERED.nnz, np.int32), np.full(SCATTERED.nnz, -np.inf, np.float32)
    return ReorderingPass(USER_ID, indptr, indices, data)


#: How each pass is made (some keep state of their own), and what it is given.
CASES: dict[str, Any] = {
    "DualStepPass": (
        lambda: DualStepPass(0.01, 0.009, 0.4, GRID, GRID, GRID),
        OpenVectors(SUPPORT),
        DualStepRows(PREFERENCE, VALUE, 1.0 + SUPPORT, np.zeros(500), VALUE - 0.01),
    ),
    "ProvenGainPass": (lambda: ProvenGainPass(GRID), (), DualRows(PREFERENCE)),
    "ReductionPass": (lambda: ReductionPass(9_999), AllowedVectors(SUPPORT), DualRows(VALUE)),
    "LinkPass": (lambda: LinkPass(float(GRAPH.data.max())), LinkVectors(SUPPORT > 0), RowEnds(np.zeros(500))),
    "HeldRowsPass": (HeldRowsPass, LinkVectors(SUPPORT > 0), ()),
    "ContradictionPass": (
        lambda: ContradictionPass(float(GRAPH.data.max()), *_csr_of(GRAPH)),
        EqualVectors(np.arange(500, dtype=np.int32) // 2 * 2, np.tile([2, 1], 250).astype(np.int32)),
        RowEnds(VALUE),
    ),
    "EvaluationPass": (lambda: EvaluationPass(GRID), ExemplarVectors(EXEMPLAR), PreferenceRows(PREFERENCE)),
    "AssignmentPass": (
        AssignmentPass,
        RankedVectors(EXEMPLAR, USER_ID),
        AssignmentRows(np.zeros(500, np.int32), np.zeros(500, np.float32)),
    ),
    "ClassicSweep": (
        lambda: ClassicSweep(0.6, _messages(), GRID),
        ClassicVectors(TOTAL),
        ClassicRows(PREFERENCE, SUPPORT, RNG.normal(size=500)),
    ),
    "CompactSweep": (
        lambda: CompactSweep(0.6, 0.4, 0.64, GRID),
        CompactVectors(TOTAL.astype(np.float32)),
        _compact_rows(),
    ),
    "ConflictPass": (
        ConflictPass,
        ConflictVectors(FIRST, np.where(UNCOVERED, USER_ID, 0).astype(np.int32), RNG.random(500) < 0.5),
        ConflictRows(VALUE, FALLBACK, SECOND),
    ),
    "GainPass": (lambda: GainPass(GRID), NearestVectors(FIRST), GainRows(VALUE, FALLBACK)),
    "GatherPass": (
        GatherPass,
        PlaceVectors(np.where(USER_ID < 40, USER_ID, -1).astype(np.int32)),
        TableRows(np.full((500, 40), -np.inf, np.float32)),
    ),
    "ComponentPass": (
        ComponentPass,
        LabelVectors(np.where(UNCOVERED, USER_ID + 1, 0).astype(np.int32)),
        ComponentRows(VALUE, np.zeros(500, np.int32)),
    ),
    "NearestTwoPass": (
        lambda: NearestTwoPass(-1.0),
        RankedVectors(EXEMPLAR, USER_ID),
        NearestTwoRows(PREFERENCE, FIRST, VALUE, SECOND, FALLBACK),
    ),
    "CollectPass": (CollectPass, (), ()),
    "CoarseningPass": (
        lambda: CoarseningPass(Links(50, 0, 50, 1 << 16)),
        LabelVectors(np.arange(500, dtype=np.int32) // 10),
        (),
    ),
    "ContractionPass": (
        lambda: ContractionPass(Links(50, 0, 50, 1 << 16)),
        LabelVectors(np.arange(500, dtype=np.int32) // 10),
        (),
    ),
    "InnerPass": (InnerPass, LabelVectors(np.arange(500, dtype=np.int32) // 10), InnerRows(np.zeros(500))),
    "InsidePass": (InsidePass, LabelVectors(np.arange(500, dtype=np.int32) // 10), ()),
    "MovePass": (
        # The similarities are no links: with this rate nodes move nevertheless.
        lambda: MovePass(-1.0),
        GroupVectors(np.arange(500, dtype=np.int32) // 5, np.zeros(500, np.int32), np.full(500, 40.0)),
        MoveRows(np.full(500, 8.0), np.arange(500) % 4 == 0, np.arange(500, dtype=np.int32) // 5),
    ),
    "EdgeSummaryPass": (EdgeSummaryPass, (), BestRows(np.zeros(500))),
    "ExaminingPass": (lambda: ExaminingPass(EdgeSummaryPass()), (), BestRows(np.zeros(500))),
    "MedoidPass": (lambda: MedoidPass(GRID, -1.0), ChosenVectors(np.arange(500, dtype=np.int32) // 50), ()),
    "HistogramPass": (lambda: HistogramPass(np.zeros(1, np.uint64), 16), (), ()),
    "OtherExemplarsPass": (
        lambda: OtherExemplarsPass(2),
        LabelVectors(np.where(EXEMPLAR, np.cumsum(EXEMPLAR) - 1, -1).astype(np.int32)),
        OwnRows(np.arange(500, dtype=np.int32) % 9 - 1, np.zeros(500), np.zeros(500)),
    ),
    "OutDegreePass": (OutDegreePass, (), OutDegreeRows(np.zeros(500, np.int32))),
    "ReorderingPass": (_reordering, (), ()),
    "RepairGainPass": (
        lambda: RepairGainPass(GRID),
        UncoveredVectors(UNCOVERED, UNCOVERED),
        PreferenceRows(PREFERENCE),
    ),
    "NominationPass": (
        NominationPass,
        NominationVectors(UNCOVERED, UNCOVERED, SUPPORT, USER_ID),
        NominationRows(PREFERENCE, np.zeros(500, np.int32)),
    ),
    "StatisticsPass": (StatisticsPass, (), ()),
    "SupportBoundPass": (lambda: SupportBoundPass(GRID), (), PreferenceRows(PREFERENCE)),
}


def test_every_pass_is_a_case() -> None:
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(sparse_ap.__path__, "sparse_ap.")
        if found.name != "sparse_ap.__main__"
    ]
    passes = {
        name
        for module in modules
        for name, found in vars(module).items()
        if hasattr(found, "column_reductions") and name not in ("Pass", "BasePass", "PlainPass")
    }
    assert passes == set(CASES)


def _poisons(dtype: np.dtype[Any]) -> list[Any]:
    """Values that are seen in whatever is computed from them; of ids two that are some, lest it crashes."""
    return [np.nan, 1e30] if dtype.kind == "f" else [5, -2]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_pass_says_truly_which_rows_it_reads_and_writes(name: str, which: int) -> None:
    make, vectors, rows = CASES[name]
    pass_ = make()
    names = getattr(rows, "_fields", ())
    assert set(pass_.reads) | set(pass_.writes) == set(names)
    poison = {field: _poisons(getattr(rows, field).dtype)[which] for field in names}
    poisoned = [
        values.copy() if field in pass_.reads else np.full_like(values, poison[field])
        for field, values in zip(names, rows, strict=True)
    ]
    expected_rows = type(rows)(*(values.copy() for values in rows)) if names else ()
    found_rows = type(rows)(*poisoned) if names else ()
    expected, found = _run(make(), vectors, expected_rows), _run(pass_, vectors, found_rows)
    assert found == expected, "it reads what it does not name"
    for field in names:
        if field in pass_.writes:
            after = getattr(found_rows, field)
            assert after.tobytes() == getattr(expected_rows, field).tobytes(), (
                f"{field} is not written in full"
            )
            assert after.tobytes() != getattr(rows, field).tobytes(), f"{field} is not written"
        else:
            assert getattr(found_rows, field).tobytes() == getattr(rows, field).tobytes(), (
                f"{field} is written"
            )


def _run(pass_: Any, vectors: Any, rows: Any) -> tuple[Any, ...]:
    """Run a pass block by block; return the bits of its columns, and its tally."""
    columns = new_columns(pass_, 500)
    cuts = [RowCut(0, 170), RowCut(170, 171), RowCut(171, 500)]
    tally = read_blocks(pass_, MemoryStore.from_sparse(SCATTERED).read(cuts), vectors, rows, columns)
    return (*(column.tobytes() for column in columns), _comparable(tally))


def _comparable(tally: Any) -> Any:
    if isinstance(tally, Collected):
        return [values.tobytes() for values in tally.csr(SCATTERED.dtype)]
    if isinstance(tally, LeftEdges):
        row, column, similarity = tally.arrays()
        return tally.n_edges, sorted(zip(row.tolist(), column.tolist(), similarity.tolist(), strict=True))
    return np.asarray(tally).tolist()
