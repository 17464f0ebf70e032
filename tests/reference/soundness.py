"""What every clustering of a small graph must be."""

import warnings
from typing import Any

import numpy as np
from graphs import Graph
from sklearn.exceptions import ConvergenceWarning

from sparse_ap import Clustering, PositiveSimilarityWarning, affinity_propagation


def cluster(similarity: Any, preference: Any, **options: Any) -> Clustering:
    """Cluster with one thread; many of these graphs are too short of sweeps, or all alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", PositiveSimilarityWarning)
        warnings.filterwarnings("ignore", "All samples have mutually equal", UserWarning)
        return affinity_propagation(similarity, preference=preference, n_jobs=1, **options)


def assert_valid(graph: Graph, clustering: Clustering) -> None:
    """Exemplars represent themselves; everybody else is represented along an edge."""
    exemplars, labels = clustering.exemplars.tolist(), clustering.labels.tolist()
    assert exemplars == sorted(set(exemplars))
    assert len(labels) == len(graph.preference)
    for label, k in enumerate(exemplars):
        assert labels[k] == label
    for i, label in enumerate(labels):
        assert 0 <= label < len(exemplars)
        assert exemplars[label] == i or graph.similarity[i, exemplars[label]] > -np.inf
