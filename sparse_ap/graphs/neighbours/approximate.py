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
from sparse_ap.graphs.neighbours.points import Points, Space
from sparse_ap.graphs.neighbours.recall import ExactSample, Recall
from sparse_ap.graphs.neighbours.stages import Stages, slabs
from sparse_ap.graphs.neighbours.vectors import Codes
from sparse_ap.storage.csr import inverse
from sparse_ap.storage.mapped_arrays import relieve

__all__ = ["Dial", "approximate_neighbours"]

# Candidates beyond those wanted: distances of float64 decide between them.
_EXTRA = 2
# Points whose candidates are ranked at a time.
_RANKED = 1024
# The first search in cells may miss so many times the neighbours that may be missed in the end: a round over
# neighbours' neighbours finds many of them. Later searches aim for a little more than is needed.
_FIRST_MISSES, _AIM = 5.0, 0.9
# A further round over neighbours' neighbours finds about this share of what the one before found, each as a
# share of what was missed. It takes as long as comparing a point with so many others in cells.
_FADING, _COMPARISONS_OF_ROUND = 0.3, 1500
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
    cells = Cells.of(points, number_of_cells(points), generator, stages)
    stages.drop("codes.*", "labels")
    places = inverse(cells.order)
    candidates, reached = _Search(cells, sample, places, stages).candidates(recall)
    lists = _by_distance(space, cells.order, candidates, k, stages)
    return NeighbourLists(places, lists), reached


def _coded(space: Space, codes: Codes, rows: slice) -> Points:
    return space.taken(rows).coded(codes)


@dataclass(frozen=True, slots=True, eq=False)
class Dial:
    """What leads to the recall for the fewest comparisons, by what a sample says.

    Attributes
    ----------
    recall : float
        The one that is wanted.
    curve : ndarray of float64, shape (n_cells,)
        Recall of a search in the 1, 2, ... cells nearest to each point, before any round.
    n_points : int
    """

    recall: float
    curve: NDArray[np.float64]
    n_points: int

    def first_cells(self) -> int:
        """Return in how many cells to search first."""
        return self._cells_that_miss(_FIRST_MISSES * (1 - self.recall))

    def cells_needed(self, done: int, reached: Recall, share: float = 0.0) -> int:
        """Return in how many cells to search, if a round were to find a share of what is missed now.

        ``reached`` is the recall after a search in the ``done`` nearest cells, and rounds.
        """
        cells_miss, missed = 1 - float(self.curve[done - 1]), (1 - reached.value) * (1 - share)
        # What is missed now, in shares of what so many cells alone would miss, stays about the same.
        may_miss = _AIM * (1 - self.recall - reached.half_width)
        if may_miss <= 0:
            # The interval is wider than that. It is narrower where less is missed.
            may_miss = missed / 2
        return self._cells_that_miss(may_miss * max(cells_miss, _LEAST_MISSES) / max(missed, _LEAST_MISSES))

    def wants_round(self, done: int, before: Recall, reached: Recall) -> bool:
        """Whether a further round saves more than it takes, given the recall before the last and after it."""
        if reached.lower >= self.recall:
            return False
        share = _FADING * (reached.value - before.value) / (1 - before.value)
        saved = self._comparisons(done, reached, 0) - self._comparisons(done, reached, share)
        return saved > _COMPARISONS_OF_ROUND

    def _comparisons(self, done: int, reached: Recall, share: float) -> float:
        """Return with how many points and centres each point is to be compared from now on."""
        more = self.cells_needed(done, reached, share) - done
        if more <= 0:
            return 0
        return len(self.curve) + more * self.n_points / len(self.curve) + _COMPARISONS_OF_ROUND

    def _cells_that_miss(self, share: float) -> int:
        """Return the number of nearest cells that miss at most a share of the neighbours."""
        return min(int(np.searchsorted(self.curve, 1 - share)) + 1, len(self.curve))


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
        dial = Dial(recall, self.sample.curve(self.cells, self.places), self.cells.points.n)
        lists: CandidateLists | None = None
        done, wanted = 0, dial.first_cells()
        while True:
            lists, reached = self._rounds(self._searched(range(done, wanted), lists), wanted, dial)
            done, wanted = wanted, dial.cells_needed(wanted, reached)
            if reached.lower >= recall or wanted <= done:
                return lists, reached

    def _rounds(self, lists: CandidateLists, done: int, dial: Dial) -> tuple[CandidateLists, Recall]:
        """Return lists after one round over neighbours' neighbours, if need be, or more."""
        reached, number = self._recall(lists, f"recall after {done}"), 0
        wanted = reached.lower < dial.recall
        while wanted:
            number, before = number + 1, reached
            lists = improved(self.cells.points, lists, f"round {number} after {done}", self.stages)
            self.stages.drop(f"round {number - 1} after {done}.*")
            reached = self._recall(lists, f"recall of round {number} after {done}")
            wanted = dial.wants_round(done, before, reached)
        return lists, reached

    def _searched(self, ranks: range, before: CandidateLists | None) -> CandidateLists:
        """Return the lists after a search in some more cells."""
        points, name = self.cells.points, f"lists after {ranks.stop}"
        after = CandidateLists.kept(self.stages, name, points.n, self.sample.k + _EXTRA, points.score_type)
        search_cells(self.cells, ranks, before, after, self.stages)
        if ranks.start:
            self.stages.drop(f"lists after {ranks.start}.*", f"round * after {ranks.start}.*")
        return after

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
