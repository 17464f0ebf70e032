"""`LinkGraph`: who is linked with whom, with whole-number weights; and its contraction along groups."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import usable_threads
from sparse_ap.clustering.cluster_graph import LinkedGraph, LinkRows
from sparse_ap.clustering.input import held_rows, in_memory, is_local, open_executor
from sparse_ap.clustering.natural.kept_rows import kept_rows
from sparse_ap.clustering.natural.spilled import counted_once
from sparse_ap.execution.blocking import BlockedGraph, most_blocks
from sparse_ap.execution.executor import Executor
from sparse_ap.execution.plans import Resources
from sparse_ap.execution.room import rows_fit
from sparse_ap.kernels.block import Float64Array, Int32Array, Int64Array, RowCut
from sparse_ap.kernels.edge_pass import LabelVectors
from sparse_ap.kernels.grouping import ContractionPass, InnerPass, InnerRows
from sparse_ap.kernels.rows import CollectPass
from sparse_ap.kernels.symmetry import joined_rows, linked_pairs, paired_labels
from sparse_ap.storage.csr import csr_graph
from sparse_ap.storage.store import block_of

__all__ = ["Contraction", "Labels", "LinkGraph", "Workshop", "compact_labels", "of_nodes", "sums"]

# Entries of a contraction in memory that take no more room than one that is counted first: there are at most
# as many as the graph has, and nothing beside them.
_A_KEPT_ENTRY = 4

Labels = Int32Array | Int64Array


@dataclass(frozen=True, eq=False)
class LinkGraph:
    """A symmetric graph of links between nodes: points, or groups of them.

    Attributes
    ----------
    graph : BlockedGraph
        The weights: every pair of nodes in the rows of both; on the diagonal twice the weight inside each.
    volume : ndarray of float64, shape (n_nodes,)
        The sum of each row.
    workshop : Workshop
        What makes contractions of it.
    """

    graph: BlockedGraph
    volume: Float64Array
    workshop: Workshop

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.graph.n_points

    @property
    def total(self) -> float:
        """The sum of all weights, by which resolutions are divided; 1 for a graph without links."""
        return max(1.0, float(self.volume.sum()))

    def contract(self, *keys: Labels) -> Contraction:
        """Join the nodes that agree in all keys."""
        key, n_nodes = compact_labels(*keys)
        if n_nodes == self.n_nodes and (key == np.arange(n_nodes)).all():
            return Contraction(key, self)
        volume = sums(key, self.volume, n_nodes)
        return Contraction(key, self.workshop.joined(self.graph, key, n_nodes, volume))

    def inner(self, label: Labels) -> Float64Array:
        """Return the weight of each node's links to nodes with the same label."""
        rows = InnerRows(np.empty(self.n_nodes))
        self.graph.run(InnerPass(), LabelVectors(label.astype(np.int32, copy=False)), rows)
        return rows.inner

    def diagonal(self) -> Float64Array:
        """Return twice the weight inside each node."""
        return self.inner(np.arange(self.n_nodes, dtype=np.int32))

    def matrix(self) -> scipy.sparse.csr_array:
        """Return the weights as a matrix in memory."""
        weights = csr_graph(*self.graph.run(CollectPass(), (), ())[1].csr(np.dtype(np.float64)))
        weights.sort_indices()
        return weights

    def quality(self, resolution: float) -> float:
        """Return the share of the weight inside nodes, less ``resolution`` times that expected by chance."""
        total = math.fsum(self.volume)
        if not total:
            return 0.0
        shares = self.volume / total
        return math.fsum(self.diagonal()) / total - resolution * math.fsum(shares * shares)


@dataclass(frozen=True, slots=True, eq=False)
class Contraction:
    """A contracted graph, and the node of it in which each node of the first graph lies."""

    key: Int32Array
    graph: LinkGraph


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """What keeps graphs of links: in memory, or, where they do not fit, in a folder for the time being.

    Attributes
    ----------
    executor : Executor
    resources : Resources
    folder : Path
        A folder of the run's own.
    numbers : iterator of int
        Names for graphs there.
    """

    executor: Executor
    resources: Resources
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    @classmethod
    @contextmanager
    def open(cls, resources: Resources, n_points: int, n_edges: int) -> Iterator[Workshop]:
        """Yield a workshop with as many threads as are of use; its folder is removed at the end."""
        n_threads = min(usable_threads(resources.n_jobs), most_blocks(n_points, n_edges))
        with (
            tempfile.TemporaryDirectory(prefix="sparse_ap-") as folder,
            open_executor(n_threads) as executor,
        ):
            yield cls(executor, resources, Path(folder))

    def put_away(self, *arrays: NDArray[Any]) -> Callable[[], list[NDArray[Any]]]:
        """Write arrays to the folder; return what reads them again."""
        places = [self.folder / f"{next(self.numbers)}.npy" for _ in arrays]
        for place, array in zip(places, arrays, strict=True):
            np.save(place, array)
        return lambda: [np.load(place) for place in places]

    def most_pairs(self, n_clusters: int) -> int:
        """Return how many pairs can be counted in one reading."""
        return rows_fit(self.resources.limit())[1]

    def of_points(self, links: LinkedGraph, number: Labels) -> LinkGraph:
        """Return the graph of links between points; without given weights each linked pair weighs 1.

        Parameters
        ----------
        links : LinkedGraph
        number : ndarray of int32, shape (n_points,)
            The number that each point shall have, in the user's order.
        """
        n_points, once = len(number), links.weigh is None
        held = held_rows(links.graph)
        if once and held is not None and 2 * len(held[1]) <= self.most_entries():
            return self._linked_once(*held, number if links.user_id is None else number[links.user_id])
        links = replace(links, most_pairs=self.most_pairs)
        count = self._counted if is_local(links.graph) else None
        parts = (_once(part) if once else part for part in links.parts(number, n_points, count))
        return self.graph(parts, n_points, np.float32 if once else np.float64, None)

    def most_entries(self) -> int:
        """Return how many entries of a graph fit into memory."""
        return rows_fit(self.resources.limit())[0]

    def _linked_once(self, indptr: Int64Array, indices: Int32Array, number: Labels) -> LinkGraph:
        starts, linked = linked_pairs(indptr, indices, number.astype(np.int32, copy=False))
        graph = in_memory(starts, linked, np.ones(len(linked), np.float32), self.executor)
        return LinkGraph(graph, np.diff(starts).astype(np.float64), self)

    def joined(self, graph: BlockedGraph, label: Int32Array, n_nodes: int, volume: Float64Array) -> LinkGraph:
        """Return the graph of links between the nodes with each label."""
        n_entries = int(graph.store.indptr[-1])
        if held_rows(graph) is not None and n_entries // _A_KEPT_ENTRY <= self.most_entries():
            block = block_of(graph.store, RowCut(0, graph.n_points))
            return LinkGraph(in_memory(*joined_rows(block, label, n_nodes), self.executor), volume, self)
        parts = self._counted(graph, ContractionPass, label, n_nodes, self.most_pairs)
        return self.graph(parts, n_nodes, np.float64, volume)

    def _counted(
        self, graph: BlockedGraph, begin: Any, label: Int32Array, n_nodes: int, most: Callable[[int], int]
    ) -> Iterator[LinkRows]:
        return counted_once(graph, begin, label, n_nodes, most(n_nodes), self.folder)

    def graph(
        self, parts: Iterable[LinkRows], n_nodes: int, dtype: Any, volume: Float64Array | None
    ) -> LinkGraph:
        """Keep rows, and return their graph."""
        place = self.folder / f"{next(self.numbers)}"
        rows = (part.rows for part in parts)
        graph = kept_rows(rows, n_nodes, dtype, place, self.most_entries(), self.executor)
        if volume is None:
            sums_of = InnerRows(np.empty(n_nodes))
            graph.run(InnerPass(), LabelVectors(np.zeros(n_nodes, np.int32)), sums_of)
            volume = sums_of.inner
        made = LinkGraph(graph, volume, self)
        if place.exists():
            weakref.finalize(made, shutil.rmtree, place, ignore_errors=True)
        return made


def _once(part: LinkRows) -> LinkRows:
    part.rows.data[:] = 1
    return part


def sums(label: Labels, values: Float64Array, n: int) -> Float64Array:
    """Return the sum of the values, which are whole numbers, of each label below ``n``."""
    return np.asarray(np.bincount(label, weights=values, minlength=n), np.float64)


def of_nodes(key: Labels, values: Labels) -> Int32Array:
    """Return the value of each joined node, which all that were joined share."""
    values_at = np.zeros(int(key.max(initial=-1)) + 1, np.int32)
    values_at[key] = values
    return values_at


def compact_labels(*keys: Labels) -> tuple[Int32Array, int]:
    """Return the number of each node's combination of labels, in their order, and how many occur.

    One key that has no gaps is returned itself.
    """
    number, n = _numbered(keys[0])
    for other in keys[1:]:
        number, n = paired_labels(number, _numbered(other)[0])
    return number, n


def _numbered(label: Labels) -> tuple[Int32Array, int]:
    """Return labels numbered from 0 without gaps, in their order."""
    present = np.zeros(int(label.max(initial=-1)) + 1, bool)
    present[label] = True
    n = int(np.count_nonzero(present))
    if n == len(present):
        return label.astype(np.int32, copy=False), n
    return (np.cumsum(present, dtype=np.int32) - np.int32(1))[label], n
