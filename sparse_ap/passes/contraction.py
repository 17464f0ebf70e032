"""The pass that contracts the graph: how many edges lead from each cluster to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.model import Block, Int32Array, Int64Array
from sparse_ap.passes.contract import ColumnReduction, Columns

__all__ = ["ClusterVectors", "ContractionPass", "Links"]


class ClusterVectors(NamedTuple):
    """The cluster of each point."""

    label: Int32Array


class _Run(NamedTuple):
    """Pairs of clusters, ascending and each once, and the edges of each pair."""

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
    def of(cls, pair: Int64Array) -> Links:
        """Count edges, given the pair of each."""
        return cls((_Run(*np.unique(pair, return_counts=True)),))

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


@dataclass(frozen=True, slots=True)
class ContractionPass:
    """Count the edges between clusters.

    Attributes
    ----------
    n_clusters : int
    """

    n_clusters: int
    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    nothing: ClassVar[Links] = Links()

    def __call__(self, block: Block, vectors: ClusterVectors, rows: tuple[()], columns: Columns) -> Links:
        """Count one block's."""
        own = np.repeat(block.rows.of(vectors.label).astype(np.int64), np.diff(block.indptr))
        return Links.of(own * self.n_clusters + vectors.label[block.indices])


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
