"""The search for nearest neighbours, against all distances; and the same bits on every processor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from same_bits import printed_by

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import knn_graph
from sparse_ap.graphs.neighbours.approximate import Dial
from sparse_ap.graphs.neighbours.exact import exact_neighbours
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.graphs.neighbours.search import nearest_neighbours, nearest_of
from sparse_ap.graphs.neighbours.space import space_of
from sparse_ap.graphs.neighbours.stages import Stages
from sparse_ap.graphs.neighbours.vectors import NARROW, WIDE, Vectors
from sparse_ap.graphs.pairs.squared_distances import squared_distances

RNG = np.random.default_rng(3)
UNEQUAL = {("tied", "cos"), ("tied", "cor")}


def distance(a: Any, b: Any, metric: str) -> float:
    """Return a distance as the textbook has it."""
    if metric == "correlation":
        a, b, metric = a - a.mean(), b - b.mean(), "cosine"
    if metric == "cosine":
        lengths = np.sqrt((a @ a) * (b @ b))
        return 1 - a @ b / lengths if lengths > 1e-12 else 1.0
    if metric == "inner_product":
        return -float(a @ b)
    if metric == "tanimoto":
        return 1 - (a & b).sum() / (a | b).sum() if (a | b).any() else 0.0
    if metric == "hamming":
        return float((a != b).mean())
    difference = np.abs(a.astype(float) - b)
    return {"euclidean": float(np.sqrt((difference**2).sum())), "manhattan": difference.sum()}.get(
        metric, difference.max()
    )


def all_distances(X: Any, metric: str) -> Any:
    return np.array([[distance(a, b, metric) for b in X] for a in X])


@pytest.mark.parametrize(
    "metric",
    ["euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming", "inner_product"],
)
@pytest.mark.parametrize("kind", ["normal", "tied", "equal"])
def test_exact_lists_equal_those_of_all_distances_and_ties_go_by_number(metric: str, kind: str) -> None:
    if metric in ("tanimoto", "hamming"):
        X = RNG.random((60, {"normal": 300, "tied": 12, "equal": 9}[kind])) < 0.3
        X[30:] = X[0] if kind == "equal" else X[30:]
    else:
        X = {"normal": RNG.normal(size=(60, 9)), "tied": RNG.integers(0, 2, (60, 9)).astype(float)}.get(
            kind, np.repeat(RNG.normal(size=(3, 9)), 20, axis=0)
        )
    graph = knn_graph(X, 7, metric=metric, similarity="-d")
    distances = np.round(all_distances(X, metric), 9)
    np.fill_diagonal(distances, np.inf)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :7]
    # Similarities that are equal for mathematics can differ in their last bit.
    assert (graph.indices.reshape(60, 7) == expected).all() or (kind, metric[:3]) in UNEQUAL
    np.testing.assert_allclose(-graph.data, distances[np.arange(60)[:, None], expected].ravel(), atol=1e-6)
    assert str(graph.recall) == "1, exact"
    assert (graph.missing_at_most == graph.data.reshape(60, 7)[:, -1]).all()


def texts(n: int) -> Any:
    """Return rows of counts of words: few words, common ones in most rows."""
    frequencies = 1 / np.arange(1, 301)
    topics = RNG.permuted(np.tile(frequencies, (30, 1)), axis=1) + frequencies
    rows = topics[RNG.integers(0, 30, n)]
    return RNG.poisson(25 * rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def sets() -> dict[str, tuple[Any, str]]:
    n = 11_000
    blobs = RNG.normal(size=(40, 24))[RNG.integers(0, 40, n)] + 0.3 * RNG.normal(size=(n, 24))
    equal = np.vstack([np.tile(blobs[:1], (n // 2, 1)), blobs[: n // 2 + 1]])
    some_empty = np.vstack([np.zeros((300, 300), np.float32), texts(n)])
    bits = (RNG.random((n, 500)) < 0.1) | (RNG.random((20, 500)) < 0.1)[RNG.integers(0, 20, n)]
    return {
        "blobs": (blobs, "euclidean"),
        "far from the origin": (blobs + 1e9, "euclidean"),
        "tiny clusters far apart": (1e6 * RNG.integers(0, 9, (n, 12)) + RNG.random((n, 12)), "euclidean"),
        "a few far away": (np.vstack([blobs, 1e7 * RNG.normal(size=(5, 24))]), "euclidean"),
        "no clusters": (RNG.random((n, 30)), "euclidean"),
        "constant features": (np.hstack([blobs, np.ones((n, 40))]), "correlation"),
        "texts": (texts(n), "cosine"),
        "texts, some empty": (some_empty, "cosine"),
        "half of them equal": (equal, "euclidean"),
        "bits": (bits, "tanimoto"),
        "uneven lengths": (blobs * np.exp(1.5 * RNG.normal(size=(n, 1))), "inner_product"),
        "products, half of them equal": (equal, "inner_product"),
        "products far from the origin": (blobs + 1e3, "inner_product"),
        "products, odd ones": (
            np.vstack(
                [np.zeros((30, 24)), blobs, 1e7 * RNG.normal(size=(5, 24)), np.tile(blobs[:1], (99, 1))]
            ),
            "inner_product",
        ),
        "few bits": (RNG.random((n, 24)) < 0.3, "hamming"),
    }


SETS = sets()
QUICK = ("far from the origin", "half of them equal", "bits", "products, odd ones")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in SETS]
)
def test_the_recall_asked_for_is_reached_and_the_estimate_is_true(name: str) -> None:
    X, metric = SETS[name]
    graph = knn_graph(X, 10, metric=metric, similarity="-d", recall=0.9)
    assert (np.diff(graph.indptr) == 10).all()
    assert (graph.indices != np.repeat(np.arange(len(X)), 10)).all()
    assert all(len(set(row)) == 10 for row in graph.indices.reshape(len(X), 10)[::50])
    exact = knn_graph(X, 10, metric=metric, similarity="-d", recall=1)
    found = (graph.data.reshape(len(X), 10) >= exact.data.reshape(len(X), 10)[:, -1:]).mean()
    assert found >= 0.9
    searched = graph.recall.n_rows > 0
    # Three times the half width is exceeded by chance in one of 10⁸ cases.
    assert not searched or abs(found - graph.recall.value) <= 3 * graph.recall.half_width + 0.02
    assert (graph.missing_at_most is None) == searched


def test_the_recall_asked_for_is_reached_among_sparse_rows() -> None:
    dense = texts(11_000)
    dense[:20] = 0
    dense[20:60] = dense[20]
    idf = np.log(len(dense) / np.maximum(1, (dense > 0).sum(axis=0)))
    rows = scipy.sparse.csr_array(dense * idf)
    graph = knn_graph(rows, 10, metric="cosine", recall=0.9)
    assert (np.diff(graph.indptr) == 10).all()
    exact = knn_graph(rows, 10, metric="cosine", recall=1)
    found = (graph.data.reshape(-1, 10) >= exact.data.reshape(-1, 10)[:, -1:]).mean()
    assert found >= 0.9
    assert abs(found - graph.recall.value) <= 3 * graph.recall.half_width + 0.01
    assert (graph.data.reshape(-1, 10)[:20] == -1).all()
    assert (graph.data.reshape(-1, 10)[20:60] == 0).all()


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "inner_product"])
@pytest.mark.parametrize("kind", ["words", "tied", "signs"])
def test_sparse_rows_have_the_neighbours_of_dense_ones(metric: str, kind: str) -> None:
    dense = RNG.poisson(0.3, (80, 40)) * {"words": RNG.random((80, 40)), "tied": 1.0, "signs": -0.5}[kind]
    dense[7] = 0
    sparse, full = (
        knn_graph(X, 9, metric=metric, similarity="-d") for X in (scipy.sparse.csr_array(dense), dense)
    )
    np.testing.assert_allclose(sparse.data, full.data, atol=1e-7)
    assert kind != "words" or (sparse.indices == full.indices).all()


def test_inner_products_are_the_similarities() -> None:
    X = np.array([[3.0, 0], [1, 1], [0, 0], [-2, 1], [1, 1]])
    graph = knn_graph(X, 2, metric="inner_product")
    assert graph.indices.reshape(5, 2).tolist() == [[1, 4], [0, 4], [0, 1], [2, 1], [0, 1]]
    assert graph.data.tolist() == [3, 3, 3, 2, 0, 0, 0, -1, 3, 2]
    assert graph.missing_at_most.tolist() == [3, 2, 0, -1, 2]
    assert not np.signbit(graph.data[4])
    assert (knn_graph(X, 2, metric="inner_product", similarity=lambda d: 1 - d).data == graph.data + 1).all()
    assert nearest_of(X[:1], X[1:], "inner_product", 1)[0].tolist() == [0]
    with pytest.raises(InvalidInputError, match=r"-d\*\*2.*inner_product.*products themselves\. Leave"):
        knn_graph(X, 2, metric="inner_product", similarity="-d**2")
    with pytest.raises(InvalidInputError, match=r"3e\+60, which float32 cannot hold"):
        knn_graph(1e30 * X, 2, metric="inner_product")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_types_of_numbers_do_not_matter(dtype: Any) -> None:
    X = RNG.integers(-50, 50, (300, 12))
    assert (knn_graph(X.astype(dtype), 8) != knn_graph(X.astype(float), 8)).nnz == 0


def test_a_recall_that_is_not_reached_is_told() -> None:
    X = 1e12 * RNG.integers(0, 9, (11_000, 12)).astype(float)[RNG.integers(0, 90, 11_000)]
    X += RNG.random((11_000, 12))
    with pytest.warns(
        UserWarning, match=r"^recall=0.9 was asked for, but the recall is 0\.\d+ ± .* all pairs\.$"
    ):
        graph = knn_graph(X, 10, recall=0.9)
    assert graph.recall.value < 0.9


# p cells alone miss 1/p of the neighbours.
CURVE = 1 - 1 / np.arange(1.0, 1025)


@pytest.mark.parametrize(
    ("reached", "done", "needed"),
    [
        # Rounds leave half of what 5 cells miss; .9 · (.05 - .01) may be left, what 13.9 cells miss.
        (Recall(0.9, 0.01, 500), 5, 14),
        # An interval wider than what may be missed: half of what is missed now.
        (Recall(0.93, 0.06, 500), 7, 14),
        # Nothing is missed.
        (Recall(1.0, 0.0, 500), 5, 1),
    ],
)
def test_more_cells_are_searched_as_the_sample_says(reached: Recall, done: int, needed: int) -> None:
    assert Dial(0.95, CURVE, 20_000).cells_needed(done, reached) == needed


def test_a_further_round_is_made_where_it_saves_more_comparisons_than_it_takes() -> None:
    before, reached = Recall(0.6, 0.01, 500), Recall(0.9, 0.005, 500)
    # It would find .3 · .75 of what is missed: 44 cells are needed, or 35 after it.
    assert Dial(0.95, CURVE, 1 << 18).wants_round(20, before, reached)
    assert not Dial(0.95, CURVE, 1 << 17).wants_round(20, before, reached)
    # Nothing was found by the last one; the recall is reached.
    assert not Dial(0.95, CURVE, 1 << 18).wants_round(20, reached, reached)
    assert not Dial(0.89, CURVE, 1 << 18).wants_round(20, before, reached)


def test_a_higher_recall_is_reached_too() -> None:
    X, metric = SETS["no clusters"]
    low, high = (knn_graph(X, 10, metric=metric, recall=recall) for recall in (0.6, 0.99))
    assert low.recall.value < 0.97 < 0.99 <= high.recall.value


@pytest.mark.slow
def test_many_neighbours_are_searched_among_all_pairs() -> None:
    X = RNG.normal(size=(10_500, 9)).astype(np.float32)
    graph = knn_graph(X, 300, similarity="-d")
    assert graph.recall.value == 1
    row = np.sort(np.sqrt(((X[7].astype(float) - X) ** 2).sum(axis=1)))[1:301]
    np.testing.assert_allclose(-graph.data[7 * 300 : 8 * 300], row, rtol=1e-6)


@pytest.mark.parametrize("n_features", [1, 50, 784, 5000])
@pytest.mark.parametrize("codes", [NARROW, WIDE], ids=["narrow", "wide"])
def test_products_are_exact(n_features: int, codes: Any) -> None:
    """The longest vectors there can be: all the length in one coordinate, or spread over all."""
    limit = codes.radius - int(np.sqrt(n_features)) - 1
    spread = RNG.choice([-1, 1], (40, n_features)) * int(limit / np.sqrt(n_features))
    one = np.zeros((40, n_features), np.int64)
    one[np.arange(40), RNG.integers(0, n_features, 40)] = limit
    rows = np.vstack([spread, one])
    vectors = Vectors.of(rows.astype(codes.kept), codes)
    block = vectors.scores(np.arange(80), vectors.columns(0, 80))
    exact = rows.astype(object) @ rows.T.astype(object) - (rows.astype(object) ** 2).sum(axis=1) // 2
    assert (block[:, :80].astype(object) == exact).all()
    backwards = Vectors.of(rows[:, ::-1].astype(codes.kept), codes)
    assert (backwards.scores(np.arange(80), backwards.columns(0, 80)) == block).all()
    listed = vectors.listed_scores(0, np.tile(np.arange(80, dtype=np.int32), 80), np.arange(0, 6401, 80))
    assert (listed == block[:, :80].ravel()).all()


def test_the_nearest_of_other_points() -> None:
    points, queries = RNG.normal(size=(300, 10)), RNG.normal(size=(500, 10))
    queries[0], queries[1] = 1e9, points[17]
    points[40] = points[17]
    nearest, _ = nearest_of(queries, points, "euclidean", 2)
    expected = ((queries[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == expected).all()
    assert nearest[1] == 17


def test_a_graph_of_neighbours_is_a_matrix_for_scipy() -> None:
    graph = knn_graph(RNG.normal(size=(30, 3)), 29)
    assert isinstance(graph, scipy.sparse.csr_array)
    assert graph.missing_at_most is not None
    assert (graph.missing_at_most == -np.inf).all()
    assert (graph + graph.T).shape == (30, 30)


def test_a_function_of_the_distance_may_put_the_farthest_first() -> None:
    X = np.arange(6.0)[:, None] ** 2
    graph = knn_graph(X, 2, similarity=lambda d: d)
    assert (graph.recall.value, graph.missing_at_most) == (1, None)
    assert knn_graph(X, 2).missing_at_most.tolist() == [-16, -9, -16, -49, -81, -256]


def test_distances_beyond_any_float_are_refused() -> None:
    with pytest.raises(
        InvalidInputError, match=r"^The distances reach inf, .* Divide the points by one number\.$"
    ):
        knn_graph([[1.7e308], [-1.7e308], [0.0]], 2, similarity="1-d")
    with pytest.raises(InvalidInputError, match=r"^A similarity is -2\.6e\+159, which float32 cannot hold\."):
        knn_graph([[1.3e159], [-1.3e159], [6e159]], 1, similarity="1-d")


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
@pytest.mark.parametrize("kind", ["normal", "grid", "copies", "rounded", "huge", "tiny"])
def test_ties_in_the_tree_go_by_number(kind: str, metric: str) -> None:
    points = RNG.normal(size=(200, 2))
    grid = np.stack(np.meshgrid(np.arange(14.0), np.arange(14.0)), axis=-1).reshape(-1, 2)
    X = {"normal": points, "grid": RNG.permutation(grid), "copies": np.repeat(points[:5], 40, axis=0)}.get(
        kind, np.round(points, 1) * {"huge": 2.0**500, "tiny": 2.0**-900}.get(kind, 1)
    )
    for k in (1, 4, 15, len(X) - 1):
        space, itself = space_of(X, metric), np.arange(len(X))
        with ThreadPoolExecutor(2) as pool:
            found = nearest_neighbours(X, k, metric, recall=0.95, seed=0, stages=Stages(pool))[0]
            numbers, distances = found.rows(slice(0, len(X)))
            expected = exact_neighbours(space, space, k, itself, pool)
        assert (numbers == expected.numbers).all()
        assert (distances == -expected.scores).all()


@pytest.mark.parametrize("kind", ["float64", "float32", "whole", "tiny", "sparse"])
def test_squares_of_all_pairs_are_symmetric_and_those_of_loops(kind: str) -> None:
    X = RNG.normal(size=(70, 6)) * (1e-150 if kind == "tiny" else 1)
    X = (
        np.rint(3 * X)
        if kind in ("whole", "sparse")
        else X.astype(np.float32 if kind == "float32" else float)
    )
    given = scipy.sparse.csr_array(X) if kind == "sparse" else X
    squares = squared_distances(given, 2)
    expected = np.array([[((a - b) ** 2).sum() for b in X.astype(float)] for a in X.astype(float)])
    np.testing.assert_allclose(squares, expected, rtol=0 if kind in ("whole", "sparse") else 1e-6)
    assert squares.dtype == X.dtype
    assert (squares == squares.T).all()
    assert (squares == squared_distances(given, 1)).all()
    assert not np.diag(squares).any()


def test_squares_beyond_any_float_are_infinite() -> None:
    assert np.isinf(squared_distances(np.array([[1e160], [-1e160]]), 1)).tolist() == [
        [False, True],
        [True, False],
    ]


SAME_BITS = """
import hashlib, sys, warnings
import numpy as np
from sparse_ap import AffinityPropagation, affinity_propagation, hierarchy
from sparse_ap.graphs import knn_graph

warnings.simplefilter("ignore")
n_jobs = int(sys.argv[1])
rng = np.random.default_rng(0)
X = rng.integers(-8, 9, (60, 40))[rng.integers(0, 60, 11_000)] + rng.integers(-300, 301, (11_000, 40)) / 100
bits = rng.random((11_000, 300)) < 0.1
found = hashlib.sha256()
for metric in ("euclidean", "cosine", "correlation", "tanimoto", "hamming"):
    for n in (11_000, 2_000):
        points = bits if metric in ("tanimoto", "hamming") else X
        graph = knn_graph(points[:n], 10, metric=metric, n_jobs=n_jobs)
        found.update(graph.indices.tobytes() + graph.data.tobytes() + str(graph.recall).encode())
        print(metric, n, found.hexdigest()[:12])
        if metric == "euclidean":
            clustering = affinity_propagation(graph, max_iter=60, n_jobs=n_jobs)
            tree = hierarchy(graph, n_jobs=n_jobs)
            found.update(clustering.labels.tobytes() + repr(clustering.net_similarity).encode())
            found.update(b"".join(tree.labels(level).tobytes() for level in range(tree.n_levels)))
            print("labels and tree", found.hexdigest()[:12])
dense = AffinityPropagation(affinity="euclidean", max_iter=60, n_jobs=n_jobs).fit(X[:400])
print("dense", hashlib.sha256(dense.affinity_matrix_.tobytes() + dense.labels_.tobytes()).hexdigest()[:12])
"""


@pytest.mark.slow
def test_points_to_tree_are_the_same_on_an_older_processor_and_any_threads(tmp_path: Any) -> None:
    here = printed_by(SAME_BITS, 2)
    assert printed_by(SAME_BITS, 1) == printed_by(SAME_BITS, 8) == here
    assert printed_by(SAME_BITS, 2, older=tmp_path) == here
