"""The same points through the libraries that people use: the same graph, the same clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors, kneighbors_graph

from sparse_ap import Clustering, InvalidInputError, affinity_propagation
from sparse_ap.graphs import from_anndata, from_distances, from_knn, knn_graph

N_POINTS = 5000
# The point itself counts, as in most libraries.
N_NEIGHBORS = 60
N_OTHERS = N_NEIGHBORS - 1


@pytest.fixture(scope="module")
def points() -> Any:
    """Overlapping groups on the unit sphere in 10 dimensions: -|x - y|² is 2 x·y - 2."""
    X = make_blobs(N_POINTS, n_features=10, centers=50, cluster_std=2.0, random_state=0)[0]
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def exact(points: Any) -> scipy.sparse.csr_array:
    distances, indices = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(points).kneighbors(points)
    assert distances.dtype == np.float64
    return from_knn(indices, distances.astype(np.float32), similarity="-d**2")


def clustered(graph: Any) -> Clustering:
    return affinity_propagation(graph, preference=-4.0)


@pytest.fixture(scope="module")
def clustering(exact: Any) -> Clustering:
    c = clustered(exact)
    assert 50 <= c.n_clusters <= 90
    assert c.converged
    return c


def shared(graph: Any, other: Any) -> Any:
    """For each edge of one graph, in order, whether the other has it."""
    places = [
        np.repeat(np.arange(N_POINTS), np.diff(g.indptr)) * N_POINTS + g.indices for g in (graph, other)
    ]
    return np.isin(*places)


def require_same(graph: Any, exact: Any, clustering: Clustering) -> None:
    """The same similarities, edges that differ only among equally near neighbours, the same clusters."""
    assert (np.diff(graph.indptr) == N_OTHERS).all()
    tables = [g.data.reshape(N_POINTS, N_OTHERS) for g in (graph, exact)]
    np.testing.assert_allclose(*(np.sort(table, axis=1) for table in tables), rtol=0, atol=1e-5)
    farthest = tables[0].min(axis=1, keepdims=True)
    assert (shared(graph, exact).reshape(N_POINTS, N_OTHERS) | (tables[0] <= farthest + 1e-5)).all()
    assert adjusted_rand_score(clustered(graph).labels, clustering.labels) >= 0.95


def require_similar(graph: Any, exact: Any) -> None:
    """Nine of ten neighbours found, at their true similarity."""
    found = shared(exact, graph)
    assert found.mean() >= 0.9
    common = [g.sorted_indices() for g in (graph, exact)]
    values = [g.data[shared(g, h)] for g, h in (common, common[::-1])]
    np.testing.assert_allclose(*values, rtol=0, atol=1e-5)


def test_scikit_learn(points: Any, exact: Any, clustering: Clustering) -> None:
    matrix = kneighbors_graph(points, N_OTHERS, mode="distance")
    require_same(from_distances(matrix, similarity="-d**2"), exact, clustering)
    # The transformer adds a neighbour, and the point itself as a stored 0.
    matrix = KNeighborsTransformer(n_neighbors=N_OTHERS - 1).fit_transform(points)
    assert matrix.nnz == N_POINTS * N_NEIGHBORS - N_POINTS
    assert from_distances(matrix).nnz == N_POINTS * (N_OTHERS - 1)


def test_scikit_learn_in_sparse_rows_of_many_kinds(points: Any, exact: Any) -> None:
    matrix = kneighbors_graph(points, N_OTHERS, mode="distance")
    for kind in ("csr", "csc", "coo"):
        graph = from_distances(scipy.sparse.csr_array(matrix).asformat(kind), similarity="-d**2")
        assert shared(graph, exact).all()


def test_faiss_squared_distances(points: Any, exact: Any, clustering: Clustering) -> None:
    import faiss

    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    distances, indices = index.search(points, N_NEIGHBORS)
    require_same(from_knn(indices, distances), exact, clustering)


def test_faiss_inner_products(points: Any, exact: Any, clustering: Clustering) -> None:
    import faiss

    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points)
    products, indices = index.search(points, N_NEIGHBORS)
    require_same(from_knn(indices, products, similarity=lambda s: 2 * s - 2), exact, clustering)
    with pytest.raises(ValueError, match="they look like inner products"):
        from_knn(indices, products)


def test_faiss_hnsw(points: Any, exact: Any) -> None:
    import faiss

    index = faiss.IndexHNSWFlat(points.shape[1], 16)
    index.add(points)
    index.hnsw.efSearch = 100
    distances, indices = index.search(points, N_NEIGHBORS)
    require_similar(from_knn(indices, distances), exact)


@pytest.mark.parametrize(("index", "similarity"), [("IndexFlatL2", "-d"), ("IndexFlatIP", lambda s: s)])
def test_faiss_with_fewer_points_than_neighbours(points: Any, index: str, similarity: Any) -> None:
    import faiss

    few = getattr(faiss, index)(points.shape[1])
    few.add(points[:5])
    distances, indices = few.search(points[:5], 8)
    assert (indices[:, 5:] == -1).all()
    assert (np.abs(distances[:, 5:]) > 3e38).all()
    graph = from_knn(indices, distances, similarity=similarity)
    assert graph.nnz == 20
    assert np.abs(graph.data).max() <= 4


@pytest.mark.parametrize(("space", "similarity"), [("l2", "-d"), ("ip", lambda d: -2 * d)])
def test_hnswlib(points: Any, exact: Any, space: str, similarity: Any) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    index = hnswlib.Index(space, points.shape[1])
    index.init_index(N_POINTS)
    index.add_items(points)
    index.set_ef(100)
    indices, distances = index.knn_query(points, N_NEIGHBORS)
    assert indices.dtype == np.uint64
    require_similar(from_knn(indices, distances, similarity=similarity), exact)


@pytest.mark.parametrize(("metric", "similarity"), [("l2sq", "-d"), ("ip", lambda d: -2 * d)])
def test_usearch(points: Any, exact: Any, metric: str, similarity: Any) -> None:
    from usearch.index import Index

    index = Index(ndim=points.shape[1], metric=metric, dtype="f32", expansion_search=100)
    index.add(np.arange(N_POINTS), points)
    matches = index.search(points, N_NEIGHBORS)
    assert matches.keys.dtype == np.uint64
    require_similar(from_knn(matches.keys, matches.distances, similarity=similarity), exact)


def test_usearch_with_fewer_points_than_neighbours(points: Any) -> None:
    from usearch.index import Index

    index = Index(ndim=points.shape[1], metric="l2sq", dtype="f32")
    index.add(np.arange(5), points[:5])
    matches = index.search(points[:5], 8)
    assert matches.counts.tolist() == [5] * 5
    keys = matches.keys.copy()
    keys[np.arange(8) >= matches.counts[:, None]] = np.iinfo(keys.dtype).max
    assert from_knn(keys, matches.distances).nnz == 20


@pytest.mark.slow
def test_pynndescent(points: Any, exact: Any) -> None:
    from pynndescent import NNDescent

    indices, distances = NNDescent(points, n_neighbors=N_NEIGHBORS, random_state=0).neighbor_graph
    require_similar(from_knn(indices, distances, similarity="-d**2"), exact)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Failed to correctly find n_neighbors:UserWarning")
def test_pynndescent_with_fewer_points_than_neighbours(points: Any) -> None:
    from pynndescent import NNDescent

    indices, distances = NNDescent(points[:4], n_neighbors=8, random_state=0).neighbor_graph
    assert (indices[:, 4:] == -1).all()
    assert np.isinf(distances[:, 4:]).all()
    assert from_knn(indices, distances).nnz == 12


@pytest.mark.slow
def test_scanpy(points: Any, exact: Any, clustering: Clustering) -> None:
    import scanpy

    adata = scanpy.AnnData(points)
    scanpy.pp.neighbors(adata, n_neighbors=N_NEIGHBORS, use_rep="X")
    require_same(from_anndata(adata, similarity="-d**2"), exact, clustering)
    weights = from_anndata(adata, key="connectivities")
    assert (weights != weights.T).nnz == 0
    assert weights.data.min() > 0
    assert weights.data.max() <= 1


# DampingWeights up to 1 could be distances; these are none.
@pytest.mark.filterwarnings("ignore::sparse_ap.PositiveSimilarityWarning")
def test_scanpy_bundled_cells() -> None:
    import scanpy

    adata = scanpy.datasets.pbmc68k_reduced()
    graph = from_anndata(adata)
    assert graph.shape == (700, 700)
    assert graph.nnz == adata.obsp["distances"].nnz
    with pytest.raises(InvalidInputError, match=r"X is an AnnData.* such as adata.obsm\['X_pca'\]. "):
        knn_graph(adata, 15)
    assert graph.data.max() < 0
    c = affinity_propagation(from_anndata(adata, key="connectivities"), preference=-1.0)
    # Cells of one cluster are mostly of one kind.
    kinds = adata.obs["bulk_labels"].cat.codes.to_numpy()
    assert (kinds == kinds[c.exemplars[c.labels]]).mean() > 0.7
