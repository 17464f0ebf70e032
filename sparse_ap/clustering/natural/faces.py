"""The exemplars of groups, elected for all levels together; and several exemplars that stand for a group.

An exemplar should look like its group. What the graph says of that is how its links spread: over its own
cluster of level 0, the rest of its cluster on the level below, and the rest of the group. The sum of the
square roots of the three is large where many links are spread widely; docs/design/0015-hierarchy.md has what
was compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sparse_ap.clustering.natural.link_graph import Labels
from sparse_ap.kernels.block import Float64Array, Int64Array
from sparse_ap.storage.csr import heaviest, largest

__all__ = ["elected", "representing", "spreads"]


def spreads(groups: Sequence[Labels], inner: Iterable[Float64Array]) -> list[Float64Array]:
    """Return how far the links of each candidate spread over its group, relative to the best of the group.

    Parameters
    ----------
    groups : sequence of ndarray of int, each of shape (n_candidates,)
        The group of each candidate on each level above the first.
    inner : iterable of ndarray of float64, each of shape (n_candidates,)
        The weight of each candidate's links into its group: of the first level, then of each above.
    """
    others = iter(inner)
    own = below = next(others)
    found = []
    for group, within in zip(groups, others, strict=True):
        spread = np.sqrt(own) + np.sqrt(below - own) + np.sqrt(within - below)
        found.append(spread / np.maximum(largest(group, spread), np.finfo(float).tiny))
        below = within
    return found


def elected(groups: Sequence[Labels], scores: Sequence[Float64Array]) -> list[Int64Array]:
    """Return the candidate elected in each group of each level, such that exemplars nest.

    The sum of the scores of all exemplars on all levels is the largest that nested exemplars can have: what
    a group loses by another exemplar than its own best is set against what the group above gains.

    Parameters
    ----------
    groups : sequence of ndarray of int, each of shape (n_candidates,)
        The group of each candidate on each level, the finest first; each level's are unions of those before.
    scores : sequence of ndarray of float64, each of shape (n_candidates,)

    Returns
    -------
    list of ndarray of int64, each of shape (n_groups,)
        Ascending; of equals the first candidate is elected.
    """
    totals: list[Float64Array] = []
    lost = np.zeros(len(groups[0]) if groups else 0)
    for group, score in zip(groups, scores, strict=True):
        totals.append(score + lost)
        lost = totals[-1] - largest(group, totals[-1])
    chosen: list[Int64Array] = []
    for group, total in zip(reversed(groups), reversed(totals), strict=True):
        if chosen:
            total[chosen[-1]] = np.inf
        chosen.append(np.sort(heaviest(group, total)))
    return chosen[::-1]


def representing(
    levels: Sequence[tuple[Int64Array, Int64Array, Int64Array]],
    group: Int64Array,
    exemplars: Int64Array,
    m: int,
) -> Int64Array:
    """Return the exemplars that represent most points of each group on the levels below, its own first.

    An exemplar that represents so many points on so many levels counts as often: clusters of a level have no
    points in common, so what the chosen ones represent adds up, and the m largest represent most together.

    Parameters
    ----------
    levels : sequence of (exemplars, sizes, members)
        Of each level below: the exemplars, the sizes of their clusters, and the places of the exemplars among
        the candidates.
    group : ndarray of int64, shape (n_candidates,)
        The group of each candidate.
    exemplars : ndarray of int64, shape (n_groups,)
        The groups' own.
    m : int

    Returns
    -------
    ndarray of int64, shape (n_groups, m)
        -1 where a group has fewer.
    """
    counted = np.zeros(len(group), np.int64)
    points = np.zeros(len(group), np.int64)
    for of_level, sizes, places in levels:
        counted[places] += sizes
        points[places] = of_level
    counted[np.isin(points, exemplars)] = np.iinfo(np.int64).max
    order = np.lexsort((points, -counted, group))
    ordered = group[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    shown = rank < m
    found = np.full((len(exemplars), m), -1)
    found[ordered[shown], rank[shown]] = points[order[shown]]
    return found
