"""Each pass against plain numpy."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from strategies import graphs

from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.local import SerialExecutor, ThreadsExecutor
from sparse_ap.execution.renumbering import reordered
from sparse_ap.kernels.assignment import EvaluationPass, ExemplarVectors
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_summary import BestRows, EdgeSummaryPass
from sparse_ap.kernels.elementary import exponential, exponentials, logarithm
from sparse_ap.kernels.entry_statistics import StatisticsPass
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.kernels.quantiles import order_statistics, quantiles
from sparse_ap.kernels.support_bound import PreferenceRows
from sparse_ap.propagation.preferences import break_ties, gaps
from sparse_ap.propagation.schemes import damping_for_degree, weights_after
from sparse_ap.storage.csr import locality_order
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.store import block_of


def execution_of(graph: Any, executor: Any = None) -> BlockedGraph:
    store = MemoryStore.from_sparse(graph)
    return BlockedGraph(store, cut_rows(store.indptr, 2), executor or SerialExecutor())


@given(st.lists(st.floats(-1e6, 1e6), max_size=50), st.randoms())
def test_sums_on_the_grid_are_exact_in_every_order(values: list[float], random: Any) -> None:
    grid = Grid.for_totals(math.fsum(abs(value) for value in values))
    rounded = [on_grid(value, grid.shift) for value in values]
    expected = float(sum(map(Fraction, rounded), Fraction()))
    for _ in range(3):
        random.shuffle(rounded)
        total = 0.0
        for value in rounded:
            total += value
        assert total == expected
    assert all(abs(on_grid(value, grid.shift) - value) <= grid.limit * 2.0**-52 for value in values)


@pytest.mark.parametrize("bound", [0.0, 1e-320, 1.0, 4.0, 5.0, 1e100])
def test_the_grid_reaches_its_bound(bound: float) -> None:
    grid = Grid.for_totals(bound)
    assert grid.limit >= bound
    assert on_grid(bound, grid.shift) == pytest.approx(bound, abs=grid.limit * 2.0**-52)


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=60),
    st.sampled_from([np.float32, np.float64]),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_quantiles_are_numpys(values: list[float], dtype: Any, at: list[float]) -> None:
    n = len(values)
    data = np.array(values, dtype)
    indptr = np.array([0, n, *[n] * n])
    columns = np.arange(1, n + 1)
    blocked = execution_of(scipy.sparse.csr_array((data, columns, indptr), shape=(n + 1, n + 1)))

    def count(histogram: Any) -> Any:
        return blocked.run(histogram, (), ())[1]

    ranks = [0, n // 2, n - 1]
    assert order_statistics(count, data.dtype, ranks).tolist() == np.sort(data)[ranks].tolist()
    expected = np.quantile(data.astype(np.float64), at)
    np.testing.assert_allclose(
        quantiles(count, data.dtype, n, at), expected, rtol=1e-12, atol=1e-14 * np.abs(data).max()
    )


@examples(50)
@given(graphs(dtype=np.float32), st.integers(0, 2**32 - 1))
def test_statistics_count_what_is_stored(graph: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = graph.shape[0]
    dense = np.full((n, n), np.nan, np.float32)
    rows = np.repeat(np.arange(n), np.diff(graph.indptr))
    dense[rows, graph.indices] = graph.data
    extra = rng.integers(0, n, (2, 10))
    values = rng.choice(np.array([-1.0, -np.inf], np.float32), 10)
    # Entries that may repeat others, or lie on the diagonal; unsorted within their rows.
    all_rows, all_columns = np.r_[rows, extra[0]], np.r_[graph.indices, extra[1]]
    all_values = np.r_[graph.data, values]
    order = np.argsort(all_rows, kind="stable")
    indptr = np.r_[0, np.cumsum(np.bincount(all_rows, minlength=n))]
    stored = scipy.sparse.csr_array((all_values[order], all_columns[order], indptr), shape=(n, n))

    with ThreadsExecutor(2) as threads:
        _, statistics = execution_of(stored, threads).run(StatisticsPass(), (), ())
    off = all_rows != all_columns
    finite = off & np.isfinite(all_values)
    assert statistics.n_diagonal == np.count_nonzero(~off)
    assert statistics.n_minus_inf == np.count_nonzero(off & np.isneginf(all_values))
    assert statistics.n_duplicate == len(all_rows) - len(set(zip(all_rows, all_columns, strict=True)))

    block = MemoryStore.from_sparse(stored).canonical()
    best: dict[tuple[int, int], float] = {}
    for i, k, s in zip(all_rows[finite], all_columns[finite], all_values[finite], strict=True):
        best[i, k] = max(s, best.get((i, k), -np.inf))
    clean = scipy.sparse.csr_array((block.data, block.indices, block.indptr), shape=(n, n)).tocoo()
    assert list(zip(clean.row, clean.col, strict=True)) == sorted(best)
    assert clean.data.tolist() == [best[pair] for pair in sorted(best)]


@examples(50)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_a_look_values_the_exemplars(graph: Any, seed: int) -> None:
    n = graph.shape[0]
    exemplar = np.random.default_rng(seed).random(n) < 0.3
    preference = -np.arange(n) / 8
    grid = Grid.for_totals(n * 10.0**6)
    _, look = execution_of(graph).run(
        EvaluationPass(grid), ExemplarVectors(exemplar), PreferenceRows(preference)
    )
    dense = np.full((n, n), -np.inf)
    dense[np.repeat(np.arange(n), np.diff(graph.indptr)), graph.indices] = graph.data
    best = np.where(exemplar, dense, -np.inf).max(axis=1, initial=-np.inf)
    uncovered = ~exemplar & np.isneginf(best)
    assert look.n_uncovered == np.count_nonzero(uncovered)
    assert look.net_similarity == np.where(exemplar | uncovered, preference, best).sum()


@examples(30)
@given(graphs(dtype=np.float32))
def test_reordering_renumbers_and_sorts(graph: Any) -> None:
    n = graph.shape[0]
    blocked = execution_of(graph)
    order = locality_order(*block_of(blocked.store, RowCut(0, n)).csr[:2])
    assert sorted(order.tolist()) == list(range(n))
    indptr, indices, data = reordered(blocked, order)
    for new_row in range(n):
        edges = slice(indptr[new_row], indptr[new_row + 1])
        assert (np.diff(data[edges]) <= 0).all()
        old = slice(graph.indptr[order[new_row]], graph.indptr[order[new_row] + 1])
        assert sorted(zip(order[indices[edges]], data[edges], strict=True)) == sorted(
            zip(graph.indices[old], graph.data[old], strict=True)
        )


def test_long_rows_are_sorted_too() -> None:
    similarity = np.random.default_rng(0).random((300, 300)).astype(np.float32)
    blocked = BlockedGraph(MemoryStore.from_dense(similarity), (RowCut(0, 300),), SerialExecutor())
    _, indices, data = reordered(blocked, np.arange(300, dtype=np.int32))
    assert (np.diff(data.reshape(300, 299), axis=1) <= 0).all()
    assert (similarity[np.repeat(np.arange(300), 299), indices] == data).all()


def test_extent(knn: Any) -> None:
    rows = BestRows(np.empty(knn.shape[0]))
    (in_degree,), reach = execution_of(knn).run(EdgeSummaryPass(), (), rows)
    assert (rows.best == np.maximum.reduceat(knn.data, knn.indptr[:-1])).all()
    assert (in_degree == np.bincount(knn.indices, minlength=knn.shape[0])).all()
    assert (reach.n_edges, reach.smallest, reach.largest) == (knn.nnz, knn.data.min(), knn.data.max())
    changed = knn.copy()
    changed.data[7] = np.nextafter(changed.data[7], 0)
    swapped = knn.copy()
    swapped.data[[3, 4]] = swapped.data[[4, 3]]
    checksums = {
        execution_of(graph).run(EdgeSummaryPass(), (), BestRows(rows.best))[1].checksum
        for graph in (knn, changed, swapped, knn.T.tocsr())
    }
    assert len(checksums) == 4
    assert reach.checksum in checksums


def test_broken_ties_belong_to_ids() -> None:
    preference = np.full(1000, -2.0)
    ids = np.arange(1000, dtype=np.int32)
    order = np.random.default_rng(0).permutation(ids)
    gap = gaps(preference, np.full(1000, -1.0))
    assert (gap == 1.0).all()
    broken = break_ties(preference, gap.copy(), ids, seed=3, strength=1e-3)
    assert ((broken <= -2.0) & (broken > -2.001)).all()
    assert len(np.unique(broken)) == 1000
    assert (break_ties(preference, gap.copy(), order, seed=3, strength=1e-3) == broken[order]).all()
    assert (break_ties(preference, gap.copy(), ids, seed=4, strength=1e-3) != broken).any()
    assert abs(np.corrcoef(broken, ids)[0, 1]) < 0.1


def test_damping_follows_the_degree() -> None:
    found = [damping_for_degree(degree) for degree in (0, 5, 20, 40, 100, 1000)]
    assert found == [0.5, 0.5, 0.5, 0.75, 0.9, 0.9]


@pytest.mark.parametrize("damping", [0.5, 0.75, 0.9, 0.99])
def test_weights_are_what_the_damping_leaves(damping: float) -> None:
    """1 - w is what the zero messages of the start still weigh."""
    for n in (0, 1, 7, 60, 3000):
        weights = weights_after(n, damping)
        assert weights.damping == damping
        assert 1 - weights.before == pytest.approx(damping**n, abs=1e-13)
        assert 1 - weights.after == pytest.approx(damping ** (n + 1), abs=1e-13)


@kernel
def logarithms(values: Any, room: Any) -> None:
    for i in range(len(values)):
        room[i] = logarithm(values[i])


def test_logarithms_and_exponentials_are_those_of_mathematics() -> None:
    values = np.concatenate([np.geomspace(1e-300, 1e300, 2001), 1 + np.linspace(-0.6, 1, 2001), [5e-324]])
    found = np.array([logarithm(x) for x in values.tolist()])
    np.testing.assert_allclose(found, np.log(values), rtol=2e-15)
    compiled = np.empty(len(values))
    logarithms(values, compiled)
    assert (compiled == found).all()
    assert logarithm(1.0) == 0 == exponential(0.0) - 1
    exponents = np.linspace(-700, 700, 2001)
    assert exponentials(exponents).tolist() == [exponential(float(x)) for x in exponents]
    for x in exponents:
        assert exponential(float(x)) == pytest.approx(math.exp(x), rel=1e-15 * (1 + abs(x)), abs=0)
