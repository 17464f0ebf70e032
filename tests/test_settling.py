"""Points that swing to and fro decide, and the run says honestly whether they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from internals import change
from samples import knn_similarity

from sparse_ap import Clustering, affinity_propagation
from sparse_ap.propagation.schemes import NO_BIAS, BiasSchedule
from sparse_ap.propagation.settings import DEFAULTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TOY = np.loadtxt(Path(__file__).parent / "data" / "toy.txt")


def both_ways(row: Any, column: Any, n: int) -> scipy.sparse.csr_array:
    """Edges of -1 both ways."""
    data = np.full(2 * len(row), -1.0, np.float32)
    return scipy.sparse.coo_array((data, (np.r_[row, column], np.r_[column, row])), shape=(n, n)).tocsr()


def grid(side: int) -> scipy.sparse.csr_array:
    """A lattice whose points have an edge of -1 to each of four neighbours."""
    place = np.arange(side * side).reshape(side, side)
    row = np.r_[place[:, :-1].ravel(), place[:-1].ravel()]
    return both_ways(row, np.r_[place[:, 1:].ravel(), place[1:].ravel()], side * side)


def ring(n: int) -> scipy.sparse.csr_array:
    """A ring whose neighbours have edges of -1."""
    return both_ways(np.arange(n), (np.arange(n) + 1) % n, n)


# Nobody is further from these than the next point; without biases none of them settles in 200 sweeps.
RESTLESS = {
    "grid": (grid(30), -4.0),
    "chain": (both_ways(np.arange(999), np.arange(1, 1000), 1000), -3.0),
    "ring": (ring(600), -1.5),
    "10-d": (knn_similarity(1500, 15, 10, seed=4, dtype=np.float32), -40.0),
}


def clustered(name: str, **options: Any) -> Clustering:
    graph, preference = RESTLESS[name]
    return affinity_propagation(graph, preference=preference, refine=None, **options)


@pytest.mark.parametrize("name", RESTLESS)
def test_the_restless_settle(name: str) -> None:
    found = clustered(name)
    assert found.converged
    assert found.n_unsettled == 0
    assert sum(report.n_changed for report in found.history[-30:]) == 0


@pytest.mark.parametrize("name", RESTLESS)
def test_what_has_settled_stays(name: str) -> None:
    """Going on changes nothing to speak of."""
    found = clustered(name)
    longer = clustered(name, max_iter=3 * found.n_iter, convergence_iter=3 * found.n_iter)
    assert longer.net_similarity == pytest.approx(found.net_similarity, rel=1e-3)


@pytest.mark.parametrize("preference", np.arange(-1.0, -3.0, -0.2).round(1).tolist())
def test_the_toy_settles_at_preferences_rich_in_ties(preference: float) -> None:
    similarity = scipy.sparse.csr_array(-((TOY[:, None] - TOY) ** 2).sum(axis=2))
    found = affinity_propagation(similarity, preference=preference, refine=None)
    assert found.converged
    assert sum(report.n_changed for report in found.history[-30:]) == 0


def test_threads_and_blocks_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, least_edges=256)
    results = [clustered("grid", n_jobs=threads, reorder=reorder) for threads, reorder in
               ((1, False), (2, False), (3, True), (1, True))]  # fmt: skip
    assert results[0].n_iter > BiasSchedule().after + 10
    assert len({(found.labels.tobytes(), found.history) for found in results}) == 1


@pytest.mark.parametrize("after", [41, 45, 60])
def test_a_run_goes_on_in_the_midst_of_settling(tmp_path: Path, after: int) -> None:
    expected = clustered("grid")
    clustered("grid", max_iter=after, checkpoint=tmp_path, checkpoint_every=1)
    found = clustered("grid", checkpoint=tmp_path, checkpoint_every=50, resume=True)
    assert found.history == expected.history
    assert found.labels.tobytes() == expected.labels.tobytes()
    assert found.net_similarity == expected.net_similarity


@pytest.mark.parametrize("scheme", ["compact", "classic"])
def test_a_run_does_not_end_in_the_first_transient(scheme: str) -> None:
    found = affinity_propagation(knn_similarity(500, 10, 2, seed=2), preference=-0.02, scheme=scheme)
    last_change = max(report.sweep for report in found.history if report.n_changed)
    assert found.n_iter - last_change >= DEFAULTS[scheme].convergence_iter - 1


def test_a_user_may_look_back_less_far() -> None:
    graph = knn_similarity(500, 10, 2, seed=2)
    few = affinity_propagation(graph, preference=-0.02, convergence_iter=5)
    assert few.converged
    assert few.n_iter < affinity_propagation(graph, preference=-0.02).n_iter


@given(st.integers(0, 50), st.floats(1e-6, 1.0), st.floats(1.0, 3.0), st.integers(1, 10**9))
def test_the_limit_never_falls_and_is_bounded(after: int, first: float, growth: float, sweep: int) -> None:
    bias_schedule = BiasSchedule(after, first, growth, most=1.0)
    sweep = min(sweep, after + 10_000)
    assert bias_schedule.limit(after) == 0.0
    assert bias_schedule.limit(after + 1) == first
    assert bias_schedule.limit(sweep) <= bias_schedule.limit(sweep + 1) <= 1.0


def test_untilted_never_tilts() -> None:
    assert {NO_BIAS.limit(sweep) for sweep in (1, 40, 41, 100, 10_000)} == {0.0}
