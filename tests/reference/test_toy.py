"""The paper's toy problem: known optima are reached, and R's answers given."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from toy import APCLUSTER, MEDIAN, MISSED, OPTIMA, PUBLISHED, ROUNDING, SCHEMES, SIMILARITY

from sparse_ap import affinity_propagation

pytestmark = pytest.mark.full_search


def graph() -> scipy.sparse.csr_array:
    """All pairs of points as edges."""
    return scipy.sparse.csr_array(SIMILARITY)


def r_answers(q: float) -> list[dict[str, Any]]:
    return [run for run in APCLUSTER["runs"] if run["q"] == q]


def by_quantile() -> dict[bool, list[float]]:
    """The quantiles at which R's seeds agree on the exemplars (True), and the others (False)."""
    sorted_by = defaultdict(list)
    for q in sorted({run["q"] for run in APCLUSTER["runs"]}):
        sorted_by[len({tuple(run["exemplars"]) for run in r_answers(q)}) == 1].append(q)
    return sorted_by


def as_r(q: float) -> Any:
    """Run with apcluster's settings."""
    return affinity_propagation(
        SIMILARITY, preference_quantile=q, damping=0.9, max_iter=1000, convergence_iter=100, refine="medoid"
    )


def test_default_preference_is_the_published_one() -> None:
    assert np.median(SIMILARITY) == pytest.approx(MEDIAN, abs=1e-6)


@SCHEMES
@pytest.mark.parametrize("similarity", [SIMILARITY, graph()], ids=["dense", "sparse"])
@pytest.mark.parametrize("preference", [MEDIAN, np.full(25, MEDIAN)], ids=["number", "vector"])
def test_published_answer(scheme: Any, similarity: Any, preference: float | NDArray[np.float64]) -> None:
    clustering = affinity_propagation(similarity, preference=preference, scheme=scheme)
    assert clustering.converged
    assert_array_equal(clustering.exemplars, PUBLISHED["exemplars"])
    assert clustering.net_similarity == pytest.approx(PUBLISHED["net_similarity"], abs=1e-8)
    assert clustering.data_similarity == pytest.approx(PUBLISHED["data_similarity"], abs=1e-8)
    assert clustering.exemplar_preference == pytest.approx(3 * MEDIAN, abs=1e-8)


@SCHEMES
@pytest.mark.parametrize("damping", [0.5, 0.9])
@pytest.mark.parametrize("refine", [None, "medoid"])
@pytest.mark.parametrize("preference", OPTIMA)
def test_optimum_is_never_exceeded(scheme: Any, refine: Any, damping: float, preference: float) -> None:
    clustering = affinity_propagation(
        graph(), preference=preference, scheme=scheme, refine=refine, damping=damping, max_iter=1000
    )
    assert clustering.converged
    assert clustering.net_similarity <= OPTIMA[preference] + ROUNDING


@pytest.mark.parametrize(
    ("scheme", "preference"), [(scheme, p) for scheme in MISSED for p in OPTIMA if p not in MISSED[scheme]]
)
def test_optimum_is_reached(scheme: Any, preference: float) -> None:
    clustering = affinity_propagation(graph(), preference=preference, scheme=scheme, damping=0.5)
    assert clustering.net_similarity == pytest.approx(OPTIMA[preference], abs=ROUNDING)


@pytest.mark.parametrize("q", by_quantile()[True])
def test_answer_is_rs(q: float) -> None:
    clustering, r = as_r(q), r_answers(q)[0]
    assert_array_equal(clustering.exemplars, r["exemplars"])
    assert clustering.net_similarity == pytest.approx(r["net_similarity"], abs=1e-9)
    assert clustering.n_iter == r["n_iter"]
    preference = clustering.exemplar_preference / clustering.n_clusters
    assert preference == pytest.approx(r["preference"], abs=1e-9)


@pytest.mark.parametrize("q", by_quantile()[False])
def test_net_similarity_is_rs_best_where_its_seeds_disagree(q: float) -> None:
    best = max(run["net_similarity"] for run in r_answers(q))
    assert as_r(q).net_similarity == pytest.approx(best, abs=1e-9)


def test_r_disagrees_with_itself_only_where_preferences_are_high() -> None:
    assert by_quantile() == {True: [q / 10 for q in range(9)], False: [0.9, 1.0]}
