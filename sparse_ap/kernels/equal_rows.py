"""The passes that find equal points: which are linked like equal ones, and what contradicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, Float64Array, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import LARGEST, BasePass, Columns, PlainPass
from sparse_ap.kernels.rows import Collected

__all__ = [
    "GROUP",
    "POINT",
    "ContradictionPass",
    "GroupVectors",
    "HeldRowsPass",
    "LinkPass",
    "LinkVectors",
    "RowEnds",
    "components",
    "join",
]

# What a contradiction ends: that a point is equal to others, or that all that one point stands for are.
POINT, GROUP = 1, 2


class Linked(NamedTuple):
    """Pairs of linked points; the tally of `LinkPass`, in which the order of the pairs says nothing."""

    points: Int32Array
    others: Int32Array

    def __add__(self, other: tuple[Any, ...]) -> Linked:
        """Append another block's pairs."""
        return Linked(np.concatenate([self.points, other[0]]), np.concatenate([self.others, other[1]]))


class LinkVectors(NamedTuple):
    """Vectors: the points that are meant, of bool."""

    meant: BoolArray


class RowEnds(NamedTuple):
    """Rows: the smallest similarity of each row, inf for a row without edges."""

    smallest: Float64Array


@dataclass(frozen=True, slots=True)
class LinkPass(BasePass):
    """Find which of the points that are meant are linked by edges of one similarity, and where rows end."""

    similarity: float

    nothing = Linked(np.empty(0, np.int32), np.empty(0, np.int32))
    writes = ("smallest",)

    def __call__(self, block: Block, vectors: LinkVectors, rows: RowEnds, columns: Columns) -> Linked:
        """Return, of the points that the block links, one pair each: with the first of its group."""
        rows.smallest[:] = np.inf
        lengths = np.diff(block.indptr)
        row = np.repeat(np.arange(block.rows.start, block.rows.stop, dtype=np.int32), lengths)
        np.minimum.at(rows.smallest, row - block.rows.start, block.data.astype(np.float64))
        alike = (block.data == self.similarity) & vectors.meant[row] & vectors.meant[block.indices]
        root = np.arange(block.n_points, dtype=np.int32)
        join(root, row[alike], block.indices[alike])
        points = np.flatnonzero(root != np.arange(block.n_points)).astype(np.int32)
        return Linked(points, root[points])


@dataclass(frozen=True, slots=True)
class HeldRowsPass(BasePass):
    """Collect the rows of the points that are meant; other rows are empty."""

    nothing = Collected()

    def __call__(self, block: Block, vectors: LinkVectors, rows: tuple[()], columns: Columns) -> Collected:
        """Copy the rows of one block."""
        meant, lengths = block.rows.of(vectors.meant), np.diff(block.indptr)
        kept = np.repeat(meant, lengths)
        indptr = starts_of(np.where(meant, lengths, 0))
        return Collected((replace(block, indptr=indptr, indices=block.indices[kept], data=block.data[kept]),))


class GroupVectors(NamedTuple):
    """Vectors: the point that stands for each, and for how many it stands."""

    stand_in: Int32Array
    size: Int32Array


@dataclass(frozen=True, slots=True, eq=False)
class ContradictionPass(PlainPass):
    """Find the points that are not equal to those they are grouped with.

    The column is 1 for a point whose row differs from that of the point which stands for it, and 2 for a
    point that stands for others if rows differ in what they say of these.
    """

    similarity: float
    indptr: Int64Array
    indices: Int32Array
    data: Any

    column_reductions = (LARGEST,)
    reads = ("smallest",)

    def __call__(self, block: Block, vectors: GroupVectors, rows: RowEnds, columns: Columns) -> int:
        """Compare the rows of one block with those that stand for them."""
        held = self.indptr, self.indices, self.data
        met, count = np.zeros(block.n_points, np.int32), np.zeros(block.n_points, np.int32)
        value = np.empty(block.n_points)
        _compare(
            block.rows.start, *block.csr, *held, *vectors, rows.smallest, self.similarity, met, count, value,
            columns[0],
        )  # fmt: skip
        return 0


def components(n_points: int, points: Int32Array, others: Int32Array) -> Int64Array:
    """Return the number of each point's component, in the order of their first points, by pairs that link."""
    root = np.arange(n_points, dtype=np.int32)
    join(root, points, others)
    first = root == np.arange(n_points)
    return (np.cumsum(first) - 1)[root]


@kernel
def join(root: Any, points: Any, others: Any) -> None:
    """Join groups by pairs; ``root`` is the smallest number of each point's group before and after."""
    for pair in range(len(points)):
        a, b = root[points[pair]], root[others[pair]]
        # Every other step is cut out, so that no later search goes a long way again.
        while a != root[a]:
            root[a] = root[root[a]]
            a = root[a]
        while b != root[b]:
            root[b] = root[root[b]]
            b = root[b]
        root[max(a, b)] = min(a, b)
        root[points[pair]] = root[others[pair]] = min(a, b)
    for point in range(len(root)):
        root[point] = root[root[point]]


@kernel
def _compare(
    start: int, indptr: Any, indices: Any, data: Any, held_indptr: Any, held_indices: Any, held_data: Any,
    stand_in: Any, size: Any, smallest: Any, similarity: float, met: Any, count: Any, value: Any, wrong: Any,
) -> None:  # fmt: skip
    """Mark contradictions; ``met`` and ``count``, by the point that stands for others, are 0 at first."""
    for row in range(len(indptr) - 1):
        i = start + row
        own, begin, end = stand_in[i], indptr[row] - indptr[0], indptr[row + 1] - indptr[0]
        value[own] = similarity
        for edge in range(begin, end):
            b = stand_in[indices[edge]]
            if count[b] == 0 and b != own:
                value[b] = data[edge]
            elif value[b] != data[edge]:
                wrong[b] = GROUP
            count[b] += 1
        if count[own] < size[own] - 1 and similarity > smallest[row]:
            wrong[i] = max(wrong[i], GROUP if own == i else POINT)
        for edge in range(begin, end):
            b = stand_in[indices[edge]]
            if b != own and count[b] < size[b] and value[b] > smallest[row]:
                wrong[b] = GROUP
        if own != i:
            for edge in range(held_indptr[own], held_indptr[own + 1]):
                b = stand_in[held_indices[edge]]
                met[b] = i + 1
                differs = held_data[edge] > smallest[row] if count[b] == 0 else value[b] != held_data[edge]
                if b != own and differs:
                    wrong[i] = max(wrong[i], POINT)
            for edge in range(begin, end):
                b = stand_in[indices[edge]]
                if b != own and met[b] != i + 1:
                    wrong[i] = max(wrong[i], POINT)
        for edge in range(begin, end):
            count[stand_in[indices[edge]]] = 0
