"""Which rows go to which worker, and what workers do with what they are sent: pure functions."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from dask.sizeof import sizeof
from hypothesis import given
from hypothesis import strategies as st
from samples import knn_similarity

from sparse_ap.errors import MemoryLimitError
from sparse_ap.execution.dask import placement
from sparse_ap.execution.dask.placement import grouped, kept_in_memory, owners_of, require_room
from sparse_ap.execution.dask.tasks import SentRows, Share, add_columns, read_part, unpacked, written
from sparse_ap.execution.dask.workers import Member
from sparse_ap.execution.local import SerialExecutor
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.edge_pass import COUNT, EXACT_SUM
from sparse_ap.kernels.edge_summary import BestRows, EdgeSummaryPass
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.store import HeldPart

REDUCTIONS = (EXACT_SUM, COUNT)


@st.composite
def cut_graphs(draw: Any) -> tuple[list[RowCut], Any]:
    """Rows of any degrees, cut anywhere."""
    degrees = draw(st.lists(st.integers(0, 1000) | st.just(10**6), max_size=40))
    inner = draw(st.sets(st.integers(1, max(1, len(degrees) - 1))))
    bounds = sorted({0, len(degrees), *(b for b in inner if b < len(degrees))})
    return [RowCut(a, b) for a, b in pairwise(bounds)], np.cumsum([0, *degrees])


@given(cut_graphs(), st.integers(1, 12))
def test_every_block_is_in_one_task_in_order_and_tasks_are_balanced(given: Any, n_threads: int) -> None:
    cuts, indptr = given
    tasks = grouped(cuts, indptr, n_threads)
    assert [cut for task in tasks for cut in task] == cuts
    assert all(tasks)
    # Threads without work only where there are no more blocks.
    assert len(tasks) == min(n_threads, len(cuts))
    work = [int(indptr[cut.stop] - indptr[cut.start]) + cut.stop - cut.start for cut in cuts]
    loads = [sum(int(indptr[c.stop] - indptr[c.start]) + c.stop - c.start for c in task) for task in tasks]
    if cuts:
        assert max(loads) <= sum(work) / len(tasks) + max(work)


@given(cut_graphs(), st.integers(1, 5), st.integers(1, 2000), st.integers(1, 20))
def test_large_graphs_have_several_tasks_a_thread(given: Any, n_threads: int, most: int, rows: int) -> None:
    cuts, indptr = given
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "_MOST_EDGES", most)
        patch.setattr(placement, "_MOST_ROWS", rows)
        tasks = grouped(cuts, indptr, n_threads)
    assert [cut for task in tasks for cut in task] == cuts
    of_edges = math.ceil(int(indptr[-1]) / (most * n_threads))
    of_rows = math.ceil((len(indptr) - 1) / (rows * n_threads))
    rounds = max(1, of_edges, of_rows)
    assert len(tasks) == min(rounds * n_threads, len(cuts))


THREADS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def members_of(threads: list[int]) -> dict[str, Member]:
    return {f"worker-{number}": Member(n, 10**9) for number, n in enumerate(threads)}


@given(THREADS, st.data())
def test_homes_are_kept_within_the_share(threads: list[int], data: Any) -> None:
    members = members_of(threads)
    names = [None, *members, "gone"]
    current = data.draw(st.lists(st.sampled_from(names), max_size=40))
    owners = owners_of(current, members)
    assert len(owners) == len(current)
    shares = {name: math.ceil(len(current) * m.n_threads / sum(threads)) for name, m in members.items()}
    for name, share in shares.items():
        assert owners.count(name) <= share
        before, kept = (
            current.count(name),
            sum(a == b == name for a, b in zip(current, owners, strict=True)),
        )
        assert kept == min(before, share)


@given(THREADS, st.integers(1, 4), st.data())
def test_who_joins_is_given_work_and_who_leaves_is_relieved(
    threads: list[int], rounds: int, data: Any
) -> None:
    """As the layout does it: at least one task for each thread."""
    members = members_of(threads)
    there = data.draw(st.sets(st.sampled_from(list(members)), min_size=1))
    n_tasks = rounds * sum(threads)
    first = owners_of([None] * n_tasks, {name: members[name] for name in there})
    assert set(first) <= there
    second = owners_of(first, members)
    # Everybody has exactly their share, so that all end at the same time.
    assert all(second.count(name) == rounds * member.n_threads for name, member in members.items())
    assert owners_of(second, members) == second


@given(
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from("abc"))), st.tuples(*[st.integers(0, 300)] * 3)
)
def test_no_more_is_kept_than_there_is_room(tasks: list[tuple[int, str]], room: tuple[int, ...]) -> None:
    sizes, owners = [size for size, _ in tasks], [owner for _, owner in tasks]
    rooms = dict(zip("abc", room, strict=True))
    kept = kept_in_memory(sizes, owners, rooms)
    for name, limit in rooms.items():
        used = sum(size for size, owner, k in zip(sizes, owners, kept, strict=True) if k and owner == name)
        left_out = [
            size for size, owner, k in zip(sizes, owners, kept, strict=True) if not k and owner == name
        ]
        assert used <= limit
        # What is left out would not have fitted.
        assert all(used + size > limit for size in left_out)


def test_room_is_what_the_vectors_leave() -> None:
    room = require_room({"a": Member(1, 2 * 10**9), "b": Member(3, 2 * 10**9)}, 1_000_000)
    machinery, vectors = 350_000_000, 9_000_000
    assert room["a"] == 1_200_000_000 - machinery - vectors - 20_000_000 - 32_000_000
    assert room["b"] == 1_200_000_000 - machinery - vectors - 60_000_000 - 96_000_000


def test_workers_that_are_too_small_are_refused() -> None:
    with pytest.raises(MemoryLimitError) as error:
        require_room({"tcp://node:1": Member(2, 500_000_000)}, 1_000_000)
    assert str(error.value) == (
        "The worker tcp://node:1 has a memory limit of 0.50 GB and 2 threads; 1,000,000 points need 0.84 GB, "
        "of which four tenths are dask's reserve. Give the workers more memory (--memory-limit), or fewer "
        "threads each (--nthreads)."
    )


@st.composite
def columns_of_shares(draw: Any) -> list[tuple[Any, Any]]:
    """Columns that are nearly empty, half full, full; sums on a grid, as all are."""
    n = draw(st.integers(0, 50))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = []
    for density in draw(st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.5, 1.0]), min_size=1, max_size=7)):
        there = rng.random(n) < density
        total = np.where(there, rng.integers(-(2**40), 2**40, n) / 2**10, 0.0)
        shares.append((total, np.where(there, rng.integers(0, 9, n), 0).astype(np.int32)))
    return shares


@given(columns_of_shares(), st.data())
def test_columns_add_up_to_the_same_bits_in_any_tree(shares: list[tuple[Any, Any]], data: Any) -> None:
    n = len(shares[0][0])
    expected = [sum(column) for column in zip(*shares, strict=True)]
    packed = [add_columns(REDUCTIONS, n, Share(share, {}, 0)) for share in shares]
    order = data.draw(st.permutations(range(len(shares))))
    level = [packed[which] for which in order]
    while len(level) > 1:
        size = data.draw(st.integers(2, len(level)))
        level = [*level[size:], add_columns(REDUCTIONS, n, *level[:size])]
    found = unpacked(REDUCTIONS, n, *level)
    for total, column in zip(expected, found, strict=True):
        assert column.dtype == total.dtype
        assert column.tobytes() == total.tobytes()


def test_columns_of_nobody_are_zero() -> None:
    assert [column.tolist() for column in unpacked(REDUCTIONS, 3)] == [[0.0] * 3, [0] * 3]


GRAPH = knn_similarity(300, 6, 2, seed=5)


@given(st.lists(st.integers(1, 299), max_size=6, unique=True))
def test_parts_together_do_what_a_pass_does(inner: list[int]) -> None:
    store, pass_ = MemoryStore.from_sparse(GRAPH), EdgeSummaryPass()
    rows = BestRows(np.empty(300))
    (in_degree,), expected = SerialExecutor().run(pass_, store, [RowCut(0, 300)], (), rows)
    shares, best, total = [], BestRows(np.full(300, np.nan)), pass_.nothing
    for start, stop in pairwise([0, *sorted(inner), 300]):
        part, cut = store.part([RowCut(start, stop)], hold=True), RowCut(start, stop)
        sent = SentRows.of(pass_, best, cut)
        assert sent.values == {}, "what is not read is not sent"
        # As it comes from another process.
        share = read_part(*pickle.loads(pickle.dumps((pass_, part, 300, (), sent))))
        answer = written(share)
        assert answer.columns == (), "columns are not sent back part by part"
        best.best[start:stop], total = answer.rows["best"], total + answer.tally
        shares.append(share)
    (count,) = unpacked(pass_.column_reductions, 300, add_columns(pass_.column_reductions, 300, *shares))
    assert count.tobytes() == in_degree.tobytes()
    assert best.best.tobytes() == rows.best.tobytes()
    assert total == expected


def test_a_task_does_not_write_to_what_it_was_sent() -> None:
    """It may be run again, on the same arrays."""

    class Counted:
        column_reductions = ()
        reads = writes = ("best",)
        nothing = 0

        def __call__(self, block: Any, vectors: Any, rows: BestRows, columns: Any) -> int:
            rows.best[:] += 1
            return 0

    rows = BestRows(np.zeros(300))
    part = MemoryStore.from_sparse(GRAPH).part([RowCut(10, 20)], hold=True)
    sent = SentRows.of(Counted(), rows, part.rows)
    first, second = (read_part(Counted(), part, 300, (), sent) for _ in range(2))
    assert first.rows["best"].tolist() == second.rows["best"].tolist() == [1.0] * 10
    assert not rows.best.any()


def test_dask_sees_how_large_a_part_is() -> None:
    store = MemoryStore.from_sparse(GRAPH)
    part = HeldPart(tuple(store.read([RowCut(0, 100), RowCut(100, 300)])))
    n_bytes = GRAPH.nnz * 8 + 302 * 8
    assert n_bytes <= sizeof(part) <= n_bytes + 200
    assert n_bytes - 8 <= sizeof(part.blocks[0]) + sizeof(part.blocks[1]) <= n_bytes + 400
