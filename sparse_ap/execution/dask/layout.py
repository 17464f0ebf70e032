"""Where the parts of a graph are: opened by the workers that read them, moved when workers come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from distributed import Client, Future

from sparse_ap.errors import MemoryLimitError
from sparse_ap.execution.dask.placement import Member, grouped, homes_of, kept_in_memory, require_room
from sparse_ap.execution.dask.transfer import Link
from sparse_ap.kernels.block import RowCut
from sparse_ap.storage.parts import HeldPart
from sparse_ap.storage.store import Store

__all__ = ["Layout", "PlacedPart"]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPart:
    """Consecutive rows, and who reads them.

    Attributes
    ----------
    cuts : tuple of RowCut
    home : str
        The worker that is to read them; any other can.
    held : bool
        Whether their edges are in its memory.
    future : Future
        The `sparse_ap.storage.parts.Part`.
    """

    cuts: tuple[RowCut, ...]
    home: str
    held: bool
    future: Future[Any]

    @property
    def rows(self) -> RowCut:
        """Which rows of the graph these are."""
        return RowCut(self.cuts[0].start, self.cuts[-1].stop)

    def serves(self, home: str, held: bool) -> bool:
        """Whether it is as it should be."""
        lost = self.future.status in ("lost", "cancelled", "error")
        return not lost and (self.home, self.held) == (home, held)


class Layout:
    """The parts of the graph that is read at present."""

    def __init__(self, client: Client, link: Link) -> None:
        self._client = client
        self._link = link
        self._store: Store | None = None
        self._parts: list[PlacedPart] = []

    def placed(self, store: Store, cuts: Sequence[RowCut], members: Mapping[str, Member]) -> list[PlacedPart]:
        """Return the parts of a graph, distributed among the workers that there are.

        Raises
        ------
        MemoryLimitError
            The workers are too small.
        LostError
            A worker has gone meanwhile.
        """
        if store is not self._store:
            self._store, self._parts = store, []
        room = require_room(members, len(store.indptr) - 1)
        members = {name: members[name] for name in room}
        n_threads = sum(member.n_threads for member in members.values())
        tasks = [part.cuts for part in self._parts]
        if len(tasks) < min(n_threads, len(cuts)):
            tasks, self._parts = grouped(cuts, store.indptr, n_threads), []
        homes = homes_of([part.home for part in self._parts] or [None] * len(tasks), members)
        held = kept_in_memory([_size(store, task) for task in tasks], homes, room)
        _require_held(store, held)
        before: list[PlacedPart | None] = [*self._parts] or [None] * len(tasks)
        self._parts = [
            part if part is not None and part.serves(home, kept) else self._open(store, task, home, kept)
            for part, task, home, kept in zip(before, tasks, homes, held, strict=True)
        ]
        return self._parts

    def _open(self, store: Store, cuts: tuple[RowCut, ...], home: str, hold: bool) -> PlacedPart:
        """Have a worker open some rows, or send them to it."""
        part = store.part(cuts, hold)
        if isinstance(part, HeldPart):
            name = f"part-{uuid4().hex}"
            future = self._link.send({home: {name: part}})[name]
        else:
            future = self._client.compute(part, workers=[home], allow_other_workers=True)
        return PlacedPart(cuts, home, hold, future)


def _require_held(store: Store, held: Sequence[bool]) -> None:
    """Refuse edges that are nowhere, if they do not fit into the workers' memory."""
    if store.holding is None or all(held):
        return
    raise MemoryLimitError(
        f"The workers have too little memory for a graph of {store.indptr[-1]:,} edges "
        f"{store.holding.reason}. {store.holding.way_out} Or give the workers more memory."
    )


def _size(store: Store, cuts: tuple[RowCut, ...]) -> int:
    """Return the memory of some rows."""
    start, stop = cuts[0].start, cuts[-1].stop
    n_edges = int(store.indptr[stop] - store.indptr[start])
    copies = 1 if store.holding is None else store.holding.copies
    return copies * (n_edges * (4 + store.dtype.itemsize) + 8 * (stop - start))
