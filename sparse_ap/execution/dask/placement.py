"""Placement of the graph's parts: the rows that each worker reads, as workers join and leave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import uuid4

import numpy as np
from distributed import Client, Future

from sparse_ap.errors import MemoryLimitError
from sparse_ap.execution.dask.transfer import Transfer
from sparse_ap.execution.dask.workers import Member
from sparse_ap.kernels.block import Int64Array, RowCut
from sparse_ap.storage.store import HeldPart, Store

__all__ = ["PlacedPart", "Placement", "grouped", "kept_in_memory", "owners_of", "require_room"]

# Largest numbers of edges and of rows in a task: a gigabyte held, and 300 MB that travel in a sweep. A second
# task a thread costs 60 ms of processor time a sweep (two workers, a million points), but lets rows travel
# while others are computed.
_MOST_EDGES = 128_000_000
_MOST_ROWS = 4_000_000
# Usable share of a worker's memory limit; beyond it dask spills data to disk.
_USABLE = 0.6
# Bytes of Python, numpy, the compiled kernels, and the allocator's reserve.
_MACHINERY = 350_000_000
# Bytes per point of a pass's vectors; and per point and thread of its column shares and of those being added
# to them. Both are largest in the local search.
_A_POINT = 9
_A_POINT_AND_THREAD = 32
# Bytes per row that travel to a part and back.
_A_ROW = 80


def grouped(cuts: Sequence[RowCut], indptr: Int64Array, n_threads: int) -> list[tuple[RowCut, ...]]:
    """Group consecutive blocks into tasks of about equal work.

    Parameters
    ----------
    cuts : sequence of RowCut
        The blocks, in order.
    indptr : ndarray of int64
    n_threads : int
        Number of threads of the whole cluster. Each thread gets the same number of tasks, the smallest that
        keeps tasks below 128 million edges and 4 million rows.
    """
    starts = np.array([*(cut.start for cut in cuts), len(indptr) - 1], np.int64)
    # As everywhere, a row costs about as much as an edge.
    work = indptr[starts] + starts
    limits = ((indptr[-1], _MOST_EDGES), (starts[-1], _MOST_ROWS))
    n_tasks = n_threads * max(1, *(math.ceil(there / (most * n_threads)) for there, most in limits))
    n_tasks = min(n_tasks, len(cuts))
    inner = np.arange(1, n_tasks)
    nearest = np.searchsorted((work[1:] + work[:-1]) / 2, inner * (work[-1] / max(1, n_tasks)))
    # Every task has at least one block, however large the other blocks are.
    after = np.maximum.accumulate(np.maximum(nearest - inner, 0)) + inner
    bounds = [0, *np.minimum(after, len(cuts) - n_tasks + inner).tolist(), len(cuts)]
    return [tuple(cuts[start:stop]) for start, stop in pairwise(bounds) if stop > start]


def owners_of(current: Sequence[str | None], members: Mapping[str, Member]) -> list[str]:
    """Choose a worker for each task: its present one, unless that is gone or has more than its share.

    Parameters
    ----------
    current : sequence of str or None
        The worker of each task at present; None for new tasks.
    members : mapping of str to Member
        The workers by address, at least one.

    Returns
    -------
    list of str
        The worker of each task.
    """
    n_threads = sum(member.n_threads for member in members.values())
    most = {name: math.ceil(len(current) * m.n_threads / n_threads) for name, m in members.items()}
    load = dict.fromkeys(members, 0)
    owners: list[str | None] = []
    for owner in current:
        keeps = owner in load and load[owner] < most[owner]
        owners.append(owner if keeps else None)
        if owner is not None and keeps:
            load[owner] += 1
    for task, owner in enumerate(owners):
        if owner is None:
            free = [name for name in members if load[name] < most[name]]
            owner = owners[task] = min(free, key=lambda name: (load[name] + 1) / members[name].n_threads)
            load[owner] += 1
    return [owner for owner in owners if owner is not None]


def require_room(members: Mapping[str, Member], n_points: int) -> dict[str, int]:
    """Return the bytes that each worker has left for edges, by address; too small ones are left out.

    Raises
    ------
    MemoryLimitError
        No worker can hold the vectors of a pass.
    """
    n_threads = sum(member.n_threads for member in members.values())
    needed = {name: _needed(member, n_threads, n_points) for name, member in members.items()}
    room = {name: int(_USABLE * members[name].memory - needed[name]) for name in members}
    if max(room.values()) < 0:
        name = max(room, key=room.__getitem__)
        raise MemoryLimitError(
            f"The worker {name} has a memory limit of {members[name].memory / 1e9:.2f} GB and "
            f"{members[name].n_threads} threads; {n_points:,} points need {needed[name] / _USABLE / 1e9:.2f} "
            "GB, of which four tenths are dask's reserve. Give the workers more memory (--memory-limit), or "
            "fewer threads each (--nthreads)."
        )
    return {name: left for name, left in room.items() if left >= 0}


def _needed(member: Member, n_threads: int, n_points: int) -> float:
    """Return the bytes that a worker needs besides edges, in a cluster of ``n_threads`` threads."""
    rows = n_points * member.n_threads / n_threads * _A_ROW
    return _MACHINERY + rows + n_points * (_A_POINT + member.n_threads * _A_POINT_AND_THREAD)


def kept_in_memory(sizes: Sequence[int], owners: Sequence[str], room: Mapping[str, int]) -> list[bool]:
    """Return for each task whether its edges fit into its worker's memory; others are read in each pass."""
    left = dict(room)
    kept = []
    for size, owner in zip(sizes, owners, strict=True):
        fits = size <= left[owner]
        left[owner] -= size if fits else 0
        kept.append(fits)
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPart:
    """Consecutive rows of the graph, with the worker that reads them.

    Attributes
    ----------
    cuts : tuple of RowCut
    owner : str
        Address of the preferred worker; any other can read them too.
    held : bool
        Whether the edges are in the worker's memory.
    future : Future
        A `HeldPart` or a `StreamedPart` on the cluster.
    """

    cuts: tuple[RowCut, ...]
    owner: str
    held: bool
    future: Future[Any]

    @property
    def rows(self) -> RowCut:
        """The rows of the graph in this part."""
        return RowCut(self.cuts[0].start, self.cuts[-1].stop)

    def serves(self, owner: str, held: bool) -> bool:
        """Whether the part is intact, and at this owner in this form."""
        lost = self.future.status in ("lost", "cancelled", "error")
        return not lost and (self.owner, self.held) == (owner, held)


class Placement:
    """The parts of the graph that is read at present, and their workers."""

    def __init__(self, client: Client, transfer: Transfer) -> None:
        self._client = client
        self._transfer = transfer
        self._store: Store | None = None
        self._parts: list[PlacedPart] = []

    def placed(self, store: Store, cuts: Sequence[RowCut], members: Mapping[str, Member]) -> list[PlacedPart]:
        """Return the parts of a graph, distributed among the workers present.

        Raises
        ------
        MemoryLimitError
            The workers have too little memory.
        LostError
            A worker has left meanwhile.
        """
        if store is not self._store:
            self._store, self._parts = store, []
        room = require_room(members, len(store.indptr) - 1)
        members = {name: members[name] for name in room}
        n_threads = sum(member.n_threads for member in members.values())
        tasks = [part.cuts for part in self._parts]
        # New tasks if there are fewer than threads; else the parts stay where they are, to be read from
        # there.
        if len(tasks) < min(n_threads, len(cuts)):
            tasks, self._parts = grouped(cuts, store.indptr, n_threads), []
        owners = owners_of([part.owner for part in self._parts] or [None] * len(tasks), members)
        held = kept_in_memory([_size(store, task) for task in tasks], owners, room)
        _require_held(store, held)
        before: list[PlacedPart | None] = [*self._parts] or [None] * len(tasks)
        self._parts = [
            part if part is not None and part.serves(owner, kept) else self._open(store, task, owner, kept)
            for part, task, owner, kept in zip(before, tasks, owners, held, strict=True)
        ]
        return self._parts

    def _open(self, store: Store, cuts: tuple[RowCut, ...], owner: str, hold: bool) -> PlacedPart:
        """Let a worker open some rows, or send the rows to the worker."""
        part = store.part(cuts, hold)
        if isinstance(part, HeldPart):
            name = f"part-{uuid4().hex}"
            future = self._transfer.send({owner: {name: part}})[name]
        else:
            future = self._client.compute(part, workers=[owner], allow_other_workers=True)
        return PlacedPart(cuts, owner, hold, future)


def _require_held(store: Store, held: Sequence[bool]) -> None:
    """Refuse a graph that can be held in memory only, if the workers' memory is too small for it."""
    if store.holding is None or all(held):
        return
    raise MemoryLimitError(
        f"The workers have too little memory for a graph of {store.indptr[-1]:,} edges "
        f"{store.holding.reason}. {store.holding.remedy} Or give the workers more memory."
    )


def _size(store: Store, cuts: tuple[RowCut, ...]) -> int:
    """Return the bytes of some rows."""
    start, stop = cuts[0].start, cuts[-1].stop
    n_edges = int(store.indptr[stop] - store.indptr[start])
    copies = 1 if store.holding is None else store.holding.copies
    return copies * (n_edges * (4 + store.dtype.itemsize) + 8 * (stop - start))
