"""Candidates, thresholds, weights and equal points on two workers: the same bits as in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import disk
import numpy as np
import pytest
from clusters import RunningCluster
from same_bits import bits
from samples import knn_similarity

from sparse_ap import affinity_propagation, extend
from sparse_ap.graphs import knn_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 600
GRAPH = knn_similarity(N, 9, 2, seed=4)
CANDIDATES = np.random.default_rng(7).random(N) < 0.3
PREFERENCE = np.where(CANDIDATES & (np.arange(N) % 20 == 0), np.inf, -0.01)
NOBODY = {"candidates": CANDIDATES, "preference": PREFERENCE, "unrepresented": "label"}
NEAR = {"min_similarity": float(np.quantile(GRAPH.data, 0.4)), "preference": -0.02}
WEIGHTS = {"weights": np.random.default_rng(3).integers(1, 40, N) / 7}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(NOBODY, marks=pytest.mark.slow, id="candidates"),
        pytest.param(NEAR, marks=pytest.mark.slow, id="threshold"),
        pytest.param(WEIGHTS | {"preference": -0.02}, marks=pytest.mark.slow, id="weights"),
        pytest.param({"preference": -0.02, "min_cluster_size": 3, "max_cluster_size": 6}, id="sizes"),
        pytest.param(NEAR | WEIGHTS | NOBODY, id="all"),
    ],
)
def test_the_same_bits_on_two_workers(options: Any, tmp_path: Path, cluster: RunningCluster) -> None:
    wanted = affinity_propagation(GRAPH, max_iter=40, **options)
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    for graph in (GRAPH, str(path)):
        found = affinity_propagation(graph, max_iter=40, **options, client=cluster.client)
        assert bits(found) == bits(wanted)
        assert found.similarities.tobytes() == wanted.similarities.tobytes()
        if wanted.weighted_sizes is not None:
            assert found.weighted_sizes is not None
            assert found.weighted_sizes.tobytes() == wanted.weighted_sizes.tobytes()


def test_equal_points_on_two_workers(tmp_path: Path, cluster: RunningCluster) -> None:
    rows = np.random.default_rng(1).permutation(np.r_[np.arange(N), np.arange(0, N, 3)])
    at = np.random.default_rng(2).random((N, 2))[rows].astype(np.float32)
    graph = knn_graph(at, 8)
    options: dict[str, Any] = {"preference": -0.02, "max_iter": 40, "collapse_duplicates": True}
    wanted = affinity_propagation(graph, **options)
    assert wanted.n_collapsed == N // 3
    path = disk.write(tmp_path / "g.zarr", graph, chunks=500)
    for given in (graph, str(path)):
        found = affinity_propagation(given, **options, client=cluster.client)
        assert bits(found) == bits(wanted)
        assert found.n_collapsed == wanted.n_collapsed


def test_a_clustering_is_extended_on_two_workers(tmp_path: Path, cluster: RunningCluster) -> None:
    before = affinity_propagation(GRAPH[:500, :500], preference=-0.02)
    old = np.where(np.arange(500) % 40 == 0, -1, np.arange(500))
    wanted = extend(before, GRAPH, old=old, min_gain=0.003)
    assert wanted.recourse is not None
    path = disk.write(tmp_path / "g.zarr", GRAPH, chunks=500)
    for graph in (GRAPH, str(path)):
        found = extend(before, graph, old=old, min_gain=0.003, client=cluster.client)
        assert bits(found) == bits(wanted)
        assert found.recourse is not None
        assert all((a == b).all() for a, b in zip(found.recourse, wanted.recourse, strict=True))
