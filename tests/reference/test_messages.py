"""The messages of both schemes against the oracles: the paper as loops, and compact in plain numpy."""

import compact_oracle
import engine
import numpy as np
import paper
import pytest
from graphs import DAMPINGS, Graph, graphs, patient, random_graph
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

CHOSEN = [
    pytest.param(random_graph(seed, n, density, symmetric=symmetric), id=name)
    for seed, (name, n, density, symmetric) in enumerate(
        [
            ("dense asymmetric", 12, 1.0, False),
            ("dense symmetric", 12, 1.0, True),
            ("sparse asymmetric", 25, 0.2, False),
            ("sparse symmetric", 25, 0.2, True),
            ("nearly empty", 20, 0.05, False),
        ]
    )
]


def printed(graph: Graph, n_sweeps: int, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """The paper's r and a after some sweeps."""
    s = paper.with_preferences(graph.similarity, graph.preference)
    r, a = paper.messages(s, n_sweeps, damping)
    return np.array(r), np.array(a)


def assert_classic_is_printed(graph: Graph, n_sweeps: int, damping: float) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    ours = engine.classic(csr, graph.preference, n_sweeps, damping)
    r, a = printed(graph, n_sweeps, damping)
    _, previous_a = printed(graph, n_sweeps - 1, damping)
    edges = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr)), csr.indices
    near = {"rtol": 0, "atol": 1e-10 * graph.scale}
    assert_allclose(ours.messages.responsibility, r[edges], **near)
    # The availabilities of a sweep are brought up to date when the next one reads their row.
    assert_allclose(ours.messages.availability, previous_a[edges], **near)
    assert_allclose(ours.rows.support, np.diagonal(a), **near)
    assert_self_responsibility(ours.rows.self_responsibility, np.diagonal(r), **near)


def assert_self_responsibility(ours: np.ndarray, expected: np.ndarray, **near: float) -> None:
    """Equal where there is a rival; the clamp that stands for infinity where there is none."""
    rival = np.isfinite(expected)
    assert_allclose(ours[rival], expected[rival], **near)
    assert np.isfinite(ours).all()
    assert (ours[~rival] > 0).all()


@pytest.mark.parametrize("damping", DAMPINGS)
@pytest.mark.parametrize("n_sweeps", [1, 2, 3, 10, 40])
@pytest.mark.parametrize("graph", CHOSEN)
def test_classic_messages_are_the_papers(graph: Graph, n_sweeps: int, damping: float) -> None:
    assert_classic_is_printed(graph, n_sweeps, damping)


@patient
@given(graphs(), st.integers(1, 12), st.sampled_from(DAMPINGS))
def test_classic_messages_are_the_papers_on_any_graph(graph: Graph, n_sweeps: int, damping: float) -> None:
    assert_classic_is_printed(graph, n_sweeps, damping)


@patient
@given(graphs(), st.integers(1, 12), st.sampled_from(DAMPINGS))
def test_what_classic_gathers_are_the_column_totals(graph: Graph, n_sweeps: int, damping: float) -> None:
    ours = engine.classic(engine.csr_of_dense(graph.similarity), graph.preference, n_sweeps, damping)
    r, _ = printed(graph, n_sweeps, damping)
    support, self_responsibility = map(np.array, paper.column_totals(r))
    rival = np.isfinite(self_responsibility)
    totals = (support + self_responsibility)[rival]
    assert_allclose(ours.total[rival], totals, rtol=0, atol=1e-10 * graph.scale)
    assert (ours.total[~rival] >= support[~rival]).all()


@patient
@given(graphs(), st.sampled_from(DAMPINGS))
def test_one_more_sweep_brings_the_availabilities_up_to_date(graph: Graph, damping: float) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    ours = engine.classic(csr, graph.preference, 6, damping)
    _, a = printed(graph, 5, damping)
    edges = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr)), csr.indices
    assert_allclose(ours.messages.availability, a[edges], rtol=0, atol=1e-10 * graph.scale)


@patient
@given(graphs(), st.sampled_from(DAMPINGS))
def test_classic_messages_of_four_times_the_similarities_are_four_times_the_messages(
    graph: Graph, damping: float
) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    once = engine.classic(csr, graph.preference, 8, damping)
    four_times = engine.classic(4 * csr, 4 * graph.preference, 8, damping)
    near = {"rtol": 0, "atol": 1e-10 * graph.scale}
    assert_allclose(four_times.messages.responsibility, 4 * once.messages.responsibility, **near)
    assert_allclose(four_times.messages.availability, 4 * once.messages.availability, **near)


def corrections(graph: Graph, place1: np.ndarray, delta1: np.ndarray, place2: np.ndarray, delta2: np.ndarray):
    """What is kept of each row's winners, by place; the column after the longest row's last is the point."""
    n = len(graph.preference)
    table = np.zeros((n, n + 1))
    for place, delta in [(place1, delta1), (place2, delta2)]:
        table[np.arange(n), place] += delta
    return table


def our_corrections(graph: Graph, rows) -> np.ndarray:
    """The point itself is place -1, which is the last column; nobody, -2, carries nothing."""
    assert (rows.delta1[rows.edge1 == -2] == 0).all()
    assert (rows.delta2[rows.edge2 == -2] == 0).all()
    return corrections(graph, rows.edge1, rows.delta1, rows.edge2, rows.delta2)


def expected_corrections(graph: Graph, degree: np.ndarray, state: compact_oracle.State) -> np.ndarray:
    """The point itself comes after a row's edges; nobody carries nothing."""
    place1, place2 = (np.where(p == degree, -1, p) for p in (state.place1, state.place2))
    return corrections(graph, place1, state.delta1, place2, state.delta2)


def assert_same_state(
    graph: Graph, degree: np.ndarray, ours: engine.State, expected: compact_oracle.State, tol: float
) -> None:
    near = {"rtol": 0, "atol": tol * graph.scale}
    assert_allclose(ours.rows.mean, expected.mean, **near)
    kept = our_corrections(graph, ours.rows)
    assert_allclose(kept, expected_corrections(graph, degree, expected), **near)
    assert_allclose(ours.rows.support, expected.support, **near)
    assert_self_responsibility(ours.rows.self_responsibility, expected.self_responsibility, **near)
    assert_self_responsibility(ours.total, expected.total, **near)


def assert_compact_is_plain(
    graph: Graph,
    n_sweeps: int,
    damping: float,
    total_damping: float,
    dtype: type = np.float64,
    tol: float = 1e-9,
) -> None:
    csr = engine.csr_of_dense(graph.similarity, dtype)
    ours = engine.compact(csr, graph.preference, n_sweeps, damping, total_damping)
    expected = compact_oracle.compact(csr, graph.preference, n_sweeps * [damping], total_damping)
    assert ours.rows.mean.dtype == ours.rows.delta1.dtype == ours.total.dtype == dtype
    assert_same_state(graph, np.diff(csr.indptr), ours, expected, tol)


@pytest.mark.parametrize(("damping", "total_damping"), [(0.5, 0.5), (0.8, 0.5), (0.9, 0.9)])
@pytest.mark.parametrize("n_sweeps", [1, 2, 3, 10, 40])
@pytest.mark.parametrize("graph", CHOSEN)
def test_compact_state_is_the_plain_versions(
    graph: Graph, n_sweeps: int, damping: float, total_damping: float
) -> None:
    assert_compact_is_plain(graph, n_sweeps, damping, total_damping)


@pytest.mark.parametrize("damping", DAMPINGS)
@pytest.mark.parametrize("n_sweeps", [1, 2, 5])
@pytest.mark.parametrize("graph", CHOSEN)
def test_compact_state_in_float32_is_as_good_as_float32(graph: Graph, n_sweeps: int, damping: float) -> None:
    assert_compact_is_plain(graph, n_sweeps, damping, 0.5, np.float32, tol=1e-6)


@patient
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 20),
    density=st.floats(0.05, 1),
    symmetric=st.booleans(),
    n_sweeps=st.integers(1, 15),
    damping=st.sampled_from(DAMPINGS),
    total_damping=st.sampled_from([0.5, 0.8]),
)
def test_compact_state_is_the_plain_versions_on_random_graphs(
    seed: int,
    n: int,
    density: float,
    symmetric: bool,
    n_sweeps: int,
    damping: float,
    total_damping: float,
) -> None:
    graph = random_graph(seed, n, density, symmetric=symmetric)
    assert_compact_is_plain(graph, n_sweeps, damping, total_damping)


@patient
@given(graphs(), st.integers(1, 12), st.sampled_from(DAMPINGS))
def test_compact_state_is_the_plain_versions_on_any_graph(
    graph: Graph, n_sweeps: int, damping: float
) -> None:
    assert_compact_is_plain(graph, n_sweeps, damping, 0.5)


@pytest.mark.parametrize("graph", CHOSEN)
def test_compact_remembers_the_same_winners(graph: Graph) -> None:
    csr = engine.csr_of_dense(graph.similarity)
    ours = engine.compact(csr, graph.preference, 10, 0.8, 0.5).rows
    expected = compact_oracle.compact(csr, graph.preference, 10 * [0.8], 0.5)
    degree = np.diff(csr.indptr)
    for edge, place in [(ours.edge1, expected.place1), (ours.edge2, expected.place2)]:
        named = np.where(place == compact_oracle.NOBODY, -2, np.where(place == degree, -1, place))
        np.testing.assert_array_equal(edge, named)


@pytest.mark.parametrize("seed", range(20))
def test_in_compact_a_tie_between_best_and_second_makes_nobody_a_winner(seed: int) -> None:
    untied = random_graph(seed, 15, 0.6, symmetric=True)
    tied = Graph(np.round(untied.similarity / 4), np.round(untied.preference / 4))
    # With a damping of 1/2 everything is exact, so that ties stay ties.
    assert_compact_is_plain(tied, 8, 0.5, 0.5, tol=0)


def compact_responsibilities(graph: Graph, n_sweeps: int) -> list[list[float]]:
    """r of every pair after many sweeps, when w is 1, put together from what compact keeps."""
    csr = engine.csr_of_dense(graph.similarity)
    rows = engine.compact(csr, graph.preference, n_sweeps, 0.9, 0.5).rows
    kept = our_corrections(graph, rows)
    r = np.array(paper.with_preferences(graph.similarity, graph.preference)) - rows.mean[:, None]
    for i in range(csr.shape[0]):
        columns = csr.indices[csr.indptr[i] : csr.indptr[i + 1]]
        r[i, columns] -= kept[i, : len(columns)]
        r[i, i] -= kept[i, -1]
    return r.tolist()


@pytest.mark.parametrize("graph", CHOSEN[:4])
def test_where_compact_stands_still_so_does_the_paper(graph: Graph) -> None:
    points = range(len(graph.preference))
    s = paper.with_preferences(graph.similarity, graph.preference)
    r = compact_responsibilities(graph, 1000)
    a = [
        [paper.new_self_availability(r, k) if i == k else paper.new_availability(r, i, k) for k in points]
        for i in points
    ]
    again = [[paper.new_responsibility(s, a, i, k) for k in points] for i in points]
    assert_allclose(again, r, rtol=0, atol=1e-9 * graph.scale)
