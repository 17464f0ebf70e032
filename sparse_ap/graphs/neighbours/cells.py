"""Cells: the points around each centre of k-means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.points import Points
from sparse_ap.graphs.neighbours.stages import Stages, tiles_of
from sparse_ap.kernels.block import starts_of
from sparse_ap.kernels.compilation import kernel
from sparse_ap.storage.mapped_arrays import relieve

__all__ = ["Cells", "in_order", "number_of_cells"]

# The least points of a cell on average; the points of a sample from which centres are found; the rounds of
# k-means (docs/design/0017-cells.md).
_LEAST_POINTS_A_CELL = 32
_SAMPLED_POINTS_A_CELL = 32
_ROUNDS = 2
# Queries at a time: their scores stay in a processor's cache; and those of a step.
_QUERIES, _TILE = 256, 4096


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Points, sorted by the cell they are in; each is in the cell of its nearest centre.

    Attributes
    ----------
    centres : Points
    points : Points
        As they are searched, sorted by cell; the points of a cell by their original number.
    order : ndarray of int64, shape (n,)
        Original number of each point.
    starts : ndarray of int64, shape (n_cells + 1,)
        Cell c holds the points starts[c]:starts[c + 1].
    """

    centres: Points
    points: Points
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, points: Points, n_cells: int, generator: np.random.Generator, stages: Stages) -> Cells:
        """Cut the points into cells."""

        def found() -> Sequence[NDArray[Any]]:
            line = _along_a_line(_k_means(points, n_cells, generator, stages.pool), generator, stages.pool)
            return [getattr(line, name) for name in points.ROWS]

        arrays = stages.kept("centres", found)
        like: Any = points
        centres: Points = replace(like, **dict(zip(points.ROWS, arrays, strict=True)))
        labels = stages.empty("labels", (points.n,), np.int32)
        stages.run(
            "labels", lambda: _Labelling(points, centres, labels), points.n, _TILE, "neighbours: cells"
        )
        order, starts = stages.kept("order", lambda: _sorted_by(labels, centres.n))
        placed = stages.filled("sorted", partial(_searched, points, order), points.n)
        return cls(centres, placed, order, starts)

    @property
    def n_cells(self) -> int:
        """Number of cells; some may be empty."""
        return self.centres.n


def _sorted_by(labels: NDArray[np.int32], n_cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of the points by cell, and where each cell starts."""
    order = np.argsort(labels, kind="stable")
    return order, starts_of(np.bincount(labels, minlength=n_cells))


def in_order(points: Any, order: NDArray[np.int64], rows: slice) -> Any:
    """Return the points that come at some places of an order."""
    return points.taken(order[rows])


def _searched(points: Points, order: NDArray[np.int64], rows: slice) -> Points:
    return points.taken(order[rows]).searched()


def number_of_cells(points: Points) -> int:
    """Return the number of cells for points."""
    return max(1, min(int(points.CELLS_PER_ROOT * math.sqrt(points.n)), points.n // _LEAST_POINTS_A_CELL))


def _k_means(
    points: Points, n_cells: int, generator: np.random.Generator, pool: ThreadPoolExecutor
) -> Points:
    """Return centres, found by k-means on a sample."""
    n_sampled = min(points.n, _SAMPLED_POINTS_A_CELL * n_cells)
    sample = points.taken(np.sort(generator.choice(points.n, n_sampled, replace=False)))
    centres = sample.taken(np.sort(generator.choice(n_sampled, n_cells, replace=False)))
    for _ in range(_ROUNDS):
        centres = sample.centres(_labels(sample, centres, pool), centres)
    return centres


def _along_a_line(centres: Points, generator: np.random.Generator, pool: ThreadPoolExecutor) -> Points:
    """Give centres near each other nearby numbers, so that points that probe the same cells are together."""
    few = centres.taken(
        np.sort(generator.choice(centres.n, max(1, int(math.sqrt(centres.n))), replace=False))
    )
    return centres.taken(np.argsort(_labels(centres, few, pool), kind="stable"))


def _labels(points: Points, centres: Points, pool: ThreadPoolExecutor) -> NDArray[np.int32]:
    """Return the nearest centre of each point."""
    labels = np.empty(points.n, np.int32)
    for _ in pool.map(_Labelling(points, centres, labels), tiles_of(points.n, _TILE)):
        pass
    return labels


@dataclass(frozen=True, slots=True, eq=False)
class _Labelling:
    """A step that finds the nearest centre of points."""

    points: Points
    centres: Points
    labels: NDArray[np.int32]

    def __call__(self, rows: slice) -> None:
        columns = self.centres.columns(0, self.centres.n)
        for start in range(rows.start, rows.stop, _QUERIES):
            queries = np.arange(start, min(rows.stop, start + _QUERIES))
            _first_best(self.points.scores(queries, columns), self.labels[start : start + len(queries)])
        relieve()


@kernel
def _first_best(block, labels):  # type: ignore[no-untyped-def]
    for a in range(labels.size):
        best = 0
        for c in range(1, block.shape[1]):
            if block[a, c] > block[a, best]:
                best = c
        labels[a] = best
