"""Natural groups: nodes of a graph of links are moved, alone and together, to where they have most links.

A move of a node, a part of a group, or a whole cluster is to the group c with the largest gain
W(i, c) − γ vol_i vol_c / 2m: the links there, less γ times those expected by chance (Newman & Girvan,
Physical Review E 69, 2004; γ: Reichardt & Bornholdt, Physical Review E 74, 2006). A quarter of the nodes
at a time moves at once, with all groups as they are: no order of nodes, threads or blocks can change the
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sparse_ap.clustering.natural.link_graph import (
    Contraction,
    Labels,
    LinkGraph,
    compact_labels,
    of_nodes,
    sums,
)
from sparse_ap.kernels.block import Int32Array
from sparse_ap.kernels.grouping import GroupVectors, MovePass, MoveRows
from sparse_ap.kernels.hashing import hashed

__all__ = ["Grouping", "merged_upward", "moved"]

# Shares of the nodes that move at once: neighbours that change places in one step would never settle.
_N_TURNS = 4

# Nodes hashed at a time.
_HASHED = 1 << 16
_POINT_SWEEPS, _NODE_SWEEPS = 8, 12
_ROUNDS = 5
# Rounds end when the quality grows by less.
_LEAST_GAIN = 1e-4
# Rounds end when a smaller share of the nodes has moved.
_LEAST_MOVED = 1e-3
# Parts of groups are found roughly: sweeps end when a smaller share of the nodes moves.
_ROUGH = 0.05


def moved(
    graph: LinkGraph, label: Labels, part: Labels, rate: float, *, n_sweeps: int = _NODE_SWEEPS,
    seed: int = 0, least: float = 0.0,
) -> Int32Array:  # fmt: skip
    """Move each node to the group where it gains most, until none moves or after ``n_sweeps`` sweeps.

    Parameters
    ----------
    graph : LinkGraph
    label : ndarray of int, shape (n_nodes,)
        The groups to begin with, each in one part.
    part : ndarray of int, shape (n_nodes,)
        Links between different parts do not count, so no node leaves its part.
    rate : float
        γ / 2m.
    n_sweeps, seed : int
    least : float
        Sweeps end, too, when a smaller share of the nodes moves in one.

    Returns
    -------
    ndarray of int, shape (n_nodes,)
        Numbers from 0, without gaps.
    """
    n = graph.n_nodes
    group, n_groups = compact_labels(label)
    del label
    part, total = of_nodes(group, part), sums(group, graph.volume, n_groups)
    # After its turn a node waits until one that it is linked with has moved.
    unsettled = np.ones(n, bool)
    for sweep in range(n_sweeps):
        turns = _turns(n, seed * n_sweeps + sweep)
        n_moved = 0
        for turn in range(_N_TURNS):
            rows = MoveRows(graph.volume, unsettled & (turns == turn), group.copy())
            # Blocks in which nobody has a turn are not read.
            blocks = replace(graph.graph, cuts=[cut for cut in graph.graph.cuts if cut.of(rows.turn).any()])
            (touched,), n_changed = blocks.run(MovePass(rate), GroupVectors(group, part, total), rows)
            changed = np.flatnonzero(rows.moved != group)
            np.subtract.at(total, group[changed], graph.volume[changed])
            np.add.at(total, rows.moved[changed], graph.volume[changed])
            group, n_moved = rows.moved, n_moved + n_changed
            unsettled = (unsettled & ~rows.turn) | touched
            del touched, changed
        if n_moved < least * n or not unsettled.any():
            break
    return compact_labels(group)[0]


def merged_upward(joined: Contraction, part: Labels, rate: float) -> Contraction:
    """Move joined nodes, and join again, until nothing merges.

    Parameters
    ----------
    joined : Contraction
    part : ndarray of int
        As of `moved`, of each node of the first graph.
    rate : float
    """
    while True:
        n = joined.graph.n_nodes
        merged = moved(joined.graph, np.arange(n, dtype=np.int32), of_nodes(joined.key, part), rate)
        if merged.max(initial=-1) + 1 == n:
            return joined
        again = joined.graph.contract(merged)
        joined = Contraction(again.key[joined.key], again.graph)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """The search for groups at a resolution, from clusters known already.

    Attributes
    ----------
    graph : LinkGraph
    clusters : sequence of ndarray of int
        Clusters that also move as wholes: the finest, of shape (n_nodes,), then the coarser cluster of each
        of the finest, level by level.
    joined : Contraction
        The graph contracted along the finest.
    """

    graph: LinkGraph
    clusters: Sequence[Labels]
    joined: Contraction

    @classmethod
    def of(cls, graph: LinkGraph, clusters: Sequence[Labels]) -> Grouping:
        """Return the search; clusters are as in the attributes, the finest numbered from 0 without gaps."""
        return cls(graph, clusters, graph.contract(clusters[0]))

    def at(self, resolution: float, part: Labels | None = None, *, nodes_move: bool = True) -> Int32Array:
        """Return the groups at a resolution, found inside given parts.

        Parameters
        ----------
        resolution : float
            γ: larger for more and smaller groups.
        part : ndarray of int, shape (n_nodes,), optional
            No group has nodes of two parts.
        nodes_move : bool
            Whether single nodes move, or only clusters as wholes.

        Returns
        -------
        ndarray of int32, shape (n_nodes,)
            Numbers from 0, without gaps.
        """
        graph = self.graph
        rate = resolution / graph.total
        start = self.joined if part is None else graph.contract(self.clusters[0], part)
        part = np.zeros(graph.n_nodes, np.int32) if part is None else part
        joined = merged_upward(start, part, rate)
        best, most = joined.key, joined.graph.quality(resolution)
        # Released: points move, which takes most memory.
        del start, joined
        for k in range(_ROUNDS if nodes_move else 1):
            label = best
            if nodes_move:
                label = moved(graph, label, part, rate, n_sweeps=_POINT_SWEEPS, seed=k)
                if k and np.count_nonzero(label != best) < _LEAST_MOVED * len(label):
                    break
                if k % 2 == 0:
                    label = self._parts_moved(label, part, rate)
            label, groups = self._clusters_moved(label, part, rate)
            quality = groups.quality(resolution)
            gain = quality - most
            # What moves at once can lose together what each alone would gain.
            if gain > 0:
                best, most = label, quality
            if gain < _LEAST_GAIN:
                break
        return best

    def _parts_moved(self, label: Labels, part: Labels, rate: float) -> Int32Array:
        """Find groups anew inside each group, and move these as wholes."""
        inside = moved(self.graph, np.arange(self.graph.n_nodes, dtype=np.int32), label, rate, least=_ROUGH)
        joined = self.graph.contract(inside)
        del inside
        joined = merged_upward(joined, label, rate)
        return moved(joined.graph, of_nodes(joined.key, label), of_nodes(joined.key, part), rate)[joined.key]

    def _clusters_moved(self, label: Labels, part: Labels, rate: float) -> tuple[Int32Array, LinkGraph]:
        """Move the clusters, each cut by the groups, as wholes; then merge groups."""
        finest = self.graph.contract(self.clusters[0], label)
        # All further steps are on the contracted graph, since coarser clusters are unions of the finest.
        group, within = of_nodes(finest.key, label), of_nodes(finest.key, part)
        group = moved(finest.graph, group, within, rate)
        for clusters in self.clusters[1:]:
            joined = finest.graph.contract(clusters[of_nodes(finest.key, self.clusters[0])], group)
            begun, inside = of_nodes(joined.key, group), of_nodes(joined.key, within)
            group = moved(joined.graph, begun, inside, rate)[joined.key]
        groups = merged_upward(finest.graph.contract(group), within, rate)
        return groups.key[finest.key], groups.graph


def _turns(n: int, seed: int) -> NDArray[np.int8]:
    """Return the turn of each node, by a hash; worked out a part at a time, which takes less memory."""
    turns = np.empty(n, np.int8)
    for start in range(0, n, _HASHED):
        ids = np.arange(start, min(n, start + _HASHED))
        turns[ids] = hashed(ids, seed) * _N_TURNS
    return turns
