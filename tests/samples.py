"""Graphs that several tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from scipy.spatial import cKDTree


def knn_similarity(n: int, k: int, d: int, seed: int, dtype: Any = np.float32) -> scipy.sparse.csr_array:
    """Directed k-NN graph of uniform points, s = -distance**2, canonical."""
    points = np.random.default_rng(seed).random((n, d))
    distances, indices = cKDTree(points).query(points, k + 1)
    graph = scipy.sparse.csr_array(
        (-(distances[:, 1:].ravel() ** 2).astype(dtype), indices[:, 1:].ravel(), np.arange(0, n * k + 1, k)),
        shape=(n, n),
    )
    graph.sort_indices()
    return graph
