"""The passes over a symmetric graph of links: moves between groups, contraction, weights inside groups.

A graph of links stores every pair in the rows of both ends, with whole-number weights, whose sums are exact.
The diagonal holds twice the weight inside a node, so that a row's sum is the node's volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array
from sparse_ap.kernels.coarsening import Links
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import MARK, BasePass, Columns, LabelVectors, PlainPass

__all__ = [
    "ContractionPass",
    "GroupVectors",
    "InnerPass",
    "InnerRows",
    "InnerShares",
    "InsidePass",
    "MovePass",
    "MoveRows",
]


class GroupVectors(NamedTuple):
    """Vectors of `MovePass`.

    Attributes
    ----------
    label : ndarray of int32, shape (n_points,)
        The group of each node.
    part : ndarray of int32, shape (n_groups,)
        The part in which each group lies. Links between different parts do not count.
    total : ndarray of float64, shape (n_groups,)
        Volume of each group.
    """

    label: Int32Array
    part: Int32Array
    total: Float64Array


class MoveRows(NamedTuple):
    """Rows of `MovePass`: the volume of each node, whether it is its turn, and its group, then its next."""

    volume: Float64Array
    turn: BoolArray
    moved: Int32Array


@dataclass(frozen=True, slots=True)
class MovePass(PlainPass):
    """Find the group in which each node whose turn it is gains most, with all groups as they are.

    The gain of node i in group c is W(i, c) − rate · volume(i) · volume(c), the latter without i itself. Of
    equal gains the smallest label counts. The tally is the number of nodes that move; the column marks
    the nodes that are linked with one that leaves or comes, and are not in the group it goes to.
    """

    rate: float

    column_reductions = (MARK,)

    reads = ("volume", "turn", "moved")
    writes = ("moved",)

    def __call__(self, block: Block, vectors: GroupVectors, rows: MoveRows, columns: Columns) -> int:
        """Move the nodes of one block; return how many change their group."""
        most = int(np.diff(block.indptr).max(initial=0))
        # By hash, since rows are short, and an array over all groups would not stay in the caches.
        bits = max(4, (2 * most).bit_length())
        room = _Room(np.full(1 << bits, -1, np.int32), np.empty(1 << bits), np.empty(most, np.int32))
        return int(_move(block.rows.start, *block.csr, vectors, rows, self.rate, room, bits, columns[0]))


class _Room(NamedTuple):
    """A table of groups by hash, -1 where there is none, their weights, and the places that are filled."""

    group: Int32Array
    weight: Float64Array
    met: Int32Array


class InnerRows(NamedTuple):
    """Rows of `InnerPass`, written: the weight of each point's links to its own group."""

    inner: Float64Array


@dataclass(frozen=True, slots=True)
class InnerPass(PlainPass):
    """Add up the weights of each point's links to points with the same label."""

    writes = ("inner",)

    def __call__(self, block: Block, vectors: LabelVectors, rows: InnerRows, columns: Columns) -> int:
        """Add up the weights of one block's rows."""
        _add_inner(block.rows.start, *block.csr, vectors.label, rows.inner)
        return 0


@dataclass(frozen=True, slots=True)
class ContractionPass(BasePass):
    """Add up the weights between groups of nodes; each pair of nodes, which is stored twice, counts once."""

    nothing: Links

    def __call__(self, block: Block, vectors: LabelVectors, rows: tuple[()], columns: Columns) -> Links:
        """Add up the weights of one block."""
        n_edges = len(block.indices)
        own, other, weight = np.empty(n_edges, np.int32), np.empty(n_edges, np.int32), np.empty(n_edges)
        room, met = np.zeros(block.n_points), np.empty(np.diff(block.indptr).max(initial=0), np.int32)
        n = _add_up(block.rows.start, *block.csr, vectors.label, room, met, own, other, weight)
        return self.nothing.with_edges(own[:n], other[:n], weight[:n].astype(np.int64))


class InnerShares(NamedTuple):
    """A tally of `InsidePass`: the weight of the edges inside a cluster, and of all edges."""

    inside: int
    total: int

    def __add__(self, other: tuple[Any, ...]) -> InnerShares:
        """Add another block's."""
        return InnerShares(self.inside + other[0], self.total + other[1])


@dataclass(frozen=True, slots=True)
class InsidePass(BasePass):
    """Add up the weights of the edges of a directed graph that stay inside a cluster.

    Attributes
    ----------
    weigh : callable, optional
        As of `CoarseningPass`.
    """

    weigh: Any = None
    nothing = InnerShares(0, 0)

    def __call__(self, block: Block, vectors: LabelVectors, rows: tuple[()], columns: Columns) -> InnerShares:
        """Add up the weights of one block."""
        own = np.repeat(block.rows.of(vectors.label), np.diff(block.indptr))
        inside = own == vectors.label[block.indices]
        if self.weigh is None:
            return InnerShares(int(np.count_nonzero(inside)), len(inside))
        weight = self.weigh(block)
        return InnerShares(int(weight[inside].sum()), int(weight.sum()))


@kernel
def _move(
    start: int, indptr: Any, indices: Any, data: Any, vectors: Any, rows: Any, rate: float, room: Any,
    bits: int, touched: Any,
) -> int:  # fmt: skip
    """Fill in the next groups, mark whom that touches; the groups in ``room`` are -1 before and after."""
    label, part, total = vectors
    group, weight, met = room
    shift, last = 32 - bits, len(group) - 1
    n_moved = 0
    for i in range(len(rows.turn)):
        if not rows.turn[i]:
            continue
        n_met, own, own_weight = 0, label[start + i], 0.0
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            if indices[edge] == start + i:
                continue
            c = label[indices[edge]]
            place = ((c * 2654435769) & 0xFFFFFFFF) >> shift
            while group[place] != c and group[place] >= 0:
                place = (place + 1) & last
            if group[place] < 0:
                group[place], weight[place], met[n_met] = c, 0.0, place
                n_met += 1
            weight[place] += data[edge]
        for k in range(n_met):
            if group[met[k]] == own:
                own_weight = weight[met[k]]
        pull = rate * rows.volume[i]
        best, most = own, own_weight - pull * (total[own] - rows.volume[i])
        for k in range(n_met):
            c = group[met[k]]
            group[met[k]] = -1
            if c == own or part[c] != part[own]:
                continue
            gain = weight[met[k]] - pull * total[c]
            if gain > most or (gain == most and c < best):
                best, most = c, gain
        if best == own:
            continue
        rows.moved[i] = best
        n_moved += 1
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            if label[indices[edge]] != best:
                touched[indices[edge]] = True
    return n_moved


@kernel
def _add_up(
    start: int, indptr: Any, indices: Any, data: Any, label: Any, room: Any, met: Any, own: Any, other: Any,
    weight: Any,
) -> int:  # fmt: skip
    """Add up each row's weights by the group they lead to, of every pair in one of its two rows only.

    ``room``, by label, is all 0 before and after. Returns the number of pairs written.
    """
    n = 0
    for i in range(len(indptr) - 1):
        here, n_met, again = label[start + i], 0, 0.0
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            j = indices[edge]
            c = label[j]
            if room[c] == 0.0:
                met[n_met] = c
                n_met += 1
            room[c] += data[edge]
            # Without a branch, which is badly predicted: of a pair inside, the second row; of the diagonal,
            # which holds every weight inside twice, half.
            again += data[edge] * ((c == here) * (0.5 * (j <= start + i) + 0.5 * (j < start + i)))
        for k in range(n_met):
            c = met[k]
            total = room[c] - (again if c == here else 0.0)
            if c >= here and total > 0.0:
                own[n], other[n], weight[n] = here, c, total
                n += 1
            room[c] = 0.0
    return n


@kernel
def _add_inner(start: int, indptr: Any, indices: Any, data: Any, label: Any, inner: Any) -> None:
    for i in range(len(inner)):
        total = 0.0
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            if label[indices[edge]] == label[start + i]:
                total += data[edge]
        inner[i] = total
