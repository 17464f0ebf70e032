"""Graphs of nearest neighbours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.spatial.distance import cdist

from sparse_ap import InvalidInputError
from sparse_ap.graphs import knn_graph, radius_graph

RNG = np.random.default_rng(5)
METRICS = ["euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto"]
IN_SCIPY = {"manhattan": "cityblock", "tanimoto": "jaccard"}
POINTS = RNG.normal(size=(400, 12)) + 3
BITS = RNG.random((400, 67)) < 0.2
HARD = (RNG.normal(size=(40, 30))[RNG.integers(0, 40, 12_000)] + RNG.normal(size=(12_000, 30))).astype("f4")
HARD_BITS = (RNG.random((60, 256)) < 0.15)[RNG.integers(0, 60, 12_000)] ^ (RNG.random((12_000, 256)) < 0.03)


def all_distances(points: Any, metric: str, of: Any = slice(None)) -> Any:
    distances = cdist(points[of], points, IN_SCIPY.get(metric, metric))
    distances[np.arange(len(distances)), np.arange(len(points))[of]] = np.inf
    return distances


def distances_of(graph: Any) -> Any:
    return -graph.data.reshape(graph.shape[0], -1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_features", [3, 12])
def test_exact_searches_find_the_nearest(metric: str, n_features: int) -> None:
    points = BITS if metric == "tanimoto" else POINTS[:, :n_features]
    graph = knn_graph(points, 7, metric=metric, similarity="-d")
    expected = np.sort(all_distances(points, metric), axis=1)[:, :7]
    np.testing.assert_allclose(distances_of(graph), expected, rtol=1e-5, atol=1e-6)
    rows = np.repeat(np.arange(400), 7)
    np.testing.assert_allclose(
        -graph.data, all_distances(points, metric)[rows, graph.indices], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation", "tanimoto"])
def test_the_approximate_search_finds_most_and_the_same_on_any_threads(metric: str) -> None:
    points = HARD_BITS if metric == "tanimoto" else HARD
    one, two = (knn_graph(points, 10, metric=metric, similarity="-d", n_jobs=n) for n in (1, 2))
    assert (one.indices == two.indices).all()
    assert (one.data == two.data).all()
    sample = np.arange(0, 12_000, 60)
    exact = np.sort(all_distances(points, metric, sample), axis=1)[:, 9]
    found = distances_of(one)[sample] <= exact[:, None] * (1 + 1e-5) + 1e-6
    assert found.mean() >= 0.95


def test_packed_bits_are_the_same_points() -> None:
    plain = knn_graph(BITS, 5, metric="tanimoto")
    packed = knn_graph(np.packbits(BITS, axis=1), 5, metric="tanimoto")
    assert (plain != packed).nnz == 0


@pytest.mark.parametrize("n_points", [20, 12_000])
def test_rows_without_direction_are_at_1_from_all_in_both_searches(n_points: int) -> None:
    points = np.vstack([HARD[:n_points], np.zeros((3, 30), "f4")])
    graph = knn_graph(points, 2, metric="cosine")
    assert distances_of(graph)[-3:].tolist() == [[1, 1]] * 3
    constant = np.vstack([HARD[:n_points], np.full((3, 30), 0.1), np.full((1, 30), 7.3)])
    assert distances_of(knn_graph(constant, 1, metric="correlation"))[-4:].tolist() == [[1]] * 4
    assert np.isfinite(graph.data).all()


@pytest.mark.parametrize("n_points", [20, 12_000])
def test_rows_without_bits_are_equal_and_at_1_from_others(n_points: int) -> None:
    bits = np.vstack([HARD_BITS[:n_points], np.zeros((2, 256), bool)])
    assert distances_of(knn_graph(bits, 2, metric="tanimoto"))[-2:].tolist() == [[0, 1], [0, 1]]


TIED = """
import hashlib, numpy as np
from sparse_ap.graphs import knn_graph
rng = np.random.default_rng(0)
points, bits = rng.integers(0, 3, (700, 9)), rng.random((700, 16)) < 0.2
found = hashlib.sha256()
for metric in ("euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto"):
    graph = knn_graph(bits if metric == "tanimoto" else points, 10, metric=metric)
    found.update(graph.indices.tobytes() + graph.data.tobytes())
    graph = knn_graph(points[:, :5], 10, metric=metric) if metric != "tanimoto" else graph
    found.update(graph.indices.tobytes() + graph.data.tobytes())
print(found.hexdigest())
"""


def test_ties_fall_the_same_way_on_any_number_of_threads() -> None:
    def on_threads(n: int) -> str:
        environment = os.environ | {"OMP_NUM_THREADS": str(n)}
        return subprocess.run(
            [sys.executable, "-c", TIED.replace("metric=metric", f"metric=metric, n_jobs={n}")],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    assert on_threads(1) == on_threads(2)


@pytest.mark.parametrize("n_features", [2, 12])
def test_duplicates_are_neighbours_but_never_of_themselves(n_features: int) -> None:
    graph = knn_graph(np.ones((30, n_features)), 4)
    assert (np.diff(graph.indptr) == 4).all()
    assert (graph.indices != np.repeat(np.arange(30), 4)).all()
    assert (graph.data == 0).all()


def test_far_from_the_origin_the_approximate_search_sees_the_same() -> None:
    near = knn_graph(HARD.astype(float), 10)
    far = knn_graph(HARD.astype(float) + 1e8, 10)
    assert (near.indices == far.indices).mean() > 0.98


@pytest.mark.parametrize(("metric", "exponent"), [("euclidean", 2), ("manhattan", 1)])
def test_similarity_by_default(metric: str, exponent: int) -> None:
    distances = distances_of(knn_graph(POINTS, 3, metric=metric, similarity="-d"))
    np.testing.assert_allclose(
        distances_of(knn_graph(POINTS, 3, metric=metric)), distances**exponent, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("X", "options", "text"),
    [
        (
            scipy.sparse.eye_array(4),
            {"metric": "tanimoto"},
            "metric='tanimoto' was given a sparse matrix of features; with it the rows must be dense: "
            "X.toarray(). Sparse rows are compared by 'euclidean', 'cosine', 'inner_product'.",
        ),
        ([1.0, 2.0], {}, "X has shape (2,); a table is needed, one row a point, one column a feature."),
        (
            np.zeros((5, 0)),
            {},
            "X has shape (5, 0); a table is needed, one row a point, one column a feature.",
        ),
        ([["a"], ["b"]], {}, "X has dtype <U1; real numbers are needed."),
        ([[1j], [2j]], {}, "X has dtype complex128; real numbers are needed."),
        (
            [[0.0, 1.0], [0.0, np.nan], [np.inf, 0.0]],
            {},
            "X has 2 rows with NaN or infinite entries, the first in row 1, column 1; finite coordinates "
            "are needed. Drop these rows, or fill them in.",
        ),
        (
            POINTS,
            {"n_neighbors": 400},
            "n_neighbors=400; it must be a whole number from 1 to 399 for 400 points: a point is not its own "
            "neighbour.",
        ),
        (
            POINTS,
            {"metric": "dtw"},
            "metric='dtw'; one of 'euclidean', 'manhattan', 'chebyshev', 'cosine', 'correlation', "
            "'tanimoto', 'hamming', 'inner_product' is needed. For any other distance build neighbour lists "
            "with a library "
            "that has it, and give them to sparse_ap.graphs.from_knn.",
        ),
        (
            POINTS,
            {"metric": "tanimoto"},
            "metric='tanimoto' was given X of dtype float64; bits are needed: bool, or uint8 as "
            "numpy.packbits(X, axis=1) makes it.",
        ),
        (
            BITS.astype(np.uint8),
            {"metric": "tanimoto"},
            "metric='tanimoto' was given X of dtype uint8 with no value above 1, which looks like bits that "
            "are not packed; pass X.astype(bool), or numpy.packbits(X, axis=1).",
        ),
        (POINTS, {"n_jobs": 0}, "n_jobs=0; a positive whole number of threads is needed, or -1 for all."),
        (
            POINTS,
            {"random_state": "a"},
            "random_state='a'; it must be a whole number, a numpy generator or None.",
        ),
        (
            HARD,
            {"metric": "manhattan"},
            "metric='manhattan' was given for more than 10,000 points of more than 8 features, among which "
            "neighbours are searched approximately, by 'euclidean', 'cosine', 'correlation', "
            "'inner_product', 'tanimoto' and 'hamming' only. Pass recall=1 to compare all pairs; or build "
            "neighbour lists with a library "
            "that has it, such as pynndescent, and give them to sparse_ap.graphs.from_knn.",
        ),
        (POINTS, {"recall": 0}, "recall=0; it must be a number above 0, and at most 1."),
        (
            np.ma.masked_array(POINTS, POINTS > 4),
            {},
            "X is a masked array, whose mask would be lost; finite coordinates are needed. Drop these rows, "
            "or fill them in: X.filled(value).",
        ),
        (
            Path("points.npy"),
            {},
            "X is the path 'points.npy'; the points are needed: numpy.load(path, mmap_mode='r') of an .npy "
            "file. sparse-ap knn takes the path itself.",
        ),
        (
            np.array([[0.0], [1e100]]),
            {},
            "The distances reach 1e+100, which leaves the range of float32. Divide the points by one number.",
        ),
    ],
)
def test_what_is_refused(X: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        knn_graph(X, **({"n_neighbors": 1} | options))


def test_bytes_that_look_like_packed_bits_are_told() -> None:
    packed = np.packbits(RNG.random((50, 256)) < 0.05, axis=1)
    with pytest.warns(UserWarning, match="looks like packed bits, such as fingerprints, but metric='cosine'"):
        knn_graph(packed, 3, metric="cosine")
    with pytest.warns(UserWarning, match="looks like packed bits, such as fingerprints, but metric='cosine'"):
        radius_graph(packed, -0.1, metric="cosine")
    knn_graph(packed, 3, metric="tanimoto")
    radius_graph(packed, -0.1, metric="tanimoto")
    knn_graph(RNG.integers(0, 256, (50, 8), np.uint8), 3)
    knn_graph(RNG.integers(0, 9, (50, 8), np.uint8), 3)


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
from sparse_ap.graphs import knn_graph

points = np.random.default_rng(0).random((int(sys.argv[1]), int(sys.argv[2])))
threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    knn_graph(points, 100, n_jobs=2)
except KeyboardInterrupt:
    # Threads that went on would write to memory that is others' by now.
    others = [np.ones(1 << 20) for _ in range(200)]
    time.sleep(1)
    print("interrupted", all((other == 1).all() for other in others))
"""


@pytest.mark.parametrize(
    "shape",
    [(400_000, 2), pytest.param((40_000, 64), marks=pytest.mark.slow)],
    ids=["k-d tree", "approximate"],
)
def test_ctrl_c_ends_a_search(shape: tuple[int, int]) -> None:
    """As such, and without harm to a process that goes on, a notebook's say."""
    command = [sys.executable, "-c", INTERRUPTED, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted True\n", "")
