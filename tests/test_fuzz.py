"""Random input of all kinds: always a valid answer, or an error that says what was wrong with it.

``make test-slow`` tries 10,000 inputs, the same each time, and ``make test-fuzz`` 10,000 new ones.
"""

from __future__ import annotations

import io
import math
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from click.testing import CliRunner
from effort import examples
from expectations import DOCUMENTED, attempt, check
from hypothesis import given
from hypothesis import strategies as st
from options import CHOICES, Options, options
from sklearn.exceptions import ConvergenceWarning
from strategies import LAYOUTS, Given, broken_sparse, dense_graphs, sparse_graphs

from sparse_ap import AffinityPropagation, InvalidInputError
from sparse_ap.cli.commands import main
from sparse_ap.graphs import from_knn, knn_graph

# There are eight tests: 10,000 examples.
tried = examples(1250, quick=40)

sometimes = st.sampled_from([True, False, False, False])


@tried
@given(st.data(), sparse_graphs(), sometimes)
def test_any_sparse_graph(data: Any, given: Given, both: bool) -> None:
    check(given, data.draw(options(given.similarity.shape[0], wild=False)), both)


@tried
@given(st.data(), dense_graphs(), sometimes)
def test_any_dense_graph(data: Any, given: Given, both: bool) -> None:
    check(given, data.draw(options(len(given.similarity), wild=False)), both)


def no_graphs() -> Any:
    """What cannot be taken for a square table of numbers."""
    square = np.zeros((3, 3))
    return st.sampled_from(
        [
            *(Given(np.zeros(shape), None, ("shape",)) for shape in [(), (3,), (2, 3), (0, 2), (2, 2, 2)]),
            *(Given(square.astype(t), None, ("dtype",)) for t in ("c16", "O", "U3", "S2", "M8[s]", "m8[s]")),
            Given(np.zeros((2, 2), [("a", "f8")]), None, ("dtype",)),
            Given([[1.0], [2.0, 3.0]], None, ("similarities", "rows")),
            Given([["a", "b"], ["c", "d"]], None, ("dtype",)),
            Given([[None, 1.0], [2.0, None]], None, ("dtype",)),
            Given([[10**400, 1], [1, 2]], None, ("dtype",)),
            Given([], None, ("shape",)),
            *(Given(x, None, (type(x).__name__,)) for x in (None, 3.0, {}, {1, 2}, b"x", range(3))),
            Given("a.npz", None, ("zarr",)),
            Given(pd.DataFrame(square), None, ("DataFrame",)),
            Given(scipy.sparse.coo_array(np.zeros(4)), None, ("shape",)),
            Given(scipy.sparse.coo_array(np.zeros((2, 2, 2))), None, ("shape",)),
        ]
    )


@tried
@given(st.data(), st.one_of(broken_sparse(), broken_sparse(), no_graphs()))
def test_anything_that_is_no_graph(data: Any, given: Given) -> None:
    check(given, data.draw(options(3, wild=False)), both=False)


@tried
@given(st.data(), sparse_graphs())
def test_any_options(data: Any, given: Given) -> None:
    check(given, data.draw(options(given.similarity.shape[0], wild=True)), both=False)


def converted(d: Any, similarity: str) -> Any:
    with np.errstate(all="ignore"):
        return {"-d": -d, "-d**2": -d * d, "1-d": 1 - d}[similarity]


def tables(ids: Any, d: Any) -> tuple[list[list[tuple[int, Any]]], str | None]:
    """The edges of neighbour lists, row by row, and what is wrong with them."""
    wrong, rows = None, []
    for i, (row, distances) in enumerate(zip(ids, d, strict=True)):
        kept = []
        for k, distance in zip(row, distances, strict=True):
            no_point = k < 0 or k == np.iinfo(ids.dtype).max >= len(ids)
            if no_point or k == i or distance == np.inf:
                continue
            if k >= len(ids):
                wrong = "indices name point"
            elif not distance > -np.inf:
                wrong = wrong or "NaN or -inf"
            kept.append((int(k), distance))
        rows.append(kept)
    return rows, wrong


@st.composite
def neighbour_lists(draw: Any) -> tuple[Any, Any]:
    n, k = draw(st.integers(0, 12)), draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    type_of_ids = draw(st.sampled_from(["i4", "i8", "i2", "u1", "u4", "u8", ">i4"]))
    ids = rng.integers(0, max(n, 1), (n, k)).astype(type_of_ids)
    d = np.sort(rng.random((n, k)) * draw(st.sampled_from([1, 100, 1e-30, 1e18, 1e30])), axis=1)
    d = d.astype(draw(st.sampled_from(["f8", "f4", ">f8", ">f4", "g"])))
    if ids.size:
        place = st.tuples(st.integers(0, n - 1), st.integers(0, k - 1))
        largest = np.iinfo(type_of_ids).max
        odd_ids = [largest, 0, n, 200] if ids.dtype.kind == "u" else [largest, 0, -1, n, -9]
        for at in draw(st.lists(place, max_size=2)):
            ids[at] = draw(st.sampled_from(odd_ids))
        for at in draw(st.lists(place, max_size=2)):
            d[at] = draw(st.sampled_from([0.0, np.inf, np.nan, -np.inf, -0.5, 3e38]))
    return ids, d


@tried
@given(neighbour_lists(), st.sampled_from(["-d", "-d**2", "1-d"]), st.sampled_from(sorted(LAYOUTS)))
def test_any_neighbour_lists(lists: tuple[Any, Any], similarity: str, layout: str) -> None:
    ids, d = lists
    rows, wrong = tables(ids, d)
    before = ids.tobytes(), d.tobytes()
    as_given = LAYOUTS[layout](d.copy()) if layout not in ("strided", "list", "tuple") else d
    result, _ = attempt(lambda: from_knn(ids, as_given, similarity=similarity), UserWarning)
    assert (ids.tobytes(), d.tobytes()) == before
    edges = [edge for row in rows for edge in row]
    dtype = np.dtype("f8" if d.dtype.itemsize >= 8 else "f4")
    with np.errstate(over="ignore"):
        distances = np.array([distance for _, distance in edges], dtype)
    expected = converted(distances, similarity)
    if wrong is None and (distances < 0).any():
        wrong = "negative values"
    if wrong is None and np.isinf(expected).any():
        wrong = "distances"
    if wrong is not None:
        assert isinstance(result, InvalidInputError), f"not refused: {wrong}"
        assert wrong in str(result)
        return
    assert not isinstance(result, InvalidInputError), f"good lists were refused: {result}"
    assert result.shape == (len(ids), len(ids))
    assert np.diff(result.indptr).tolist() == [len(row) for row in rows]
    assert result.indices.tolist() == [k for k, _ in edges]
    assert result.dtype == dtype
    assert np.array_equal(result.data, expected)


WRONG_LISTS = [
    (None, None), ([], []), ([[0]], [["a"]]), ([["a"]], [[0.0]]), ([[0, 1], [1]], [[0.0, 1.0], [1.0]]),
    ([[1], [0]], [[1j], [1j]]), (np.zeros((2, 1), int), np.zeros((2, 2))), ([[0.5], [0.0]], [[1.0], [1.0]]),
    (np.zeros((2, 2, 2), int), np.zeros((2, 2, 2))), ([[1], [0]], [[None], [None]]), ([[1], [0]], "ab"),
    ({}, {}), ([[True], [False]], [[1.0], [1.0]]), ([[10**30], [0]], [[1.0], [1.0]]),
]  # fmt: skip
WRONG_SIMILARITIES = [
    "cosine", None, 3, [], {}, lambda d: d[1:], lambda d: None, lambda d: d * np.nan, lambda d: "x",
    lambda d: d + np.inf, np.array(["-d", "-d"]), lambda d: d.astype(complex),
]  # fmt: skip
PAIR = ([[1], [0]], [[1.0], [1.0]])


@pytest.mark.parametrize("lists", WRONG_LISTS)
def test_wrong_neighbour_lists(lists: Any) -> None:
    result, _ = attempt(lambda: from_knn(*lists))
    assert isinstance(result, InvalidInputError)
    assert "indices" in str(result) or "distances" in str(result)


@pytest.mark.parametrize("similarity", WRONG_SIMILARITIES)
def test_wrong_similarities_of_distances(similarity: Any) -> None:
    result, _ = attempt(lambda: from_knn(*PAIR, similarity=similarity))
    assert isinstance(result, InvalidInputError)
    assert "similarity" in str(result)


ROWS = np.arange(6.0).reshape(3, 2)
TABLES = {
    "X": [None, "ab", [[1.0], [2.0, 3.0]], np.zeros(3), np.zeros((2, 2, 2)), ROWS * np.nan, ROWS * 1j, {},
          [["a"], ["b"]], ROWS.astype("M8[s]"), scipy.sparse.coo_array(np.zeros(4)), [[10**400], [1]],
          np.ma.masked_array(ROWS, ROWS > 2)],
    "n_neighbors": [0, -1, 3, "1", None, 1.5, [1], np.nan, np.array([1, 1])],
    "similarity": [similarity for similarity in WRONG_SIMILARITIES if similarity is not None],
    "n_jobs": [0, -2, "2", 1.5, [1], np.nan],
}  # fmt: skip


@st.composite
def points(draw: Any) -> Any:
    n, d = draw(st.integers(0, 15)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1, 1e-6, 1e6, 1e-30, 1e15, 1e30, 1e160, 1e300]))
    X = rng.normal(size=(n, d)) * scale
    if draw(st.booleans()):
        X = np.round(X / scale) * scale
    with np.errstate(over="ignore"):
        X = X.astype(draw(st.sampled_from(["f8", "f4", "f2", ">f8", "g", "f8"])))
    if X.size and draw(st.booleans()):
        X[draw(st.integers(0, n - 1)), 0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))
    return LAYOUTS[draw(st.sampled_from(["plain", "fortran", "read-only", "list", "tuple", "matrix"]))](X)


@tried
@given(
    points(),
    st.integers(0, 16),
    st.sampled_from(["-d", "-d**2", "1-d"]),
    st.sampled_from(CHOICES["n_jobs"].right),
)
def test_any_points(X: Any, k: int, similarity: str, n_jobs: Any) -> None:
    result, _ = attempt(lambda: knn_graph(X, k, similarity=similarity, n_jobs=n_jobs), UserWarning)
    table = np.asarray(X, float)
    n = len(table)
    if table.ndim != 2 or not table.shape[1] or not np.isfinite(table).all() or not 1 <= k < n:
        assert isinstance(result, InvalidInputError)
        assert "X has" in str(result) or "n_neighbors" in str(result)
        return
    with np.errstate(over="ignore"):
        squares = ((table[:, None] - table) ** 2).sum(axis=2)
        far = np.sqrt(squares).astype(np.float32)
        # Near a distance of 1 most digits cancel.
        atol = 1e-6 * max(1.0, far.max()) if similarity == "1-d" else 1e-37
        expected = np.sort(converted(far, similarity) + np.where(np.eye(n), -np.inf, 0), axis=1)[:, :0:-1]
    if not np.isfinite(expected[:, :k]).all():
        if isinstance(result, InvalidInputError):
            assert "distances" in str(result)
        return
    assert not isinstance(result, InvalidInputError), f"good points were refused: {result}"
    assert (np.diff(result.indptr) == k).all()
    assert (result.indices != np.repeat(np.arange(n), k)).all()
    found = -np.sort(-result.data.reshape(n, k), axis=1)
    assert np.allclose(found, expected[:, :k], rtol=1e-5, atol=atol)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in TABLES.items() for v in vs])
def test_wrong_points_and_options_of_their_graph(name: str, value: Any) -> None:
    given = {"X": ROWS, "n_neighbors": 1, "similarity": "-d", "n_jobs": 1, name: value}
    result, _ = attempt(lambda: knn_graph(**given))
    assert isinstance(result, InvalidInputError)
    assert name in str(result)


PARAMETERS = {
    "affinity": ["nearest_neighbors", "euclidean", "precomputed", "precomputed_nearest_neighbors"],
    "n_neighbors": [1, 2, 15, np.int64(3), None],
    "similarity": ["-d**2", "-d", "1-d"],
}
WRONG_PARAMETERS = {
    "affinity": ["cosine", None, 1, [], np.array(["euclidean"] * 2)],
    "n_neighbors": [0, -1, 2.5, "3", [1]],
    "similarity": ["cosine", [], 3],
}


def refused_by_scikit_learn(error: Exception) -> bool:
    """Whether its own checks of tables, which estimators share, were not passed."""
    return any(frame.name == "validate_data" for frame in traceback.extract_tb(error.__traceback__))


def attempt_estimator(call: Any) -> tuple[Any, Any]:
    def checked() -> Any:
        # scikit-learn looks for infinite entries by adding up, and numpy tells.
        warnings.filterwarnings("ignore", "invalid value encountered in reduce", RuntimeWarning)
        try:
            return call()
        except (TypeError, ValueError) as error:
            if isinstance(error, InvalidInputError) or not refused_by_scikit_learn(error):
                raise
            return error

    return attempt(checked, *DOCUMENTED)


@st.composite
def estimators(draw: Any, n: int) -> tuple[AffinityPropagation, set[str]]:
    """An estimator, and which of its parameters are wrong."""
    chosen: Options = draw(options(n, wild=draw(st.sampled_from([False, False, True]))))
    parameters = {k: v for k, v in chosen.fresh().items() if k in AffinityPropagation().get_params()}
    wrong = set()
    for name, right in PARAMETERS.items():
        spoilt = draw(st.integers(0, 15)) == 0
        parameters[name] = draw(st.sampled_from(WRONG_PARAMETERS[name] if spoilt else right))
        wrong |= {name} if spoilt else set()
    used = {
        "nearest_neighbors": {"affinity", "n_neighbors", "similarity"},
        "precomputed_nearest_neighbors": {"affinity", "similarity"},
    }.get(str(parameters["affinity"]), {"affinity"})
    wrong = (wrong & used) | (parameters.keys() & set(chosen.wrong))
    return AffinityPropagation(**parameters), wrong


@tried
@given(st.data(), st.one_of(points(), points(), dense_graphs(), sparse_graphs()))
def test_any_estimator(data: Any, X: Any) -> None:
    X = X.similarity if isinstance(X, Given) else X
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    estimator, wrong = data.draw(estimators(n))
    fitted, caught = attempt_estimator(lambda: estimator.fit(X))
    if isinstance(fitted, Exception):
        assert str(fitted)
        return
    # One point has no neighbours to look for.
    assert not wrong or n == 1, f"not refused: {wrong}"
    labels, exemplars = fitted.labels_, fitted.cluster_centers_indices_
    assert labels.dtype == np.int64
    assert labels.shape == (n,)
    assert (labels[exemplars] == np.arange(len(exemplars))).all()
    assert set(labels.tolist()) == set(range(len(exemplars)))
    assert math.isfinite(fitted.clustering_.net_similarity)
    again, caught = attempt_estimator(lambda: fitted.predict(X))
    if isinstance(again, Exception):
        assert str(again)
        return
    assert again.dtype == np.int64
    assert again.shape == (n,)
    assert ((again >= -1) & (again < len(exemplars))).all()
    assert (ConvergenceWarning in caught) == (again < 0).any()
    if estimator.affinity == "precomputed" and not scipy.sparse.issparse(X) and n:
        reached = again >= 0
        assert (np.asarray(X, float)[reached, exemplars[again[reached]]] > -np.inf).all()


def as_file(arrays: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@st.composite
def files(draw: Any) -> bytes:
    """An .npz file of a graph or of neighbour lists, perhaps with arrays changed, or bytes."""
    if draw(st.booleans()):
        ids, d = draw(neighbour_lists())
        arrays = {"indices": ids, "distances": d}
    else:
        given = draw(st.one_of(sparse_graphs(), broken_sparse())).similarity
        names = ("data", "indices", "indptr", "offsets", "blocksize")
        arrays = {name: getattr(given, name) for name in names if hasattr(given, name)}
        if given.format in ("lil", "dok", "coo"):
            arrays = dict(zip(("row", "col"), getattr(given, "coords", ([], [])), strict=True))
            arrays["data"] = given.tocoo().data if given.format != "coo" else given.data
        arrays |= {"format": given.format.encode(), "shape": given.shape}
    odd = [b"abc", "xyz", 3.5, np.zeros(0), np.zeros((2, 2)), [2**40, 2**40], -1, 1j, b"coo", np.nan, [0, 0]]
    for name in draw(st.one_of(st.just([]), st.lists(st.sampled_from(sorted(arrays)), max_size=2))):
        if draw(st.booleans()):
            arrays.pop(name, None)
        else:
            arrays[name] = draw(st.sampled_from(odd))
    content = bytearray(as_file(arrays))
    for place in draw(st.one_of(st.just([]), st.lists(st.integers(0, len(content) - 1), max_size=3))):
        content[place] ^= draw(st.integers(1, 255))
    return bytes(content[: draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])


@tried
@given(files(), st.sampled_from(["info", "cluster"]), st.sampled_from([None, "-d", "-d**2", "1-d"]))
def test_any_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, command: str, similarity: str | None
) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "fuzz.npz"
    path.write_bytes(content)
    option = ["--similarity", similarity] if similarity else []
    run = ["--n-jobs", "1", *option] + (["--max-iter", "30"] if command == "cluster" else [])
    result, _ = attempt(lambda: CliRunner().invoke(main, [command, str(path), *run]), *DOCUMENTED)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 2, 3)
    if result.exit_code == 2:
        assert result.output.startswith("Error: ")
        assert len(result.output) > 30
    else:
        assert "nan" not in result.output.replace(str(path), "")
        assert "points" in result.output
