"""How much of something fits into the memory that is left."""

from __future__ import annotations

import psutil

from sparse_ap.arguments import available, bytes_of

__all__ = ["fits_locally", "pairs_counted", "rows_fit"]

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
    n_pairs = min(_MOST_PAIRS, max(_LEAST_PAIRS, int(left) // (2 * _COUNTING_A_PAIR)))
    return max(_LEAST_ROWS, int(left) // _KEPT_ROW), n_pairs
