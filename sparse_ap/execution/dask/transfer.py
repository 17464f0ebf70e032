"""Sending to a cluster and fetching from it, without ever waiting for nobody."""

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

# Seconds between looks at whether those who work are still there.
_POLL = 0.5
# Seconds to try to reach a worker.
_REACH = 10.0

_GONE = (OSError, concurrent.futures.CancelledError, asyncio.CancelledError)

ResultT = TypeVar("ResultT")


class LostError(Exception):
    """Something went with a worker. Whoever sent it sends it again."""


class Transfer:
    """A client's connection to the workers.

    Parameters
    ----------
    client : distributed.Client
    workers_module : Workers
    """

    def __init__(self, client: Client, workers_module: Workers) -> None:
        self._client = client
        self._workers = workers_module
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop  # type: ignore[union-attr]
        self._direct = self._reaches_workers()

    def send(self, packages: Mapping[str, Mapping[str, Any]]) -> dict[str, Future[Any]]:
        """Send objects to workers, at the same time.

        Parameters
        ----------
        packages : mapping of str to mapping of str to object
            For each worker, objects by name.

        Returns
        -------
        dict of str to Future
            By name.

        Raises
        ------
        LostError
            A worker is gone.
        """

        async def scatter() -> list[dict[str, Future[Any]]]:
            return await asyncio.gather(*(self._scatter(*package) for package in packages.items()))

        try:
            sent = self._complete(scatter(), packages)
        # KeyError: the scheduler's, of a worker that went as it got them.
        except (*_GONE, KeyError) as error:
            # Time for the scheduler to hear of it too.
            time.sleep(_POLL)
            if packages.keys() <= set(self._workers.accepting()):
                if not isinstance(error, OSError):
                    raise
                # They are there, but cannot be reached from here.
                self._direct = False
            raise _lost(error) from None
        return {name: future for futures in sent for name, future in futures.items()}

    def fetch(self, futures: Sequence[Future[Any]], owners: Collection[str]) -> list[Any]:
        """Wait for results and fetch them.

        Parameters
        ----------
        futures : sequence of Future
        owners : collection of str
            The workers that do the work.

        Raises
        ------
        LostError
            Something that they depend on is gone.
        ClusterError
            There are no workers left, or the work has killed several.
        Exception
            What a task has raised.
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
        """Fetch results that dask makes again where a worker takes them with it.

        Raises
        ------
        ClusterError
            It cannot, or there are no workers left.
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
        """Fetch results: those that are ready travel while others are computed."""
        found: dict[Any, Any] = {}
        waits = {asyncio.ensure_future(_ended(future)) for future in futures}
        try:
            while waits:
                done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                ended = [one.result() for one in done]
                # One call for all that are ready: dask's client is of no more use where it is cancelled while
                # others are before it.
                values = await self._client.gather(ended, direct=self._direct, asynchronous=True)
                found |= {future.key: value for future, value in zip(ended, values, strict=True)}
        finally:
            for one in waits:
                one.cancel()
        return [found[future.key] for future in futures]

    def _complete(self, work: Coroutine[Any, Any, ResultT], owners: Collection[str]) -> ResultT:
        """Let the client's event loop do something, as long as those who take part are there.

        To one that is gone, or hangs and was given up by the scheduler, a connection may be tried for long.
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
            # What it has raised has this frame, and all that it refers to.
            del handle

    def _require_hope(self, owners: Collection[str], deadline: float) -> None:
        """Give up workers that are gone, or have long accepted no work: those that are paused may finish."""
        late = time.monotonic() > deadline
        there = self._workers.require_accepting() if late else self._workers.present()
        # Where there is nobody, the scheduler may not have answered.
        if there and (gone := set(owners) - set(there)):
            raise LostError(f"{', '.join(sorted(gone))} went, or accepts no work")

    def _reaches_workers(self) -> bool:
        """Whether workers can be reached from here, and not only through the scheduler."""
        if self._client.direct_to_workers is not None:
            return bool(self._client.direct_to_workers)
        worker = next(iter(self._workers.members()))
        self._direct = True
        try:
            # Without a limit of its own a connection is tried for half a minute.
            self._complete(asyncio.wait_for(self._scatter(worker, {"reach-worker": 0}), _REACH), ())
        except (*_GONE, KeyError):
            return False
        return True


async def _ended(future: Future[Any]) -> Future[Any]:
    """Wait for the end of a task, whichever it is."""
    await future.exception()
    return future


def _lost(error: BaseException) -> LostError:
    """Return what to raise in place of an error, without its frames: they hold tasks, which would go on."""
    error.__traceback__ = None
    return LostError(repr(error))
