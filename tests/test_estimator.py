"""The scikit-learn estimator."""

from __future__ import annotations

import itertools
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.cluster
import tqdm
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparse_ap import AffinityPropagation, InvalidInputError, affinity_propagation
from sparse_ap.graphs import knn_graph
from sparse_ap.graphs.neighbours import search
from sparse_ap.graphs.neighbours.recall import EXACT

X, TRUE_LABELS = make_blobs(400, 3, centers=5, cluster_std=0.5, random_state=4)


# Listed in docs/how-to/from-scikit-learn.md.
WEIGHTS_ABOVE_ZERO = {
    "check_sample_weight_equivalence_on_dense_data": "gives weights of 0, which are refused",
    "check_sample_weight_equivalence_on_sparse_data": "the same",
}
FAILING = {
    "check_estimators_nan_inf": "gives points, which are no square matrix: that is what is said",
    "check_clustering": "gives points, which are no square matrix",
}


def failing(estimator: Any) -> dict[str, str]:
    return FAILING if estimator.affinity == "precomputed" else WEIGHTS_ABOVE_ZERO


def unwarned(test: Callable[..., None]) -> Callable[..., None]:
    """Let the checks raise the warnings that their small and odd inputs lead to."""
    for warning in (
        "ignore::sklearn.exceptions.ConvergenceWarning",
        "ignore::sklearn.exceptions.SkipTestWarning",
        "ignore:All samples have mutually equal:UserWarning",
    ):
        test = pytest.mark.filterwarnings(warning)(test)
    return test


EACH_AFFINITY = [
    AffinityPropagation(),
    AffinityPropagation(affinity="precomputed"),
    AffinityPropagation(n_clusters=3, affinity="euclidean"),
]
MORE = [
    AffinityPropagation(affinity="euclidean"),
    AffinityPropagation(n_clusters=3),
    AffinityPropagation(metric="cosine"),
]


@parametrize_with_checks(EACH_AFFINITY, expected_failed_checks=failing)
@unwarned
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(MORE, expected_failed_checks=failing)
@unwarned
def test_scikit_learns_own_checks_of_more_estimators(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("recall", [0.5, 0.9, 1])
def test_the_recall_is_asked_for_and_told(recall: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_EXACT_POINTS", 100)
    wide = np.random.default_rng(5).normal(size=(300, 9))
    found = AffinityPropagation(n_neighbors=5, recall=recall, random_state=3).fit(wide)
    expected = knn_graph(wide, 5, recall=recall, random_state=3)
    assert (found.affinity_matrix_ != expected).nnz == 0
    assert found.recall_ == expected.recall
    assert found.recall_.value >= recall
    assert (found.recall_.n_rows == 0) == (recall == 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_searches_nothing_has_no_recall() -> None:
    assert AffinityPropagation(affinity="euclidean").fit(X).recall_ is None
    assert AffinityPropagation(affinity="precomputed").fit(knn_graph(X, 60)).recall_ is None
    distances = KNeighborsTransformer(n_neighbors=60).fit_transform(X)
    assert AffinityPropagation(affinity="precomputed_nearest_neighbors").fit(distances).recall_ is None
    assert AffinityPropagation(n_neighbors=60).fit(scipy.sparse.csr_array(X)).recall_ == EXACT
    assert AffinityPropagation().fit(X[:1]).recall_ == EXACT


def test_a_recall_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"recall=1.5; it must be a number above 0, and at most 1"):
        AffinityPropagation(recall=1.5).fit(X)


@pytest.mark.parametrize("verbose", [True, False])
def test_progress_of_both_halves(verbose: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search and the sweeps have a bar each, which is shown if that is asked for."""
    monkeypatch.setattr(search, "_EXACT_POINTS", 100)
    bars: list[tuple[str, bool | None]] = []

    class Recorded(tqdm.tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            bars.append((options["desc"], options["disable"]))
            super().__init__(*args, **options)

    monkeypatch.setattr(tqdm, "tqdm", Recorded)
    wide = np.random.default_rng(5).normal(size=(300, 9))
    AffinityPropagation(n_neighbors=5, verbose=verbose).fit(wide)
    # None: shown on a terminal.
    said = [description for description, disable in bars if disable is None]
    assert bool(said) == verbose
    if verbose:
        assert said[0].startswith("neighbours: ")
        assert not said[-1].startswith("neighbours")


def test_neighbours_are_found_and_clustered() -> None:
    found = AffinityPropagation(n_neighbors=60, preference=-20).fit(X)
    expected = affinity_propagation(knn_graph(X, 60), preference=-20)
    assert (found.labels_ == expected.labels).all()
    assert (found.cluster_centers_ == X[expected.exemplars]).all()
    assert found.n_iter_ == expected.n_iter
    assert found.clustering_.net_similarity == expected.net_similarity
    assert adjusted_rand_score(TRUE_LABELS, found.labels_) > 0.9


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("metric", ["manhattan", "chebyshev", "cosine", "correlation", "tanimoto"])
def test_predicting_by_every_metric(metric: str, packed: bool) -> None:
    rng = np.random.default_rng(1)
    fitted, new = rng.normal(size=(150, 12)), rng.normal(size=(60, 12))
    if metric == "tanimoto":
        fitted, new = rng.random((150, 40)) < 0.3, rng.random((60, 40)) < 0.3
    given = [np.packbits(x, axis=1) if packed and metric == "tanimoto" else x for x in (fitted, new)]
    found = AffinityPropagation(n_neighbors=60, metric=metric).fit(given[0])
    name = {"manhattan": "cityblock", "tanimoto": "jaccard"}.get(metric, metric)
    distances = cdist(new, fitted[found.cluster_centers_indices_], name)
    predicted = found.predict(given[1])
    np.testing.assert_allclose(distances[np.arange(60), predicted], distances.min(axis=1))
    assert (found.affinity_matrix_ != knn_graph(given[0], 60, metric=metric)).nnz == 0


def test_euclidean_takes_no_other_metric() -> None:
    text = (
        "affinity='euclidean' was given metric='cosine'; for another metric use affinity='nearest_neighbors'."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        AffinityPropagation(affinity="euclidean", metric="cosine").fit(X)


def test_euclidean_is_scikit_learns() -> None:
    ours = AffinityPropagation(affinity="euclidean", damping=0.7).fit(X)
    theirs = sklearn.cluster.AffinityPropagation(damping=0.7, random_state=0).fit(X)
    assert (ours.cluster_centers_indices_ == theirs.cluster_centers_indices_).all()
    assert (ours.labels_ == theirs.labels_).all()
    assert (ours.cluster_centers_ == theirs.cluster_centers_).all()
    assert ours.n_iter_ == theirs.n_iter_
    off_diagonal = ~np.eye(len(X), dtype=bool)  # where scikit-learn writes the preferences
    # Its products of matrices cancel digits; ours are sums of squares.
    np.testing.assert_allclose(ours.affinity_matrix_[off_diagonal], theirs.affinity_matrix_[off_diagonal])
    new = np.random.default_rng(0).normal(size=(50, 3)) * 5
    assert (ours.predict(new) == theirs.predict(new)).all()


def test_a_pipeline_after_a_neighbours_transformer() -> None:
    pipeline = make_pipeline(
        StandardScaler(),
        KNeighborsTransformer(n_neighbors=60),
        AffinityPropagation(affinity="precomputed_nearest_neighbors", preference=-5),
    )
    labels = pipeline.fit_predict(X)
    direct = AffinityPropagation(n_neighbors=60, preference=-5).fit_predict(StandardScaler().fit_transform(X))
    assert adjusted_rand_score(labels, direct) > 0.95
    predicted = pipeline.predict(X)
    assert (predicted[pipeline[-1].cluster_centers_indices_] >= 0).all()


def test_predicting_the_training_points_gives_their_labels_where_the_exemplar_is_nearest() -> None:
    found = AffinityPropagation(n_neighbors=60, preference=-20).fit(X)
    distances = cdist(X, found.cluster_centers_)
    nearest = distances.argmin(axis=1)
    predicted = found.predict(X)
    assert (predicted == nearest).all()
    assert (predicted == found.labels_)[nearest == found.labels_].all()
    new = np.random.default_rng(0).normal(size=(500, 3)) * 6
    assert (found.predict(new) == cdist(new, found.cluster_centers_).argmin(axis=1)).all()


def test_bytes_that_look_like_packed_bits_are_told() -> None:
    packed = np.packbits(np.random.default_rng(0).random((30, 256)) < 0.05, axis=1)
    told = "looks like packed bits, such as fingerprints, but metric='euclidean'"
    with pytest.warns(UserWarning, match=told):
        found = AffinityPropagation(affinity="euclidean").fit(packed)
    with pytest.warns(UserWarning, match=told):
        found.predict(packed)


@pytest.mark.parametrize("as_sparse", [True, False])
def test_predicting_from_similarities(as_sparse: bool) -> None:
    similarity = -cdist(X, X, "sqeuclidean")
    found = AffinityPropagation(affinity="precomputed", preference=-20).fit(similarity)
    new = np.random.default_rng(0).normal(size=(40, 3)) * 6
    given = -cdist(new, X, "sqeuclidean")
    expected = given[:, found.cluster_centers_indices_].argmax(axis=1)
    assert (found.predict(scipy.sparse.csr_array(given) if as_sparse else given) == expected).all()


def test_a_dense_similarity_of_zero_is_a_perfect_match() -> None:
    similarity = -cdist(X, X, "sqeuclidean")
    found = AffinityPropagation(affinity="precomputed", preference=-20).fit(similarity)
    exemplars = found.cluster_centers_indices_
    # An exemplar's similarity to itself is 0, the best of its row.
    assert (found.predict(similarity[exemplars]) == np.arange(len(exemplars))).all()


def test_samples_that_no_exemplar_reaches_are_told() -> None:
    graph = knn_graph(X, 10)
    found = AffinityPropagation(affinity="precomputed", preference=-1).fit(graph)
    given = np.zeros((2, 400))
    given[0, found.cluster_centers_indices_[3]] = -1.0
    given[1, found.cluster_centers_indices_[2]] = -np.inf  # no entry, though stored
    with pytest.warns(ConvergenceWarning, match="^1 of 2 samples have no entry for any exemplar; they are"):
        labels = found.predict(scipy.sparse.csr_array(given))
    assert labels.tolist() == [3, -1]


def test_a_masked_similarity_is_no_entry() -> None:
    similarity = -cdist(X, X, "sqeuclidean")
    mask = similarity < -30
    known = np.where(mask, -np.inf, similarity)
    masked = np.ma.masked_array(similarity, mask)
    found = AffinityPropagation(affinity="precomputed", preference=-20).fit(masked)
    expected = AffinityPropagation(affinity="precomputed", preference=-20).fit(known)
    assert found.labels_.tolist() == expected.labels_.tolist()
    # Behind a mask the largest of all would win.
    masked.data[mask] = 7
    assert found.predict(masked).tolist() == expected.predict(known).tolist()
    assert found.predict(list(masked)).tolist() == expected.predict(known).tolist()


@pytest.mark.parametrize("affinity", ["nearest_neighbors", "euclidean"])
@pytest.mark.parametrize("given", [lambda x: x, list])
def test_masked_points_are_refused(affinity: str, given: Any) -> None:
    masked = given(np.ma.masked_array(X, X > 2))
    estimator = AffinityPropagation(affinity=affinity, preference=-20)
    for call in (estimator.fit, estimator.fit(X).predict):
        with pytest.raises(InvalidInputError, match="X is a masked array, whose mask would be lost"):
            call(masked)


def test_predicting_from_odd_similarities() -> None:
    found = AffinityPropagation(affinity="precomputed", preference=-20).fit(-cdist(X, X, "sqeuclidean"))
    nowhere = np.full((1, 400), -np.inf)
    with pytest.warns(ConvergenceWarning, match="^1 of 1 samples have no entry for any exemplar; they are"):
        assert found.predict(nowhere).tolist() == [-1]
    nowhere[0, found.cluster_centers_indices_[0]] = np.nan
    text = "X has 1 NaN similarities to exemplars; numbers are needed, or -inf for no entry."
    for given in (nowhere, scipy.sparse.csr_array(nowhere)):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
            found.predict(given)


@pytest.mark.parametrize("dtype", [">f4", "f2", "i8"])
@pytest.mark.parametrize("ids", ["u4", ">i4", "i8"])
def test_predicting_from_entries_and_ids_of_any_type(dtype: str, ids: str) -> None:
    found = AffinityPropagation(affinity="precomputed", preference=-20).fit(-cdist(X, X, "sqeuclidean"))
    given = scipy.sparse.csr_array(-np.round(cdist(X[:30], X)))
    expected = found.predict(given)
    given.data, given.indices = given.data.astype(dtype), given.indices.astype(ids)
    assert (found.predict(given) == expected).all()


def test_cloning_and_pickling() -> None:
    estimator = AffinityPropagation(n_neighbors=20, preference=-3.0, damping=0.8)
    assert clone(estimator).get_params() == estimator.get_params()
    fitted = estimator.fit(X)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert (loaded.predict(X) == fitted.predict(X)).all()
    assert repr(loaded.clustering_) == repr(fitted.clustering_)


@pytest.mark.parametrize(
    ("affinity", "given", "text"),
    [
        (
            "cosine",
            X,
            "affinity='cosine'; it must be one of nearest_neighbors, precomputed, "
            "precomputed_nearest_neighbors, euclidean.",
        ),
        (
            "precomputed_nearest_neighbors",
            np.eye(3),
            "The distances are a ndarray; a sparse matrix of distances is needed, as "
            "sklearn.neighbors.KNeighborsTransformer gives it. Neighbour lists are for from_knn; a dense "
            "matrix D of all distances can be clustered as similarities: affinity_propagation(-D).",
        ),
        (
            "precomputed_nearest_neighbors",
            scipy.sparse.csr_array([[0, -2.0], [-1.0, 0]]),
            "The distances have negative values, down to -2.0; distances from 0 are needed. Set rounding "
            "errors below 0 to 0: numpy.maximum(distances, 0). Inner products and cosine similarities take "
            "similarity=lambda s: s; one minus an inner product takes similarity=lambda d: -d. (A sparse "
            "matrix of similarities is clustered as it is, by affinity_propagation.)",
        ),
    ],
)
def test_what_is_refused(affinity: str, given: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        AffinityPropagation(affinity=affinity).fit(given)


@pytest.mark.parametrize("n_neighbors", [0, -1, 2.5, "3", [1]])
def test_neighbours_that_cannot_be_counted(n_neighbors: Any) -> None:
    text = f"n_neighbors={n_neighbors!r}; it must be at least 1, a whole number, or None."
    for given in (X, X[:1]):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
            AffinityPropagation(n_neighbors=n_neighbors).fit(given)


def test_by_default_clusters_of_the_wanted_size_can_be() -> None:
    # Of 400 points, twice the mean size of 5 clusters; 15 where that is enough.
    for n_clusters, n_neighbors in [(5, 160), (100, 15), (None, 15)]:
        found = AffinityPropagation(n_clusters=n_clusters).fit(X)
        assert np.diff(found.affinity_matrix_.indptr).tolist() == [n_neighbors] * 400
        assert n_clusters in (None, len(found.cluster_centers_))


# One dtype of each kind of sparse rows, tried in `make test`.
QUICK = {
    "csr_array": np.float32,
    "csc_matrix": np.int16,
    "coo_array": np.float64,
    "lil_matrix": np.float32,
}
FEATURES = np.random.default_rng(5).random((200, 30)) * (np.random.default_rng(6).random((200, 30)) < 0.2)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        pytest.param(kind, dtype, marks=() if QUICK[kind] is dtype else pytest.mark.slow)
        for kind, dtype in itertools.product(QUICK, [np.float32, np.float64, np.int16])
    ],
)
def test_sparse_rows_of_features_are_their_dense_rows(metric: str, kind: str, dtype: Any) -> None:
    dense = (FEATURES * 100).astype(dtype)
    dense[7] = 0  # A row without a direction.
    given = getattr(scipy.sparse, kind)(dense)
    expected = AffinityPropagation(metric=metric, n_neighbors=199).fit(dense)
    found = AffinityPropagation(metric=metric, n_neighbors=199).fit(given)
    similarities = [x.affinity_matrix_.toarray() for x in (found, expected)]
    np.testing.assert_allclose(*similarities, rtol=1e-5, atol=1e-5)
    assert found.labels_.tolist() == expected.labels_.tolist()
    assert (found.cluster_centers_.toarray() == expected.cluster_centers_).all()
    for new in (dense, given):
        assert (
            found.predict(new).tolist() == expected.predict(new).tolist() == expected.predict(dense).tolist()
        )


def test_duplicates_of_sparse_features_are_added_and_zeros_are_stored_or_not() -> None:
    plain = scipy.sparse.csr_array(FEATURES)
    columns = np.repeat(plain.indices, 2)
    halves = scipy.sparse.csr_array((np.repeat(plain.data / 2, 2), columns, plain.indptr * 2), plain.shape)
    zeros = scipy.sparse.csr_array(np.where(FEATURES == 0, 7, FEATURES))
    zeros.data[zeros.data == 7] = 0
    for affinity in ("nearest_neighbors", "euclidean"):
        expected = AffinityPropagation(affinity=affinity).fit(plain)
        for given in (halves, zeros):
            assert (
                AffinityPropagation(affinity=affinity).fit(given).labels_.tolist()
                == expected.labels_.tolist()
            )
            assert expected.predict(given).tolist() == expected.predict(FEATURES).tolist()
    assert len(halves.data) == 2 * len(plain.data)  # The input is not written to.


def test_a_few_sparse_rows() -> None:
    one = scipy.sparse.csr_array([[0.0, 1.0]])
    assert AffinityPropagation().fit(one).labels_.tolist() == [0]
    same = scipy.sparse.csr_array([[0.0, 1.0]] * 3 + [[5.0, 0.0]] * 3)
    assert AffinityPropagation().fit_predict(same).tolist() == [0, 0, 0, 1, 1, 1]


def test_sparse_features_that_are_refused() -> None:
    given = scipy.sparse.csr_array(FEATURES)
    text = (
        "metric='chebyshev' was given a sparse matrix of features; with it the rows must be dense: "
        "X.toarray(). Sparse rows are compared by 'euclidean', 'cosine', 'inner_product'."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        AffinityPropagation(metric="chebyshev").fit(given)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        AffinityPropagation().fit(given * np.nan)
    with pytest.raises(InvalidInputError, match=r"^X reaches 9\.\d*e\+299, whose square float64 cannot hold"):
        AffinityPropagation().fit(given * 1e300)
    given.data = np.ma.masked_array(given.data, given.data < 0.5)
    with pytest.raises(InvalidInputError, match="X is a masked array, whose mask would be lost"):
        AffinityPropagation().fit(given)
