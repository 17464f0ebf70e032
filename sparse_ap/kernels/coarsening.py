"""The pass that coarsens a graph: it counts the edges between every two clusters.

With many clusters, the pairs may not fit into memory. Then only pairs with a cluster in some range are
counted, and the range is halved whenever its pairs become too many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Block, BoolArray, Int64Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import BasePass, Columns, LabelVectors

__all__ = ["CoarseningPass", "Links", "Pairs", "weights"]

# Largest weight of an edge: float32 holds all whole numbers up to 2**24.
_MOST = 1 << 24


class Pairs(NamedTuple):
    """Pairs of clusters, with the number of edges between the two in both directions.

    Attributes
    ----------
    pair : ndarray of int64
        a * n_clusters + b for the pair a <= b; ascending, each pair once. a = b stands for edges inside a.
    n_edges : ndarray of int64
        Number, or total weight, of the edges of each pair.
    """

    pair: Int64Array
    n_edges: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The edges between clusters of which at least one is in a range; the tally of `CoarseningPass`.

    Attributes
    ----------
    n_clusters : int
    start, stop : int
        The range of clusters, ``stop`` excluded.
    most : int
        Number of pairs above which the range is halved.
    runs : tuple of Pairs
        Each at least twice as long as the next, so that, as in a merge sort, an edge is merged few times.
    """

    n_clusters: int
    start: int
    stop: int
    most: int
    runs: tuple[Pairs, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the range covers all clusters."""
        return self.start == 0 and self.stop == self.n_clusters

    @property
    def n_pairs(self) -> int:
        """Number of pairs in all runs: at most twice the number of distinct pairs."""
        return sum(map(_length, self.runs))

    def with_edges(self, a: NDArray[Any], b: NDArray[Any], weight: Int64Array | None = None) -> Links:
        """Return the links with edges between clusters a and b added; without weights each weighs 1."""
        lower, upper = np.minimum(a, b), np.maximum(a, b)
        if not self.is_complete:
            inside = self._inside(lower, upper)
            lower, upper = lower[inside], upper[inside]
            weight = None if weight is None else weight[inside]
        # In 64 bits: with more than 46,340 clusters the product exceeds int32.
        pair = lower.astype(np.int64) * self.n_clusters + upper
        return replace(self, runs=(_added_up(pair, weight),)) + self if len(pair) else self

    def __add__(self, other: Links) -> Links:
        """Combine with another block's links on the smaller range; halve that while it has too many pairs."""
        links = self._below(other.stop)._merging(other._below(self.stop).runs)
        while links.stop - links.start > 1 and links.n_pairs > self.most:
            links = links._below(links.start + (links.stop - links.start) // 2)._merging(())
        return links

    def __eq__(self, other: object) -> bool:
        """Whether two links are equal, however they are divided into runs."""
        return (
            isinstance(other, Links)
            and (self.n_clusters, self.start, self.stop) == (other.n_clusters, other.start, other.stop)
            and all(map(np.array_equal, self.merged(), other.merged()))
        )

    def merged(self) -> Pairs:
        """Return all pairs as one run."""
        merged = Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
        for run in reversed(self.runs):
            merged = _merged(run, merged)
        return merged

    def _merging(self, others: tuple[Pairs, ...]) -> Links:
        runs: list[Pairs] = []
        for run in sorted(self.runs + others, key=_length, reverse=True):
            runs.append(run)
            while len(runs) > 1 and _length(runs[-2]) < 2 * _length(runs[-1]):
                runs.append(_merged(runs.pop(), runs.pop()))
        return replace(self, runs=tuple(runs))

    def _below(self, stop: int) -> Links:
        """Return the links of a range that ends at ``stop``, or earlier."""
        if stop >= self.stop:
            return self
        links = replace(self, stop=stop)
        inside = [(run, links._inside(*np.divmod(run.pair, self.n_clusters))) for run in self.runs]
        return replace(links, runs=tuple(Pairs(run.pair[i], run.n_edges[i]) for run, i in inside))

    def _inside(self, lower: NDArray[Any], upper: NDArray[Any]) -> BoolArray:
        """Whether one of the two clusters of each pair is in the range."""
        within: BoolArray = (lower >= self.start) & (lower < self.stop)
        return within | ((upper >= self.start) & (upper < self.stop))


def _length(run: Pairs) -> int:
    return len(run.pair)


def _added_up(pair: Int64Array, weight: Int64Array | None) -> Pairs:
    if weight is None or (weight == 1).all():
        return Pairs(*np.unique(pair, return_counts=True))
    width = int(weight.max()).bit_length()
    if int(pair.max()).bit_length() + width < 64:
        # One number for both sorts several times as fast.
        both = np.sort(pair << width | weight)
        pair, weight = both >> width, both & ((1 << width) - 1)
    else:
        order = np.argsort(pair, kind="stable")
        pair, weight = pair[order], weight[order]
    begin = np.flatnonzero(np.diff(pair, prepend=-1))
    return Pairs(pair[begin], np.add.reduceat(weight, begin))


def weights(block: Block) -> Int64Array:
    """Return the integer weights of a block's edges.

    Raises
    ------
    InvalidInputError
        A weight is not a whole number from 0 to 2**24.
    """
    wrong = np.flatnonzero(~((block.data >= 0) & (block.data <= _MOST) & (block.data == np.rint(block.data))))
    if len(wrong):
        row = int(np.searchsorted(block.indptr - block.indptr[0], wrong[0], side="right")) - 1
        raise InvalidInputError(
            f"links has the weight {block.data[wrong[0]]:g} at ({block.rows.start + row}, "
            f"{block.indices[wrong[0]]}); whole numbers from 0 to {_MOST:,} are needed, whose sums are "
            "exact. Multiply by some number, and round."
        )
    return block.data.astype(np.int64)


@dataclass(frozen=True, slots=True)
class CoarseningPass(BasePass):
    """Count the edges between clusters, or add up their weights.

    The counts are the tally, not columns, since they belong to pairs of clusters.

    Attributes
    ----------
    nothing : Links
        Links without edges, which give the number of clusters, the range, and the limit.
    weigh : callable, optional
        Function from a block to the weights of its edges. None: each edge weighs 1.
    """

    nothing: Links
    weigh: Callable[[Block], Int64Array] | None = None

    def __call__(self, block: Block, vectors: LabelVectors, rows: tuple[()], columns: Columns) -> Links:
        """Count the edges of one block."""
        own = np.repeat(block.rows.of(vectors.label), np.diff(block.indptr))
        weight = None if self.weigh is None else self.weigh(block)
        return self.nothing.with_edges(own, vectors.label[block.indices], weight)


def _merged(left: Pairs, right: Pairs) -> Pairs:
    pair = np.empty(_length(left) + _length(right), np.int64)
    n_edges = np.empty_like(pair)
    n = _merge(left, right, pair, n_edges)
    return Pairs(pair[:n], n_edges[:n])


@kernel
def _merge(left: Any, right: Any, pair: Any, n_edges: Any) -> int:
    """Merge two runs into the arrays given; return the number of pairs."""
    i = j = n = 0
    while i < len(left.pair) or j < len(right.pair):
        takes_left = j == len(right.pair) or (i < len(left.pair) and left.pair[i] <= right.pair[j])
        takes_right = i == len(left.pair) or (j < len(right.pair) and right.pair[j] <= left.pair[i])
        pair[n], n_edges[n] = (left.pair[i] if takes_left else right.pair[j]), 0
        if takes_left:
            n_edges[n] += left.n_edges[i]
            i += 1
        if takes_right:
            n_edges[n] += right.n_edges[j]
            j += 1
        n += 1
    return n
