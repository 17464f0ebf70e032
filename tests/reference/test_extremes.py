"""Values out of all proportion, as people write them for "never", must not blur the others.

The exact sums are rounded to one grid that is fitted to the largest value in the graph: a value of -1e16 must
not make it so coarse that everything else is rounded to nothing. scikit-learn's answers stay what they were.
"""

import math
import warnings
from typing import Any

import numpy as np
import pytest
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
