"""The search in cells: every point is compared with all points of the cells nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.cells import Cells
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.nearest_cells import Shortlists
from sparse_ap.graphs.neighbours.stages import Stages, Step
from sparse_ap.storage.mapped_arrays import relieve

__all__ = ["search_cells"]

# Least and most points whose lists are filled together, by one thread, and the number of such tiles between
# these bounds; queries whose scores are computed at a time.
_LEAST, _MOST, _TILES = 8_192, 32_768, 16
_QUERIES = 1024
# Nearest cells that come first, since their points raise the thresholds.
_FIRST = 4
# Centres among which a point's nearest are chosen: those nearest to the centre of its own cell, so many times
# as many as are wanted, and at least so many. Where that is more than this share of all, it is all of them.
_TIMES, _LEAST_LISTED, _SHARE = 32, 256, 8


def search_cells(
    cells: Cells,
    ranks: range,
    before: CandidateLists | None,
    after: CandidateLists,
    stages: Stages,
) -> None:
    """Offer each point the points of its nearest cells.

    Parameters
    ----------
    cells : Cells
    ranks : range
        Which of a point's cells, by nearness: range(0, 50) for the 50 nearest.
    before, after : CandidateLists
        Of all points, in the order of the cells: with what has been found before, if anything has; and where
        the lists are to be put, which may be the same.
    stages : Stages
    """
    n, title = cells.points.n, f"neighbours: {ranks.stop} of {cells.n_cells:,} cells"
    tile = max(_LEAST, min(_MOST, -(-n // _TILES)))
    cuts = sorted({cut for cut in (ranks.start, _FIRST, ranks.stop) if 0 < cut <= ranks.stop})
    name = f"cells to {ranks.stop}"

    def step() -> Step:
        (near,) = stages.kept(f"{name}, near", lambda: (_shortlists(cells, ranks.stop).near,))
        return _CellSearch(cells, Shortlists(cells.centres, near), ranks.start, cuts, before, after)

    stages.run(name, step, n, tile, title)


@dataclass(frozen=True, slots=True, eq=False)
class _CellSearch:
    """A step that offers points those of their nearest cells."""

    cells: Cells
    shortlists: Shortlists
    first: int
    cuts: list[int]
    before: CandidateLists | None
    after: CandidateLists

    def __call__(self, rows: slice) -> None:
        cells, queries = self.cells, np.arange(rows.start, rows.stop)
        if self.before is None:
            length = self.after.scores.shape[1]
            lists = CandidateLists.empty(len(queries), length, self.after.scores.dtype)
        else:
            lists = self.before.part(rows)
        homes = np.searchsorted(cells.starts, queries, side="right") - 1
        probes = self.shortlists.nearest(cells.points, queries, homes, self.cuts)
        for nearer, farther in pairwise([self.first, *(cut for cut in self.cuts if cut > self.first)]):
            _offer_cells(cells, queries, probes[:, nearer:farther], lists)
        self.after.write(rows, lists)
        relieve()


def _shortlists(cells: Cells, wanted: int) -> Shortlists:
    """Return the centres among which the wanted nearest ones of each point are chosen."""
    length = max(_LEAST_LISTED, _TIMES * wanted)
    some = cells.centres.HOME_IS_NEAREST and _SHARE * length <= cells.n_cells
    return Shortlists.of(cells.centres, cells.centres, length if some else cells.n_cells)


def _offer_cells(
    cells: Cells, queries: NDArray[np.int64], probes: NDArray[np.int32], lists: CandidateLists
) -> None:
    """Offer each query the points of its cells, the cells that most queries probe first."""
    # numpy sorts short numbers several times as fast.
    flat = probes.ravel().astype(np.uint16 if cells.n_cells <= 1 << 16 else np.uint32)
    counts = np.bincount(flat, minlength=cells.n_cells)
    who = queries[np.argsort(flat, kind="stable") // max(1, probes.shape[1])]
    ends = np.cumsum(counts)
    for c in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        _offer_cell(cells, int(c), who[ends[c] - counts[c] : ends[c]], int(queries[0]), lists)


def _offer_cell(cells: Cells, cell: int, who: NDArray[np.int64], origin: int, lists: CandidateLists) -> None:
    """Offer the points of a cell to some points, of which the first list is that of point ``origin``."""
    for first in range(int(cells.starts[cell]), int(cells.starts[cell + 1]), _QUERIES):
        columns = cells.points.columns(first, min(first + _QUERIES, int(cells.starts[cell + 1])))
        for start in range(0, len(who), _QUERIES):
            asked = who[start : start + _QUERIES]
            lists.offer(cells.points.scores(asked, columns), first, asked - origin, asked)
    relieve()
