"""Levels of a tree as merges of two clusters each, the form of SciPy's linkage matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sparse_ap.kernels.block import Int64Array

__all__ = ["merges_of"]


def merges_of(
    n_leaves: int, above: Sequence[tuple[Int64Array, Int64Array]]
) -> Iterator[tuple[int, int, float, int]]:
    """Yield merges: the two nodes, the height, and the number of leaves.

    Parameters
    ----------
    n_leaves : int
    above : sequence of (labels, exemplars)
        Of each level above the leaves: the cluster of each cluster below, and which of these are exemplars.
    """
    n_nodes = n_leaves
    node, size = np.arange(n_leaves), np.ones(n_leaves, np.int64)
    # Added as a further level with one cluster: linkage matrices need a single root.
    last = np.zeros(len(node) if not above else len(above[-1][1]), np.int64)
    for height, (labels, exemplars) in enumerate([*above, (last, np.zeros(1, np.int64))], start=1):
        # The cluster of each exemplar comes first, so that the exemplar's node absorbs its siblings.
        first = exemplars[: labels.max(initial=-1) + 1]
        merged, total = node[first], size[first]
        for child in np.setdiff1d(np.arange(len(labels)), first):
            parent = labels[child]
            total[parent] += size[child]
            yield int(merged[parent]), int(node[child]), float(height), int(total[parent])
            merged[parent], n_nodes = n_nodes, n_nodes + 1
        node, size = merged, total
