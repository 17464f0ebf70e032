"""The edges along which exemplars are exchanged: those of each point, and those that end at each candidate.

All are in the user's order. On a dense graph a point keeps only its best candidates, so many that some of
them are exemplars; without one of these it counts as alone, which is never more than what it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, FloatArray, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import Columns, PlainPass
from sparse_ap.kernels.rows import CollectPass
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.local_search import LocalSearch
from sparse_ap.storage.csr import csr_graph, inverse

__all__ = ["EdgeLists", "GatherPass", "PlaceVectors", "TableRows"]

# Similarities of the table that are sorted at a time.
_SORTED = 1 << 20


class EdgeLists(NamedTuple):
    """Edges by the point at either end.

    Attributes
    ----------
    out_start : ndarray of int64, shape (n_points + 1,)
    out_to : ndarray of int32
        Candidates of each point, by falling similarity, then by number.
    out_similarity : ndarray of float
    in_start : ndarray of int64, shape (n_points + 1,)
    in_from : ndarray of int32
        Points that have an edge to each candidate.
    in_similarity : ndarray of float
    may : ndarray of bool, shape (n_points,)
        Which points are candidates; those never that are never exemplars.
    """

    out_start: Int64Array
    out_to: Int32Array
    out_similarity: FloatArray
    in_start: Int64Array
    in_from: Int32Array
    in_similarity: FloatArray
    may: BoolArray

    @classmethod
    def whole(cls, problem: Problem, local_search: LocalSearch) -> Self:
        """Return all edges of a sparse graph, by one reading."""
        n = problem.graph.n_points
        _, collected = local_search.run(CollectPass(), (), ())
        indptr, column, similarity = collected.csr(np.dtype(np.float64))
        row = np.repeat(np.arange(n, dtype=np.int32), np.diff(indptr))
        other = row != column
        row, column = problem.user_id[row[other]], problem.user_id[column[other]]
        similarity = similarity[other]
        order = np.lexsort((column, -similarity, row))
        n_each = np.bincount(row, minlength=n)
        return cls._of(problem, n_each, column[order], similarity[order], np.ones(n, np.bool_))

    @classmethod
    def best(cls, problem: Problem, candidate: Int32Array, most: int, local_search: LocalSearch) -> Self:
        """Return the edges from each point to its best candidates, by one reading.

        Parameters
        ----------
        problem : Problem
        candidate : ndarray of int32, shape (n_candidates,)
        most : int
            Largest number of candidates for a point.
        local_search : LocalSearch
            Reads the edges.
        """
        n, user_id = problem.graph.n_points, problem.user_id
        candidate = candidate[np.argsort(user_id[candidate])]
        place = np.full(n, -1, np.int32)
        place[candidate] = np.arange(len(candidate))
        table = np.full((n, len(candidate)), -np.inf, problem.graph.dtype)
        local_search.run(GatherPass(), PlaceVectors(place), TableRows(table))
        order, step = inverse(user_id), max(1, _SORTED // len(candidate))
        parts = [_best_of_rows(table[order[start : start + step]], most) for start in range(0, n, step)]
        n_each, to, similarity = map(np.concatenate, zip(*parts, strict=True))
        may = np.zeros(n, np.bool_)
        may[user_id[candidate]] = True
        return cls._of(problem, n_each, user_id[candidate][to], similarity, may)

    def among(self, candidate: BoolArray) -> Self:
        """Return the edges to some of the candidates."""
        kept = candidate[self.out_to]
        start = starts_of(kept)[self.out_start]
        return self._with_ends(start, self.out_to[kept], self.out_similarity[kept], self.may & candidate)

    @classmethod
    def _of(
        cls, problem: Problem, n_each: Int64Array, to: Int32Array, similarity: FloatArray, may: BoolArray
    ) -> Self:
        if problem.roles is not None:
            may[problem.user_id[problem.roles.forbidden]] = False
        return cls._with_ends(starts_of(n_each), to, similarity, may)

    @classmethod
    def _with_ends(cls, start: Int64Array, to: Int32Array, similarity: FloatArray, may: BoolArray) -> Self:
        ends = csr_graph(start, to, similarity).tocsc()
        indptr, indices = ends.indptr.astype(np.int64), ends.indices.astype(np.int32, copy=False)
        return cls(start, to, similarity, indptr, indices, ends.data, may)


def _best_of_rows(table: FloatArray, most: int) -> tuple[Int64Array, Int32Array, FloatArray]:
    """Return of each row how many entries are edges, up to ``most``, and these by falling similarity."""
    n, m = table.shape
    if most < m:
        least = np.partition(table, m - most, axis=1)[:, m - most, None]
        over, equal = table > least, table == least
        # Of equal ones the first, so that neither the order of points nor the processor matters.
        room = most - np.count_nonzero(over, axis=1, keepdims=True)
        kept = np.nonzero(over | (equal & (np.cumsum(equal, axis=1) <= room)))[1].reshape(n, most)
    else:
        kept = np.broadcast_to(np.arange(m), (n, m))
    similarity = np.take_along_axis(table, kept, axis=1)
    order = np.argsort(-similarity, axis=1, kind="stable")
    similarity, kept = np.take_along_axis(similarity, order, axis=1), np.take_along_axis(kept, order, axis=1)
    there = similarity > -np.inf
    return np.count_nonzero(there, axis=1), kept[there].astype(np.int32), similarity[there]


class PlaceVectors(NamedTuple):
    """Vectors: the column of the table for each candidate; -1 for all other points."""

    place: Int32Array


class TableRows(NamedTuple):
    """Rows: similarities, shape (n_points, n_places), written where there is an edge."""

    similarity: FloatArray


@dataclass(frozen=True, slots=True)
class GatherPass(PlainPass):
    """Copy the similarities to the candidates into a table."""

    reads = ("similarity",)
    writes = ("similarity",)

    def __call__(self, block: Block, vectors: PlaceVectors, rows: TableRows, columns: Columns) -> int:
        """Copy the similarities of one block's points."""
        _gather(block.rows.start, *block.csr, vectors.place, rows.similarity)
        return 0


@kernel
def _gather(start: int, indptr: Any, indices: Any, data: Any, place: Any, table: Any) -> None:
    for i in range(len(table)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if place[k] >= 0 and k != start + i:
                table[i, place[k]] = data[edge]
