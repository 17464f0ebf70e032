"""What must hold of every clustering of every graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from internals import change
from samples import knn_similarity
from strategies import graphs

from sparse_ap import Clustering, InvalidInputError, Outcome, affinity_propagation
from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.local import SerialExecutor
from sparse_ap.propagation.assignment import assign
from sparse_ap.propagation.problem import Problem, summarise_edges
from sparse_ap.propagation.repair import repair
from sparse_ap.storage.memory import MemoryStore

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:All samples have mutually equal:UserWarning"),
]
schemes = st.sampled_from(["compact", "classic"])
refinements = st.sampled_from(["medoid", None])


def similarity_between(graph: Any, i: int, k: int) -> float | None:
    """The stored similarity, found by reading the row."""
    for edge in range(graph.indptr[i], graph.indptr[i + 1]):
        if graph.indices[edge] == k:
            return float(graph.data[edge])
    return None


def recomputed(graph: Any, preference: Any, clustering: Clustering) -> tuple[float, float]:
    """Data similarity and exemplar preference, from the labels alone."""
    data = [
        similarity_between(graph, i, int(k))
        for i, k in enumerate(clustering.exemplars[clustering.labels])
        if i != k
    ]
    assert None not in data, "a point is represented along no edge"
    return math.fsum(data), math.fsum(preference[clustering.exemplars])  # type: ignore[arg-type]


@examples(150)
@given(graphs(), st.floats(-10, 3), schemes, refinements, st.integers(1, 60))
def test_labels_are_valid_and_net_similarity_is_theirs(
    graph: Any, preference: float, scheme: str, refine: Any, max_iter: int
) -> None:
    n = graph.shape[0]
    c = affinity_propagation(
        graph, preference=preference, scheme=scheme, refine=refine, max_iter=max_iter, n_jobs=1
    )
    assert (np.diff(c.exemplars) > 0).all()
    assert (c.labels[c.exemplars] == np.arange(len(c.exemplars))).all()
    assert c.labels.min() >= 0
    data, preferences = recomputed(graph, np.full(n, preference), c)
    assert c.data_similarity == data
    assert c.exemplar_preference == preferences
    assert c.net_similarity == data + preferences


@examples(100)
@given(graphs(), st.integers(-40, 4), st.integers(0, 2**32 - 1))
def test_repair_is_at_least_as_good_as_everybody_alone(graph: Any, eighths: int, seed: int) -> None:
    n = graph.shape[0]
    store = MemoryStore.from_sparse(graph)
    blocked = BlockedGraph(store, cut_rows(store.indptr, 2), SerialExecutor())
    rng = np.random.default_rng(seed)
    preference = eighths / 8 + rng.integers(0, 3, n)
    ids = np.arange(n, dtype=np.int32)
    problem = Problem(blocked, ids, preference, summarise_edges(blocked)[0])
    exemplar = rng.random(n) < 0.1
    repaired, n_promoted = repair(problem, exemplar)
    assert (repaired.chosen >= 0).all()
    assert np.count_nonzero(repaired.exemplar) == np.count_nonzero(exemplar) + n_promoted

    before = assign(problem, exemplar)
    uncovered = before.chosen < 0
    alone = math.fsum(before.similarity) + math.fsum(preference[exemplar | uncovered])
    value = math.fsum(repaired.similarity) + math.fsum(preference[repaired.exemplar])
    assert n_promoted <= np.count_nonzero(uncovered)
    assert value >= alone - 1e-9 * abs(alone)


@examples(60)
@given(graphs(), st.floats(-10, 0), schemes)
def test_medoids_never_lower_the_net_similarity(graph: Any, preference: float, scheme: str) -> None:
    raw, refined = (
        affinity_propagation(graph, preference=preference, scheme=scheme, refine=refine, n_jobs=1)
        for refine in (None, "medoid")
    )
    assert refined.net_similarity >= raw.net_similarity - 1e-9 * abs(raw.net_similarity)


@pytest.mark.parametrize("scheme", ["compact", "classic"])
def test_similarity_times_four_gives_the_same_clusters(knn: Any, scheme: str) -> None:
    """Powers of two scale every message, and the grid, without rounding."""
    one = affinity_propagation(knn, preference=-0.02, scheme=scheme)
    four = affinity_propagation(4 * knn, preference=-0.08, scheme=scheme)
    assert (one.labels == four.labels).all()
    assert one.history == four.history
    assert 4 * one.net_similarity == four.net_similarity


@pytest.mark.parametrize("scheme", ["compact", "classic"])
def test_an_edge_at_minus_infinity_is_no_edge(scheme: str) -> None:
    graph = knn_similarity(400, 8, 2, seed=5, dtype=np.float64)
    coo = graph.tocoo()
    kept = np.random.default_rng(1).random(graph.nnz) < 0.8
    without = scipy.sparse.csr_array(
        scipy.sparse.coo_array((coo.data[kept], (coo.row[kept], coo.col[kept])), shape=graph.shape)
    )
    with_infinite = graph.copy()
    with_infinite.data = np.where(kept, graph.data, -np.inf)
    results = [affinity_propagation(g, preference=-0.05, scheme=scheme) for g in (without, with_infinite)]
    assert (results[0].labels == results[1].labels).all()
    assert results[0].history == results[1].history


def test_relabelling_the_points_relabels_the_answer() -> None:
    """On tie-free input; the differences that break ties belong to ids, so they are made negligible."""
    graph = knn_similarity(300, 12, 2, seed=2, dtype=np.float64)
    graph.data *= np.random.default_rng(5).uniform(0.9, 1.1, graph.nnz)
    order = np.random.default_rng(3).permutation(300)
    shuffled = graph[order][:, order]
    options: Any = {"preference": -0.05, "scheme": "classic", "damping": 0.9, "max_iter": 500}
    one, two = (affinity_propagation(g, refine="medoid", **options) for g in (graph, shuffled))
    assert one.converged
    assert (one.exemplars[one.labels][order] == order[two.exemplars[two.labels]]).all()


def test_two_islands_cluster_as_each_alone() -> None:
    islands = [knn_similarity(250, 12, 2, seed=seed, dtype=np.float64) for seed in (1, 2)]
    for island in islands:
        island.data *= np.random.default_rng(5).uniform(0.9, 1.1, island.nnz)
    options: dict[str, Any] = {
        "preference": -0.05,
        "scheme": "classic",
        "damping": 0.9,
        "max_iter": 2000,
        "convergence_iter": 200,
        "refine": "medoid",
    }
    alone = [affinity_propagation(island, **options) for island in islands]
    both = affinity_propagation(scipy.sparse.block_diag(islands, format="csr"), **options)
    expected = [*alone[0].exemplars[alone[0].labels], *(250 + alone[1].exemplars[alone[1].labels])]
    assert both.converged
    assert both.exemplars[both.labels].tolist() == expected


def test_mutual_pairs_are_decided() -> None:
    """Two points that are each other's only neighbour: only the broken tie decides who represents."""
    n = 200
    partner = np.arange(n) ^ 1
    graph = scipy.sparse.csr_array((np.full(n, -1.0, np.float32), partner, np.arange(n + 1)), shape=(n, n))
    c = affinity_propagation(graph, preference=-3.0)
    assert c.converged
    assert c.n_clusters == n // 2
    assert c.net_similarity == n // 2 * (-3.0 - 1.0)


def test_a_stored_zero_is_a_perfect_match() -> None:
    graph = scipy.sparse.csr_array(([0.0, -5.0, -5.0], [1, 0, 0], [0, 1, 2, 3]), shape=(3, 3))
    assert graph.nnz == 3
    c = affinity_propagation(graph, preference=-1.0)
    assert c.exemplars.tolist() == [1, 2]
    assert c.net_similarity == -2.0


def test_points_without_edges_are_their_own_exemplars() -> None:
    graph = knn_similarity(200, 8, 2, seed=4).tolil()
    graph[[3, 77]] = 0
    csr = scipy.sparse.csr_array(graph.tocsr())
    c = affinity_propagation(csr, preference=-0.05)
    assert {3, 77} <= set(c.exemplars.tolist())


@pytest.mark.parametrize("scheme", ["compact", "classic"])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_graphs_without_edges(n: int, scheme: str) -> None:
    c = affinity_propagation(scipy.sparse.csr_array((n, n)), scheme=scheme)
    assert c.exemplars.tolist() == c.labels.tolist() == list(range(n))
    assert c.converged


def test_callbacks_are_told_of_every_sweep(knn: Any) -> None:
    reports: list[Any] = []
    c = affinity_propagation(knn, preference=-0.02, callback=reports.append)
    assert tuple(reports) == c.history
    assert [report.sweep for report in reports] == list(range(1, c.n_iter + 1))
    assert c.n_unsettled == reports[-1].n_unsettled


def test_what_a_callback_raises_ends_the_run(knn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, least_edges=512)

    def stop(report: Any) -> None:
        if report.sweep == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        affinity_propagation(knn, preference=-0.02, callback=stop, n_jobs=2)
    assert affinity_propagation(knn, preference=-0.02, n_jobs=2).converged


def test_tol_zero_waits_until_nothing_changes(knn: Any) -> None:
    c = affinity_propagation(knn, preference=-0.005, tol=0.0, max_iter=1000)
    assert c.outcome is Outcome.CONVERGED
    assert c.n_unsettled == 0


def test_a_file_is_replaced_when_the_new_one_is_complete(
    knn: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = affinity_propagation(knn, preference=-0.02, refine=None)
    path = tmp_path / "result.npz"
    c.save(path)
    before = path.read_bytes()

    def interrupted(file: Any, **arrays: Any) -> None:
        file.write(b"PK")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", interrupted)
        with pytest.raises(KeyboardInterrupt):
            c.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]
    assert path.read_bytes() == before
    with pytest.raises(InvalidInputError, match=r"The folder .*nowhere does not exist; make it first\."):
        c.save(tmp_path / "nowhere" / "result.npz")


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 3000)])
def test_saving_keeps_everything(weights: Any, knn: Any, tmp_path: Any) -> None:
    c = affinity_propagation(knn, preference=-0.02, weights=weights)
    c.save(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz") as saved:
        # What there is only sometimes is in a file only then.
        absent = {
            "bound_is_complete",
            "n_clusters_bound",
            "optimal",
            "n_collapsed",
            "recourse",
            "min_similarity",
            *(["weighted_sizes"] if weights is None else []),
        }
        assert set(saved.files) == {*Clustering.__dataclass_fields__, "clustering_version"} - absent
        assert (saved["labels"] == c.labels).all()
        assert saved["outcome"] == c.outcome.name
        assert [tuple(row) for row in saved["history"]] == [tuple(report) for report in c.history]
