"""The edges that lead from points to the exemplars of a clustering, read from its graph in one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import psutil

from sparse_ap.errors import InvalidInputError, MemoryLimitError
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.block import (
    Block,
    BoolArray,
    Float64Array,
    FloatArray,
    Int32Array,
    Int64Array,
    starts_of,
)
from sparse_ap.kernels.edge_pass import BasePass, Columns, LabelVectors
from sparse_ap.kernels.edge_summary import BestRows, EdgeSummaryPass
from sparse_ap.kernels.rows import Collected
from sparse_ap.storage.csr import inverse

__all__ = ["ExemplarEdges", "OtherExemplarsPass", "OwnRows", "exemplar_edges"]

# Bytes for an edge that is kept, and for a point, in this process, with what is made of them.
_AN_EDGE, _A_POINT = 80, 120


class Clusters(Protocol):
    """What is needed of a `Clustering`."""

    labels: Int64Array
    exemplars: Int64Array
    similarities: FloatArray
    n_collapsed: int
    min_similarity: float | None


class OwnRows(NamedTuple):
    """Rows: the label of each point (read), and what its row says (written).

    Attributes
    ----------
    own : ndarray of int32
        -1: nobody represents the point.
    along : ndarray of float64
        The similarity of the edge to the point's exemplar; NaN without that edge.
    lowest : ndarray of float64
        The smallest similarity of the row, inf for a row without edges.
    """

    own: Int32Array
    along: Float64Array
    lowest: Float64Array


@dataclass(frozen=True, slots=True)
class OtherExemplarsPass(BasePass):
    """Collect the edges of points that have an exemplar to other exemplars, the most similar first.

    Vectors are the labels of exemplars, -1 of all other points. The columns of the rows collected are labels,
    and of equally similar exemplars the smaller label comes first.

    Attributes
    ----------
    most : int or None
        Edges of each row that are kept; None: all.
    least : float
        The smallest similarity of an edge that is kept, in the precision of the similarities.
    """

    most: int | None
    least: float = -np.inf

    nothing = Collected()
    reads = ("own",)
    writes = ("along", "lowest")

    def __call__(self, block: Block, vectors: LabelVectors, rows: OwnRows, columns: Columns) -> Collected:
        """Collect one block's edges."""
        indptr = block.indptr - block.indptr[0]
        filled = np.flatnonzero(np.diff(indptr))
        rows.lowest[:] = np.inf
        if len(filled):
            rows.lowest[filled] = np.minimum.reduceat(block.data, indptr[filled])
        edge = np.flatnonzero(vectors.label[block.indices] >= 0)
        row = np.searchsorted(indptr, edge, side="right") - 1
        label, similarity = vectors.label[block.indices[edge]], block.data[edge]
        mine = label == rows.own[row]
        rows.along[:] = np.nan
        rows.along[row[mine]] = similarity[mine]
        with np.errstate(over="ignore"):
            least = block.data.dtype.type(self.least)
        other = ~mine & (rows.own[row] >= 0) & (similarity >= least)
        row, label, similarity = row[other], label[other], similarity[other]
        order = np.lexsort((label, -similarity, row))
        lengths = np.bincount(row, minlength=len(indptr) - 1)
        if self.most is not None:
            row = row[order]
            order = order[np.arange(len(row)) - starts_of(lengths)[row] < self.most]
            lengths = np.minimum(lengths, self.most)
        found = replace(block, indptr=starts_of(lengths), indices=label[order], data=similarity[order])
        return Collected((found,))


@dataclass(frozen=True, slots=True, eq=False)
class ExemplarEdges:
    """The edges of points to exemplars, in the user's order.

    Attributes
    ----------
    exemplars : ndarray of int64, shape (n_clusters,)
        Of the clustering.
    indptr : ndarray of int64, shape (n_points + 1,)
    label : ndarray of int32, shape (n_edges,)
        To exemplars other than a point's own, the most similar first.
    similarity : ndarray of float64, shape (n_edges,)
    own_label : ndarray of int64, shape (n_points,)
        -1: nobody represents the point; its row is empty.
    own : ndarray of float64, shape (n_points,)
        The similarity to the own exemplar; NaN for exemplars, without one, and where it is not known.
    lowest : ndarray of float64, shape (n_points,)
        The smallest similarity of each row of the graph, inf for a row without edges.
    min_similarity : float or None
        Of the clustering: no edge to another exemplar is weaker.
    """

    __module__ = "sparse_ap"

    exemplars: Int64Array
    indptr: Int64Array
    label: Int32Array
    similarity: Float64Array
    own_label: Int64Array
    own: Float64Array
    lowest: Float64Array
    min_similarity: float | None

    @property
    def best_other(self) -> Float64Array:
        """The similarity to the most similar other exemplar; NaN without an edge to any."""
        best = np.full(len(self.own), np.nan)
        reaches = np.diff(self.indptr) > 0
        best[reaches] = self.similarity[self.indptr[:-1][reaches]]
        return best

    def best(self, most: int) -> ExemplarEdges:
        """Return the edges with so many to other exemplars a point, the best, or as many as there are."""
        lengths = np.diff(self.indptr)
        place = np.arange(len(self.label)) - np.repeat(self.indptr[:-1], lengths)
        kept, indptr = place < most, starts_of(np.minimum(lengths, most))
        return replace(self, indptr=indptr, label=self.label[kept], similarity=self.similarity[kept])

    def joined(self) -> tuple[Int64Array, Int32Array, Float64Array]:
        """Return the CSR arrays with the edges to the points' own exemplars among them, best first."""
        row = np.repeat(np.arange(len(self.own)), np.diff(self.indptr))
        own, has = self.own[row], ~np.isnan(self.own)
        before = (self.similarity > own) | ((self.similarity == own) & (self.label < self.own_label[row]))
        indptr = starts_of(np.diff(self.indptr) + has)
        place = indptr[:-1] + np.bincount(row[before], minlength=len(has))
        mine = np.zeros(indptr[-1], np.bool_)
        mine[place[has]] = True
        label, similarity = np.empty(len(mine), np.int32), np.empty(len(mine))
        label[mine], label[~mine] = self.own_label[has], self.label
        similarity[mine], similarity[~mine] = self.own[has], self.similarity
        return indptr, label, similarity


def exemplar_edges(
    graph: BlockedGraph,
    clustering: Clusters,
    most: int | None,
    run: Callable[[Any, Any, Any], tuple[Columns, Any]],
    resources: Resources,
) -> ExemplarEdges:
    """Read the edges from points to exemplars.

    Parameters
    ----------
    graph : BlockedGraph
        That of the clustering, or one with more edges of the same points.
    clustering : Clustering
    most : int or None
        Edges of each point to other exemplars that are kept, the best; None: all.
    run : callable
        Function that runs a pass over the graph, checked and canonical, as `BlockedGraph.run` does.
    resources : Resources
        Whose ``memory_limit`` is kept.

    Raises
    ------
    InvalidInputError
        The graph is not that of the clustering.
    MemoryLimitError
        The edges do not fit.
    """
    labels, exemplars = clustering.labels, clustering.exemplars
    n = len(labels)
    if graph.n_points != n:
        raise InvalidInputError(
            f"similarity has {graph.n_points:,} points, and the clustering {n:,}; the graph that was "
            "clustered is needed."
        )
    user_id, label = graph.user_id, np.full(n, -1, np.int32)
    label[exemplars] = np.arange(len(exemplars))
    label = label[user_id]
    _require_room(graph, label >= 0, most, run, resources)
    rows = OwnRows(labels[user_id].astype(np.int32), np.empty(n), np.empty(n))
    least = -np.inf if clustering.min_similarity is None else clustering.min_similarity
    _, found = run(OtherExemplarsPass(most, least), LabelVectors(label), rows)
    indptr, others, values = found.csr(graph.dtype)
    place = inverse(user_id)
    along, lowest = rows.along[place], rows.lowest[place]
    if graph.store.origin.order is not None:
        indptr, (others, values) = _rows_in_order(indptr, place, others, values)
    own = clustering.similarities.astype(np.float64)
    own[exemplars] = np.nan
    _require_same(own, along, clustering)
    return ExemplarEdges(
        exemplars, indptr, others, values.astype(np.float64), labels,
        np.where(np.isnan(along), own, along), lowest, clustering.min_similarity,
    )  # fmt: skip


def _rows_in_order(indptr: Int64Array, rows: Any, *values: Any) -> tuple[Int64Array, list[Any]]:
    """Return where the given rows start one after the other, and their values in that order."""
    lengths = np.diff(indptr)[rows]
    starts = starts_of(lengths)
    edges = np.arange(starts[-1]) + np.repeat(indptr[:-1][rows] - starts[:-1], lengths)
    return starts, [of_edges[edges] for of_edges in values]


def _require_same(own: Float64Array, along: Float64Array, clustering: Clusters) -> None:
    """Refuse a graph whose similarities to the exemplars are not those of the clustering, in float32."""
    with np.errstate(over="ignore"):
        differs = own.astype(np.float32) != along.astype(np.float32)
    # A point may have no edge to an exemplar that is equal to it.
    lacking = np.isnan(along) & (clustering.n_collapsed > 0)
    wrong = np.flatnonzero(differs & ~np.isnan(own) & ~lacking)
    if len(wrong):
        i = wrong[0]
        given = "no edge" if np.isnan(along[i]) else f"{along[i]:.9g}"
        raise InvalidInputError(
            f"similarity is not the graph that was clustered: from point {i} to its exemplar "
            f"{clustering.exemplars[clustering.labels[i]]} it has {given}, and the clustering {own[i]:.9g}; "
            f"so it is for {len(wrong):,} points. Give the graph of the run."
        )


def _require_room(
    graph: BlockedGraph, exemplar: BoolArray, most: int | None, run: Any, resources: Resources
) -> None:
    """Refuse to keep more edges than fit into the memory that the user allows."""
    if resources.memory_limit is None:
        return
    held, limit = psutil.Process().memory_info().rss, resources.limit()

    def needed(n_kept: int) -> int:
        return n_kept * _AN_EDGE + graph.n_points * _A_POINT

    n_kept = int(graph.store.indptr[-1]) if most is None else graph.n_points * most
    if most is None and held + needed(n_kept) > limit:
        # Counted only where it matters, since that is one more reading.
        (in_degree,), _ = run(EdgeSummaryPass(), (), BestRows(np.empty(graph.n_points)))
        n_kept = int(in_degree[exemplar].sum())
    if held + needed(n_kept) > limit:
        raise MemoryLimitError(
            f"The {n_kept:,} similarities to exemplars that are kept need {needed(n_kept) / 1e9:.2f} GB, "
            f"beside {held / 1e9:.2f} GB that the process holds already; the limit is {limit / 1e9:.2f} GB. "
            "Raise memory_limit, or ask for fewer."
        )
