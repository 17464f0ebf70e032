"""The bound is never below the optimum, which is enumerated in exact fractions; and it is close."""

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import engine
import numpy as np
import pytest
import scipy.sparse
from graphs import Graph, graphs, patient, random_graph
from hypothesis import given
from hypothesis import strategies as st
from internals import change
from optima import mixed_graph, optimum_of, solved
from samples import knn_similarity
from sklearn.datasets import load_digits
from soundness import cluster

from sparse_ap import Outcome, affinity_propagation
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.local import SerialExecutor, ThreadsExecutor
from sparse_ap.graphs import knn_graph, open_graph, symmetrise, top_k, write_graph
from sparse_ap.graphs.npz import write_npz
from sparse_ap.kernels.block import RowCut
from sparse_ap.search.active_edges import ActiveEdges
from sparse_ap.search.dual_descent import DualStepPass, DualStepRows, OpenVectors

pytestmark = pytest.mark.full_search


def exact_optimum(graph: Graph) -> Fraction:
    """Return the largest net similarity of all sets of exemplars, without any rounding."""
    n = len(graph.preference)
    s = [[Fraction(x) if x > -math.inf else None for x in row] for row in graph.similarity.tolist()]
    p = [Fraction(x) for x in graph.preference.tolist()]
    best = None
    for size in range(1, n + 1):
        for exemplars in itertools.combinations(range(n), size):
            total = sum((p[k] for k in exemplars), Fraction(0))
            for i in set(range(n)) - set(exemplars):
                reachable = [x for k in exemplars if (x := s[i][k]) is not None]
                if not reachable:
                    break
                total += max(reachable)
            else:
                best = total if best is None else max(best, total)
    assert best is not None
    return best


def with_bound(graph: Graph, **options: Any) -> Any:
    return cluster(engine.csr_of_dense(graph.similarity), graph.preference, certify=True, **options)


@patient
@given(graphs(most_points=7), st.sampled_from([1, 200]))
def test_no_clustering_is_better_than_the_bound(graph: Graph, max_iter: int) -> None:
    clustering = with_bound(graph, max_iter=max_iter)
    assert Fraction(clustering.net_similarity_bound) >= exact_optimum(graph)
    assert clustering.optimality_gap >= 0


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e7, 1e-9])
@pytest.mark.parametrize("seed", range(40))
def test_nor_with_positive_similarities_or_a_common_offset(seed: int, offset: float) -> None:
    given = random_graph(seed, 7, 0.6, symmetric=False)
    rng = np.random.default_rng(seed)
    preference = rng.normal(size=7) * 10.0 ** rng.integers(-3, 3) + offset
    there = given.similarity > -np.inf
    finite = np.where(there, given.similarity, 0.0) * rng.choice([-1.0, 1.0, 0.1]) + offset
    graph = Graph(np.where(there, finite, -np.inf), preference)
    assert Fraction(with_bound(graph).net_similarity_bound) >= exact_optimum(graph)


def assert_not_below(graph: Graph, optimum: float) -> None:
    clustering = with_bound(graph, max_iter=10, refine="medoid")
    assert clustering.net_similarity_bound >= optimum - 1e-9 * graph.scale * len(graph.preference)


@pytest.mark.parametrize("tens", range(20))
def test_no_set_of_exemplars_is_better_whatever_the_signs(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        graph = mixed_graph(seed, 7)
        assert_not_below(graph, optimum_of(graph))


@pytest.mark.slow
@pytest.mark.parametrize("tens", range(20, 180))
def test_nor_on_many_more(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        graph = mixed_graph(seed, 10)
        assert_not_below(graph, optimum_of(graph))


@pytest.mark.slow
@pytest.mark.parametrize("tens", range(40))
def test_nor_than_what_highs_finds(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        graph = mixed_graph(10_000 + seed, 25)
        assert_not_below(graph, solved(graph))


@pytest.mark.parametrize(("times", "percent"), [(1, 0.02), (10, 0.2), (100, 1.0)])
def test_the_bound_is_close_to_the_linear_relaxation(times: int, percent: float) -> None:
    """It is never below that, which HiGHS finds; the farther above, the lower the preference."""
    csr = knn_similarity(300, 8, 2, seed=5).astype(np.float64)
    dense = np.full((300, 300), -np.inf)
    rows, columns = csr.tocoo().coords
    dense[rows, columns] = csr.data
    graph = Graph(dense, np.full(300, times * float(np.median(csr.data))))
    relaxed = solved(graph, whole=False)
    bound = with_bound(graph).net_similarity_bound
    assert -1e-9 <= (bound - relaxed) / abs(relaxed) <= percent / 100


def test_an_offset_of_all_similarities_and_preferences_does_not_matter() -> None:
    csr = knn_similarity(400, 8, 2, seed=6).astype(np.float64)
    bounds = []
    for offset in (0.0, -50.0, 50.0):
        graph = csr.copy()
        graph.data += offset
        bounds.append(cluster(graph, offset - 0.02, certify=True).net_similarity_bound - 400 * offset)
    assert max(bounds) - min(bounds) <= 0.002 * abs(bounds[0])


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_close_on_small_graphs(seed: int) -> None:
    graph = random_graph(seed, 10, 0.5, symmetric=False)
    optimum = float(exact_optimum(graph))
    assert with_bound(graph).net_similarity_bound - optimum <= 0.02 * abs(optimum)


@patient
@given(graphs(most_points=12))
def test_the_bound_is_the_same_to_the_bit_for_any_threads_and_order(graph: Graph) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    bounds = {
        cluster(csr, graph.preference, certify=True, reorder=reorder, scheme="compact").net_similarity_bound
        for reorder in (False, True)
    }
    assert len(bounds) == 1


@pytest.mark.slow
def test_the_bound_is_the_same_to_the_bit_for_any_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, least_edges=256)
    graph = knn_similarity(700, 9, 3, seed=1)
    options: dict[str, Any] = {"preference": -0.2, "certify": True, "refine": "medoid", "tol": 0.5}
    bounds = {
        affinity_propagation(graph, n_jobs=n, reorder=reorder, **options).net_similarity_bound
        for n in (1, 2)
        for reorder in (False, True)
    }
    assert len(bounds) == 1


def test_no_sum_leaves_its_grid() -> None:
    """A step adds up the same in any order of the rows: none falls below what the grid was made for."""
    rng = np.random.default_rng(2)
    graph = knn_similarity(200, 9, 2, seed=4)
    problem = engine.problem_of(graph, np.full(200, -0.01))
    start = rng.normal(size=200) * 0.01
    rows = DualStepRows(
        start, start + 0.01 * rng.normal(size=200), np.full(200, 0.5), np.empty(200), np.empty(0)
    )
    cuts = [RowCut(first, first + 20) for first in range(0, 200, 20)]
    step = DualStepPass.of(problem, rows, 0.02, 0.01, 0.9)
    seen = []
    with ThreadsExecutor(2) as threads:
        for executor, order in ((SerialExecutor(), cuts), (SerialExecutor(), cuts[::-1]), (threads, cuts)):
            moved = DualStepRows(*(values.copy() for values in rows))
            opened = OpenVectors(np.full(200, 0.1))
            (gain, count), _ = executor.run(step, problem.graph.store, order, opened, moved)
            assert gain.max() <= step.gains.limit
            assert count.max() <= step.counts.limit
            seen.append([values.tobytes() for values in (gain, count, *moved)])
    assert seen[0] == seen[1] == seen[2]


CUTS: dict[str, Any] = {
    "directed": lambda graph: graph,
    "symmetrised": symmetrise,
    "cut": lambda graph: top_k(symmetrise(graph), 2),
    "intersected": lambda graph: symmetrise(graph, how="min"),
}


@pytest.mark.parametrize(
    "cut",
    [pytest.param(cut, marks=[pytest.mark.slow] if cut in ("symmetrised", "cut") else []) for cut in CUTS],
)
def test_no_clustering_of_the_complete_graph_is_better(cut: str) -> None:
    """The graph knows what it lacks. Its smallest similarities do not tell, and the test would see it."""
    n_wrong, n_useful, n_optimal = 0, 0, 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(8, 2)) * (1 + 9 * (rng.random((8, 1)) < 0.3))
        full = knn_graph(points, 7)
        graph = CUTS[cut](knn_graph(points, 3))
        preference = float(np.median(full.data)) * 2.0 ** rng.integers(-4, 2)
        dense = np.full((8, 8), -np.inf)
        dense[full.tocoo().coords] = full.data
        optimum = optimum_of(Graph(dense, np.full(8, preference)))
        clustering = cluster(graph, preference, certify="complete")
        assert clustering.bound_is_complete
        assert clustering.net_similarity_bound >= optimum - 1e-9 * abs(optimum)
        n_useful += clustering.net_similarity_bound <= optimum + 0.01 * abs(optimum)
        assert not clustering.optimal or clustering.net_similarity >= optimum - 1e-6 * abs(optimum)
        n_optimal += clustering.optimal
        smallest = np.minimum.reduceat(graph.data, graph.indptr[:-1]) if np.diff(graph.indptr).all() else None
        if smallest is not None:
            other = cluster(graph, preference, certify="complete", missing_at_most=smallest)
            n_wrong += other.net_similarity_bound < optimum - 1e-6 * abs(optimum)
    # An intersection lacks much.
    assert min(n_useful, n_optimal) > 0 or cut == "intersected"
    assert n_wrong > 0 or cut != "symmetrised"


def test_the_complete_bound_is_the_same_from_disk_and_in_any_order(tmp_path: Path) -> None:
    graph = symmetrise(knn_graph(np.random.default_rng(3).normal(size=(300, 2)), 25))
    write_graph(graph, tmp_path / "graph.zarr", order="rcm")
    write_npz(tmp_path / "graph.npz", graph)
    options: dict[str, Any] = {"preference": -0.1, "certify": "complete", "refine": "medoid"}
    ways = [
        affinity_propagation(given, reorder=reorder, **options)
        for given, reorder in (
            (graph, False),
            (graph, True),
            (tmp_path / "graph.zarr", False),
            (open_graph(tmp_path / "graph.zarr"), False),
            (tmp_path / "graph.npz", False),
        )
    ]
    assert len({found.net_similarity_bound for found in ways}) == 1
    of_graph = affinity_propagation(graph, **{**options, "certify": True})
    assert of_graph.net_similarity_bound <= ways[0].net_similarity_bound
    assert not of_graph.bound_is_complete


def test_a_graph_of_all_pairs_lacks_nothing() -> None:
    graph = np.random.default_rng(0).normal(size=(9, 9))
    whole = cluster(graph, -1.0, certify="complete")
    assert whole.net_similarity_bound == cluster(graph, -1.0, certify=True).net_similarity_bound


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"certify": "complete"}, "nothing is known of the pairs that are not edges of this graph"),
        (
            {"certify": True, "missing_at_most": -1.0},
            "missing_at_most was given with certify=True. It is for",
        ),
        (
            {"certify": "complete", "missing_at_most": [1.0, 2.0]},
            r"missing_at_most has the shape \(2,\); a number",
        ),
        ({"certify": "complete", "missing_at_most": np.nan}, r"missing_at_most has NaN or \+inf in it"),
        ({"certify": "complete", "missing_at_most": "much"}, "missing_at_most is a str of no numbers"),
    ],
)
def test_what_the_graph_lacks_must_be_known(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        affinity_propagation(knn_similarity(30, 4, 2, seed=0), **options)


def test_where_all_are_alike_the_bound_is_the_answer() -> None:
    graph = Graph(np.full((4, 4), -2.0), np.full(4, -5.0))
    clustering = with_bound(graph)
    assert clustering.outcome is Outcome.ALL_EQUAL
    assert clustering.net_similarity == -11
    assert clustering.net_similarity_bound == pytest.approx(-11, abs=1e-12)


def test_without_certify_there_is_no_bound() -> None:
    graph = random_graph(0, 6, 0.5, symmetric=False)
    clustering = cluster(engine.csr_of_dense(graph.similarity), graph.preference)
    assert clustering.net_similarity_bound is None
    assert clustering.optimality_gap is None


@pytest.mark.parametrize("similarity", [-2e-323, -1e-310, -1e-290])
def test_of_similarities_next_to_nothing(similarity: float) -> None:
    """The corners cannot be rounded where numbers end."""
    graph = [[0.0, similarity], [2 * similarity, 0.0]]
    clustering = affinity_propagation(np.array(graph), preference=3 * similarity, certify=True)
    assert clustering.net_similarity_bound is not None
    assert clustering.net_similarity_bound >= clustering.net_similarity


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("factor", [0.1, 0.3, 2.0])
def test_edges_left_out_of_a_dense_graph_change_no_bit(
    factor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = load_digits().data[:400]
    similarity = -((points[:, None] - points) ** 2).sum(axis=-1)
    preference = factor * float(np.median(similarity))
    made: list[int] = []

    class Counted(ActiveEdges):
        def _copied(self, *given: Any) -> Any:
            copy = super()._copied(*given)
            made.append(0 if copy is None else len(copy.data))
            return copy

    monkeypatch.setattr("sparse_ap.search.dual_descent.ActiveEdges", Counted)

    def bound(given: Any) -> float | None:
        found = affinity_propagation(
            given, preference=preference, scheme="compact", refine="medoid", certify=True
        )
        return found.net_similarity_bound

    write_graph(scipy.sparse.csr_array(similarity), tmp_path / "graph.zarr")
    left_out = bound(similarity)
    assert any(made)
    assert bound(tmp_path / "graph.zarr") == left_out
    monkeypatch.setattr("sparse_ap.search.active_edges._DENSE", np.inf)
    made.clear()
    assert bound(similarity) == left_out
    assert made == []
