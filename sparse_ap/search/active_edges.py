"""Descent on dense graphs: most edges add nothing for many steps, and are left out of a copy.

An edge adds nothing to a step while s(i,k) is below the reach of u_i: its lowest value in this step, less the
width of the rounded corners. A copy holds the edges above a floor, some widths below the reach; it serves for
as long as no reach falls below its floor. So every step is the same as on the whole graph, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.executor import RowsT, TallyT, VectorsT, new_columns, read_blocks
from sparse_ap.kernels.block import Block, Float64Array, RowCut, starts_of
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.search.reduction import AllowedVectors, DualRows, LeftEdges, ReductionPass

__all__ = ["ActiveEdges"]

# Edges a point from which a copy is tried; the least share of edges left out; and most edges in a copy, which
# has 12 bytes for each.
_DENSE, _LEFT_OUT, _MOST = 64, 0.75, 1 << 20
# Steps before the first copy, and between tries to make one; and the depth of the floor, in widths.
_FIRST, _AGAIN, _DEPTH = 20, 10, 12.0


class ActiveEdges:
    """The edges of a graph that can add something to the next steps of a descent.

    Parameters
    ----------
    graph : BlockedGraph
    n_edges : int
        Number of its edges.
    """

    def __init__(self, graph: BlockedGraph, n_edges: int) -> None:
        self._graph = graph
        self._most = min(_MOST, int((1.0 - _LEFT_OUT) * n_edges))
        self._copy: Block | None = None
        self._floor = np.empty(0)
        self._dense = n_edges >= _DENSE * max(1, graph.n_points)
        self._steps_to_copy = _FIRST

    def run(
        self,
        step: Pass[VectorsT, RowsT, TallyT],
        vectors: VectorsT,
        rows: RowsT,
        reach: Callable[[RowsT], Float64Array],
        width: float,
    ) -> Columns:
        """Take a step; return its columns, and write its rows in place.

        Parameters
        ----------
        step : Pass
        vectors, rows : tuple of ndarray
        reach : callable
            Returns the similarity up to which edges of each row add nothing to this step; called only where
            there may be a copy, since it takes memory for each point.
        width : float
            Of the rounded corners.
        """
        if self._dense:
            self._renew(reach(rows), _DEPTH * width)
        if self._copy is None:
            return self._graph.run(step, vectors, rows)[0]
        columns = new_columns(step, self._graph.n_points)
        read_blocks(step, iter([self._copy]), vectors, rows, columns)
        return columns

    def _renew(self, reach: Float64Array, depth: float) -> None:
        """Drop a copy that no longer serves, and make one where it may be small."""
        if self._copy is not None and (reach < self._floor).any():
            self._copy, self._steps_to_copy = None, 0
        if self._copy is None and self._steps_to_copy == 0:
            self._copy, self._steps_to_copy = self._copied(reach, depth), _AGAIN
            # Half of the depth is more than what roundings can amount to.
            self._floor = reach - 0.5 * depth
        elif self._copy is None:
            self._steps_to_copy -= 1

    def _copied(self, reach: Float64Array, depth: float) -> Block | None:
        """Return the edges that are at most so far below the reach of their row; None if they are many."""
        allowed = AllowedVectors(np.full_like(reach, depth))
        left: LeftEdges = self._graph.run(ReductionPass(self._most), allowed, DualRows(reach))[1]
        if left.n_edges > self._most:
            return None
        row, column, similarity = left.arrays()
        order = np.argsort(row, kind="stable")
        starts = starts_of(np.bincount(row, minlength=len(reach)))
        return Block(RowCut(0, len(reach)), len(reach), starts, column[order], similarity[order])
