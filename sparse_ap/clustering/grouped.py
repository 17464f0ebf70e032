"""A clustering with a given number of clusters, by the tree where the edges forbid so few."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sparse_ap.clustering.affinity_propagation import affinity_propagation
from sparse_ap.clustering.fewest import TooFewClustersError
from sparse_ap.clustering.hierarchy import hierarchy
from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.kernels.block import Int64Array
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.prediction import Prediction, most_similar, warn_of_unreached
from sparse_ap.propagation.result import Clustering

__all__ = ["clustered_or_grouped", "compared_exemplars", "predicted_labels"]

# Parameters of `affinity_propagation` that `hierarchy` has too.
_SHARED = ("missing", "random_state", "n_jobs", "memory_limit", "client", "verbose")


def clustered_or_grouped(
    similarity: Any, n_clusters: int | None, **options: Any
) -> tuple[Clustering, Hierarchy | None]:
    """Return what `affinity_propagation` does, or groups of clusters, where a graph cannot have so few.

    Parameters
    ----------
    similarity, n_clusters, **options
        As for `affinity_propagation`.

    Returns
    -------
    clustering : Clustering
    tree : Hierarchy or None
        The tree that the clustering is cut from, if it is.

    Warns
    -----
    UserWarning
        The clusters are groups.
    """
    try:
        return affinity_propagation(similarity, n_clusters=n_clusters, **options), None
    except TooFewClustersError as error:
        # Groups keep no promise on each point's similarity, and need a cluster for each point.
        if options.get("min_similarity") is not None or options.get("certify"):
            raise
        assert n_clusters is not None
        first = affinity_propagation(similarity, **options)
        if first.n_unrepresented or _has_pinned(options.get("preference")):
            raise
        shared = {name: options[name] for name in _SHARED if name in options}
        tree = hierarchy(similarity, clustering=first, **shared)
        try:
            cut = tree.cut_exactly(n_clusters, options.get("n_jobs"))
        except InvalidInputError as refused:
            raise refused from error
        warn(Outcome.GROUPED.value)
        return _grouped(first, cut), tree


def predicted_labels(
    similarity: Any, clustering: Clustering, tree: Hierarchy | None, min_similarity: float | None
) -> Int64Array:
    """Return the label of the most similar exemplar of new points, -1 for none.

    Parameters
    ----------
    similarity : array or sparse array, shape (n_new, n_points)
    clustering, tree : as of `clustered_or_grouped`
    min_similarity : float or None
    """
    exemplars = compared_exemplars(clustering, tree)
    labels, values = most_similar(similarity, exemplars)
    warn_of_unreached(labels)
    least = None if min_similarity is None else values.dtype.type(min_similarity)
    found = Prediction.of(labels, values, exemplars, least).exemplars
    return np.where(found < 0, -1, clustering.labels[found])


def compared_exemplars(clustering: Clustering, tree: Hierarchy | None) -> Int64Array:
    """Return the exemplars that new points are compared with.

    A group is larger than its exemplar's neighbourhood; the clusters of level 0, of which it is made, are
    not: then their exemplars are compared.
    """
    if tree is not None and clustering.outcome is Outcome.GROUPED:
        return tree.exemplars(0)
    return clustering.exemplars


def _has_pinned(preference: Any) -> bool:
    return preference is not None and bool(np.isposinf(np.asarray(preference, np.float64)).any())


def _grouped(first: Clustering, cut: Cut) -> Clustering:
    """Return a cut in the form of a clustering, with what is known of the points' similarities."""
    direct = first.exemplars[first.labels] == cut.exemplars[cut.labels]
    weights = first.weighted_sizes
    of_group = cut.labels[first.exemplars]
    return replace(
        first,
        labels=cut.labels,
        exemplars=cut.exemplars,
        similarities=np.where(direct, first.similarities, np.float32(np.nan)).astype(
            first.similarities.dtype
        ),
        net_similarity=np.nan,
        data_similarity=np.nan,
        exemplar_preference=np.nan,
        outcome=Outcome.GROUPED,
        preference=None,
        weighted_sizes=None
        if weights is None
        else np.bincount(of_group, weights, cut.n_clusters).astype(np.float64),
    )
