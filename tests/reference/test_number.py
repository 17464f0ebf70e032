"""A wanted number of clusters, the range of preferences, paths: against enumeration, and against R."""

import itertools
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from disk import write
from effort import examples
from engine import csr_of_dense
from graphs import Graph, graphs
from hypothesis import given
from hypothesis import strategies as st
from samples import knn_similarity
from toy import DATA, SIMILARITY

from sparse_ap import (
    Clustering,
    InvalidInputError,
    affinity_propagation,
    preference_path,
    preference_range,
)
from sparse_ap.clustering.n_clusters import Trial, next_cost

BY_NUMBER = {
    int(k): optimum["data_similarity"]
    for k, optimum in json.loads((DATA / "toy_expected.json").read_text())[
        "exact_optimum_by_number_of_clusters"
    ].items()
}
# What R 4.2.2's apcluster 1.4.10 answers for the toy points: preferenceRange of all pairs, and of the five
# nearest neighbours of each point as a sparse matrix, for which its lower end is above the upper one.
R_RANGE = -210.95860695, -0.54671236
R_SPARSE_RANGE = 26.52236478, -0.54671236
few = examples(40)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Tiny graphs of random numbers need not converge, and may be all positive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def best_by_number(graph: Graph) -> dict[int, float]:
    """Return the largest data similarity for each number of clusters that there can be."""
    n, best = len(graph.preference), {}
    for size in range(1, n + 1):
        for exemplars in itertools.combinations(range(n), size):
            others = [i for i in range(n) if i not in exemplars]
            to_exemplars = graph.similarity[np.ix_(others, exemplars)].max(axis=1, initial=-np.inf)
            if (to_exemplars > -np.inf).all():
                best[size] = max(best.get(size, -np.inf), float(to_exemplars.sum()))
    return best


def require_valid(c: Clustering, graph: Graph) -> None:
    exemplar = c.exemplars[c.labels]
    others = exemplar != np.arange(len(exemplar))
    similarity = graph.similarity[np.flatnonzero(others), exemplar[others]]
    assert (similarity > -np.inf).all()
    assert math.isclose(c.data_similarity, similarity.sum(), rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.full_search
def test_toy_points_at_every_number() -> None:
    found = {k: affinity_propagation(SIMILARITY, n_clusters=k) for k in BY_NUMBER}
    assert all(found[k].n_clusters == k for k in BY_NUMBER)
    short = {k: found[k].data_similarity / best - 1 for k, best in BY_NUMBER.items()}
    assert max(short.values()) < 1e-8


@pytest.mark.full_search
def test_the_five_clusters_of_the_toy_points_are_the_best_of_all_sets_of_five() -> None:
    similarity = SIMILARITY.copy()
    np.fill_diagonal(similarity, 0.0)
    five = np.array(list(itertools.combinations(range(25), 5)))
    sums = similarity[:, five].max(axis=2).sum(axis=0)
    best = [set(exemplars.tolist()) for exemplars in five[sums > sums.max() - 1e-9]]
    # Points 9 and 13 are a cluster of two: either represents the other.
    assert best == [{0, 6, 9, 19, 21}, {0, 6, 13, 19, 21}]
    assert sums.max() == pytest.approx(-46.84296042, abs=1e-8)
    found = [affinity_propagation(SIMILARITY, n_clusters=5)]
    found += [affinity_propagation(SIMILARITY, preference=-10, scheme=how) for how in ("classic", "compact")]
    for clustering in found:
        assert set(clustering.exemplars.tolist()) in best
        assert clustering.data_similarity == pytest.approx(-46.84296042, abs=1e-8)
    assert found[1].net_similarity == pytest.approx(-96.84296042, abs=1e-8)


@few
@given(graphs(most_points=7), st.integers(1, 7))
def test_any_number_that_there_can_be(graph: Graph, n_clusters: int) -> None:
    best = best_by_number(graph)
    try:
        c = affinity_propagation(
            csr_of_dense(graph.similarity), n_clusters=np.uint8(n_clusters), certify=True
        )
    except InvalidInputError:
        assert n_clusters not in best
        return
    assert c.n_clusters == n_clusters
    # Of the preference found: no clustering, with whatever number, is better there.
    assert c.net_similarity_bound is not None
    assert c.preference is not None
    rounding = 1e-6 * (graph.scale + abs(c.preference) * len(c.labels))
    assert c.net_similarity_bound >= max(best[k] + k * c.preference for k in best) - rounding
    require_valid(c, graph)
    assert c.data_similarity <= best[n_clusters] + 1e-6 * graph.scale


@few
@given(graphs(most_points=7))
def test_the_range_holds(graph: Graph) -> None:
    """Beyond its ends no other clustering is better; there are none with fewer clusters than the bound."""
    best = best_by_number(graph)
    found = preference_range(csr_of_dense(graph.similarity))
    assert found.least_clusters_bound <= min(best) <= found.least_clusters
    tolerance = 1e-6 * graph.scale * len(graph.preference)
    n = len(graph.preference)
    above = {k: value + k * found.highest for k, value in best.items()}
    assert above[n] >= max(above.values()) - tolerance
    below = {k: value + k * found.lowest for k, value in best.items()}
    with_fewest = max(value for k, value in below.items() if k <= found.least_clusters)
    assert with_fewest >= max(below.values()) - tolerance


def test_the_range_is_that_of_r_for_all_pairs() -> None:
    found = preference_range(SIMILARITY)
    np.testing.assert_allclose([found.lowest, found.highest], R_RANGE, rtol=1e-9)
    assert (found.least_clusters, found.least_clusters_bound) == (1, 1)


def test_the_range_of_a_sparse_graph_is_one() -> None:
    """Absent edges are no similarities of 0, as R takes them to be here."""
    assert R_SPARSE_RANGE[0] > R_SPARSE_RANGE[1]
    nearest = np.full_like(SIMILARITY, -np.inf)
    columns = np.argsort(-SIMILARITY, axis=1, kind="stable")[:, 1:6]
    np.put_along_axis(nearest, columns, np.take_along_axis(SIMILARITY, columns, 1), 1)
    found = preference_range(csr_of_dense(nearest))
    assert found.lowest < found.highest
    assert math.isclose(found.highest, R_SPARSE_RANGE[1], rel_tol=1e-9)
    assert found.least_clusters_bound == found.least_clusters == 3


def test_without_edges_there_is_nothing_to_choose() -> None:
    found = preference_range(scipy.sparse.csr_array((5, 5)))
    assert (found.least_clusters, found.least_clusters_bound) == (5, 5)
    alone = affinity_propagation(scipy.sparse.csr_array((5, 5)), n_clusters=5)
    assert alone.n_clusters == 5
    assert np.isfinite([alone.net_similarity, alone.preference]).all()


@pytest.mark.full_search
@pytest.mark.parametrize(
    "factor", [pytest.param(0.5, marks=pytest.mark.slow), 4.0, pytest.param(15.0, marks=pytest.mark.slow)]
)
def test_as_good_as_a_run_that_leads_there(knn: Any, factor: float) -> None:
    run = affinity_propagation(knn, preference=factor * np.median(knn.data))
    asked = affinity_propagation(knn, n_clusters=run.n_clusters)
    assert asked.n_clusters == run.n_clusters
    assert asked.data_similarity >= run.data_similarity * 1.03


@pytest.mark.parametrize("n_clusters", [150, 700])
def test_the_same_bits(n_clusters: int, tmp_path: Path) -> None:
    graph = knn_similarity(3000, 30, 2, seed=3)
    expected = affinity_propagation(graph, n_clusters=n_clusters, n_jobs=1)
    assert expected.n_clusters == n_clusters
    shuffled = affinity_propagation(graph, n_clusters=n_clusters, n_jobs=2, reorder=True)
    stored = affinity_propagation(write(tmp_path / "graph.zarr", graph), n_clusters=n_clusters)
    for other in (shuffled, stored):
        assert other.labels.tobytes() == expected.labels.tobytes()
        assert other.net_similarity == expected.net_similarity


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n_clusters": 0}, "n_clusters=0; it must be at least 1, a whole number."),
    ({"n_clusters": 2.5}, "n_clusters=2.5; it must be at least 1, a whole number."),
    ({"n_clusters": 3001}, "n_clusters=3001, but there are only 3000 points."),
    (
        {"n_clusters": 9, "preference": [-1.0] * 3000},
        "n_clusters=9 (--n-clusters) was given with a preference for each point; there can be one number, "
        "where the search for the preference of all begins, and inf or -inf for points that are always or "
        "never exemplars. Leave out the preference.",
    ),
    (
        {"n_clusters": 9, "scheme": "classic"},
        "n_clusters=9 (--n-clusters) was given with scheme='classic'; it is for scheme='compact', whose "
        "messages can go on from one preference to the next. Leave out the scheme.",
    ),
    (
        {"n_clusters": 9, "refine": "medoid"},
        "n_clusters=9 (--n-clusters) was given with refine='medoid'; the last few clusters are opened or "
        "closed by the search. Leave out refine.",
    ),
    (
        {"n_clusters": 9, "checkpoint": "kept"},
        "n_clusters=9 (--n-clusters) was given with checkpoint; checkpoints are of a single run, and the "
        "number is found by several. Leave out the checkpoint; or take the preference of a clustering of "
        "that size, and give that.",
    ),
    (
        {"n_clusters": 9},
        "n_clusters=9, but no clustering of this graph has fewer than 125 clusters: at most 24 of the 3000 "
        "points can have the same exemplar, for want of edges to any. Ask for more clusters, or give each "
        "point more neighbours; or group clusters into so few: sparse_ap.hierarchy(...).cut_exactly(9).",
    ),
]


@pytest.mark.parametrize(("options", "text"), REFUSED)
def test_what_cannot_be(knn: Any, options: Any, text: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        affinity_propagation(knn, **options)
    assert str(error.value) == text


def test_fewer_than_can_be_found(knn: Any) -> None:
    """The fewest that are found are named, or a bound; from them on every number can be had."""
    graph = knn[:1000, :1000]
    least = preference_range(graph).least_clusters
    for n_clusters, said in [
        (least - 1, f"was found with fewer than {least}"),
        (least - 9, "(was found with|has) fewer than"),
        (least // 2, "has fewer than"),
    ]:
        text = f"n_clusters={n_clusters}, but no clustering of this graph {said} "
        with pytest.raises(InvalidInputError, match=text) as error:
            affinity_propagation(graph, n_clusters=n_clusters)
        assert str(error.value).endswith(
            f"; or group clusters into so few: sparse_ap.hierarchy(...).cut_exactly({n_clusters})."
        )
    for n_clusters in (least, least + 1, least + 2):
        assert affinity_propagation(graph, n_clusters=n_clusters).n_clusters == n_clusters


@pytest.mark.slow
@pytest.mark.full_search
def test_a_path_is_as_good_as_its_runs(knn: Any) -> None:
    preferences = np.median(knn.data) * np.array([5.0, 0.5, 1.0, 2.0])
    path = preference_path(knn, preferences)
    assert (path.preferences == np.sort(preferences)[::-1]).all()
    assert (np.diff(path.n_clusters) < 0).all()
    for preference, c in zip(path.preferences, path.clusterings, strict=True):
        run = affinity_propagation(knn, preference=preference)
        assert c.preference == preference
        assert c.net_similarity >= run.net_similarity * 1.01
    np.testing.assert_allclose(
        path.net_similarities, path.data_similarities + path.n_clusters * path.preferences, rtol=1e-6
    )


def test_paths_have_default_preferences(knn: Any) -> None:
    path = preference_path(knn)
    assert len(path.preferences) == 10
    assert path.n_clusters[0] > 1000 > 300 > path.n_clusters[-1]


@pytest.mark.parametrize("preferences", [[], [np.nan], "high", [[1.0]]])
def test_paths_need_numbers(knn: Any, preferences: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^preferences=.*; a list of .*number.*needed"):
        preference_path(knn, preferences)


@given(
    st.integers(10, 10**6), st.floats(0.4, 1.5), st.floats(1e-6, 1e6), st.floats(0.0, 1.0), st.floats(0, 1)
)
def test_prices_lead_to_the_number(n: int, power: float, scale: float, share: float, start: float) -> None:
    """The number of clusters falls as a power of the cost."""

    def n_at(cost: float) -> int:
        return max(1, round(n / (1.0 + cost / scale) ** power))

    n_clusters = max(1, round(n ** (0.3 + 0.6 * share)))
    tries = [Trial(cost := scale * 10 ** (4 * start - 2), n_at(cost))]
    while len(tries) < 25 and abs(math.log(tries[-1].n_clusters / n_clusters)) > 0.1:
        cost = next_cost(tries, n_clusters)
        tries.append(Trial(cost, n_at(cost)))
    nearest = min(abs(t.n_clusters - n_clusters) for t in tries)
    assert nearest <= max(1, 0.11 * n_clusters)
