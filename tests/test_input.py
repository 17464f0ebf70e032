"""What good and bad input gets."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from same_bits import bits
from samples import knn_similarity
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsTransformer

from sparse_ap import (
    AffinityPropagation,
    InvalidInputError,
    Outcome,
    PositiveSimilarityWarning,
    affinity_propagation,
)
from sparse_ap.graphs import knn_graph


@pytest.fixture
def graph() -> Any:
    return knn_similarity(200, 8, 2, seed=0)


def refused(match: str, *args: Any, **options: Any) -> None:
    """The call fails with exactly this text."""
    with pytest.raises(InvalidInputError, match=f"^{re.escape(match)}$"):
        affinity_propagation(*args, **options)


def test_a_table_of_points_is_refused() -> None:
    refused(
        "The similarities have shape (5, 2); a square matrix is needed, with one row and one column a point. "
        "For a table of points, build their k-nearest-neighbour graph first (sparse_ap.graphs.knn_graph).",
        np.zeros((5, 2)),
    )


def test_something_else_is_refused() -> None:
    refused(
        "The similarities are a dict; a scipy sparse matrix or a numpy array of shape (n_points, n_points) "
        "is needed, or where a graph is on disk.",
        {},
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            np.nan,
            "Of the graph's entries 2 are NaN; the first wrong entry is (1, {k}) = nan. Finite "
            "numbers are needed, or -inf for no edge. Give missing='nan' to take them as absent edges, or "
            "remove them (an absent edge is -inf).",
        ),
        (
            np.inf,
            "Of the graph's entries 2 are +inf; the first wrong entry is (1, {k}) = inf. Finite "
            "numbers are needed, or -inf for no edge. Give them a finite value.",
        ),
    ],
)
def test_nan_and_infinity_are_counted_and_shown(graph: Any, value: float, text: str) -> None:
    graph.data[[9, 50]] = value
    refused(text.format(k=graph.indices[9]), graph, n_jobs=2)


def test_nan_can_stand_for_no_edge(graph: Any) -> None:
    graph.data[[9, 50]] = np.nan
    absent = graph.copy()
    absent.data[[9, 50]] = -np.inf
    expected = affinity_propagation(absent, preference=-0.05)
    found = affinity_propagation(graph, preference=-0.05, missing="nan")
    assert (found.labels == expected.labels).all()
    assert found.net_similarity == expected.net_similarity


def test_nan_can_stand_for_no_edge_of_a_dense_matrix() -> None:
    similarity = -np.random.default_rng(0).random((30, 30))
    similarity[similarity < -0.6] = np.nan
    absent = np.where(np.isnan(similarity), -np.inf, similarity)
    for scheme in ("classic", "compact"):
        expected = affinity_propagation(absent, preference=-0.9, scheme=scheme)
        found = affinity_propagation(similarity, preference=-0.9, scheme=scheme, missing="nan")
        assert (found.labels == expected.labels).all()


def test_infinity_is_refused_whatever_nan_means(graph: Any) -> None:
    graph.data[[9, 50]] = np.nan, np.inf
    refused(
        f"Of the graph's entries 1 is +inf; the first wrong entry is (6, {graph.indices[50]}) = inf. Finite "
        "numbers are needed, or -inf for no edge. Give them a finite value.",
        graph,
        missing="nan",
    )


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("reorder", [True, False])
def test_a_graph_known_to_be_clean_need_not_be_looked_at(graph: Any, dense: bool, reorder: bool) -> None:
    given = -np.random.default_rng(0).random((50, 50)) if dense else graph
    looked, not_looked = (
        affinity_propagation(given, preference=-0.05, reorder=reorder, check_finite=check)
        for check in (True, False)
    )
    assert (looked.labels == not_looked.labels).all()
    assert looked.net_similarity == not_looked.net_similarity
    assert looked.history == not_looked.history


def test_without_a_look_nothing_is_refused(graph: Any) -> None:
    """NaN goes through to the answer: the pass that would have found it is left out."""
    graph.data[9] = np.nan
    with np.errstate(invalid="ignore"):
        clustering = affinity_propagation(graph, preference=-0.05, check_finite=False)
    assert len(clustering.labels) == 200


POSITIVE = (
    "No similarity is negative, and the largest is {largest:g}. If these are distances, the most different "
    "points would be put together: convert them with sparse_ap.graphs.from_distances. If larger means more "
    "alike, all is well; to be told so no more: warnings.filterwarnings('ignore', "
    "category=sparse_ap.PositiveSimilarityWarning)."
)


def test_positive_similarities_are_asked_about(graph: Any) -> None:
    graph.data = np.exp(graph.data)
    graph.sort_indices()
    with pytest.warns(PositiveSimilarityWarning, match=re.escape(POSITIVE.format(largest=graph.data.max()))):
        affinity_propagation(graph, preference=0.9)
    with pytest.warns(PositiveSimilarityWarning) as told:
        affinity_propagation(1 - np.eye(20) + np.diag(np.ones(18), 2), preference=0.5)
    assert len(told) == 1
    assert told[0].filename == __file__


def test_what_shows_that_larger_means_more_alike() -> None:
    points = np.random.default_rng(0).random((200, 2))
    graph = knn_graph(points, 8, similarity=lambda d: np.exp(-d))
    affinity_propagation(graph, preference=0.9)  # rows are in the order of their similarities
    in_order = graph.copy()
    in_order.sort_indices()
    in_order = in_order.tolil()
    in_order.setdiag(1)
    affinity_propagation(in_order.tocsr(), preference=0.9)
    affinity_propagation(in_order.toarray(), preference=0.9)
    in_order.setdiag(0)
    affinity_propagation(in_order.tocsr(), preference=0.9, check_finite=False)


def test_distances_of_scikit_learn_are_refused() -> None:
    points = np.random.default_rng(0).normal(size=(100, 3))
    points[50:] = points[:50]  # of two points at one place either may come first
    distances = KNeighborsTransformer(n_neighbors=8).fit_transform(points)
    text = (
        "The graph holds distances, as sklearn.neighbors.KNeighborsTransformer writes them: rows begin with "
        "0, the distance of a point from itself, and rise. Similarities are needed, larger meaning more "
        "alike. Convert them with sparse_ap.graphs.from_distances, or use "
        "AffinityPropagation(affinity='precomputed_nearest_neighbors')."
    )
    refused(text, distances)
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        AffinityPropagation(affinity="precomputed").fit(distances)
    affinity_propagation(-distances)


def test_nan_on_the_diagonal_is_ignored(graph: Any) -> None:
    expected = affinity_propagation(graph, preference=-0.05)
    lil = graph.tolil()
    lil.setdiag(np.nan)
    c = affinity_propagation(lil.tocsr(), preference=-0.05)
    assert (c.labels == expected.labels).all()


def test_column_ids_out_of_range(graph: Any) -> None:
    graph.indices = graph.indices.astype(np.int32)
    graph.indptr = graph.indptr.astype(np.int32)
    graph.indices[17] = 200
    refused(
        "Of the graph's entries 1 has a column id outside 0 to 199; the first wrong entry is (2, 200) = "
        f"{graph.data[17]}. Finite numbers are needed, or -inf for no edge. Rebuild the graph.",
        graph,
    )


def test_wide_column_ids_out_of_range_do_not_wrap_around(graph: Any) -> None:
    graph.indices = graph.indices.astype(np.int64)
    graph.indptr = graph.indptr.astype(np.int64)
    graph.indices[17] = 2**32 + 5
    refused("Column id 4294967301 is no point of a graph of 200; ids must lie in 0 to 199.", graph)


def test_indptr_that_falls(graph: Any) -> None:
    graph.indptr[5] = 10
    refused(
        "indptr falls after row 4; it must begin at 0 and never fall. Rebuild the matrix, for example from "
        "its (row, column, similarity) triplets with scipy.sparse.coo_array.",
        graph,
    )


def test_indptr_that_points_beyond_the_edges(graph: Any) -> None:
    graph.data = graph.data[:-3]
    refused(
        "indptr ends at 1600, but there are only 1600 indices and 1597 similarities. Rebuild the matrix.",
        graph,
    )


def test_complex_and_text_are_refused(graph: Any) -> None:
    refused(
        "The similarities have dtype complex64; real numbers are needed. Convert them, for example with "
        ".astype(numpy.float32).",
        graph.astype(np.complex64),
    )
    with pytest.raises(InvalidInputError, match="dtype <U1"):
        affinity_propagation(np.array([["a", "b"], ["c", "d"]]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"damping": 0.4}, "damping=0.4; it must be 0.5 or more and less than 1."),
        ({"damping": 1.0}, "damping=1.0; it must be 0.5 or more and less than 1."),
        ({"max_iter": 0}, "max_iter=0; it must be at least 1, a whole number."),
        ({"convergence_iter": -1}, "convergence_iter=-1; it must be at least 1, a whole number."),
        ({"damping": "high"}, "damping='high'; it must be 0.5 or more and less than 1."),
        ({"max_iter": 2.5}, "max_iter=2.5; it must be at least 1, a whole number."),
        ({"n_jobs": 1.5}, "n_jobs=1.5; a positive whole number of threads is needed, or -1 for all."),
        (
            {"random_state": "abc"},
            "random_state='abc'; it must be a whole number, a numpy generator or None.",
        ),
        (
            {"preference": "median"},
            "preference='median'; real numbers are needed, or None for the median similarity.",
        ),
        (
            {"preference": -1e308},
            "The similarities and preferences reach 1e+308 in absolute value; with similarities of float32 "
            "at most 1e+30 can be added up safely. Divide them all by one number: the clustering stays the "
            "same.",
        ),
        ({"missing": "zero"}, "missing='zero'; it must be 'nan' or None."),
        ({"check_finite": "no"}, "check_finite='no'; it must be True or False."),
        ({"tol": 1}, "tol=1; it must be 0 or more and less than 1: a share of the points."),
        ({"scheme": "fast"}, "scheme='fast'; it must be 'auto', 'compact' or 'classic'."),
        ({"refine": "swaps"}, "refine='swaps'; it must be 'auto', 'search', 'medoid' or None."),
        ({"reorder": "yes"}, "reorder='yes'; it must be True, False or 'auto'."),
        ({"n_jobs": 0}, "n_jobs=0; a positive whole number of threads is needed, or -1 for all."),
        (
            {"preference": [1.0, 2.0]},
            "preference has shape (2,); one number is needed, or one for each of the 200 points.",
        ),
        (
            {"preference": np.r_[np.zeros(150), np.nan, np.zeros(49)]},
            "preference is NaN at 1 position, the first being 150. Every point needs a number; inf for a "
            "point that is always an exemplar, -inf for one that never is.",
        ),
        (
            {"preference": np.inf},
            "preference=inf was given for all points. inf is for points that are always exemplars, -inf for "
            "those that never are: give one number for each point.",
        ),
        (
            {"candidates": np.ones(199, bool)},
            "candidates has shape (199,) and dtype bool; True or False for each of the 200 points is needed, "
            "or a list of the numbers of those that may be exemplars.",
        ),
        ({"candidates": [0, 200]}, "candidates holds 200; the points have the numbers 0 to 199. Give those."),
        (
            {"candidates": [7, 3, 7]},
            "candidates names 7 2 times; name each point once. (Numbers 0 and 1 for all points are not taken "
            "for a mask: give an array of bool.)",
        ),
        (
            {"candidates": np.zeros(200, bool)},
            "None of the 200 points may be an exemplar: each has a preference of -inf, or is not among the "
            "candidates. Leave at least one that may.",
        ),
        (
            {"candidates": [0, 1, 2], "preference": np.r_[np.full(197, -1.0), [np.inf] * 3]},
            "3 of the points have a preference of inf, which makes them exemplars always, and are not among "
            "the candidates: 197, 198, 199. Make them candidates, or give them another preference.",
        ),
        (
            {"candidates": [0], "scheme": "classic"},
            "scheme='classic' was given with candidates; points that are always or never exemplars are for "
            "scheme='compact'. Leave out the scheme.",
        ),
        (
            {"candidates": [0, 1, 2], "n_clusters": 4, "unrepresented": "label"},
            "n_clusters=4, but only 3 points may be exemplars. Ask for fewer clusters, or allow more "
            "exemplars.",
        ),
        (
            {"preference": np.r_[np.full(197, -1.0), [np.inf] * 3], "n_clusters": 2},
            "n_clusters=2, but 3 points have a preference of inf, which makes them exemplars always. Ask for "
            "that many clusters or more, or give fewer points that preference.",
        ),
        ({"unrepresented": "drop"}, "unrepresented='drop'; it must be 'error' or 'label'."),
        (
            {"preference": -1, "preference_quantile": 0.5},
            "Both preference and preference_quantile=0.5 were given; they say the same thing in two ways. "
            "Give one of them.",
        ),
        (
            {"preference_quantile": 5},
            "preference_quantile=5, but a quantile lies in 0 to 1: 0 is the smallest similarity (few "
            "clusters), 1 the largest (many).",
        ),
    ],
)
def test_options_out_of_range(graph: Any, options: dict[str, Any], text: str) -> None:
    refused(text, graph, **options)


def test_the_preference_is_the_median_of_the_stored_similarities(graph: Any) -> None:
    expected = affinity_propagation(graph, preference=float(np.median(graph.data)))
    assert (affinity_propagation(graph).labels == expected.labels).all()


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "bsr", "int64 ids", "unsorted", "matrix"])
def test_every_sparse_format_is_the_same_graph(graph: Any, kind: str) -> None:
    expected = affinity_propagation(graph, preference=-0.05)
    given = graph.copy()
    if kind == "int64 ids":
        given.indices, given.indptr = given.indices.astype(np.int64), given.indptr.astype(np.int64)
    elif kind == "unsorted":
        last_to_first = np.arange(graph.nnz).reshape(200, 8)[:, ::-1].ravel()
        given = scipy.sparse.csr_array(
            (graph.data[last_to_first], graph.indices[last_to_first], graph.indptr), shape=graph.shape
        )
        assert not given.has_sorted_indices
    elif kind == "matrix":
        given = scipy.sparse.csr_matrix(given)
    else:
        given = given.asformat(kind)
    assert (affinity_propagation(given, preference=-0.05).labels == expected.labels).all()


def test_zeros_that_may_be_padding_are_refused() -> None:
    """In blocks and diagonals nobody can tell whether a zero is an edge."""
    graph = scipy.sparse.csr_array(-np.eye(6, k=1) - np.eye(6, k=-1))
    blocks, diagonals = graph.tobsr(blocksize=(2, 2)), graph.todia()
    text = "The matrix is in scipy's format 'bsr', and 18 entries of its blocks are 0: these may be edges of"
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}"):
        affinity_propagation(blocks, preference=-2)
    assert (affinity_propagation(diagonals, preference=-2).labels == [0, 0, 0, 1, 1, 1]).all()
    assert (
        affinity_propagation(graph.tobsr(blocksize=(1, 1)), preference=-2).labels == [0, 0, 0, 1, 1, 1]
    ).all()
    diagonals.data[0, 2] = 0
    text = (
        "The matrix is in scipy's format 'dia', and 1 entries of its diagonals are 0: these may be edges of"
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}"):
        affinity_propagation(diagonals, preference=-2)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "lil", "dok", "bsr"])
def test_a_stored_zero_is_an_edge_in_every_format(format: str) -> None:
    """Along the zeros: 0 with 1, 2 with 3; the other edges are worth less."""
    rows, columns = np.array([0, 1, 1, 2, 2, 3]), np.array([1, 0, 2, 1, 3, 2])
    values = np.array([0.0, 0.0, -5.0, -5.0, 0.0, 0.0])
    graph = scipy.sparse.coo_array((values, (rows, columns)), shape=(4, 4))
    given = graph.tobsr(blocksize=(1, 1)) if format == "bsr" else graph.asformat(format)
    assert given.nnz == 6
    assert (affinity_propagation(given, preference=-1).labels == [0, 0, 1, 1]).all()


def test_a_masked_entry_is_no_edge() -> None:
    similarity = -np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    mask = np.add.outer(np.arange(6) // 3, np.arange(6) // 3) == 1
    masked = np.ma.masked_array(similarity, mask)
    expected = affinity_propagation(np.where(mask, -np.inf, similarity), preference=-1)
    assert bits(affinity_propagation(masked, preference=-1)) == bits(expected)
    whole = np.ma.masked_array(similarity.astype(np.int32), mask)
    assert bits(affinity_propagation(whole, preference=-1)) == bits(expected)
    rows = list(masked)
    assert bits(affinity_propagation(rows, preference=-1)) == bits(expected)


@pytest.mark.parametrize("scheme", ["classic", "compact"])
def test_an_array_is_the_graph_of_all_its_entries(scheme: str) -> None:
    similarity = -np.random.default_rng(0).random((40, 40))
    stored = ~np.eye(40, dtype=bool)
    sparse = scipy.sparse.csr_array(
        scipy.sparse.coo_array((similarity[stored], np.nonzero(stored)), shape=(40, 40))
    )
    results = [affinity_propagation(s, preference=-0.5, scheme=scheme) for s in (similarity, sparse)]
    assert (results[0].labels == results[1].labels).all()


@pytest.mark.filterwarnings("ignore::sparse_ap.PositiveSimilarityWarning")
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint16, np.float16, bool])
def test_whole_numbers_and_half_floats(dtype: Any) -> None:
    similarity = np.random.default_rng(0).integers(0, 2, (30, 30)).astype(dtype)
    expected = affinity_propagation(similarity.astype(np.float64), preference=0.5, scheme="compact")
    c = affinity_propagation(similarity, preference=0.5, scheme="compact")
    assert (c.labels == expected.labels).all()


def test_of_duplicates_the_largest_counts() -> None:
    rows, columns = np.array([0, 0, 1, 1, 2, 2]), np.array([1, 1, 0, 2, 1, 1])
    values = np.array([-9.0, -1.0, -2.0, -2.0, -1.0, -7.0])
    graph = scipy.sparse.coo_array((values, (rows, columns)), shape=(3, 3))
    c = affinity_propagation(graph, preference=-3.0)
    assert c.exemplars.tolist() == [1]
    assert c.data_similarity == -2.0


@pytest.mark.parametrize("reorder", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_input_is_never_written_to(graph: Any, dense: bool, reorder: bool) -> None:
    given = graph.toarray().astype(np.float64) if dense else graph
    arrays = [given] if dense else [given.data, given.indices, given.indptr]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    affinity_propagation(given, preference=-0.05, reorder=reorder, scheme="compact")
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True))


def test_no_convergence_is_an_outcome_and_a_warning(graph: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="at the last sweep exemplars were still"):
        c = affinity_propagation(graph, preference=-0.05, max_iter=8)
    assert c.outcome is Outcome.MAX_ITER_REACHED
    assert not c.converged
    with pytest.warns(ConvergenceWarning, match="no point had become an exemplar"):
        c = affinity_propagation(graph, preference=-50, max_iter=1, refine="medoid")
    assert c.outcome is Outcome.NO_EXEMPLARS
    assert c.n_promoted == c.n_clusters < 200


def test_seeds_only_break_ties(graph: Any) -> None:
    seeds: list[Any] = [0, 1, np.random.RandomState(3), np.random.default_rng(3), None]
    results = [
        affinity_propagation(graph, preference=-0.05, scheme="classic", refine="medoid", random_state=seed)
        for seed in seeds
    ]
    assert len({result.labels.tobytes() for result in results}) == 1


def test_duplicate_points_are_not_their_own_neighbours() -> None:
    points = np.zeros((50, 2))
    graph = knn_graph(points, 5)
    assert graph.nnz == 250
    assert (graph.diagonal() == 0).all()
    assert not (graph.tocoo().row == graph.tocoo().col).any()


@pytest.mark.parametrize(
    ("X", "n_neighbors", "text"),
    [
        (np.eye(5), 5, "n_neighbors=5; it must be a whole number from 1 to 4 for 5 points"),
        (np.eye(5), 1.5, "n_neighbors=1.5; it must be a whole number from 1 to 4 for 5 points"),
        (np.arange(5), 2, "X has shape (5,); a table is needed"),
        (
            [[1.0, np.nan], [0.0, 1.0]],
            1,
            "X has 1 rows with NaN or infinite entries, the first in row 0, column 1",
        ),
    ],
)
def test_points_without_neighbours(X: Any, n_neighbors: Any, text: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        knn_graph(X, n_neighbors)


@pytest.mark.parametrize("complex_numbers", [np.array(1 + 0j), np.full(4, -1 + 0j), [-1j] * 4])
@pytest.mark.parametrize("name", ["preference", "weights", "missing_at_most"])
def test_complex_numbers_are_refused(name: str, complex_numbers: Any) -> None:
    similarity = -np.ones((4, 4))
    options = {"certify": "complete"} if name == "missing_at_most" else {}
    with pytest.raises(InvalidInputError, match=name):
        affinity_propagation(similarity, **{name: complex_numbers}, **options)


def test_preferences_count_where_all_similarities_are_one_number() -> None:
    graph = scipy.sparse.csr_array(([-4.0], [1], [0, 1, 1]), shape=(2, 2))
    assert affinity_propagation(graph, preference=[-3.5, -4.5]).net_similarity == -8
    assert affinity_propagation(graph, preference=[-4.5, -3.5]).net_similarity == -7.5
