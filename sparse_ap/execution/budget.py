"""How much memory a run needs, and in which way it fits into what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from sparse_ap.arguments import available, bytes_of
from sparse_ap.errors import MemoryLimitError

__all__ = [
    "SAVED_RENUMBERED",
    "GraphSize",
    "Plan",
    "candidates_kept",
    "first_that_fits",
    "fits_locally",
    "pairs_counted",
]

#: In place of whether to renumber points: the run to go on with was begun in memory, with renumbered ones.
SAVED_RENUMBERED = "begun renumbered"

# Bytes a point of what a run with float32 similarities holds while it sweeps: preferences, supports,
# self-responsibilities and totals (8 each), the totals gathered (4), statuses and when they changed (5),
# biases and gaps (4 each), the rows' memory (20), the user's numbers (4), the best exemplars seen (1). indptr
# (8) is held already.
_SWEEPING = 74
# What is wider where similarities are float64: the totals gathered, mean and corrections of the rows.
_SWEEPING_WIDER = 16
# While it searches for better exemplars, all that has been let go: what each point has (24), what it has in
# the best set (9), preferences and perturbed ones (16), the moves and their order (30), the user's numbers
# (4), the assignment that the search began with (9).
_SEARCHING = 94
_SEARCHING_WIDER = 4
# Each thread adds up the columns for itself.
_SWEEPING_THREAD = 8
_SEARCHING_THREAD = 16
# Similarities that the search keeps of a dense graph: 64 MB of float32.
_CANDIDATES = 1 << 24
# What is sent to a cluster's workers and fetched from them at a time.
_SENT_AND_FETCHED = 72
# Edges and points of a graph on a cluster that is so small that this process has a copy for what reads it
# often: 50 MB with float64 similarities, and as much while they are fetched.
_LOCAL_EDGES = 1 << 22
# A thread's block, as it is read, decoded and worked on; and what zarr decodes at a time of a whole array.
_COPIES_OF_A_BLOCK = 4
_BLOCKS_WHILE_LOADING = 12
# A pair of clusters whose edges are counted: by each thread, merged, and made rows; how many there are at
# least; and what is kept for each cluster meanwhile.
_COUNTING_A_PAIR, _LEAST_PAIRS, _SHARES = 256, 1 << 16, 200
# Kernels loaded, or compiled at their first use, and what the allocator keeps.
_MACHINERY = 160_000_000


@dataclass(frozen=True, slots=True)
class GraphSize:
    """What the memory for a graph depends on.

    Attributes
    ----------
    n_points, n_edges : int
    itemsize : int
        Bytes of a similarity: 4 or 8.
    block_edges : int
        Edges that are read at a time from disk.
    edge_state : int
        Bytes that a scheme keeps for each edge.
    searching : bool
        Whether the sweeps are followed by a search.
    """

    n_points: int
    n_edges: int
    itemsize: int
    block_edges: int
    edge_state: int
    searching: bool

    @property
    def graph_bytes(self) -> int:
        """Size of the edges."""
        return self.n_edges * (4 + self.itemsize)

    @property
    def candidate_bytes(self) -> int:
        """Size of the similarities that the search keeps."""
        kept = candidates_kept(self.n_points, self.n_edges)
        return self.searching * kept * self.n_points * self.itemsize

    @property
    def fetched_bytes(self) -> int:
        """Size of the edges, where they are brought from a cluster."""
        return fits_locally(self.n_points, self.n_edges) * self.graph_bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan: where the edges are, whether a copy is renumbered, who reads them.

    Attributes
    ----------
    load : bool
        Whether to read a graph on disk into memory first.
    streaming : bool
        Whether to read the edges from disk in each sweep.
    reorder : bool
        Whether to work on a renumbered copy.
    n_threads : int
        Of this process.
    on_cluster : bool
        Whether the workers of a cluster read the edges.
    """

    load: bool
    streaming: bool
    reorder: bool
    n_threads: int
    on_cluster: bool = False

    def extra_bytes(self, size: GraphSize) -> int:
        """Return the memory this plan takes beyond what the process holds already."""
        # Renumbering copies the graph, and so does tidying it, one after the other.
        graphs = self.load + (not self.streaming)
        n_blocks = self.streaming * self._n_readers * _COPIES_OF_A_BLOCK + self.load * _BLOCKS_WHILE_LOADING
        return (
            self._a_point(size) * size.n_points
            + graphs * size.graph_bytes
            + size.edge_state * size.n_edges
            # To a cluster they are sent, and come back.
            + (1 + 2 * self.on_cluster) * size.candidate_bytes
            + 2 * self.on_cluster * size.fetched_bytes
            + n_blocks * size.block_edges * (4 + size.itemsize)
            + _MACHINERY
        )

    @property
    def _n_readers(self) -> int:
        """Threads of this process that read edges."""
        return 0 if self.on_cluster else self.n_threads

    def _a_point(self, size: GraphSize) -> int:
        """Return the bytes a point: of the sweeps, or of the search after them if that takes more."""
        wide = size.itemsize == 8
        exchange = _SENT_AND_FETCHED * self.on_cluster
        sweeping = _SWEEPING + wide * _SWEEPING_WIDER + self._n_readers * _SWEEPING_THREAD
        searching = _SEARCHING + wide * _SEARCHING_WIDER + self._n_readers * _SEARCHING_THREAD
        return exchange + max(sweeping, size.searching * searching)


def candidates_kept(n_points: int, n_edges: int) -> int:
    """Return to how many points the search keeps all similarities at a time; 0: the graph is sparse."""
    return min(n_points, _CANDIDATES // max(1, n_points)) if 4 * n_edges >= n_points**2 else 0


def fits_locally(n_points: int, n_edges: int) -> bool:
    """Return whether a graph on a cluster is so small that what reads it often does so on a copy here."""
    return n_points + n_edges <= _LOCAL_EDGES


def first_that_fits(plans: Sequence[Plan], size: GraphSize, limit: int) -> Plan:
    """Return the first way that stays under the limit.

    Parameters
    ----------
    plans : sequence of Plan
        The best first; the last one takes the least memory.
    size : GraphSize
    limit : int
        For the whole process, in bytes.

    Raises
    ------
    MemoryLimitError
        None does; the message has the numbers, and the way out.
    """
    held = psutil.Process().memory_info().rss
    for plan in plans:
        if held + plan.extra_bytes(size) <= limit:
            return plan
    least = plans[-1].extra_bytes(size)
    raise MemoryLimitError(
        f"{size.n_points:,} points and {size.n_edges:,} edges need {_text(held + least)} at least: "
        f"{_text(least)}, and {_text(held)} that the process holds already. The limit is {_text(limit)}. "
        f"{_advice(plans[-1], size.searching)}"
    )


def _advice(last: Plan, searching: bool) -> str:
    """Say what to do where not even the last of the plans fits."""
    less = " refine='medoid' takes less than the search." if searching else ""
    return _more_memory(last) + less


def _more_memory(last: Plan) -> str:
    if last.on_cluster:
        return (
            "That is for this process alone, which keeps the state of all points; the edges are with the "
            "workers. Raise memory_limit to that, run it on a machine with more memory, or drop points."
        )
    if last.streaming:
        return "Raise memory_limit to that, use a machine with more memory, or drop points."
    return (
        "Raise memory_limit to that; or write the graph to disk with sparse_ap.graphs.write_graph and "
        "give its path: edges are then read from there in each sweep."
    )


def pairs_counted(memory_limit: int | str | None, n_clusters: int) -> int:
    """Return of how many pairs of clusters the edges can be counted at a time."""
    limit = available() if memory_limit is None else bytes_of(memory_limit)
    left = limit - psutil.Process().memory_info().rss - _SHARES * n_clusters
    return max(_LEAST_PAIRS, int(left) // _COUNTING_A_PAIR)


def _text(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
