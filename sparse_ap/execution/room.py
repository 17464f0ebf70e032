"""How much of something fits into the memory that is left."""

from __future__ import annotations

import ctypes
import math
import sys

import psutil

from sparse_ap.arguments import available, bytes_of

__all__ = ["LISTED", "candidates_kept", "fits_locally", "lengths_of_lists", "pairs_counted", "rows_fit"]

# Bytes per pair of clusters while edges are counted (in each thread, merged, and as rows); least number of
# pairs; and bytes per cluster for its shares meanwhile.
_COUNTING_A_PAIR, _LEAST_PAIRS, _SHARES = 256, 1 << 16, 200
# Largest number of pairs counted in one reading for a graph of links: more takes more memory, hardly less
# time.
_MOST_PAIRS = 1 << 23
# Bytes that must be free for each entry of a graph of links kept in memory: in pieces and as one (24),
# a contraction beside it, and what is counted meanwhile.
_KEPT_ROW = 64
# Entries that are kept in memory whatever there is: 16 MB with what is made of them.
_LEAST_ROWS = 1 << 18
# Largest number of edges and points of a graph that is copied from a cluster for steps that read it often: 50
# MB with float64 similarities, and as much again while they are fetched.
_LOCAL_EDGES = 1 << 22
# Similarities in the table of the search on a dense graph.
_CANDIDATES = 1 << 24
#: Edges that the lists of that search keep (docs/design/0012).
LISTED = 1 << 23
# Candidates that a point keeps, on average, for each exemplar among them; and at least.
_FOR_EACH_EXEMPLAR, _FEWEST = 8, 64


def fits_locally(n_points: int, n_edges: int) -> bool:
    """Whether a graph on a cluster is small enough to be copied for steps that read it often."""
    return n_points + n_edges <= _LOCAL_EDGES


def pairs_counted(memory_limit: int | str | None, n_clusters: int) -> int:
    """Return the number of pairs of clusters whose edges can be counted in one reading."""
    limit = available() if memory_limit is None else bytes_of(memory_limit)
    left = limit - psutil.Process().memory_info().rss - _SHARES * n_clusters
    return max(_LEAST_PAIRS, int(left) // _COUNTING_A_PAIR)


def rows_fit(limit: int) -> tuple[int, int]:
    """Return how many entries of a graph of links fit into memory, and pairs that are counted at a time."""
    left = limit - psutil.Process().memory_info().rss
    if 2 * left < limit:
        _give_back()
        left = limit - psutil.Process().memory_info().rss
    n_pairs = min(_MOST_PAIRS, max(_LEAST_PAIRS, int(left) // (2 * _COUNTING_A_PAIR)))
    return max(_LEAST_ROWS, int(left) // _KEPT_ROW), n_pairs


def _give_back() -> None:
    """Give memory that is free back to the system, which counts it as held (glibc; nothing elsewhere)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def candidates_kept(n_points: int, n_edges: int) -> int:
    """Return the number of candidates in the search's table; 0 for a sparse graph, which needs none.

    A graph is dense with at least a quarter of all possible edges.
    """
    return min(n_points, _CANDIDATES // max(1, n_points)) if 4 * n_edges >= n_points**2 else 0


def lengths_of_lists(n_points: int, n_candidates: int, n_exemplars: int) -> tuple[int, int]:
    """Return how many candidates the search's lists have, and how many of them a point keeps."""
    share = min(1.0, _FOR_EACH_EXEMPLAR / max(1, n_exemplars))
    n_kept = min(n_candidates, max(2 * n_exemplars, int(LISTED / (share * max(1, n_points)))))
    return n_kept, min(n_kept, max(_FEWEST, math.ceil(share * n_kept)))
