"""Values out of all proportion, as people write them for "never", must not blur the others.

The exact sums are rounded to one grid that is fitted to the largest value in the graph: a value of -1e16 must
not make it so coarse that everything else is rounded to nothing. scikit-learn's answers stay what they were.
"""

import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.cluster
from numpy.testing import assert_array_equal
from toy import MEDIAN, PUBLISHED, SCHEMES, SIMILARITY

from sparse_ap import affinity_propagation

pytestmark = pytest.mark.full_search

NEVER = pytest.mark.parametrize("never", [-1e3, -1e10, -1e16, -1e30])
FAR = SIMILARITY < -30


@SCHEMES
@NEVER
@pytest.mark.parametrize("refine", [None, "medoid", "search"])
def test_a_very_low_similarity_is_as_good_as_no_edge(scheme: Any, never: float, refine: Any) -> None:
    similarity = np.where(FAR, never, SIMILARITY)
    clustering = affinity_propagation(similarity, preference=MEDIAN, scheme=scheme, refine=refine)
    assert_array_equal(clustering.exemplars, PUBLISHED["exemplars"])
    assert clustering.net_similarity == pytest.approx(PUBLISHED["net_similarity"], abs=1e-8)


@SCHEMES
@NEVER
def test_a_very_low_preference_keeps_one_point_from_being_an_exemplar(scheme: Any, never: float) -> None:
    preference = np.full(len(SIMILARITY), MEDIAN)
    preference[PUBLISHED["exemplars"][0]] = never
    expected, _ = sklearn.cluster.affinity_propagation(SIMILARITY, preference=preference, random_state=0)
    clustering = affinity_propagation(SIMILARITY, preference=preference, scheme=scheme, refine="medoid")
    assert_array_equal(clustering.exemplars, expected)
    searched = affinity_propagation(SIMILARITY, preference=preference, scheme=scheme, refine="search")
    assert PUBLISHED["exemplars"][0] not in searched.exemplars
    assert searched.net_similarity >= clustering.net_similarity


@SCHEMES
@NEVER
@pytest.mark.parametrize("refine", ["medoid", "search"])
def test_refinement_never_lowers_the_net_similarity(scheme: Any, never: float, refine: Any) -> None:
    similarity = np.where(FAR, never, SIMILARITY)
    raw, refined = (
        affinity_propagation(similarity, preference=MEDIAN, scheme=scheme, refine=refine)
        for refine in (None, refine)
    )
    assert refined.net_similarity >= raw.net_similarity


@SCHEMES
@pytest.mark.parametrize(
    ("dtype", "preference"),
    [(np.float32, -1e29), (np.float32, 1e29), (np.float64, -1e39), (np.float64, 1e39)],
)
def test_preferences_beyond_the_similarities_precision_are_understood(
    scheme: Any, dtype: Any, preference: float
) -> None:
    """All of them very low: as few clusters as can be; very high: every point alone."""
    similarity = SIMILARITY.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clustering = affinity_propagation(similarity, preference=preference, scheme=scheme, damping=0.9)
    assert math.isfinite(clustering.net_similarity)
    if preference > 0:
        assert clustering.n_clusters == len(SIMILARITY)
        assert clustering.converged
    else:
        assert clustering.n_clusters < len(SIMILARITY)


@SCHEMES
@pytest.mark.parametrize(
    "exponent", [-1000, 300, *(pytest.param(e, marks=pytest.mark.slow) for e in (-960, -400, -110, 110))]
)
def test_the_unit_of_the_similarities_makes_no_difference(scheme: Any, exponent: int) -> None:
    """Down to 1e-300 and up to 1e90, far beyond the range of float32, in which gaps are kept otherwise."""
    rng, unit = np.random.default_rng(3), 2.0**exponent
    graph = scipy.sparse.random_array((300, 300), density=0.1, rng=rng, data_sampler=_negative(rng)).tocsr()
    # With few digits runs are long enough for biases, and there are ties.
    once, scaled = (
        affinity_propagation(graph * by, preference=-3 * by, scheme=scheme, damping=0.7, tol=0.01)
        for by in (1.0, unit)
    )
    assert_array_equal(scaled.labels, once.labels)
    assert scaled.n_iter == once.n_iter > 40
    assert scaled.net_similarity == pytest.approx(once.net_similarity * unit, rel=1e-12, abs=0)


def _negative(rng: np.random.Generator) -> Any:
    return lambda size: -np.ceil(10 * rng.random(size))
