"""The graphs that defaults are chosen on: many kinds, three preferences each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.datasets import load_digits, make_blobs
from sklearn.neighbors import NearestNeighbors

from sparse_ap.cli.demo.places import load_places, unit_vectors

FACTORS = (1, 3, 10)


class Case(NamedTuple):
    """A graph with a preference."""

    name: str
    graph: Any
    preference: float


def knn(X: NDArray[Any], k: int, power: float = 2.0) -> scipy.sparse.csr_array:
    """Return the directed graph of the k nearest neighbours, s = -distance**power."""
    if X.shape[1] <= 3:
        distances, indices = cKDTree(X).query(X, k + 1)
    else:
        distances, indices = NearestNeighbors(n_neighbors=k + 1).fit(X).kneighbors(X)
    n = len(X)
    data = -(distances[:, 1:].ravel() ** power)
    return scipy.sparse.csr_array(
        (data.astype(np.float32), indices[:, 1:].ravel(), np.arange(0, n * k + 1, k)), shape=(n, n)
    )


def _transposed_pairs(graph: scipy.sparse.csr_array) -> tuple[Any, Any]:
    pattern = graph.copy()
    pattern.data = np.ones_like(pattern.data)
    return pattern, pattern.T.tocsr()


def mutual(graph: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Keep the edges that go both ways."""
    pattern, transposed = _transposed_pairs(graph)
    return graph.multiply(pattern.multiply(transposed)).tocsr()


def union(graph: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Add the reverse of every edge; distances are the same both ways."""
    pattern, transposed = _transposed_pairs(graph)
    only_back = transposed - transposed.multiply(pattern)
    only_back.eliminate_zeros()
    return (graph + graph.T.multiply(only_back)).tocsr()


def graphs(scale: float = 1.0) -> Iterator[tuple[str, Any]]:
    """Yield names and graphs; ``scale`` multiplies the number of points."""
    rng = np.random.default_rng(7)

    def points(n: int, d: int) -> NDArray[Any]:
        return rng.random((int(n * scale), d))

    def blobs(n: int, d: int, centers: int) -> NDArray[Any]:
        return make_blobs(int(n * scale), d, centers=centers, random_state=3)[0]

    yield "2-d uniform, 20-NN", knn(points(8000, 2), 20)
    yield "2-d blobs, 30-NN", knn(blobs(6000, 2, 40), 30)
    yield "2-d uniform, 12-NN, -d", knn(points(8000, 2), 12, 1.0)
    yield "10-d blobs, 15-NN", knn(blobs(5000, 10, 30), 15)
    yield "10-d uniform, 15-NN", knn(points(5000, 10), 15)
    yield "mutual 2-d, 20-NN", mutual(knn(points(6000, 2), 20))
    yield "union 10-d, 15-NN", union(knn(blobs(4000, 10, 20), 15))
    yield "hubs: 50-d normal, 10-NN", knn(rng.normal(size=(int(4000 * scale), 50)), 10)
    yield "hubs, union, -d", union(knn(rng.normal(size=(int(3000 * scale), 30)), 10, 1.0))
    yield "digits, 15-NN", knn(load_digits().data, 15)
    yield "2-d uniform, 60-NN", knn(points(5000, 2), 60)
    yield "10-d blobs, 120-NN", knn(blobs(4000, 10, 20), 120)
    yield "2-d uniform, 250-NN", knn(points(3000, 2), 250)
    yield "every 20th place, 40-NN, -d", knn(unit_vectors(load_places())[::20], 40, 1.0)
    directed = knn(points(5000, 3), 20)
    directed.data *= rng.uniform(0.5, 2.0, directed.nnz).astype(np.float32)
    yield "directed, asymmetric", directed
    X = blobs(900, 2, 15)
    yield "dense 2-d blobs", scipy.sparse.csr_array(-((X[:, None] - X) ** 2).sum(-1))
    yield "dense, random asymmetric", scipy.sparse.csr_array(-rng.random((500, 500)))


def cases(scale: float = 1.0) -> Iterator[Case]:
    """Yield every graph at three preferences: 1, 3 and 10 times the median similarity."""
    for name, graph in graphs(scale):
        median = float(np.median(graph.data))
        for factor in FACTORS:
            yield Case(f"{name}, median x {factor}", graph, factor * median)
