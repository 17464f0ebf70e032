"""Graphs from neighbour lists, from matrices of distances, from an AnnData; operations on edges."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from strategies import graphs

from sparse_ap import InvalidInputError, affinity_propagation
from sparse_ap.graphs import (
    from_anndata,
    from_distances,
    from_knn,
    knn_graph,
    read_graph,
    symmetrise,
    top_k,
    write_graph,
)
from sparse_ap.graphs import neighbour_lists as neighbours
from sparse_ap.graphs.conversion.inputs import from_object
from sparse_ap.graphs.distances import similarities_between
from sparse_ap.storage import csr as assembly

FORMATS = ["csr", "csc", "coo", "lil", "dok"]


def refused(text: str, call: Callable[..., Any], *args: Any, **options: Any) -> None:
    """The call fails with exactly this text."""
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        call(*args, **options)


def entries(graph: Any) -> list[tuple[int, int, float]]:
    """What is stored, row after row, in the order in which it is stored."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    return list(zip(rows.tolist(), graph.indices.tolist(), graph.data.tolist(), strict=True))


# --- from_knn ---


@st.composite
def neighbour_lists(draw: Any) -> tuple[Any, Any]:
    """Tables with itself anywhere or not at all, duplicates, zeros, nothing found, in any order."""
    n, k = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    id_type = draw(st.sampled_from(["i1", "i4", "i8", ">i8", "u4", "u8", ">u8"]))
    distance_type = draw(st.sampled_from(["f4", "f8", ">f8"]))
    ids = rng.integers(0, n, (n, k)).astype(id_type)
    distances = rng.choice([0, 0.25, 1, 3, np.inf], (n, k)).astype(distance_type)
    missing = rng.random((n, k)) < 0.2
    ids[missing] = np.iinfo(id_type).max if draw(st.booleans()) or ids.dtype.kind == "u" else -1
    distances[missing] = draw(st.sampled_from([np.nan, 0, 3.4028235e38, -3.4028235e38, np.inf]))
    return ids, distances


@given(neighbour_lists(), st.integers(1, 9))
def test_every_neighbour_found_is_an_edge(lists: tuple[Any, Any], at_a_time: int) -> None:
    ids, distances = lists
    n = len(ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_ENTRIES_AT_A_TIME", at_a_time)
        graph = from_knn(ids, distances)
    expected = [
        (i, int(k), -float(d))
        for i, (row, row_distances) in enumerate(zip(ids.tolist(), distances.tolist(), strict=True))
        for k, d in zip(row, row_distances, strict=True)
        if 0 <= k < n and k != i and d != np.inf
    ]
    assert entries(graph) == expected
    assert graph.shape == (n, n)
    assert graph.dtype == distances.dtype.newbyteorder("=")
    assert graph.indices.dtype == graph.indptr.dtype == np.int32


@given(neighbour_lists(), st.integers(1, 9), st.sampled_from(["-d", "-d**2", "1-d"]))
def test_neighbour_lists_are_the_same_edges_at_once_and_block_by_block(
    lists: tuple[Any, Any], at_a_time: int, similarity: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_ENTRIES_AT_A_TIME", at_a_time)
        graph = from_knn(*lists, similarity=similarity)
        blocks = list(from_object(lists, similarity, None).blocks)
    joined = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in ("indices", "data")}
    degrees = np.concatenate([np.diff(block.indptr) for block in blocks])
    np.testing.assert_array_equal(degrees, np.diff(graph.indptr))
    np.testing.assert_array_equal(joined["indices"], graph.indices)
    np.testing.assert_array_equal(joined["data"], graph.data)
    # Blocks are narrowed later, by the writer.
    joined["data"] = joined["data"].astype(graph.dtype)


def test_a_wrong_id_is_found_in_its_row_where_only_some_rows_are_looked_at() -> None:
    ids, distances = np.zeros((3000, 1), np.int64), np.ones((3000, 1))
    ids[2999] = 7000
    with pytest.raises(InvalidInputError, match=r"point 7000 \(row 2999, position 0\)"):
        from_object((ids, distances), None, None)


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        ("-d", [0, -2, -1]),
        ("-d**2", [0, -4, -1]),
        ("1-d", [1, -1, 0]),
        (lambda d: d.max() - d, [2, 0, 1]),
        (lambda d: np.where(d > 1, -np.inf, -d), [0, -np.inf, -1]),
        (lambda d: d > 1, [0, 1, 0]),
        (lambda d: (-d).tolist(), [0, -2, -1]),
    ],
)
def test_distances_become_similarities(similarity: Any, expected: list[float]) -> None:
    distances = np.array([[0], [2], [1]], np.float32)
    graph = from_knn([[1], [2], [0]], distances, similarity=similarity)
    assert graph.data.tolist() == expected
    assert distances.tolist() == [[0], [2], [1]]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.int64, np.uint16, np.float16])
def test_other_numbers_become_float32(dtype: Any) -> None:
    graph = from_knn([[1], [0]], np.array([[1], [0]], dtype))
    assert graph.dtype == np.float32
    assert graph.data.tolist() == [-1, 0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_neighbour_lists_are_never_written_to(order: Any) -> None:
    ids = np.array([[0, 1], [1, 2], [2, 0]], order=order)
    distances = np.array([[0, 1.0], [0, 2], [0, 3]], order=order)
    ids.flags.writeable = distances.flags.writeable = False

    def in_place(d: Any) -> Any:
        return np.negative(d, out=d)

    assert entries(from_knn(ids, distances, similarity=in_place)) == [(0, 1, -1), (1, 2, -2), (2, 0, -3)]


def test_of_a_point_listed_twice_the_nearest_counts() -> None:
    lists = ([[1, 1, 2], [0, 2, 0], [1, 0, 1]], [[5.0, 1.0, 4.0], [2.0, 3.0, 1.0], [3.0, 4.0, 9.0]])
    once = ([[1, 2, -1], [0, 2, -1], [1, 0, -1]], [[1.0, 4.0, 0.0], [1.0, 3.0, 0.0], [3.0, 4.0, 0.0]])
    graph = from_knn(*lists)
    assert graph.nnz == 9
    twice, single = (affinity_propagation(g, preference=-2.5) for g in (graph, from_knn(*once)))
    assert twice.labels.tolist() == single.labels.tolist()
    assert twice.net_similarity == single.net_similarity


def test_a_byte_can_name_point_255() -> None:
    ids = np.roll(np.arange(256, dtype=np.uint8), 1)[:, None]
    assert from_knn(ids, np.ones((256, 1))).nnz == 256
    # One point less, and it is the largest number of its type, that says "not found".
    assert from_knn(ids[:255], np.ones((255, 1))).nnz == 254


def test_a_bounded_search_pads_with_n_and_infinity() -> None:
    points = np.random.default_rng(0).random((200, 2))
    distances, ids = cKDTree(points).query(points, 9, distance_upper_bound=0.08)
    assert (ids == 200).any()
    graph = from_knn(ids, distances)
    assert graph.nnz == np.count_nonzero(ids < 200) - 200
    assert graph.data.min() > -0.08


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0)])
def test_no_neighbours(shape: tuple[int, int]) -> None:
    graph = from_knn(np.empty(shape, np.int64), np.empty(shape))
    assert graph.shape == (shape[0], shape[0])
    assert graph.nnz == 0


def test_index_arrays_widen_before_they_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = [(0, 1, -1), (1, 0, -2), (2, 1, -3)]
    for limit, width in [(3, np.int32), (2, np.int64)]:
        monkeypatch.setattr(assembly, "LARGEST_INT32", limit)
        graph = from_knn([[1], [0], [1]], [[1.0], [2.0], [3.0]])
        for made in (graph, from_distances(-graph)):
            assert made.indices.dtype == made.indptr.dtype == width
            assert entries(made) == edges


def test_index_arrays_widen_when_edges_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "LARGEST_INT32", 3)
    both = symmetrise(from_knn([[1], [0], [1]], [[1.0], [2.0], [3.0]]))
    assert both.indices.dtype == both.indptr.dtype == np.int64
    assert entries(both) == [(0, 1, -1), (1, 0, -1), (1, 2, -3), (2, 1, -3)]


NEGATIVE = (
    "The distances have negative values, down to -0.5; distances from 0 are needed. Set rounding errors "
    "below 0 to 0: numpy.maximum(distances, 0). Inner products and cosine similarities take "
    "similarity=lambda s: s; one minus an inner product takes similarity=lambda d: -d. (A sparse matrix of "
    "similarities is clustered as it is, by affinity_propagation.)"
)


@pytest.mark.parametrize(
    ("ids", "distances", "options", "text"),
    [
        (
            [[1, 2]], [[1.0]], {},
            "indices have shape (1, 2) and distances (1, 1); two tables of the same shape (n_points, "
            "n_neighbors) are needed.",
        ),
        (
            [[1.0], [0.0]], [[1], [1]], {},
            "indices have dtype float64; whole numbers are needed. Mind the order: indices first, distances "
            "second.",
        ),
        (
            np.array([[1], [0]], object), [[1.0], [1.0]], {},
            "indices have dtype object; whole numbers are needed. Mind the order: indices first, distances "
            "second.",
        ),
        (
            [[1], [0]], [["a"], ["b"]], {},
            "distances have dtype <U1; real numbers are needed.",
        ),
        (
            [[1, 0], [0]], [[1.0, 2.0], [1.0]], {},
            "The rows of indices differ in length; a table of shape (n_points, n_neighbors) is needed. Fill "
            "short rows up, with the id -1.",
        ),
        (
            [[1, 0], [0, 2]], [[1.0, 0.0], [1.0, 1.0]], {},
            "indices name point 2 (row 1, position 1), but there are only 2 rows; ids must lie in 0 to 1, or "
            "be negative for a neighbour that was not found.",
        ),
        (
            np.array([[1], [2**32]], np.uint64), [[1.0], [1.0]], {},
            "indices name point 4294967296 (row 1, position 0), but there are only 2 rows; ids must lie in 0 "
            "to 1, or be negative for a neighbour that was not found.",
        ),
        (
            [[0, 1, 1], [0, 1, -1]], [[0, np.nan, 1], [np.nan, np.nan, np.nan]], {},
            "Among the distances of rows 0 to 1 are 2 that are NaN or -inf; the first is nan, in row 0 at "
            "position 1, for the id 1. Where no neighbour was found give the id -1. (usearch fills short "
            "lists with key 0 and NaN: only as many entries of a row as its `counts` says are neighbours.)",
        ),
        (
            [[-1, 1, 0], [1, -1, 0]], [[0, 1, 0], [1, 1, -np.inf]], {"similarity": "1-d"},
            "Among the distances of rows 0 to 1 are 1 that are NaN or -inf; the first is -inf, in row 1 at "
            "position 2, for the id 0. Where no neighbour was found give the id -1. (usearch fills short "
            "lists with key 0 and NaN: only as many entries of a row as its `counts` says are neighbours.)",
        ),
        (
            [[1], [0]], [[1.0], [1.0]], {"similarity": "cosine"},
            "similarity='cosine'; one of '-d', '-d**2', '1-d' is needed, or a function.",
        ),
        (
            [[1], [0]], [[1.0], [-0.5]], {"similarity": "-d**2"},
            NEGATIVE,
        ),
        (
            [[1], [0]], np.array([[1.0], [1e30]], np.float32), {"similarity": "-d**2"},
            "A similarity is -1e+60, which float32 cannot hold. Give the distances as float64: "
            "distances.astype(numpy.float64).",
        ),
        (
            [[1], [0]], [[1.0], [1e200]], {"similarity": "-d**2"},
            "The squares of the distances, which reach 1e+200, leave the range of float64. Divide the "
            "distances by one number, or use similarity='-d'.",
        ),
        (
            [[1], [0]], [[1.0], [1.0]], {"similarity": lambda d: d[1:]},
            "similarity returned an array of shape (1,) for distances of shape (2,); one similarity for each "
            "distance is needed, in the same order.",
        ),
        (
            [[1], [0]], [[1.0], [1.0]], {"similarity": lambda d: d * 1j},
            "similarity returned dtype complex128; real numbers are needed.",
        ),
        (
            [[1], [0]], [[1.0], [3.0]], {"similarity": lambda d: np.where(d > 2, np.nan, d)},
            "similarity returned NaN or +inf 1 times, the first being nan. Finite numbers are needed, or "
            "-inf for no edge.",
        ),
    ],
)  # fmt: skip
def test_neighbour_lists_that_are_none(ids: Any, distances: Any, options: Any, text: str) -> None:
    refused(text, from_knn, ids, distances, **options)


def inner_products(n: int, k: int) -> tuple[Any, Any]:
    """Neighbours by inner product, the largest first, the point itself among them."""
    points = np.random.default_rng(0).normal(size=(n, 6))
    products = points @ points.T
    ids = np.argsort(-products, axis=1)[:, :k]
    return ids, np.take_along_axis(products, ids, axis=1)


@pytest.mark.parametrize("similarity", ["-d", "-d**2", "1-d"])
def test_inner_products_are_not_taken_for_distances(similarity: str) -> None:
    ids, products = inner_products(60, 8)
    refused(
        "The distances fall along the rows, in 60 of 60 rows looked at: they look like inner products or "
        "cosine similarities, of which the largest is the nearest. Pass similarity=lambda s: s for those; "
        "for distances that are listed farthest first pass similarity=lambda d: -d.",
        from_knn, ids, products, similarity=similarity,
    )  # fmt: skip
    graph = from_knn(ids, products, similarity=lambda s: s)
    assert affinity_propagation(graph).n_clusters < 60


def test_few_rows_and_unsorted_lists_pass_for_distances() -> None:
    ids, products = inner_products(60, 8)
    products -= products.min()
    assert from_knn(ids[:29] % 29, products[:29]).nnz > 200
    shuffled = np.random.default_rng(0).permuted(np.arange(480).reshape(60, 8), axis=1)
    assert from_knn(ids.ravel()[shuffled], products.ravel()[shuffled]).nnz > 400
    pairs = np.stack([np.roll(np.arange(60), 1), np.roll(np.arange(60), 2)], axis=1)
    assert from_knn(pairs, np.random.default_rng(0).random((60, 2))).nnz == 120
    assert from_knn(pairs, np.ones((60, 2))).nnz == 120


@pytest.mark.parametrize(("n_rising", "is_refused"), [(3, True), (4, False)])
def test_nearly_all_rows_must_fall(n_rising: int, is_refused: bool) -> None:
    ids, products = inner_products(60, 8)
    products -= products.min()
    products[:n_rising] = products[:n_rising, ::-1]
    if is_refused:
        with pytest.raises(InvalidInputError, match="fall along the rows, in 57 of 60 rows looked at"):
            from_knn(ids, products)
    else:
        assert from_knn(ids, products).nnz > 400


@pytest.mark.parametrize("similarity", ["-d", "-d**2", "1-d"])
def test_negative_distances_are_for_a_function_to_judge(similarity: str, tmp_path: Path) -> None:
    """The same in every reader: from the names one text, from a function what it returns."""
    lists, matrix = ([[1], [0]], [[1.0], [-0.5]]), sparse_pair(-0.5)
    readers: list[Any] = [
        lambda **options: from_knn(*lists, **options),
        lambda **options: from_distances(matrix, **options),
        lambda **options: from_anndata(annotated(distances=matrix), **options),
        lambda **options: written(lists, tmp_path, **options),
        lambda **options: written(matrix, tmp_path, **options),
    ]
    for read in readers:
        refused(NEGATIVE, read, similarity=similarity)
        assert entries(read(similarity=lambda d: -2 * d)) == [(0, 1, -2), (1, 0, 1)]


# --- what is masked is no edge ---


def masked(values: Any, mask: Any, dtype: Any = None) -> Any:
    return np.ma.masked_array(np.array(values, dtype), mask)


IDS, AWAY = [[1, 2], [0, 2], [0, 1]], [[0, 1], [0, 0], [1, 0]]
LEFT = [(0, 1, -1.0), (1, 0, -3.0), (1, 2, -4.0), (2, 1, -6.0)]
VALUES = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("which", ["ids", "distances", "both", "rows of ids", "rows of distances"])
def test_masked_neighbours_are_not_found(dtype: Any, which: str, tmp_path: Path) -> None:
    ids, distances = np.array(IDS, dtype), np.array(VALUES)
    halves = np.array(AWAY) * [1, 0], np.array(AWAY) * [0, 1]
    lists: Any = {
        "ids": (masked(ids, AWAY), distances),
        "distances": (ids, masked(distances, AWAY)),
        "both": (masked(ids, halves[0]), masked(distances, halves[1])),
        "rows of ids": (list(masked(ids, AWAY)), distances),
        "rows of distances": (ids, list(masked(distances, AWAY))),
    }[which]
    assert entries(from_knn(*lists)) == LEFT
    assert entries(written(lists, tmp_path)) == LEFT


def test_behind_a_mask_anything_may_be() -> None:
    ids, distances = masked([[1, 99], [0, 7]], [[0, 1], [0, 1]]), [[1.0, np.nan], [2.0, -5.0]]
    assert entries(from_knn(ids, distances)) == [(0, 1, -1), (1, 0, -2)]
    whole = masked([[1, 0], [0, 0]], [[0, 1], [1, 1]], np.uint8), masked([[1, 2], [3, 4]], False, np.uint8)
    assert entries(from_knn(*whole)) == [(0, 1, -1)]
    # 255 is a point, in a graph of 256, and what is masked is not.
    byte = masked(np.full((256, 1), 255), np.arange(256)[:, None] > 0, np.uint8)
    assert entries(from_knn(byte, np.ones((256, 1)))) == [(0, 255, -1)]


def with_masked_entries(kind: str, dtype: Any) -> Any:
    """A matrix of all six pairs, of which two are masked."""
    matrix = scipy.sparse.coo_array(
        (np.ravel(VALUES).astype(dtype), (np.repeat(np.arange(3), 2), np.ravel(IDS))), shape=(3, 3)
    ).asformat(kind)
    matrix.data = np.ma.masked_array(matrix.data, (matrix.data == 2) | (matrix.data == 5))
    return matrix


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_masked_entries_of_a_matrix_are_not_stored(kind: str, dtype: Any, tmp_path: Path) -> None:
    matrix = with_masked_entries(kind, dtype)
    if kind != "coo":
        adata = annotated(size=3)
        adata.obsp["distances"] = adata.obsp["weights"] = matrix
        assert entries(from_anndata(adata)) == LEFT
        assert entries(from_anndata(adata, key="weights")) == [(i, k, -s) for i, k, s in LEFT]
    assert entries(from_distances(matrix)) == LEFT
    assert entries(written(matrix, tmp_path, similarity="-d")) == LEFT
    assert entries(written(iter([matrix]), tmp_path, similarity="-d")) == LEFT
    assert (similarities_between(matrix, "-d").toarray() == from_distances(matrix).toarray()).all()
    matrix.data = -matrix.data
    found, expected = (affinity_propagation(g, preference=-1) for g in (matrix, from_distances(-matrix)))
    assert found.similarities.tolist() == expected.similarities.tolist()


@pytest.mark.parametrize("similarity", [None, "-d"])
def test_masked_entries_of_row_blocks(similarity: Any, tmp_path: Path) -> None:
    degrees, ids = np.array([2, 2, 2]), np.ravel(IDS)
    sign = 1 if similarity else -1
    for mask in ((np.ravel(AWAY), 0), (0, np.ravel(AWAY))):
        piece = degrees, masked(ids, mask[0]), masked(sign * np.ravel(VALUES), mask[1])
        assert entries(written(iter([piece]), tmp_path, n_points=3, similarity=similarity)) == LEFT


def test_a_masked_result_of_a_function_is_no_edge() -> None:
    graph = from_knn([[1], [0]], [[0.0], [0.1]], similarity=lambda d: np.ma.log10(d))
    assert entries(graph) == [(0, 1, -np.inf), (1, 0, -1)]


# --- distances are converted in float64 ---


def written(source: Any, folder: Path, **options: Any) -> Any:
    write_graph(source, folder / "graph.zarr", overwrite=True, **options)
    return read_graph(folder / "graph.zarr")


def of_evalue(d: Any) -> Any:
    assert d.dtype == np.float64
    return np.minimum(-np.log10(d), 200)


def pair_of_distances(a: Any, b: Any, dtype: Any) -> Any:
    return scipy.sparse.csr_array((np.array([a, b], dtype), ([0, 1], [1, 0])), shape=(2, 2))


@pytest.mark.parametrize(
    "reader", ["lists", "matrix", "anndata", "written lists", "written", "pieces", "file"]
)
def test_evalues_reach_the_function_as_they_are(reader: str, tmp_path: Path) -> None:
    matrix = pair_of_distances(1e-50, 1e-60, np.float64)
    lists = [[1], [0]], [[1e-50], [1e-60]]
    (tmp_path / "hits.tsv").write_text("0\t1\t1e-50\n1\t0\t1e-60\n")
    read = {
        "lists": lambda: from_knn(*lists, similarity=of_evalue),
        "matrix": lambda: from_distances(matrix, similarity=of_evalue),
        "anndata": lambda: from_anndata(annotated(distances=matrix), similarity=of_evalue),
        "written lists": lambda: written(lists, tmp_path, similarity=of_evalue),
        "written": lambda: written(matrix, tmp_path, similarity=of_evalue),
        "pieces": lambda: written(iter([matrix]), tmp_path, similarity=of_evalue),
        "file": lambda: written(tmp_path / "hits.tsv", tmp_path, similarity=of_evalue),
    }[reader]
    assert entries(read()) == [(0, 1, 50), (1, 0, 60)]


@pytest.mark.parametrize("similarity", ["-d**2", "1-d", lambda d: -(d**2), lambda d: np.expm1(-d)])
def test_single_precision_is_chosen_at_the_end(similarity: Any, tmp_path: Path) -> None:
    """Distances of float32 into a graph of float64: the values of float64."""
    matrix = pair_of_distances(1e-30, 3e-9, np.float32)
    exact = similarities_between(matrix.astype(np.float64), similarity).data
    assert len(set(exact)) == 2 or similarity == "1-d"
    assert (written(matrix, tmp_path, similarity=similarity, dtype="float64").data == exact).all()
    matrix.data[:] = 0.1, 0.3
    exact = similarities_between(matrix.astype(np.float64), similarity).data
    assert (from_distances(matrix, similarity=similarity).data == exact.astype(np.float32)).all()


def test_large_numbers_are_not_rounded_before_they_are_converted() -> None:
    big = 2**24 + np.array([[1], [0]])
    assert from_knn([[1], [0]], big, similarity=lambda d: -(d - 2**24)).data.tolist() == [-1, 0]
    # In float32 the fourth power would be infinite, and the edge gone.
    far = np.array([[2**40], [1]], np.float32)
    assert from_knn([[1], [0]], far, similarity=lambda d: -np.sqrt(d**4)).data.tolist() == [-(2**80), -1]


def test_points_near_each_other_reach_the_function() -> None:
    near = np.array([[0.0], [1e-50], [3e-50]])
    graph = knn_graph(near, 1, similarity=lambda d: np.log10(d))
    assert np.allclose(graph.toarray()[[0, 2], 1], [-50, np.log10(2e-50)])
    assert graph.dtype == np.float32


MERGED = "Different similarities become equal in float32, such as "


PAIRS = [(1e-50, 1e-60), (1e-46, 0.0), (1 + 1e-9, 1.0), (2.0**24 + 1, 2.0**24)]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_different_values_that_become_equal_are_told(a: float, b: float, tmp_path: Path) -> None:
    matrix = pair_of_distances(a, b, np.float64)
    (tmp_path / "hits.tsv").write_text(f"0\t1\t{a!r}\n1\t0\t{b!r}\n")
    lists = [[1], [0]], [[a], [b]]
    for source in (matrix, -matrix, iter([matrix]), tmp_path / "hits.tsv", lists):
        with pytest.warns(UserWarning, match=MERGED) as told:
            written(source, tmp_path)
        assert str(told[0].message).endswith("Ask for dtype='float64' (--float64).")
    for source in (matrix, tmp_path / "hits.tsv"):
        assert written(source, tmp_path, similarity="-d", dtype="float64").data.tolist() == [-a, -b]


def test_of_rounding_nothing_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    d = rng.random(20_000)
    # Both directions of a pair, apart by the rounding of float64.
    data = np.concatenate([d, d * (1 + 2e-16)])
    rows = np.arange(40_000) // 100
    matrix = scipy.sparse.csr_array((data, (rows, np.tile(np.arange(100) + 400, 400))), shape=(500, 500))
    assert written(matrix, tmp_path, similarity="-d").nnz == 40_000


# --- from_distances ---


@given(graphs(dtype=np.float32), st.sampled_from(FORMATS), st.booleans())
def test_every_distance_off_the_diagonal_is_an_edge(graph: Any, kind: str, diagonal: bool) -> None:
    expected = sorted(entries(graph))
    triplets = (-graph).tocoo()
    rows, columns = triplets.coords
    if diagonal:
        points = np.arange(graph.shape[0])
        rows, columns = np.append(rows, points), np.append(columns, points)
    values = np.append(triplets.data, np.full(len(rows) - graph.nnz, np.nan, np.float32))
    given = scipy.sparse.coo_array((values, (rows, columns)), shape=graph.shape).asformat(kind)
    result = from_distances(given)
    assert sorted(entries(result)) == expected
    assert result.dtype == np.float32
    # An independent copy: scipy changes matrices in place too.
    result.sort_indices()
    result.data[:] = 7
    assert sorted(entries(from_distances(given))) == expected


def test_distances_keep_their_order_and_lose_what_is_infinite() -> None:
    distances = scipy.sparse.csr_array(
        (np.array([3.0, 0, np.inf, 1, 2]), np.array([2, 1, 0, 2, 0]), np.array([0, 2, 3, 5])), shape=(3, 3)
    )
    distances.indices = distances.indices.astype(np.int64)
    for array in (distances.data, distances.indices, distances.indptr):
        array.flags.writeable = False
    assert entries(from_distances(distances)) == [(0, 2, -3), (0, 1, 0), (2, 0, -2)]
    # Not exp(-inf) = 0, a similarity like any other.
    near = from_distances(distances, similarity=lambda d: np.exp(-d))
    assert entries(near) == [(0, 2, np.exp(-3)), (0, 1, 1), (2, 0, np.exp(-2))]


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_distances_become_float32(kind: str) -> None:
    distances = scipy.sparse.csr_array(np.array([[0, 1], [2, 0]])).asformat(kind)
    graph = from_distances(distances)
    assert graph.dtype == np.float32
    assert entries(graph) == [(0, 1, -1), (1, 0, -2)]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", [(2, 5), (5, 2)])
def test_distances_from_new_points_to_old_ones(kind: str, shape: tuple[int, int]) -> None:
    dense = np.arange(10.0).reshape(shape)
    distances = scipy.sparse.csr_array(dense).asformat(kind)
    assert (similarities_between(distances, "-d**2").toarray() == -(dense**2)).all()


def sparse_pair(value: Any) -> Any:
    return scipy.sparse.csr_array((np.array([1.0, value]), ([0, 1], [1, 0])), shape=(2, 2))


@pytest.mark.parametrize(
    ("distances", "text"),
    [
        (
            np.ones((2, 2)),
            "The distances are a ndarray; a sparse matrix of distances is needed, as "
            "sklearn.neighbors.KNeighborsTransformer gives it. Neighbour lists are for from_knn; a dense "
            "matrix D of all distances can be clustered as similarities: affinity_propagation(-D).",
        ),
        (
            scipy.sparse.csr_array((2, 3)),
            "The distances have shape (2, 3); a square matrix is needed, with one row and one column a "
            "point.",
        ),
        (
            scipy.sparse.csr_array(np.eye(2) * 1j),
            "The distances have dtype complex128; real numbers are needed.",
        ),
        (
            sparse_pair(-0.5),
            NEGATIVE,
        ),
        (
            sparse_pair(np.nan),
            "Of the distances 1 are NaN; numbers are needed. Remove these entries: what is not stored is no "
            "edge.",
        ),
    ],
)
def test_matrices_that_are_no_distances(distances: Any, text: str) -> None:
    refused(text, from_distances, distances)


def test_wide_columns_of_distances_do_not_wrap_around() -> None:
    distances = sparse_pair(1.0)
    distances.indices = np.array([2**32, 0])
    refused(
        "Column id 4294967296 is no column of distances of shape (2, 2); ids must lie in 0 to 1. Rebuild the "
        "matrix.",
        from_distances,
        distances,
    )


# --- from_anndata (what scanpy makes is in test_libraries.py) ---


def annotated(size: int = 2, **graphs: Any) -> Any:
    import anndata

    return anndata.AnnData(np.zeros((size, 3), np.float32), obsp=graphs)


def test_the_name_of_an_annotated_graph_says_what_it_holds() -> None:
    adata = annotated(distances=sparse_pair(2.0), mine_distances=sparse_pair(3.0), weights=sparse_pair(4.0))
    assert entries(from_anndata(adata)) == [(0, 1, -1), (1, 0, -2)]
    assert entries(from_anndata(adata, key="mine_distances", similarity="-d**2")) == [(0, 1, -1), (1, 0, -9)]
    weights = from_anndata(adata, key="weights")
    assert entries(weights) == [(0, 1, 1), (1, 0, 4)]
    weights.data[:] = 0
    assert adata.obsp["weights"].data.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("adata", "options", "text"),
    [
        (
            lambda: np.zeros((2, 2)), {},
            "A ndarray was given; an AnnData is needed, whose graphs are in .obsp. Sparse matrices of "
            "distances are for from_distances.",
        ),
        (
            lambda: annotated(a=sparse_pair(1.0), b=sparse_pair(1.0)), {},
            "obsp has no 'distances'; it has 'a', 'b'. scanpy.pp.neighbors(adata) makes 'distances' and "
            "'connectivities'; with key_added='x' they are 'x_distances' and 'x_connectivities'.",
        ),
        (
            lambda: annotated(), {"key": "connectivities"},
            "obsp has no 'connectivities'; it has nothing. scanpy.pp.neighbors(adata) makes 'distances' and "
            "'connectivities'; with key_added='x' they are 'x_distances' and 'x_connectivities'.",
        ),
        (
            lambda: annotated(weights=np.ones((2, 2))), {"key": "weights"},
            "obsp['weights'] is a ndarray; a sparse matrix in memory is needed, as scanpy.pp.neighbors makes "
            "it with knn=True. Dense similarities can be clustered as they are, by affinity_propagation.",
        ),
        (
            lambda: annotated(weights=sparse_pair(1.0)), {"key": "weights", "similarity": "1-d"},
            "similarity='1-d' was given for obsp['weights'], which holds similarities: only keys that end in "
            "'distances' hold distances to turn into similarities. Leave it out.",
        ),
    ],
)  # fmt: skip
def test_annotated_graphs_that_are_none(adata: Any, options: Any, text: str) -> None:
    refused(text, from_anndata, adata(), **options)


# --- symmetrise, top_k ---


def dense(graph: Any) -> Any:
    """The similarities, -inf where nothing is stored, of duplicates the largest, no diagonal."""
    triplets = graph.tocoo()
    values = np.full(graph.shape, -np.inf, graph.dtype)
    np.maximum.at(values, triplets.coords, triplets.data)
    np.fill_diagonal(values, -np.inf)
    return values


def stored(values: Any) -> list[tuple[int, int, float]]:
    return [(*place, value) for place, value in np.ndenumerate(values) if value > -np.inf]


@st.composite
def wild_graphs(draw: Any) -> scipy.sparse.coo_array:
    """Graphs with duplicates, a diagonal and -inf besides."""
    graph = draw(graphs(max_points=12, dtype=draw(st.sampled_from([np.float32, np.float64])))).tocoo()
    n = graph.shape[0]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    places = np.concatenate([np.stack(graph.coords), rng.integers(0, n, (2, 2 * n))], axis=1)
    more = rng.choice([-np.inf, -3, -0.5, 0, 2], 2 * n).astype(graph.dtype)
    order = rng.permutation(places.shape[1])
    values = np.concatenate([graph.data, more])
    return scipy.sparse.coo_array((values[order], tuple(places[:, order])), shape=(n, n))


@given(wild_graphs())
def test_symmetrise_is_the_larger_or_the_smaller_of_both_directions(graph: Any) -> None:
    there = dense(graph)
    for how, expected in (("max", np.maximum(there, there.T)), ("min", np.minimum(there, there.T))):
        result = symmetrise(graph, how=how)
        assert entries(result) == stored(expected)
        assert result.dtype == graph.dtype


@given(wild_graphs(), st.integers(1, 14))
def test_top_k_is_the_first_of_a_stable_sort(graph: Any, k: int) -> None:
    expected = np.full_like(dense(graph), -np.inf)
    for kept, row in zip(expected, dense(graph), strict=True):
        for column in sorted(range(len(row)), key=lambda column: -row[column])[:k]:
            kept[column] = row[column]
    result = top_k(graph, np.int64(k))
    assert entries(result) == stored(expected)
    assert result.dtype == graph.dtype


@given(graphs(dtype=np.float32), st.sampled_from(FORMATS))
def test_any_format_is_taken_and_none_written_to(graph: Any, kind: str) -> None:
    before = stored(dense(graph))
    for operation in (symmetrise, lambda g: top_k(g, 2)):
        given = graph.asformat(kind)
        assert entries(operation(given)) == entries(operation(graph))
        assert stored(dense(given)) == before


def test_no_points() -> None:
    nothing = scipy.sparse.csr_array((0, 0))
    assert symmetrise(nothing).shape == top_k(nothing, 1).shape == (0, 0)


DENSE_TEXT = (
    "The similarities are a ndarray; a scipy sparse matrix is needed. For a dense matrix S there are "
    "numpy.maximum(S, S.T), numpy.minimum(S, S.T) and numpy.partition."
)
NAN_TEXT = (
    "Of the similarities 1 are NaN; numbers are needed, or -inf for no edge. Remove these edges (an absent "
    "edge is -inf)."
)


def test_operations_refuse_what_they_cannot_use() -> None:
    for operation in (symmetrise, lambda g: top_k(g, 1)):
        refused(DENSE_TEXT, operation, np.zeros((2, 2)))
        refused(NAN_TEXT, operation, sparse_pair(np.nan))
        outside = sparse_pair(1.0)
        outside.indices = np.array([1, 2], outside.indices.dtype)
        refused(
            "Column id 2 is no point of a graph of 2; ids must lie in 0 to 1.",
            operation, outside,
        )  # fmt: skip
    refused("how='mean'; it must be 'max' or 'min'.", symmetrise, sparse_pair(1.0), how="mean")
    refused("k=0; it must be at least 1, a whole number.", top_k, sparse_pair(1.0), 0)
    refused("k=1.5; it must be at least 1, a whole number.", top_k, sparse_pair(1.0), 1.5)
