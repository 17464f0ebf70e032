"""Levels above the first, with exemplars elected for all of them, in the form of clusterings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
import scipy.sparse

from sparse_ap.clustering.cluster_graph import LinkedGraph
from sparse_ap.clustering.natural.faces import elected, spreads
from sparse_ap.clustering.natural.levels import Level
from sparse_ap.clustering.natural.link_graph import Contraction, LinkGraph, Workshop
from sparse_ap.kernels.block import Int32Array, Int64Array
from sparse_ap.kernels.symmetry import members_of
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.csr import inverse

__all__ = ["NumberedPoints", "Represented", "represented"]


class Represented(NamedTuple):
    """A level: its clustering, the graph of its clusters, the edges inside them, and its resolution."""

    clustering: Clustering
    graph: scipy.sparse.csr_array
    n_inner: int
    resolution: float


class NumberedPoints(NamedTuple):
    """Links between points, which are renumbered; what each point's number is; and links between clusters."""

    links: LinkGraph
    number: Int32Array
    clusters: Contraction

    @classmethod
    def of(cls, first: Clustering, second: Clustering, links: LinkedGraph, workshop: Workshop) -> Self:
        """Return the links, with points numbered cluster by cluster: neighbours are near each other."""
        place = inverse(members_of(second.labels.astype(np.int32), second.n_clusters)[1])
        order = members_of(place[first.labels], len(place))[1]
        number, cluster = inverse(order), first.labels[order].astype(np.int32)
        del order
        points = workshop.of_points(links, number)
        return cls(points, number, points.contract(cluster))


def represented(
    first: Int64Array,
    second: Clustering,
    back: Callable[[], tuple[Clustering, scipy.sparse.csr_array]],
    links: LinkedGraph,
    points: NumberedPoints,
    found: list[Level],
) -> Iterator[Represented]:
    """Yield the levels above the first, whose exemplars are given, with exemplars elected from these."""
    groups, key, at = [level.label for level in found], points.clusters.key, points.number[first]
    inner = (points.links.inner(label[key])[at] for label in (np.arange(len(first), dtype=np.int32), *groups))
    below = np.arange(len(first))
    for level, faces in zip(found, elected(groups, spreads(groups, inner)), strict=True):
        # Clusters are numbered in the order of their exemplars.
        label = inverse(level.label[faces].astype(np.int64))[level.label]
        group, exemplars = label[below], np.searchsorted(below, faces)
        joined = points.clusters.graph.contract(label).graph
        if np.isnan(level.resolution):
            clustering = _as_found(second, back()[1], group, exemplars)
        else:
            clustering = _of_groups(group, exemplars, joined, level.resolution)
        inside = links.inside(label.astype(np.int32)[key][points.number]).inside
        yield Represented(clustering, joined.matrix(), inside, level.resolution)
        below = faces


def _as_found(
    found: Clustering, overlap: scipy.sparse.csr_array, group: Int64Array, exemplars: Int64Array
) -> Clustering:
    """Return a clustering of affinity propagation, cut along coarser groups, with the exemplars elected."""
    if np.array_equal(group, found.labels) and np.array_equal(exemplars, found.exemplars):
        return found
    own = exemplars[group].astype(overlap.indices.dtype)
    there = np.flatnonzero(overlap.indices == np.repeat(own, np.diff(overlap.indptr)))
    similarities = np.full(len(group), np.nan, np.float32)
    similarities[np.searchsorted(overlap.indptr, there, side="right") - 1] = overlap.data[there]
    similarities[exemplars] = 0
    return replace(found, labels=group, exemplars=exemplars, similarities=similarities)


def _of_groups(group: Int64Array, exemplars: Int64Array, joined: LinkGraph, resolution: float) -> Clustering:
    """Return groups in the form of a clustering; the gain over chance stands for the net similarity."""
    share = joined.quality(0.0)
    quality = joined.quality(resolution)
    return Clustering(
        labels=group,
        exemplars=exemplars,
        similarities=np.zeros(len(group), np.float32),
        net_similarity=quality,
        data_similarity=share,
        exemplar_preference=quality - share,
        n_iter=0,
        converged=True,
        outcome=Outcome.CONVERGED,
        n_unsettled=0,
        n_promoted=0,
        history=(),
    )
