"""The levels of a hierarchy above its clusters: natural groups at several resolutions, nested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparse_ap.clustering.natural.groups import Grouping, merged_upward, moved
from sparse_ap.clustering.natural.link_graph import Contraction, Labels, LinkGraph, compact_labels, of_nodes
from sparse_ap.clustering.natural.merging import merged_evenly
from sparse_ap.kernels.block import Int32Array, Int64Array
from sparse_ap.kernels.grouping import GroupVectors, MovePass, MoveRows
from sparse_ap.storage.csr import heaviest

__all__ = ["Found", "Level", "levels_above"]

_NATURAL = 1.0
# The coarsest resolution at which points move.
_COARSE = 0.5
# Resolutions of groups, each inside those of the one before; at the first only clusters move.
_FREE = (0.25, _COARSE, _NATURAL)
# Factor between two resolutions that are tried.
_STEP = 3.0
# Least factor between the numbers of groups of two levels.
_FALL = 2.0

_LEAST_RESOLUTION = 2.0**-10
# A level in which one of several groups holds more of the links says nothing, and nothing above it does.
_MOST_OF_ALL = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """A level above the first.

    Attributes
    ----------
    label : ndarray of int, shape (n_clusters,)
        The group of each cluster of the first level.
    resolution : float
        γ; NaN for the clusters that affinity propagation found.
    """

    label: Int32Array
    resolution: float

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.label.max(initial=-1)) + 1


class Found(NamedTuple):
    """What is found above the first level, the finest first.

    Attributes
    ----------
    levels : list of Level
        Unions of clusters of the first level; each has fewer groups than the one before.
    free : list of (labels, resolution)
        The group of each point, where clusters may be divided: clusters of the second level, cut by the
        groups (resolution NaN), and the groups. Each lies in one of the next.
    """

    levels: list[Level]
    free: list[tuple[Int32Array, float]]


def levels_above(points: LinkGraph, joined: Contraction, second: Labels) -> Found:
    """Return the levels above the first, and the groups of points that they come from.

    Parameters
    ----------
    points : LinkGraph
        Links between the points.
    joined : Contraction
        These links along the clusters of the first level.
    second : ndarray of int, shape (n_clusters,)
        The cluster of each of these, found by affinity propagation.
    """
    first, clusters = joined.key, joined.graph
    whole = Grouping.of(clusters, [np.arange(clusters.n_nodes, dtype=np.int32), second])
    free = _free_groups(
        Grouping(points, [first, second], joined), whole.at(_FREE[0], nodes_move=False)[first]
    )
    coarse, natural = (next(label for label, at in free if at == of) for of in (_COARSE, _NATURAL))
    # Points moved freely; now each cluster goes whole to the group that has most of it, and on from there.
    rate = 1 / clusters.total
    coarse_of = moved(clusters, mostly(first, coarse), np.zeros(clusters.n_nodes, np.int32), _COARSE * rate)
    begun = compact_labels(mostly(first, natural), coarse_of)[0]
    levels = [Level(moved(clusters, begun, coarse_of, _NATURAL * rate), _NATURAL)]
    levels += _coarser(clusters, levels[0], coarse_of)
    levels = [*_finer(whole, levels[0], int(second.max(initial=-1)) + 1)[::-1], *levels]
    sizes = np.bincount(first, minlength=clusters.n_nodes)
    levels = [Level(nested(clusters, second, levels[0].label, sizes), np.nan), *levels]
    parts = nested(points, second[first], free[0][0])
    return Found(_falling(clusters.n_nodes, levels), [(parts, np.nan), *free])


def _free_groups(grouping: Grouping, coarsest: Int32Array) -> list[tuple[Int32Array, float]]:
    """Return groups of points and their resolutions, the finest first; each lies in one of the next."""
    chain = [coarsest]
    for resolution in _FREE[1:]:
        chain.append(grouping.at(resolution, chain[-1]))
    # Points at the borders of coarser groups were held back by these.
    points = grouping.graph
    rate = _NATURAL / points.total
    last = moved(points, chain.pop(), np.zeros(points.n_nodes, np.int32), rate)
    found = [(grouping.at(_STEP * _NATURAL, last), _STEP * _NATURAL), (last, _NATURAL)]
    for coarser, resolution in zip(reversed(chain), reversed(_FREE[:-1]), strict=True):
        last = compact_labels(mostly(last, coarser)[last])[0]
        found.append((last, resolution))
    return found


def mostly(cluster: Labels, group: Labels) -> Int32Array:
    """Return the group that has most points of each cluster; of equals the first."""
    pair, n_pairs = compact_labels(cluster, group)
    place = heaviest(of_nodes(pair, cluster), np.bincount(pair, minlength=n_pairs))
    return of_nodes(pair, group)[place]


def _coarser(clusters: LinkGraph, natural: Level, coarse: Labels) -> Iterator[Level]:
    """Yield unions of natural groups at ever smaller resolutions, first those that were found freely.

    Each has at most half as many groups as the one before.
    """
    label, resolution, total = compact_labels(coarse)[0], _COARSE, clusters.total
    below = clusters.contract(natural.label)
    while True:
        n = int(label.max(initial=-1)) + 1
        is_kept = _FALL * n <= below.graph.n_nodes
        if is_kept:
            label = _evened(below, label, n)
        joined = clusters.contract(label)
        if resolution < _COARSE and joined.graph.volume.max() > _MOST_OF_ALL * total:
            return
        if is_kept:
            yield Level(label, resolution)
            below = joined
        if resolution <= _LEAST_RESOLUTION or n <= 1:
            return
        resolution /= _STEP
        each = Contraction(np.arange(n, dtype=np.int32), joined.graph)
        label = merged_upward(each, np.zeros(n, np.int32), resolution / total).key[joined.key]


def _evened(joined: Contraction, label: Int32Array, n_groups: int) -> Int32Array:
    """Return unions of joined nodes; or as many others, merged pair by pair, if far more even."""
    merged = merged_evenly(joined.graph.matrix(), of_nodes(joined.key, label), n_groups)
    return label if merged is None else merged.astype(np.int32)[joined.key]


def _finer(grouping: Grouping, natural: Level, most: int) -> list[Level]:
    """Return groups at larger resolutions, each inside those before, as long as they are few."""
    levels: list[Level] = []
    last = kept = natural
    while True:
        resolution = _STEP * last.resolution
        label = grouping.at(resolution, last.label, nodes_move=False)
        last = Level(label, resolution)
        if _FALL * last.n_groups > most or resolution * _LEAST_RESOLUTION > 1:
            return levels
        if last.n_groups >= _FALL * kept.n_groups:
            levels.append(last)
            kept = last


def nested(clusters: LinkGraph, label: Labels, coarse: Labels, sizes: Int64Array | None = None) -> Int32Array:
    """Cut groups along coarser ones: the largest part stays, the rest joins what it has most links to.

    Parameters
    ----------
    clusters : LinkGraph
    label, coarse : ndarray of int, shape (n_nodes,)
        The groups, and the coarser ones that none may cross.
    sizes : ndarray of int64, shape (n_nodes,), optional
        Points in each node; None: one.
    """
    part, n_parts = compact_labels(label, coarse)
    size = np.bincount(part, weights=sizes, minlength=n_parts)
    main = np.zeros(n_parts, bool)
    main[heaviest(of_nodes(part, label), size)] = True
    # Nothing joins a part that is not the largest: as if it were infinitely large.
    total = np.where(main, 0.0, np.inf)
    rows = MoveRows(clusters.volume, ~main[part], part.copy())
    vectors = GroupVectors(part, of_nodes(part, coarse), total)
    clusters.graph.run(MovePass(1.0), vectors, rows)
    return compact_labels(rows.moved)[0]


def _falling(n_clusters: int, levels: list[Level]) -> list[Level]:
    """Return the levels that have fewer groups than the one before."""
    kept: list[Level] = []
    for level in levels:
        if level.n_groups < n_clusters:
            kept.append(level)
            n_clusters = level.n_groups
    return kept
