"""`DaskExecutor`: passes on the workers of a dask cluster, which hold or read the parts of the graph.

Every task is a pure function of a part of the graph and of the vectors and rows sent with it; all state of
the run is in this process. So data that is lost with a worker is sent again, its tasks are repeated, and a
task may run twice or on any worker without changing the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from typing import Any
from uuid import uuid4

from distributed import Client, Future

from sparse_ap.errors import ClusterError
from sparse_ap.execution.dask.placement import PlacedPart, Placement
from sparse_ap.execution.dask.tasks import SentRows, add_columns, read_part, unpacked, written
from sparse_ap.execution.dask.transfer import LostError, Transfer
from sparse_ap.execution.dask.workers import Workers
from sparse_ap.execution.executor import RowsT, TallyT, VectorsT
from sparse_ap.kernels.block import RowCut
from sparse_ap.kernels.edge_pass import Columns, Pass
from sparse_ap.storage.dask_blocks import Fetch
from sparse_ap.storage.store import Store

__all__ = ["DaskExecutor"]

# Attempts at one pass, if workers are lost one after the other.
_ATTEMPTS = 20
# Workers that get the vectors from the client; the others get them from these and from each other.
_COPIES = 2
# Sums of columns that the client adds itself, instead of waiting until a worker has.
_ADDED_HERE = 2


class DaskExecutor:
    """An executor on the workers of a dask cluster.

    Raises
    ------
    ClusterError
        The cluster has no workers, or other versions of the software than this process.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._workers = Workers(client)
        self._transfer = Transfer(client, self._workers)
        self._placement = Placement(client, self._transfer)

    @property
    def n_threads(self) -> int:
        """Number of threads of all workers."""
        return sum(member.n_threads for member in self._workers.members().values())

    @property
    def fetch(self) -> Fetch:
        """Function that fetches the parts of a dask collection; see `Transfer.fetch_remade`."""
        # Not a method of this class: a store that keeps it would refer to itself, and be freed late.
        return self._transfer.fetch_remade

    def run(
        self,
        pass_: Pass[VectorsT, RowsT, TallyT],
        store: Store,
        cuts: Sequence[RowCut],
        vectors: VectorsT,
        rows: RowsT,
    ) -> tuple[Columns, TallyT]:
        """Return the combined columns and tally; write ``rows`` once all results are here."""
        for _ in range(_ATTEMPTS):
            try:
                parts = self._placement.placed(store, cuts, self._workers.members())
                return PassRun(self.client, self._transfer, pass_, len(store.indptr) - 1, parts).run(
                    vectors, rows
                )
            except LostError as error:
                # Only its text: the frames of the error hold the tasks of this attempt, which would go on
                # running.
                lost = str(error)
        raise ClusterError(
            f"A pass over the graph was begun {_ATTEMPTS} times, and each time a worker was lost before its "
            f"end, the last time with: {lost}. See the workers' logs. Where some are out of reach "
            "from here, Client(..., direct_to_workers=False) sends through the scheduler."
        )


@dataclass(frozen=True, slots=True)
class PassRun:
    """One pass over the parts: vectors and rows go out, rows and column sums come back.

    Columns are added up on the workers, in a tree. After the pass the cluster keeps nothing of it.

    Attributes
    ----------
    client : distributed.Client
    transfer : Transfer
    pass_ : Pass
    n_points : int
    parts : sequence of PlacedPart
    token : str
        Part of the names of this pass's tasks, so that no other pass shares them.
    numbers : iterator of int
        Numbers of the tasks.
    """

    client: Client
    transfer: Transfer
    pass_: Pass[Any, Any, Any]
    n_points: int
    parts: Sequence[PlacedPart]
    token: str = field(default_factory=lambda: uuid4().hex)
    numbers: Iterator[int] = field(default_factory=count)

    def run(self, vectors: Any, rows: Any) -> tuple[Columns, Any]:
        """Run the pass; return its columns and tally, and write its rows."""
        shares = self._shares(vectors, rows)
        sums = self._sums(shares)
        # What is fetched for its columns, or has none, is fetched whole: no task takes its rows out.
        answers = [
            share if share in sums or not sums else self._task("fetch-rows", written, share, priority=1)
            for share in shares
        ]
        del shares
        futures = list(dict.fromkeys([*answers, *sums]))
        try:
            owners = {part.owner for part in self.parts}
            fetched = dict(zip(futures, self.transfer.fetch(futures, owners), strict=True))
        finally:
            # Released explicitly: after an error its frames keep the futures, and dask would finish their
            # tasks.
            for future in futures:
                future.release()
        summands = [fetched[future] for future in sums]
        columns = unpacked(self.pass_.column_reductions, self.n_points, *summands)
        tally = self.pass_.nothing
        for part, answer in zip(self.parts, answers, strict=True):
            share = fetched[answer]
            tally = tally + share.tally
            for name, values in share.rows.items():
                part.rows.of(getattr(rows, name))[:] = values
        return columns, tally

    def _shares(self, vectors: Any, rows: Any) -> list[Future[Any]]:
        """Start the work on every part, one part of each worker at a time: other rows travel meanwhile."""
        shares: dict[int, Future[Any]] = {}
        owners = list(dict.fromkeys(part.owner for part in self.parts))
        # Each copy is an object of its own: a second worker's copy of one may be dropped by dask at any time.
        copies = {owner: f"vectors-{self.token}-{i % _COPIES}" for i, owner in enumerate(owners)}
        sent: dict[str, Future[Any]] = {}
        for turn in _turns([part.owner for part in self.parts]):
            packages = {
                self.parts[which].owner: {
                    f"rows-{self.token}-{which}": SentRows.of(self.pass_, rows, self.parts[which].rows)
                }
                for which in turn
            }
            if not sent:
                for owner in owners[:_COPIES]:
                    packages[owner][copies[owner]] = vectors
            sent |= self.transfer.send(packages)
            for which in turn:
                its_vectors = sent[copies[self.parts[which].owner]]
                shares[which] = self._share(which, its_vectors, sent.pop(f"rows-{self.token}-{which}"))
        return [shares[which] for which in range(len(self.parts))]

    def _share(self, which: int, vectors: Future[Any], rows: Future[Any]) -> Future[Any]:
        part = self.parts[which]
        task = self.pass_, part.future, self.n_points, vectors, rows
        return self._task(_name_of(self.pass_), read_part, *task, workers=[part.owner])

    def _sums(self, shares: Sequence[Future[Any]]) -> list[Future[Any]]:
        """Add up the columns, if there are any, on each worker, then in pairs; return the last few sums."""
        if not self.pass_.column_reductions:
            return []
        by_owner: dict[str, list[Future[Any]]] = {}
        for share, part in zip(shares, self.parts, strict=True):
            by_owner.setdefault(part.owner, []).append(share)
        sums = [self._sum_at(owner, group) for owner, group in by_owner.items()]
        while len(sums) > _ADDED_HERE:
            pairs = [sums[which : which + 2] for which in range(0, len(sums), 2)]
            sums = [self._add(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return sums

    def _sum_at(self, owner: str, shares: Sequence[Future[Any]]) -> Future[Any]:
        """Add up the shares of a worker one by one, as they get ready, so that few are held at a time."""
        return reduce(lambda total, share: self._add(total, share, workers=[owner]), shares)

    def _add(self, *summands: Future[Any], workers: Sequence[str] | None = None) -> Future[Any]:
        reductions = self.pass_.column_reductions
        return self._task(
            "add-columns", add_columns, reductions, self.n_points, *summands, workers=workers, priority=1
        )

    def _task(
        self, name: str, work: Any, *args: Any, workers: Sequence[str] | None = None, priority: int = 0
    ) -> Future[Any]:
        """Submit a task that prefers some workers, but may run on any."""
        return self.client.submit(
            work,
            *args,
            key=(f"{name}-{self.token}", next(self.numbers)),
            workers=workers,
            allow_other_workers=workers is not None,
            priority=priority,
        )


def _turns(owners: Sequence[str]) -> list[list[int]]:
    """Group parts in turns: the first part of each worker, then the second of each, and so on."""
    turns: list[list[int]] = []
    met: dict[str, int] = {}
    for which, owner in enumerate(owners):
        turn = met[owner] = met.get(owner, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(which)
    return turns


def _name_of(pass_: object) -> str:
    """Return the name of a pass on dask's dashboard: compact-sweep for CompactSweep."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(pass_).__name__).lower()
