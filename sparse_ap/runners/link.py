"""Sending to a cluster and fetching from it, without ever waiting for nobody."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker

from sparse_ap.errors import ClusterError
from sparse_ap.runners.membership import Membership

__all__ = ["Link", "LostError"]

# Seconds between looks at whether anybody is still working.
_POLL = 2.0
# Seconds to try to reach a worker: a home that is gone is found out before long.
_REACH = 10.0

_GONE = (OSError, TimeoutError, ValueError, concurrent.futures.CancelledError, asyncio.CancelledError)

ResultT = TypeVar("ResultT")


class LostError(Exception):
    """Something went with a worker. Whoever sent it sends it again."""


class Link:
    """A client's connection to the workers.

    Parameters
    ----------
    client : distributed.Client
    membership : Membership
    """

    def __init__(self, client: Client, membership: Membership) -> None:
        self._client = client
        self._membership = membership
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
            sent = self._complete(scatter())
        except _GONE as error:
            raise LostError(str(error)) from error
        return {name: future for futures in sent for name, future in futures.items()}

    def fetch(self, futures: Sequence[Future[Any]]) -> list[Any]:
        """Wait for results and fetch them.

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
            return self._complete(self._gather(futures))
        except KilledWorker as error:
            raise ClusterError(
                f"Several workers died one after the other over the same task ({error}). Mostly they were "
                "out of memory: see their logs, and give them more (--memory-limit), or fewer threads each."
            ) from error
        except _GONE as error:
            if any(future.status == "error" for future in futures):
                raise
            raise LostError(str(error)) from error

    async def _scatter(self, worker: str, objects: Mapping[str, Any]) -> dict[str, Future[Any]]:
        sent: dict[str, Future[Any]] = await self._client.scatter(
            dict(objects), workers=[worker], direct=self._direct, timeout=_REACH, asynchronous=True
        )
        return sent

    async def _gather(self, futures: Sequence[Future[Any]]) -> list[Any]:
        results: list[Any] = await self._client.gather(list(futures), direct=self._direct, asynchronous=True)
        return results

    def _complete(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Let the client's event loop do something, as long as there is a cluster."""
        handle = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while not concurrent.futures.wait([handle], timeout=_POLL).done:
                self._membership.members()
            return handle.result()
        finally:
            handle.cancel()

    def _reaches_workers(self) -> bool:
        """Whether workers can be reached from here, and not only through the scheduler."""
        if self._client.direct_to_workers is not None:
            return bool(self._client.direct_to_workers)
        worker = next(iter(self._membership.members()))
        self._direct = True
        try:
            self.send({worker: {"sparse_ap-reached": 0}})
        except LostError:
            return False
        return True
