"""The same bits in every way of running."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from internals import change
from same_bits import bits
from samples import knn_similarity
from scipy.spatial.distance import cdist
from strategies import graphs

import sparse_ap
from sparse_ap import affinity_propagation
from sparse_ap.clustering import input as sources
from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.local import SerialExecutor, ThreadsExecutor
from sparse_ap.kernels import compact
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.classic import Messages
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.checkpoints import NoCheckpoints
from sparse_ap.propagation.incumbent import LastIncumbent
from sparse_ap.propagation.loop import PointState, propagate
from sparse_ap.propagation.schemes import BiasSchedule, Classic, Compact
from sparse_ap.propagation.stopping import StopRule
from sparse_ap.storage.memory import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Of the edges, by a search that would read so small a graph thousands of times.
_READINGS = 150


@pytest.mark.parametrize(
    ("scheme", "dtype"),
    [
        ("compact", np.float32),
        ("classic", np.float64),
        pytest.param("compact", np.float64, marks=pytest.mark.slow),
        pytest.param("classic", np.float32, marks=pytest.mark.slow),
    ],
)
def test_threads_and_reordering_do_not_change_a_bit(
    scheme: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Many small blocks, so that every thread takes some.
    change(monkeypatch, least_edges=512, processors=lambda: 8)
    graph = knn_similarity(3000, 12, 2, seed=1, dtype=dtype)
    change(monkeypatch, edges_searched=_READINGS * graph.nnz)
    results = {
        bits(affinity_propagation(graph, preference=-0.02, scheme=scheme, n_jobs=threads, reorder=reorder))
        for threads, reorder in itertools.product([1, 2, 3, 8, 1], [False, True])
    }
    assert len(results) == 1


@pytest.mark.parametrize("kept", [1 << 22, 1 << 15])
def test_dense_graphs_are_the_same_bits_too(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, least_edges=512, processors=lambda: 8)
    change(monkeypatch, candidates=kept)
    points = np.random.default_rng(2).normal(size=(300, 4))
    graph = scipy.sparse.csr_array(-cdist(points, points, "sqeuclidean"))
    results = {
        bits(affinity_propagation(graph, preference=-100.0, n_jobs=threads, reorder=reorder))
        for threads, reorder in itertools.product([1, 3], [False, True])
    }
    assert len(results) == 1


@pytest.mark.parametrize("n_blocks", [1, 2, 7, 500])
def test_the_cut_of_the_rows_does_not_change_a_bit(
    knn: Any, n_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, edges_searched=_READINGS * knn.nnz, least_edges=512)
    expected = bits(affinity_propagation(knn, preference=-0.02, n_jobs=1))
    bounds = np.linspace(0, knn.shape[0], n_blocks + 1).astype(int).tolist()
    cuts = tuple(RowCut(a, b) for a, b in itertools.pairwise(bounds))
    monkeypatch.setattr(sources, "cut_rows", lambda *given: cuts)
    assert bits(affinity_propagation(knn, preference=-0.02, n_jobs=2)) == expected


@pytest.mark.parametrize("times", [0.3, 1, 3, 30])
@pytest.mark.parametrize("digits", [1, 7])
def test_rows_that_fall_end_early_with_the_same_bits(
    times: float, digits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to the state vectors: rows of no edge to 40, few and many ties, fetched ahead or not."""
    rng = np.random.default_rng(digits)
    n, degree = 600, np.r_[0, 1, 8, 9, rng.integers(0, 41, 596)]
    indptr = np.r_[0, np.cumsum(degree)]
    indices = np.concatenate([rng.choice(n - 1, d, replace=False) for d in degree])
    indices += indices >= np.repeat(np.arange(n), degree)
    falling = [np.sort(-np.round(rng.random(d) + 1, digits))[::-1] for d in degree]
    data = np.concatenate(falling).astype(np.float32)
    store = MemoryStore(indptr.astype(np.int64), indices.astype(np.int32), data)
    preference = np.full(n, -1.5 * times)

    def state(falls: bool, distant: int) -> list[bytes]:
        monkeypatch.setattr(compact, "_DISTANT", distant)
        scheme = Compact(0.6, 0.5, 0.5, store.dtype, Grid.for_totals(1e5), BiasSchedule(after=3), falls)
        graph = BlockedGraph(store, (RowCut(0, n),), SerialExecutor())
        points = PointState.at_rest(preference, store.dtype)
        rows = scheme.rows(points.own)
        monkeypatch.setattr(Compact, "rows", lambda self, own: rows)
        gap, stop = np.ones(n, np.float32), StopRule(25, 15, 0.0)
        propagate(graph, scheme, points, gap, stop, LastIncumbent(), lambda report: None, NoCheckpoints())
        monkeypatch.undo()
        return [values.tobytes() for values in (*rows, points.total, points.exemplar)]

    assert state(True, n) == state(True, n + 1) == state(False, n) == state(False, n + 1)


@examples(40)
@given(graphs(), st.lists(st.integers(0, 30)), st.booleans())
def test_messages_are_the_same_bits_for_any_cut(graph: Any, inner: list[int], of_compact: bool) -> None:
    """Down to the state vectors, in graphs full of ties."""
    n = graph.shape[0]
    store = MemoryStore.from_sparse(graph)
    preference = np.linspace(-3, -1, n)
    grid = Grid.for_totals(4.0 * n * 10**6)

    def totals(executor: Any, cuts: Any) -> list[bytes]:
        scheme: Any
        if of_compact:
            scheme = Compact(0.6, 0.5, 0.5, np.dtype(np.float64), grid, BiasSchedule(after=3, first=0.1))
        else:
            scheme = Classic(0.6, Messages.at_rest(graph.nnz), grid)
        seen: list[bytes] = []
        rows_of = scheme.rows

        class Spy(type(scheme)):  # type: ignore[misc]
            def rows(self, own: Any) -> Any:
                seen_rows.append(rows_of(own))
                return seen_rows[-1]

        seen_rows: list[Any] = []
        spy = Spy(*(getattr(scheme, name) for name in scheme.__dataclass_fields__))
        stop = StopRule(25, 15, 0.0)
        blocked = BlockedGraph(store, cuts, executor)
        points, gap = PointState.at_rest(preference, spy.total_dtype), np.ones(n, np.float32)
        propagate(blocked, spy, points, gap, stop, LastIncumbent(), lambda report: None, NoCheckpoints())
        seen.extend(np.asarray(values).tobytes() for values in seen_rows[0])
        return seen

    bounds = sorted({0, n, *(b for b in inner if b < n)})
    cuts = tuple(RowCut(a, b) for a, b in itertools.pairwise(bounds))
    expected = totals(SerialExecutor(), (RowCut(0, n),))
    assert totals(SerialExecutor(), cuts) == expected
    with ThreadsExecutor(3) as threads:
        assert totals(threads, cuts) == expected


@given(st.lists(st.integers(0, 40000), max_size=60), st.integers(1, 9), st.none() | st.integers(1, 1_500_000))
def test_cuts_cover_every_row_once(degrees: list[int], n_threads: int, chunk_edges: int | None) -> None:
    indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    cuts = cut_rows(indptr, n_threads, chunk_edges)
    assert [row for cut in cuts for row in range(*cut)] == list(range(len(degrees)))
    assert all(cut.start < cut.stop for cut in cuts)


# Functions of numpy and math whose last bits depend on the processor and the C library.
INEXACT = re.compile(
    "a?(sin|cos|tan|rcsin|rccos|rctan)h?2?|exp2?|expm1|log|log2|log10|log1p|pow|power|float_power|cbrt|hypot"
    "|l?gamma|erfc?"
)
# Pictures; and positions that are rounded (a test of the demo shows that rounding hides the last bits).
ALLOWED = ("plotting/", "cli/demo/")


def inexact(tree: ast.AST) -> Iterator[str]:
    """Yield functions with other last bits on other machines, and powers but whole ones and those of two."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="np" | "math"), attr=name) if INEXACT.fullmatch(name):
                yield ast.unparse(node)
            case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=int())):
                pass
            case ast.BinOp(op=ast.Pow(), left=ast.Constant(value=2)):
                pass
            case ast.BinOp(op=ast.Pow()):
                yield ast.unparse(node)


def test_no_result_depends_on_functions_with_other_last_bits_on_other_machines() -> None:
    some = ast.parse("np.log(x) + x**0.5 + x**2 + 2.0**-n + math.sqrt(x) + math.atan2(x, x)")
    assert sorted(inexact(some)) == ["math.atan2", "np.log", "x ** 0.5"]
    root = Path(sparse_ap.__file__).parent
    found = {
        str(path.relative_to(root)): list(inexact(ast.parse(path.read_text(encoding="utf-8"))))
        for path in root.rglob("*.py")
    }
    assert {file: n for file, n in found.items() if n and not file.startswith(ALLOWED)} == {}
