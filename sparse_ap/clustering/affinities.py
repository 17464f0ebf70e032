"""Similarities from the input of the estimator, by its affinity."""

from __future__ import annotations

from typing import Any

import scipy.sparse

from sparse_ap.arguments import require_count, usable_threads
from sparse_ap.clustering.n_clusters import neighbours_for
from sparse_ap.graphs.distances import from_distances
from sparse_ap.graphs.knn import knn_graph
from sparse_ap.graphs.pairs.squared_distances import squared_distances
from sparse_ap.graphs.sparse_points import checked_vectors

__all__ = ["conversion_of", "similarities_of"]


def conversion_of(similarity: Any) -> Any:
    """Return the conversion of distances of an estimator's parameter ``similarity``."""
    return "-d**2" if similarity is None else similarity


def similarities_of(X: Any, affinity: str, given: Any) -> Any:
    """Return the similarities of checked input, by its affinity.

    Parameters
    ----------
    X : ndarray or sparse matrix
    affinity : str
    given : AffinityPropagation
        Whose parameters say how.
    """
    if affinity == "nearest_neighbors":
        require_count("n_neighbors", given.n_neighbors, or_none=True)
        n_points = X.shape[0]
        n_neighbors = min(given.n_neighbors or neighbours_for(n_points, given.n_clusters), n_points - 1)
        if n_points == 1:
            return scipy.sparse.csr_array((1, 1))
        return knn_graph(
            X, n_neighbors, metric=given.metric, similarity=given.similarity, recall=given.recall,
            n_jobs=given.n_jobs, random_state=given.random_state, verbose=given.verbose,
        )  # fmt: skip
    if affinity == "euclidean":
        # Overflows to inf are reported as invalid similarities afterwards.
        return -squared_distances(checked_vectors(X, given.metric), usable_threads(given.n_jobs))
    if affinity == "precomputed_nearest_neighbors":
        return from_distances(X, similarity=conversion_of(given.similarity))
    return X
