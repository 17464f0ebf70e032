"""The approximate search: cells and rounds over neighbours' neighbours, until the recall is met."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.cell_search import search_cells
from sparse_ap.graphs.neighbours.cells import Cells, in_order, number_of_cells
from sparse_ap.graphs.neighbours.exact import exact_neighbours
from sparse_ap.graphs.neighbours.lists import CandidateLists, NeighbourLists, entries_of
from sparse_ap.graphs.neighbours.neighbour_pass import improved
from sparse_ap.graphs.neighbours.points import Points
from sparse_ap.graphs.neighbours.recall import ExactSample, Recall
from sparse_ap.graphs.neighbours.space import Space
from sparse_ap.graphs.neighbours.stages import Stages, slabs
from sparse_ap.graphs.neighbours.vectors import Codes
from sparse_ap.storage.csr import inverse
from sparse_ap.storage.mapped_arrays import relieve

__all__ = ["approximate_neighbours"]

# Candidates beyond those wanted: distances of float64 decide between them.
_EXTRA = 2
# Points whose candidates are ranked at a time.
_RANKED = 1024
# The first search in cells may miss so many times the neighbours that may be missed in the end: a round over
# neighbours' neighbours finds many of them. Later searches aim for a little more than is needed.
_FIRST_MISSES, _AIM = 5.0, 0.9
# A round over neighbours' neighbours is no help if it leaves more than this share of what was missed.
_STALLED = 0.9
# Share missed by the cells alone that is not told from none.
_LEAST_MISSES = 1e-6


def approximate_neighbours(
    space: Space, k: int, recall: float, seed: int, stages: Stages
) -> tuple[NeighbourLists, Recall]:
    """Return most of the k nearest neighbours of each point, and an estimate of how many.

    Parameters
    ----------
    space : Space
    k : int
    recall : float
        Below 1: the share of neighbours wanted.
    seed : int
        Of the sample and the cells.
    stages : Stages
    """
    generator = np.random.default_rng(seed % 2**64)
    sample = ExactSample.of(space, k, generator, stages)
    codes = space.codes_for(-sample.lists.scores[:, -1])
    points = stages.filled("codes", partial(_coded, space, codes), space.n)
    cells = Cells.of(points, number_of_cells(space.n), generator, stages)
    stages.drop("codes.*", "labels")
    places = inverse(cells.order)
    candidates, reached = _Search(cells, sample, places, stages).candidates(recall)
    lists = _by_distance(space, cells.order, candidates, k, stages)
    return NeighbourLists(places, lists), reached


def _coded(space: Space, codes: Codes, rows: slice) -> Points:
    return space.taken(rows).coded(codes)


@dataclass(frozen=True, slots=True)
class _Search:
    """A search in cells, whose recall is known on a sample; ``places`` are those of all points."""

    cells: Cells
    sample: ExactSample
    places: NDArray[np.int64]
    stages: Stages

    def candidates(self, recall: float) -> tuple[CandidateLists, Recall]:
        """Return candidates of each point that reach the recall, and the recall reached.

        Points are in the order of the cells.
        """
        cells, curve = self.cells, self.sample.curve(self.cells, self.places)
        lists: CandidateLists | None = None
        done, missed, stalled = 0, _FIRST_MISSES * (1 - recall), False
        while True:
            wanted = min(int(np.searchsorted(curve, 1 - missed)) + 1, cells.n_cells)
            stalled = stalled and wanted <= done
            if lists is None or wanted > done:
                lists = self._searched(range(done, wanted), lists)
            done = max(done, wanted)
            found = reached = self._recall(lists, f"recall after {done}")
            if found.lower < recall:
                lists = self._improved(lists, f"round after {done}")
                reached = self._recall(lists, f"recall of round after {done}")
            if reached.lower >= recall or done == cells.n_cells or stalled:
                return lists, reached
            # What is missed now, in shares of what so many cells alone would miss, stays about the same.
            left = (1 - reached.value) / max(1 - float(curve[done - 1]), _LEAST_MISSES)
            missed = _AIM * (1 - recall - reached.half_width) / left
            stalled = 1 - reached.value > _STALLED * (1 - found.value)
            if stalled or missed <= 0:
                missed = min(missed, (1 - float(curve[done - 1])) / 2)

    def _searched(self, ranks: range, before: CandidateLists | None) -> CandidateLists:
        """Return the lists after a search in some more cells."""
        points, name = self.cells.points, f"lists after {ranks.stop}"
        after = CandidateLists.kept(self.stages, name, points.n, self.sample.k + _EXTRA, points.score_type)
        search_cells(self.cells, ranks, before, after, self.stages)
        if ranks.start:
            self.stages.drop(f"lists after {ranks.start}.*", f"round after {ranks.start}.*")
        return after

    def _improved(self, before: CandidateLists, name: str) -> CandidateLists:
        """Return the lists after a round over neighbours' neighbours."""
        return improved(self.cells.points, before, name, self.stages)

    def _recall(self, lists: CandidateLists, name: str) -> Recall:
        """Return the recall of lists, as it is estimated on the sample."""

        def estimated() -> tuple[NDArray[np.float64]]:
            numbers = lists.numbers[self.places[self.sample.rows]]
            originals = np.where(numbers >= 0, self.cells.order[numbers], -1).astype(np.int32)
            return (np.array(astuple(self.sample.recall(originals, self.stages.pool))),)

        value, half_width, n_rows = self.stages.kept(name, estimated)[0].tolist()
        return Recall(value, half_width, int(n_rows))


def _by_distance(
    space: Space, order: NDArray[np.int64], candidates: CandidateLists, k: int, stages: Stages
) -> CandidateLists:
    """Return the k nearest of each point's candidates; all are in an order of the points."""
    points = stages.filled("points", partial(in_order, space, order), space.n)
    lists = CandidateLists.kept(stages, "nearest", space.n, k, np.float64)
    stages.run(
        "nearest",
        lambda: _Ranking(points, order, candidates, lists),
        space.n,
        _RANKED,
        "neighbours: distances",
    )
    stages.drop("points.*")
    for part in slabs(space.n):
        _complete(space, order, lists, part, stages)
    return lists


def _complete(
    space: Space, order: NDArray[np.int64], lists: CandidateLists, part: slice, stages: Stages
) -> None:
    """Search the points with fewer candidates than neighbours again, among all."""
    short = part.start + np.flatnonzero(lists.numbers[part, -1] < 0)
    rows = order[short]
    again = exact_neighbours(space.taken(rows), space, lists.numbers.shape[1], rows, stages.pool)
    lists.scores[short], lists.numbers[short] = again.scores, again.numbers


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """A step that finds the nearest of points' candidates, by distances in float64.

    Points and their candidates are in an order; the lists have the original numbers, by which ties go.
    """

    points: Space
    order: NDArray[np.int64]
    candidates: CandidateLists
    lists: CandidateLists

    def __call__(self, rows: slice) -> None:
        numbers = self.candidates.numbers[rows]
        candidates, indptr = entries_of(numbers, numbers >= 0)
        values = -self.points.distances(self.points, rows.start, candidates, indptr)
        nearest = CandidateLists.empty(len(numbers), self.lists.numbers.shape[1], np.float64)
        nearest.offer_listed(values, self.order[candidates].astype(np.int32), indptr, 0)
        self.lists.write(rows, nearest)
        relieve()
