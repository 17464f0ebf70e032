"""Groups merged, pair by pair, to a wanted number."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse

from sparse_ap.clustering.natural.link_graph import Labels
from sparse_ap.kernels.block import Float64Array, Int64Array

__all__ = ["merged_evenly", "merged_to", "merged_within", "too_few"]

# What keeping inside parts may cost of the gain at resolution 1.
_PRICE = 0.01


def merged_within(
    weights: scipy.sparse.csr_array, part: Int64Array | None, n_groups: int, may_leave: bool
) -> tuple[Int64Array, bool]:
    """Merge nodes inside parts; or freely, where keeping inside costs more than .01 of the gain.

    The gain is the share of the weight inside groups, less that expected by chance. Of more groups than the
    natural ones it is larger the less even they are: such groups should not leave parts for it.

    Parameters
    ----------
    weights, part, n_groups : as of `merged_to`
    may_leave : bool
        False: groups stay in the parts.

    Returns
    -------
    label : ndarray of int64, shape (n_nodes,)
    within : bool
        Whether the groups lie in the parts.
    """
    label = merged_to(weights, part, n_groups)
    if not may_leave:
        return label, True
    free = merged_to(weights, None, n_groups)
    if free.max() + 1 > n_groups or _gain(weights, free)[0] - _gain(weights, label)[0] <= _PRICE:
        return label, True
    return free, False


def merged_evenly(weights: scipy.sparse.csr_array, label: Labels, n_groups: int) -> Int64Array | None:
    """Merge nodes to as many groups as others are, if theirs are far less even.

    At a small resolution one group of nearly half of all points may be found, and beside it tiny ones that
    few links leave. Groups of which few are large because the points are so stay as they are.

    Parameters
    ----------
    weights : csr_array of float64, shape (n_nodes, n_nodes)
        As of `merged_to`.
    label : ndarray of int, shape (n_nodes,)
        The other groups: unions of nodes.
    n_groups : int
        Their number.

    Returns
    -------
    ndarray of int64, shape (n_nodes,), or None
        Groups that gain more than .01 more, with at most half of the weight inside by chance; None if merging
        leads to none.
    """
    found = merged_to(weights, None, n_groups)
    if found.max(initial=-1) + 1 != n_groups:
        return None
    (gain, chance), (gain_before, chance_before) = _gain(weights, found), _gain(weights, label)
    return found if 2 * chance <= chance_before and gain - gain_before > _PRICE else None


def merged_to(weights: scipy.sparse.csr_array, part: Int64Array | None, n_groups: int) -> Int64Array:
    """Merge nodes until ``n_groups`` are left, or until no two can be merged.

    The pair that is merged has the largest (w − e)/√(v_a v_b): the weight w of the links between the two,
    less the weight e expected by chance, by their volumes. Where no pair is linked more than by chance, it
    has the largest w − e. Either merges small groups before large ones, so that sizes are even. In each round
    the pairs that are best for both are merged, the better half of them at a time; hence the merges are the
    same, in the same order, whatever the number.

    Parameters
    ----------
    weights : csr_array of float64, shape (n_nodes, n_nodes)
        Symmetric whole numbers; the diagonal holds twice the weight inside each node.
    part : ndarray of int64, shape (n_nodes,), or None
        Only nodes of the same part are merged, if need be without a link. None: only linked nodes.
    n_groups : int

    Returns
    -------
    ndarray of int64, shape (n_nodes,)
        The group of each node, numbered from 0 without gaps.
    """
    label = np.arange(weights.shape[0])
    part_of = np.zeros(len(label), np.int64) if part is None else part
    n = len(label)
    while n > n_groups:
        pairs = _mutual(weights, part_of)
        if not len(pairs) and part is not None:
            pairs = _smallest(np.asarray(weights.sum(axis=1)), part_of)
        if not len(pairs):
            break
        pairs = pairs[: min(n - n_groups, (len(pairs) + 1) // 2)]
        into = np.arange(n)
        into[pairs[:, 1]] = pairs[:, 0]
        joined = np.unique(into, return_inverse=True)[1]
        part_of = part_of[np.delete(np.arange(n), pairs[:, 1])]
        label, n = joined[label], n - len(pairs)
        by_group = scipy.sparse.csr_array((np.ones(len(joined)), (np.arange(len(joined)), joined)))
        weights = (by_group.T @ weights @ by_group).tocsr()
    return label


def too_few(n_groups: int, finer: str) -> str:
    """Return the words of the error for a number that was not reached."""
    return (
        f"n_clusters={n_groups}, but the {finer}, the next finer one, were not to be put together into so "
        "few. Parts of the graph that no edge links stay apart."
    )


def _gain(weights: scipy.sparse.csr_array, label: Labels) -> tuple[float, float]:
    """Return the share of the weight inside groups beyond that by chance, and the share by chance."""
    edges, total = weights.tocoo(), weights.sum()
    a, b = edges.coords
    shares = np.bincount(label, weights=np.asarray(weights.sum(axis=1))) / total
    chance = math.fsum(shares * shares)
    return float(edges.data[label[a] == label[b]].sum() / total) - chance, chance


def _mutual(weights: scipy.sparse.csr_array, part: Int64Array) -> Int64Array:
    """Return the pairs of linked nodes that are best for both, the best pair first, shape (n_pairs, 2)."""
    edges = weights.tocoo()
    volume = np.asarray(weights.sum(axis=1))
    a, b = edges.coords
    kept = (a != b) & (part[a] == part[b])
    a, b, weight = a[kept].astype(np.int64), b[kept].astype(np.int64), edges.data[kept]
    both = volume[a] * volume[b]
    excess = weight - both / volume.sum()
    score = np.where(excess > 0, excess / np.sqrt(both), excess)
    # Of equal pairs the first in the order of both ends: then the best pair of all is best for both.
    order = np.lexsort((np.maximum(a, b), np.minimum(a, b), -score, a))
    first = order[np.diff(a[order], prepend=-1) > 0]
    best = np.full(weights.shape[0], -1)
    best[a[first]] = b[first]
    chosen = first[(best[b[first]] == a[first]) & (a[first] < b[first])]
    chosen = chosen[np.lexsort((b[chosen], a[chosen], -score[chosen]))]
    return np.stack([a[chosen], b[chosen]], axis=1)


def _smallest(volume: Float64Array, part: Int64Array) -> Int64Array:
    """Return the two smallest nodes of each part that has several, the smallest pair first."""
    order = np.lexsort((np.arange(len(part)), volume, part))
    of = part[order]
    begin = np.flatnonzero(np.diff(of, prepend=-1))
    several = begin[np.append(of, -1)[begin + 1] == of[begin]]
    pairs = np.sort(np.stack([order[several], order[several + 1]], axis=1), axis=1)
    return pairs[np.argsort(volume[pairs].sum(axis=1), kind="stable")]
