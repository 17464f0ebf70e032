"""The approximate search: cells and rounds over neighbours' neighbours, until the recall is met."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import progress_bar
from sparse_ap.graphs.neighbours.cell_search import search_cells
from sparse_ap.graphs.neighbours.cells import Cells, number_of_cells
from sparse_ap.graphs.neighbours.exact import exact_neighbours, ranked
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.neighbour_pass import improved
from sparse_ap.graphs.neighbours.recall import ExactSample, Recall
from sparse_ap.graphs.neighbours.space import Space

__all__ = ["approximate_neighbours"]

# Candidates beyond those wanted: distances of float64 decide between them.
_EXTRA = 2
# The first search in cells may miss so many times the neighbours that may be missed in the end: a round over
# neighbours' neighbours finds many of them. Later searches aim for a little more than is needed.
_FIRST_MISSES, _AIM = 5.0, 0.9
# A round over neighbours' neighbours is no help if it leaves more than this share of what was missed.
_STALLED = 0.9
# Share missed by the cells alone that is not told from none.
_LEAST_MISSES = 1e-6


def approximate_neighbours(
    space: Space, k: int, recall: float, seed: int, pool: ThreadPoolExecutor, *, verbose: bool
) -> tuple[CandidateLists, Recall]:
    """Return most of the k nearest neighbours of each point, and an estimate of how many.

    Parameters
    ----------
    space : Space
    k : int
    recall : float
        Below 1: the share of neighbours wanted.
    seed : int
        Of the sample and the cells.
    pool : ThreadPoolExecutor
    verbose : bool
        Whether to show progress.
    """
    generator = np.random.default_rng(seed % 2**64)
    sample = ExactSample.of(space, k, generator, pool)
    points = space.coded(space.codes_for(-sample.lists.scores[:, -1]))
    cells = Cells.of(points, number_of_cells(space.n), generator, pool)
    numbers, reached = _Search(cells, sample, pool, verbose).candidates(recall)
    lists = ranked(space, space, numbers, k, pool)
    short = np.flatnonzero(lists.numbers[:, -1] < 0)
    again = exact_neighbours(space.taken(short), space, k, short, pool)
    lists.scores[short], lists.numbers[short] = again.scores, again.numbers
    return lists, reached


@dataclass(frozen=True, slots=True)
class _Search:
    """A search in cells, whose recall is known on a sample."""

    cells: Cells
    sample: ExactSample
    pool: ThreadPoolExecutor
    verbose: bool

    def candidates(self, recall: float) -> tuple[NDArray[np.int32], Recall]:
        """Return candidates of each point that reach the recall, and the recall reached."""
        cells, curve = self.cells, self.sample.curve(self.cells)
        lists = CandidateLists.empty(cells.points.n, self.sample.k + _EXTRA, cells.points.score_type)
        done, missed, stalled = 0, _FIRST_MISSES * (1 - recall), False
        while True:
            wanted = min(int(np.searchsorted(curve, 1 - missed)) + 1, cells.n_cells)
            stalled = stalled and wanted <= done
            self._search(range(done, wanted), lists)
            done = max(done, wanted)
            found = reached = self._recall(lists)
            if found.lower < recall:
                lists = improved(cells.points, lists, self.pool, verbose=self.verbose)
                reached = self._recall(lists)
            if reached.lower >= recall or done == cells.n_cells or stalled:
                return self._numbers(lists, np.arange(cells.points.n)), reached
            # What is missed now, in shares of what so many cells alone would miss, stays about the same.
            left = (1 - reached.value) / max(1 - float(curve[done - 1]), _LEAST_MISSES)
            missed = _AIM * (1 - recall - reached.half_width) / left
            stalled = 1 - reached.value > _STALLED * (1 - found.value)
            if stalled or missed <= 0:
                missed = min(missed, (1 - float(curve[done - 1])) / 2)

    def _search(self, ranks: range, lists: CandidateLists) -> None:
        what = f"neighbours: {ranks.stop} of {self.cells.n_cells:,} cells"
        with progress_bar(self.verbose, self.cells.points.n, what, unit="point") as bar:
            for n in search_cells(self.cells, ranks, lists, self.pool):
                bar.update(n)

    def _recall(self, lists: CandidateLists) -> Recall:
        return self.sample.recall(self._numbers(lists, self.sample.rows), self.pool)

    def _numbers(self, lists: CandidateLists, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the lists of some points, both in the caller's numbers."""
        numbers = lists.numbers[self.cells.places()[rows]]
        return np.where(numbers >= 0, self.cells.order[numbers], -1).astype(np.int32)
