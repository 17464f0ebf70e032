"""Graphs that several tests use."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, settings
from scipy.spatial import cKDTree

# Shells start jobs in the background with Ctrl-C ignored, which every process started from there inherits.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test fails for being slow: machines are busy, and kernels compile at their first use. And the same inputs
# each time, so that nothing changes but what is tested.
settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")
# tests/test_fuzz.py has eight tests: 10,000 examples of new random inputs.
settings.register_profile(
    "fuzz", max_examples=1250, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz-quick", parent=settings.get_profile("fuzz"), max_examples=150, derandomize=True
)


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


@pytest.fixture(scope="session")
def knn() -> scipy.sparse.csr_array:
    """3,000 points in the plane, 12 neighbours each, float32."""
    return knn_similarity(3000, 12, 2, seed=0)
