"""Transfer of data to a cluster and back with bounded waiting: give up when no worker can answer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker

from sparse_ap.errors import ClusterError
from sparse_ap.execution.dask.workers import Workers

__all__ = ["LostError", "Transfer"]

# Seconds between checks that the workers involved are present.
_POLL = 0.5
# Seconds to try to reach a worker.
_REACH = 10.0

_GONE = (OSError, concurrent.futures.CancelledError, asyncio.CancelledError)

ResultT = TypeVar("ResultT")


class LostError(Exception):
    """Data or a task was lost with a worker; the sender must send it again."""


class Transfer:
    """The transfer of data between a client and its workers."""

    def __init__(self, client: Client, workers: Workers) -> None:
        self._client = client
        self._workers = workers
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop  # type: ignore[union-attr]
        self._direct = self._reaches_workers()

    def send(self, packages: Mapping[str, Mapping[str, Any]]) -> dict[str, Future[Any]]:
        """Send objects to several workers at the same time.

        Parameters
        ----------
        packages : mapping of str to mapping of str to object
            For each worker's address, objects by name.

        Returns
        -------
        dict of str to Future
            The objects on the cluster, by name.

        Raises
        ------
        LostError
            A worker is gone, or cannot be reached.
        """

        async def scatter() -> list[dict[str, Future[Any]]]:
            return await asyncio.gather(*(self._scatter(*package) for package in packages.items()))

        try:
            sent = self._complete(scatter(), packages)
        # The scheduler raises KeyError for a worker that left while it received the objects.
        except (*_GONE, KeyError) as error:
            # Wait until the scheduler has noticed the loss too.
            time.sleep(_POLL)
            if packages.keys() <= set(self._workers.accepting()):
                if not isinstance(error, OSError):
                    raise
                # The workers are present but unreachable from here: send through the scheduler from now on.
                self._direct = False
            raise _lost(error) from None
        return {name: future for futures in sent for name, future in futures.items()}

    def fetch(self, futures: Sequence[Future[Any]], owners: Collection[str]) -> list[Any]:
        """Wait for the results of tasks and fetch them.

        Parameters
        ----------
        futures : sequence of Future
        owners : collection of str
            Addresses of the workers that the tasks run on.

        Raises
        ------
        LostError
            Data that the tasks depend on is gone.
        ClusterError
            No workers are left, or a task has killed several of them.
        Exception
            An exception raised by a task.
        """
        try:
            return self._complete(self._gather(futures), owners)
        except KilledWorker as error:
            raise ClusterError(
                f"Several workers died one after the other over the same task ({error}). Mostly they were "
                "out of memory: see their logs, and give them more (--memory-limit), or fewer threads each."
            ) from error
        except _GONE as error:
            if any(future.status == "error" for future in futures):
                raise
            raise _lost(error) from None

    def fetch_remade(self, futures: Sequence[Future[Any]]) -> list[Any]:
        """Fetch results that dask recomputes itself if they are lost with a worker.

        Raises
        ------
        ClusterError
            The results cannot be recomputed, or no workers are left.
        """
        try:
            return self.fetch(futures, ())
        except LostError as error:
            raise ClusterError(
                f"What the graph is made from has gone with a worker ({error}). Make the collection anew."
            ) from error

    async def _scatter(self, worker: str, objects: Mapping[str, Any]) -> dict[str, Future[Any]]:
        sent: dict[str, Future[Any]] = await self._client.scatter(
            dict(objects), workers=[worker], direct=self._direct, timeout=_REACH, asynchronous=True
        )
        return sent

    async def _gather(self, futures: Sequence[Future[Any]]) -> list[Any]:
        """Fetch results, each as soon as it is ready, while others are computed."""
        found: dict[Any, Any] = {}
        waits = {asyncio.ensure_future(_ended(future)) for future in futures}
        try:
            while waits:
                done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                ended = [one.result() for one in done]
                # One call for all that are ready: if a gather is cancelled while others wait behind it,
                # dask's client is of no further use.
                values = await self._client.gather(ended, direct=self._direct, asynchronous=True)
                found |= {future.key: value for future, value in zip(ended, values, strict=True)}
        finally:
            for one in waits:
                one.cancel()
        return [found[future.key] for future in futures]

    def _complete(self, work: Coroutine[Any, Any, ResultT], owners: Collection[str]) -> ResultT:
        """Run a coroutine in the client's event loop while the workers involved are present.

        A connection to a worker that is gone, or hangs and was given up by the scheduler, may be tried for
        long; so their presence is checked meanwhile.
        """
        handle = asyncio.run_coroutine_threadsafe(work, self._loop)
        deadline = self._workers.deadline()
        try:
            while not concurrent.futures.wait([handle], timeout=_POLL).done:
                accepting = self._workers.accepting()
                if accepting and set(owners) <= set(accepting):
                    deadline = self._workers.deadline()
                elif not handle.done():
                    self._require_hope(owners, deadline)
            return handle.result()
        finally:
            handle.cancel()
            # An exception refers to this frame: the handle would keep its result alive.
            del handle

    def _require_hope(self, owners: Collection[str], deadline: float) -> None:
        """Raise if workers are gone, or have accepted no work for long; paused workers may still finish."""
        late = time.monotonic() > deadline
        there = self._workers.require_accepting() if late else self._workers.present()
        # An empty list may also mean that the scheduler did not answer in time.
        if there and (gone := set(owners) - set(there)):
            raise LostError(f"{', '.join(sorted(gone))} went, or accepts no work")

    def _reaches_workers(self) -> bool:
        """Whether this process reaches the workers directly, and not only through the scheduler."""
        if self._client.direct_to_workers is not None:
            return bool(self._client.direct_to_workers)
        worker = next(iter(self._workers.members()))
        self._direct = True
        try:
            # Limited here: without it, dask tries a connection for half a minute.
            self._complete(asyncio.wait_for(self._scatter(worker, {"reach-worker": 0}), _REACH), ())
        except (*_GONE, KeyError):
            return False
        return True


async def _ended(future: Future[Any]) -> Future[Any]:
    """Wait for the end of a task, with or without an error."""
    await future.exception()
    return future


def _lost(error: BaseException) -> LostError:
    """Return a `LostError` for an error, without its frames: these hold tasks, which would go on running."""
    error.__traceback__ = None
    return LostError(repr(error))
