"""The recall of a search, estimated on a sample of points whose neighbours are known exactly."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.cells import Cells
from sparse_ap.graphs.neighbours.exact import exact_neighbours, ranked_apart
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.points import Rankable, Space
from sparse_ap.graphs.neighbours.stages import Stages

__all__ = ["EXACT", "ExactSample", "Recall", "sampled_rows"]

# Points whose neighbours are searched exactly: at most, at least, and as a share of all.
_MOST, _LEAST, _SHARE = 1000, 500, 200
_Z = 1.96
# Sampled points for which all cells are ranked at a time.
_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the nearest neighbours that a search has found.

    Attributes
    ----------
    value : float
        From 0 to 1. A neighbour counts as found if it is as near as the last of the exact list.
    half_width : float
        Of the 95 % confidence interval; 0 for an exact search.
    n_rows : int
        Number of points whose exact neighbours were compared with those found.
    """

    value: float
    half_width: float
    n_rows: int

    def __str__(self) -> str:
        """Write the estimate for people."""
        if not self.n_rows:
            return "1, exact"
        return f"{self.value:.3f} ± {self.half_width:.3f}, estimated on {self.n_rows:,} points"

    @property
    def lower(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half_width


#: Of an exact search.
EXACT = Recall(1.0, 0.0, 0)


def sampled_rows(n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw the points on which the recall is estimated, shape (n_rows,), rising."""
    n_rows = min(n, max(_LEAST, min(_MOST, n // _SHARE)))
    return np.sort(generator.choice(n, n_rows, replace=False))


@dataclass(frozen=True, slots=True, eq=False)
class ExactSample:
    """Some points and their exact neighbours.

    Attributes
    ----------
    space : Space
        All points.
    rows : ndarray of int64, shape (n_rows,)
    lists : CandidateLists
        Of k neighbours.
    """

    space: Rankable
    rows: NDArray[np.int64]
    lists: CandidateLists

    @classmethod
    def of(cls, space: Space, k: int, generator: np.random.Generator, stages: Stages) -> ExactSample:
        """Draw a sample and search its neighbours."""
        rows = sampled_rows(space.n, generator)

        def found() -> tuple[NDArray[Any], NDArray[Any]]:
            lists = exact_neighbours(space.taken(rows), space, k, rows, stages.pool)
            return lists.scores, lists.numbers

        scores, numbers = stages.kept("sample", found)
        return cls(space, rows, CandidateLists(scores, numbers, scores[:, -1]))

    @property
    def k(self) -> int:
        """Number of neighbours."""
        return int(self.lists.numbers.shape[1])

    def recall(self, numbers: NDArray[np.int32], pool: ThreadPoolExecutor) -> Recall:
        """Estimate the recall of lists from the candidates of the sampled rows, shape (n_rows, m)."""
        found = ranked_apart(self.space.taken(self.rows), self.space, numbers, self.k, pool)
        counts = (found.scores >= self.lists.scores[:, -1:]).sum(axis=1)
        # In whole numbers, since the search stops or goes on by the estimate.
        n, total, squares = len(counts), int(counts.sum()), int((counts**2).sum())
        variance = (n * squares - total**2) / (n * self.k) ** 2
        return Recall(total / (n * self.k), _Z * math.sqrt(variance / n), n)

    def curve(self, cells: Cells, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of exact neighbours in the p nearest cells of each point, for p = 1, 2, ...

        ``places`` are those of all points in the order of the cells.
        """
        counts = np.zeros(cells.n_cells, np.int64)
        for start in range(0, len(self.rows), _AT_A_TIME):
            some = slice(start, start + _AT_A_TIME)
            ranks = _ranks(cells, places[self.rows[some]])
            homes = np.searchsorted(cells.starts, places[self.lists.numbers[some]], side="right") - 1
            probed = np.take_along_axis(ranks, homes, axis=1)
            counts += np.bincount(probed.ravel(), minlength=cells.n_cells)
        return np.cumsum(counts) / self.lists.numbers.size


def _ranks(cells: Cells, queries: NDArray[np.int64]) -> NDArray[Any]:
    """Return the place of every cell in the order of nearness to each query, shape (m, n_cells)."""
    scores = cells.points.scores(queries, cells.centres.columns(0, cells.n_cells))[:, : cells.n_cells]
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable")
