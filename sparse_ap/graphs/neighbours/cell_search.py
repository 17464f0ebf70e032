"""The search in cells: every point is compared with all points of the cells nearest to it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.cells import Cells
from sparse_ap.graphs.neighbours.lists import CandidateLists
from sparse_ap.graphs.neighbours.nearest_cells import Shortlists

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
    cells: Cells, ranks: range, lists: CandidateLists, pool: ThreadPoolExecutor
) -> Iterator[int]:
    """Offer each point the points of its nearest cells.

    Parameters
    ----------
    cells : Cells
    ranks : range
        Which of a point's cells, by nearness: range(0, 50) for the 50 nearest.
    lists : CandidateLists
        Of all points, in the order of the cells.
    pool : ThreadPoolExecutor

    Yields
    ------
    int
        Number of points that are done now.
    """
    if not ranks:
        return
    tile = max(_LEAST, min(_MOST, -(-cells.points.n // _TILES)))
    cuts = sorted({cut for cut in (ranks.start, _FIRST, ranks.stop) if 0 < cut <= ranks.stop})
    shortlists = _shortlists(cells, ranks.stop)

    def fill(start: int) -> int:
        queries = np.arange(start, min(cells.points.n, start + tile))
        homes = np.searchsorted(cells.starts, queries, side="right") - 1
        probes = shortlists.nearest(cells.points, queries, homes, cuts)
        for nearer, farther in pairwise([ranks.start, *(cut for cut in cuts if cut > ranks.start)]):
            _offer_cells(cells, queries, probes[:, nearer:farther], lists)
        return len(queries)

    yield from pool.map(fill, range(0, cells.points.n, tile))


def _shortlists(cells: Cells, wanted: int) -> Shortlists:
    """Return the centres among which the wanted nearest ones of each point are chosen."""
    length = max(_LEAST_LISTED, _TIMES * wanted)
    return Shortlists.of(
        cells.centres, cells.centres, length if _SHARE * length <= cells.n_cells else cells.n_cells
    )


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
        _offer_cell(cells, int(c), who[ends[c] - counts[c] : ends[c]], lists)


def _offer_cell(cells: Cells, cell: int, queries: NDArray[np.int64], lists: CandidateLists) -> None:
    """Offer the points of a cell to some points."""
    for first in range(int(cells.starts[cell]), int(cells.starts[cell + 1]), _QUERIES):
        columns = cells.points.columns(first, min(first + _QUERIES, int(cells.starts[cell + 1])))
        for start in range(0, len(queries), _QUERIES):
            asked = queries[start : start + _QUERIES]
            lists.offer(cells.points.scores(asked, columns), first, asked, asked)
