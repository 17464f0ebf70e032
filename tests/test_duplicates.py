"""Equal points, of which one stands for all: against the whole graph, and in every way of running."""

from __future__ import annotations

import re
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import click.testing
import disk
import numpy as np
import pytest
import scipy.sparse
from same_bits import bits

from sparse_ap import AffinityPropagation, Clustering, InvalidInputError, affinity_propagation
from sparse_ap.cli.commands import main
from sparse_ap.errors import CheckpointError
from sparse_ap.graphs import knn_graph, open_graph, write_graph
from sparse_ap.plotting.html_report import write_report

sys.path.insert(0, str(Path(__file__).parent / "reference"))
from engine import csr_of_dense

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIFFERENT = np.random.default_rng(0).random((300, 3)).astype(np.float32)
ROWS = np.random.default_rng(1).permutation(
    np.r_[np.arange(300), np.repeat(np.arange(3), 60), np.repeat(np.arange(5, 20), 4)]
)
# Of the first three points there are more copies than neighbours.
GRAPH = knn_graph(DIFFERENT[ROWS], 10)
OPTIONS: dict[str, Any] = {"preference": -0.1, "collapse_duplicates": True, "max_iter": 60}


def repeated(seed: int) -> tuple[Any, Any, Any, float]:
    """Similarities of up to 5 points, of which there are up to 3 each; their numbers, preferences; s0."""
    rng = np.random.default_rng(seed)
    n, alike = int(rng.integers(1, 6)), (0.0, 1.0, -0.5)[seed % 3]
    s = alike - rng.integers(1, 9, (n, n)) / 2
    s[rng.random((n, n)) < 0.3 * (seed % 2)] = -np.inf
    rows = rng.permutation(np.repeat(np.arange(n), rng.integers(1, 4, n)))
    whole = s[np.ix_(rows, rows)]
    whole[rows[:, None] == rows] = alike
    preference = alike - rng.integers(1, 12, n) / 2
    return whole, rows, preference[rows], alike


def best_value(s: Any, p: Any, weights: Any) -> float:
    """The largest net similarity of all sets of exemplars."""
    n, best = len(p), -np.inf
    allowed = np.flatnonzero(p > -np.inf)
    for size in range(1, len(allowed) + 1):
        for chosen in map(list, combinations(allowed, size)):
            others = np.setdiff1d(np.arange(n), chosen)
            value = p[chosen].sum() + (weights[others] * s[np.ix_(others, chosen)].max(1)).sum()
            best = max(best, value)
    return best


def require_sums(found: Clustering, s: Any, p: Any, weights: Any) -> None:
    """Similarities and sums are those of the graph given."""
    chosen = found.exemplars[found.labels]
    rows = np.arange(len(p))
    expected = np.where(rows == chosen, 0, s[rows, chosen])
    assert (found.similarities == expected).all()
    assert (chosen[found.exemplars] == found.exemplars).all()
    assert found.data_similarity == pytest.approx((weights * expected).sum(), abs=1e-12)
    assert found.exemplar_preference == pytest.approx(p[found.exemplars].sum(), abs=1e-12)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("part", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 5))])
def test_the_answer_is_that_of_the_whole_graph(part: int) -> None:
    for seed in range(40 * part, 40 * part + 40):
        s, rows, p, alike = repeated(seed)
        whole = affinity_propagation(csr_of_dense(s), preference=p, n_jobs=1)
        found = affinity_propagation(
            csr_of_dense(s), preference=p, n_jobs=1, collapse_duplicates=alike, certify=True
        )
        assert found.n_collapsed == len(rows) - len(np.unique(rows))
        assert found.net_similarity == pytest.approx(whole.net_similarity, abs=1e-9)
        assert found.net_similarity_bound is not None
        assert found.net_similarity_bound >= max(found.net_similarity, whole.net_similarity - 1e-9)
        require_sums(found, s, p, np.ones(len(p)))
        # The exemplar is the first of its copies.
        first = [np.flatnonzero(rows == rows[k])[0] for k in found.exemplars]
        assert found.exemplars.tolist() == first


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weights_preferences_and_candidates_of_copies_may_differ() -> None:
    n_collapsed = 0
    for seed in range(1, 80, 2):
        s, rows, p, alike = repeated(seed - seed % 2)
        if len(rows) > 9:
            continue
        rng = np.random.default_rng(seed)
        weights = rng.integers(1, 5, len(p)).astype(float)
        p = p - rng.integers(0, 3, len(p)) - 4 * abs(alike)
        candidates = rng.random(len(p)) < 0.7
        candidates[0] = True
        found = affinity_propagation(
            csr_of_dense(s), preference=p, weights=weights, candidates=candidates, n_jobs=1,
            collapse_duplicates=alike,
        )  # fmt: skip
        n_collapsed += found.n_collapsed
        barred = np.where(candidates, p, -np.inf)
        assert found.net_similarity == pytest.approx(best_value(s, barred, weights), abs=1e-9)
        assert candidates[found.exemplars].all()
        require_sums(found, s, p, weights)
        if not (weights == 1).all():
            assert found.weighted_sizes == pytest.approx(np.bincount(found.labels, weights))
    assert n_collapsed > 40


@pytest.fixture(scope="module")
def wanted() -> Clustering:
    return affinity_propagation(GRAPH, **OPTIONS)


def test_lists_full_of_copies_are_one_point(wanted: Clustering) -> None:
    assert wanted.n_collapsed == 240
    label = np.full(300, -1)
    label[ROWS] = wanted.labels
    assert (label[ROWS] == wanted.labels).all()
    chosen = wanted.exemplars[wanted.labels]
    distances = ((DIFFERENT[ROWS] - DIFFERENT[ROWS][chosen]) ** 2).sum(1)
    assert wanted.similarities == pytest.approx(-distances, abs=1e-6)
    assert (wanted.similarities[ROWS[chosen] == ROWS] == 0).all()


@pytest.mark.parametrize("n_jobs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_same_bits(n_jobs: int, wanted: Clustering, tmp_path: Path) -> None:
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    write_graph(GRAPH, tmp_path / "moved.zarr", order="rcm")
    for graph in (GRAPH, path, open_graph(path), open_graph(tmp_path / "moved.zarr")):
        assert bits(affinity_propagation(graph, **OPTIONS, n_jobs=n_jobs)) == bits(wanted)
    assert bits(affinity_propagation(GRAPH, **OPTIONS, n_jobs=n_jobs, reorder=True)) == bits(wanted)


def test_what_says_something_else_is_not_collapsed() -> None:
    s = -np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    s[0, 1] = s[1, 0] = s[2, 3] = s[3, 2] = 0
    graph = csr_of_dense(s)
    with pytest.warns(UserWarning, match="^4 points are as similar to others as collapse_duplicates=0 says"):
        found = affinity_propagation(graph, preference=-1.0, collapse_duplicates=True)
    plain = affinity_propagation(graph, preference=-1.0)
    assert found.n_collapsed == 0
    assert bits(found) == bits(plain)
    for off in (None, False, np.bool_(False)):
        assert bits(affinity_propagation(graph, preference=-1.0, collapse_duplicates=off)) == bits(plain)
    with pytest.warns(UserWarning, match="collapse_duplicates=-9 is the similarity of equal .* up to 0:"):
        affinity_propagation(graph, preference=-1.0, collapse_duplicates=-9)
    with pytest.warns(
        UserWarning, match="collapse_duplicates=1 is the similarity .* no similarity is above 0"
    ):
        affinity_propagation(graph, preference=-1.0, collapse_duplicates=1)
    # Dearer than an exemplar of its own.
    s, rows, _, alike = repeated(7)
    assert len(np.unique(rows)) < len(rows)
    own = affinity_propagation(csr_of_dense(s), preference=alike + 1, collapse_duplicates=alike)
    assert (own.n_clusters, own.n_collapsed) == (len(rows), 0)


def test_all_points_equal() -> None:
    found = affinity_propagation(np.zeros((7, 7)), preference=-2.0, collapse_duplicates=np.bool_(True))
    assert (found.exemplars.tolist(), found.n_collapsed, found.net_similarity) == ([0], 6, -2.0)


def test_whom_nobody_represents_are_all_copies() -> None:
    s, _, _, _ = repeated(6)
    graph = scipy.sparse.block_diag([csr_of_dense(s), csr_of_dense(np.zeros((3, 3)))], "csr")
    options: dict[str, Any] = {"candidates": np.arange(len(s)), "preference": -9.0}
    with pytest.raises(InvalidInputError, match=f"^3 of the points .*: {len(s)}, {len(s) + 1}, "):
        affinity_propagation(graph, collapse_duplicates=True, **options)
    found = affinity_propagation(graph, collapse_duplicates=True, unrepresented="label", **options)
    assert (found.labels[-3:] == -1).all()
    assert np.isnan(found.similarities[-3:]).all()
    assert found.n_unrepresented == 3


def test_exactly_so_many_clusters() -> None:
    found = affinity_propagation(GRAPH, n_clusters=40, collapse_duplicates=True)
    assert found.n_clusters == 40
    assert found.preference is not None
    assert found.exemplar_preference == pytest.approx(40 * found.preference)
    with pytest.raises(InvalidInputError, match="n_clusters=301, but there are only 300 points that differ"):
        affinity_propagation(GRAPH, n_clusters=301, collapse_duplicates=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"collapse_duplicates": "yes"}, "collapse_duplicates='yes'; it must be True, or the similarity of"),
        ({"collapse_duplicates": np.nan}, "collapse_duplicates=nan"),
        ({"scheme": "classic"}, "scheme='classic' was given with collapse_duplicates=True, which is for"),
        ({"certify": "complete"}, "collapse_duplicates=True was given with certify='complete'"),
        ({"collapse_duplicates": 1, "n_clusters": 3}, "a preference of its own"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: Any, text: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        affinity_propagation(GRAPH, **{"collapse_duplicates": True} | options)
    assert text in str(error.value)


def test_a_run_goes_on_only_with_the_same(wanted: Clustering, tmp_path: Path) -> None:
    kept: dict[str, Any] = OPTIONS | {"checkpoint": tmp_path / "kept"}
    affinity_propagation(GRAPH, **kept | {"max_iter": 25})
    assert bits(affinity_propagation(GRAPH, **kept, resume=True)) == bits(wanted)
    with pytest.raises(CheckpointError, match=r"another run: collapse_duplicates was 0\.0 and is None\."):
        affinity_propagation(GRAPH, **kept | {"collapse_duplicates": None}, resume=True)
    # By this similarity none are equal.
    with (
        pytest.warns(UserWarning, match="nothing is collapsed"),
        pytest.raises(CheckpointError, match=r"another run: collapse_duplicates was 0\.0 and is 1\.0\."),
    ):
        affinity_propagation(GRAPH, **kept | {"collapse_duplicates": 1}, resume=True)
    # None are equal by this similarity.
    with (
        pytest.warns(UserWarning, match="nothing is collapsed"),
        pytest.raises(CheckpointError, match=r"another run: collapse_duplicates was 0\.0 and is 1\.0\."),
    ):
        affinity_propagation(GRAPH, **kept | {"collapse_duplicates": 1}, resume=True)


def test_the_estimator_and_the_command(wanted: Clustering, tmp_path: Path) -> None:
    options = OPTIONS | {"affinity": "precomputed"}
    assert bits(AffinityPropagation(**options).fit(GRAPH).clustering_) == bits(wanted)
    scipy.sparse.save_npz(tmp_path / "g.npz", scipy.sparse.csr_matrix(GRAPH))
    given = ["cluster", tmp_path / "g.npz", "--preference=-0.1", "--max-iter", 60, "-o", tmp_path / "c.npz"]
    for option in ("--collapse-duplicates", "--collapse-duplicates=0"):
        done = click.testing.CliRunner().invoke(main, list(map(str, [*given, option])))
        assert done.exit_code == (0 if wanted.converged else 3), done.output
        assert "collapsed       240  (equal to another point)" in done.output
        found = Clustering.load(tmp_path / "c.npz")
        assert bits(found) == bits(wanted)
        assert found.n_collapsed == 240
    write_report(wanted, tmp_path / "report.html")
    page = re.sub("<[^>]*>", " ", (tmp_path / "report.html").read_text())
    assert re.search(r"equal to another point\s+240", page)
    given = ["cluster", "--collapse-duplicates", str(tmp_path / "g.npz")]
    done = click.testing.CliRunner().invoke(main, given)
    said = " ".join(done.output.split())
    assert done.exit_code == 2
    assert "g.npz' is no similarity of equal points. Put another argument before the option" in said
