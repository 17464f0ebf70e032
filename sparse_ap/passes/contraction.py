"""The pass that contracts the graph: how many edges lead from each cluster to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.errors import InvalidInputError
from sparse_ap.model import Block, Int32Array, Int64Array
from sparse_ap.passes.contract import ColumnReduction, Columns

__all__ = ["ClusterVectors", "ContractionPass", "Links", "weights"]

# Of one edge: float32 holds whole numbers up to here.
_MOST = 1 << 24


class ClusterVectors(NamedTuple):
    """The cluster of each point."""

    label: Int32Array


class _Run(NamedTuple):
    """Pairs of clusters, ascending and each once, and how many edges, or what weight, each has."""

    pair: Int64Array
    n_edges: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """How many edges lead from each cluster to each other.

    Attributes
    ----------
    runs : tuple of _Run
        Each at least twice as long as the next: so few are merged often, as in a merge sort.
    """

    runs: tuple[_Run, ...] = ()

    @classmethod
    def of(cls, pair: Int64Array, weight: Int64Array | None = None) -> Links:
        """Add up the weights of edges, given the pair of each; without them each weighs 1."""
        if weight is None:
            return cls((_Run(*np.unique(pair, return_counts=True)),))
        order = np.argsort(pair, kind="stable")
        distinct, begin = np.unique(pair[order], return_index=True)
        return cls((_Run(distinct, np.add.reduceat(weight[order], begin) if len(begin) else weight),))

    def __add__(self, other: Links) -> Links:
        """Combine with another block's."""
        runs: list[_Run] = []
        for run in sorted(self.runs + other.runs, key=_length, reverse=True):
            runs.append(run)
            while len(runs) > 1 and _length(runs[-2]) < 2 * _length(runs[-1]):
                runs.append(_merged(runs.pop(), runs.pop()))
        return Links(tuple(runs))

    def __eq__(self, other: object) -> bool:
        """Whether they are the same, in however many runs."""
        return isinstance(other, Links) and all(map(np.array_equal, self.merged(), other.merged()))

    def merged(self) -> _Run:
        """Return all of them as one run."""
        whole = _Run(np.empty(0, np.int64), np.empty(0, np.int64))
        for run in reversed(self.runs):
            whole = _merged(run, whole)
        return whole


def _length(run: _Run) -> int:
    return len(run.pair)


def weights(block: Block) -> Int64Array:
    """Return the weights that a block of a graph of weights holds.

    Raises
    ------
    InvalidInputError
        One is no whole number from 0.
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
class ContractionPass:
    """Count the edges between clusters, or add up their weights.

    Attributes
    ----------
    n_clusters : int
    weigh : callable, optional
        Returns the weights of a block's edges. None: each weighs 1.
    """

    n_clusters: int
    weigh: Callable[[Block], Int64Array] | None = None
    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[Links] = Links()

    def __call__(self, block: Block, vectors: ClusterVectors, rows: tuple[()], columns: Columns) -> Links:
        """Count one block's."""
        own = np.repeat(block.rows.of(vectors.label).astype(np.int64), np.diff(block.indptr))
        pair = own * self.n_clusters + vectors.label[block.indices]
        return Links.of(pair, None if self.weigh is None else self.weigh(block))


def _merged(left: _Run, right: _Run) -> _Run:
    pair = np.empty(_length(left) + _length(right), np.int64)
    n_edges = np.empty_like(pair)
    n = _merge(left, right, pair, n_edges)
    return _Run(pair[:n], n_edges[:n])


@numba.njit(nogil=True, cache=True)
def _merge(left: Any, right: Any, pair: Any, n_edges: Any) -> int:
    """Merge two runs into the arrays given; return how many pairs there are."""
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
