"""The memory that a run needs, and the choice of a plan that fits into the memory allowed.

The figures are bytes, counted array by array; a test compares them with what processes really hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from sparse_ap.errors import MemoryLimitError
from sparse_ap.execution.room import LISTED, candidates_kept, fits_locally, lengths_of_lists

__all__ = [
    "SAVED_RENUMBERED",
    "GraphSize",
    "Plan",
    "first_that_fits",
    "require_bound_fits",
]

#: Value of ``reorder`` for resuming a run in memory whose points were renumbered.
SAVED_RENUMBERED = "begun renumbered"

# Bytes per point during the sweeps, with float32 similarities: preferences, supports, self-responsibilities
# and totals (8 each), totals as they are gathered (4), statuses and the sweeps of their changes (5), biases
# and gaps (4 each), memory of the rows (20), the user's numbers (4), the incumbent (1). indptr (8) is held
# already.
_SWEEPING = 74
# Additional bytes per point with float64 similarities: totals as gathered, means and corrections of the rows.
_SWEEPING_WIDER = 16
# Bytes per point during the search, when the state of the messages is released: nearest two exemplars and
# their values (24), values in the best set (9), preferences and perturbed preferences (16), moves and their
# order (30), the user's numbers (4), the assignment before the search (9).
_SEARCHING = 94
_SEARCHING_WIDER = 4
# Additional bytes per point where points are always or never exemplars: roles (3), their union and the
# candidates (2), and preferences of all points, even if one number was given (8).
_SELECTING = 13
# The same for weights: given, in the order of the graph, and as the rows of results.
_WEIGHING = 24
# Bytes per point and thread: each thread adds up the columns in arrays of its own.
_SWEEPING_THREAD = 8
_SEARCHING_THREAD = 16
# Bytes per edge and per point of the search within limits of sizes: edges both ways, or as they are fetched
# (24), rows of edges where points are left out (8); members, values, moves and their record, twice.
_LIMITING, _LIMITING_A_POINT = 32, 320
# Bytes of the gains of its moves, for each entry of the table (half of it at most, and a quarter) and point.
_GAINING, _GAINING_A_POINT = 5, 208
# Bytes per point sent to the workers of a cluster and fetched from them in one pass.
_SENT_AND_FETCHED = 72
# Copies of a block per thread, as it is read, decoded and used; and blocks decoded at a time while zarr loads
# a whole array.
_COPIES_OF_A_BLOCK = 4
_BLOCKS_WHILE_LOADING = 12
# Bytes per point of the levels of a hierarchy, with a quarter as many clusters as points, edges and links on
# disk; and copies of a block while links are counted and written.
_LEVELS, _BLOCKS_WHILE_COUNTED = 140, 8
# Bytes per point and edge of the bound on the number of exemplars: shares, covers, loads, their sums and
# copies; the row of each edge; the edges themselves, in blocks and as one, if they are to be read; and what
# tells which of them are dropped, if points are always exemplars.
_BOUNDING, _BOUNDING_HELD, _BOUNDING_READ, _BOUNDING_PINNED = 160, 4, 8, 12
# Bytes of loaded or freshly compiled kernels, and of the allocator's reserve.
_MACHINERY = 160_000_000


@dataclass(frozen=True, slots=True)
class GraphSize:
    """The quantities that determine the memory of a run.

    Attributes
    ----------
    n_points, n_edges : int
    itemsize : int
        Bytes of a similarity: 4 or 8.
    block_edges : int
        Number of edges read from disk at a time; 0 for a graph in memory.
    edge_state : int
        Bytes of state that the scheme keeps for each edge.
    searching : bool
        Whether a local search follows the sweeps.
    selected : bool
        Whether the run is on a copy with fewer edges.
    weighted : bool
        Whether the run is on a copy with other similarities, in 64 bits.
    limited : bool
        Whether clusters are changed until they keep limits of their sizes, with all edges in this process.
    levels : bool
        Whether the levels of a hierarchy follow.
    """

    n_points: int
    n_edges: int
    itemsize: int
    block_edges: int
    edge_state: int
    searching: bool
    selected: bool = False
    weighted: bool = False
    limited: bool = False
    levels: bool = False

    @property
    def width(self) -> int:
        """Bytes of a similarity that the run works with."""
        return 8 if self.weighted else self.itemsize

    @property
    def graph_bytes(self) -> int:
        """Bytes of the edges."""
        return self.n_edges * (4 + self.itemsize)

    @property
    def copied_bytes(self) -> int:
        """Bytes of the copies with fewer edges, and with other similarities, which may be moved too."""
        moved = self.n_edges * (8 + 4 + 8) if self.weighted else 0
        return self.selected * self.graph_bytes + moved

    @property
    def candidate_bytes(self) -> int:
        """Bytes of the table of similarities in the search on a dense graph."""
        kept = candidates_kept(self.n_points, self.n_edges)
        return self.searching * kept * self.n_points * self.width

    @property
    def exchange_bytes(self) -> int:
        """Bytes of what exchanges on a dense graph make of the table: lists of edges, and gains of moves."""
        kept = candidates_kept(self.n_points, self.n_edges)
        table, an_edge = self.n_points * kept, 4 + self.width
        gains = table * _GAINING + min(table, self.n_points) * _GAINING_A_POINT
        # Each edge at both ends, and once more while the lists are put together.
        made = min(table, LISTED) * 3 * an_edge + gains
        # The table is released then. With the most exemplars lists are short; the second walk copies edges of
        # them, and gains are held twice.
        n_best = lengths_of_lists(self.n_points, kept, kept // 2)[1]
        walked = self.n_points * n_best * 4 * an_edge + 2 * gains - table * self.width
        return self.searching * max(made, walked)

    @property
    def limiting_bytes(self) -> int:
        """Bytes of the search within limits of sizes."""
        return self.limited * (_LIMITING * self.n_edges + _LIMITING_A_POINT * self.n_points)

    @property
    def fetched_bytes(self) -> int:
        """Bytes of the edges fetched from a cluster; 0 if they stay there."""
        return fits_locally(self.n_points, self.n_edges) * self.n_edges * (4 + self.width)


@dataclass(frozen=True, slots=True)
class Plan:
    """One way of running: where the edges are, whether points are renumbered, who reads the edges.

    Attributes
    ----------
    load : bool
        Whether to read a graph on disk into memory first.
    streaming : bool
        Whether to read the edges from disk in each sweep.
    reorder : bool
        Whether to work on a renumbered copy.
    n_threads : int
        Number of computing threads in this process.
    on_cluster : bool
        Whether the workers of a cluster read the edges.
    """

    load: bool
    streaming: bool
    reorder: bool
    n_threads: int
    on_cluster: bool = False

    def extra_bytes(self, size: GraphSize) -> int:
        """Return the bytes that this plan needs beyond those the process holds already."""
        # Renumbering copies the graph, and so does making it canonical; never both at a time.
        graphs = self.load + (not self.streaming)
        n_blocks = self.streaming * self._n_readers * _COPIES_OF_A_BLOCK + self.load * _BLOCKS_WHILE_LOADING
        n_blocks += size.levels * _BLOCKS_WHILE_COUNTED
        return (
            self._a_point(size) * size.n_points
            + graphs * size.graph_bytes
            + (not self.streaming) * size.copied_bytes
            + size.edge_state * size.n_edges
            + size.limiting_bytes
            # The table of candidates is sent to the workers and fetched back, with a copy at each end.
            + (1 + 2 * self.on_cluster) * size.candidate_bytes
            + size.exchange_bytes
            + 2 * self.on_cluster * size.fetched_bytes
            + n_blocks * size.block_edges * (4 + size.width)
            + _MACHINERY
        )

    @property
    def _n_readers(self) -> int:
        """Threads of this process that read edges; none if a cluster reads them."""
        return 0 if self.on_cluster else self.n_threads

    def _a_point(self, size: GraphSize) -> int:
        """Return the bytes per point of the sweeps, or of the search if that needs more."""
        wide = size.width == 8
        exchange = _SENT_AND_FETCHED * self.on_cluster
        sweeping = _SWEEPING + wide * _SWEEPING_WIDER + self._n_readers * _SWEEPING_THREAD
        searching = _SEARCHING + wide * _SEARCHING_WIDER + self._n_readers * _SEARCHING_THREAD
        given = size.selected * _SELECTING + size.weighted * _WEIGHING
        return exchange + given + max(sweeping, size.searching * searching, size.levels * _LEVELS)


def first_that_fits(plans: Sequence[Plan], size: GraphSize, limit: int) -> Plan:
    """Return the first plan that stays within the limit.

    Parameters
    ----------
    plans : sequence of Plan
        From the fastest to the one that needs the least memory.
    size : GraphSize
    limit : int
        Bytes that the whole process may hold.

    Raises
    ------
    MemoryLimitError
        No plan fits; the message states the memory needed and the remedies.
    """
    held = psutil.Process().memory_info().rss
    for plan in plans:
        if held + plan.extra_bytes(size) <= limit:
            return plan
    what = f"{size.n_points:,} points and {size.n_edges:,} edges need"
    raise _does_not_fit(what, plans[-1].extra_bytes(size), held, limit, _advice(plans[-1], size))


def require_bound_fits(n_points: int, n_edges: int, held: bool, pinned: bool, limit: int) -> None:
    """Refuse to prove how many exemplars cover a graph in less memory than that takes.

    Parameters
    ----------
    n_points, n_edges : int
        Of the graph without edges that are not similar enough.
    held : bool
        Whether the edges are in memory already.
    pinned : bool
        Whether some points are always exemplars.
    limit : int
        Bytes that the whole process may hold.

    Raises
    ------
    MemoryLimitError
    """
    an_edge = _BOUNDING_HELD + (not held) * _BOUNDING_READ + pinned * _BOUNDING_PINNED
    needed = n_points * _BOUNDING + n_edges * an_edge
    already = psutil.Process().memory_info().rss
    if already + needed > limit:
        what = (
            f"Without certify (--certify) the run fits. The bound reads its edges hundreds of times: with "
            f"the {n_edges:,} edges of min_similarity (-t) or more in memory it needs"
        )
        advice = (
            "Raise memory_limit (--memory-limit) to that, leave out certify, or raise min_similarity (-t)."
        )
        raise _does_not_fit(what, needed, already, limit, advice)


def _does_not_fit(what: str, needed: int, held: int, limit: int, advice: str) -> MemoryLimitError:
    return MemoryLimitError(
        f"{what} {_text(held + needed)} at least: {_text(needed)}, and {_text(held)} that the process holds "
        f"already. The limit is {_text(limit)}. {advice}"
    )


def _advice(last: Plan, size: GraphSize) -> str:
    """Return advice for a run that does not fit even with the last plan."""
    if size.limited:
        return (
            f"{_text(size.limiting_bytes)} of that are for max_cluster_size and min_cluster_size, which need "
            "all edges in this process. Raise memory_limit, leave these out, or give fewer edges."
        )
    cheaper = size.searching and not size.levels
    less = " affinity_propagation(..., refine='medoid') takes less than the search." if cheaper else ""
    return _more_memory(last) + less


def _more_memory(last: Plan) -> str:
    if last.on_cluster:
        return (
            "That is for this process alone, which keeps the state of all points; the edges are with the "
            "workers. Raise memory_limit (--memory-limit) to that, run it on a machine with more memory, or "
            "drop points."
        )
    if last.streaming:
        return "Raise memory_limit (--memory-limit) to that, use a machine with more memory, or drop points."
    return (
        "Raise memory_limit (--memory-limit) to that; or write the graph to disk with "
        "sparse_ap.graphs.write_graph and give its path: edges are then read from there in each sweep."
    )


def _text(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
