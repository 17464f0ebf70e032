"""The workers of a cluster: who is present, accepts work, and runs the same software."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import platform
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

import psutil
from distributed import Client, Worker

from sparse_ap.errors import ClusterError, warn

__all__ = ["PATIENCE", "Member", "Workers"]


# Seconds to wait for a worker if there is none, or for the scheduler, before giving up.
PATIENCE = 60.0
# Seconds of waiting before the user is told.
_SILENCE = 3.0
_LOGGER = logging.getLogger("sparse_ap")
# Seconds that the scheduler has for an answer.
_ANSWER = 10.0
# Packages whose versions decide whether client and workers understand each other and compute the same bits.
_MUST_AGREE = ("sparse-ap", "numpy", "numba", "zarr", "dask", "distributed")


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the cluster, as it describes itself.

    Attributes
    ----------
    n_threads : int
    memory : int
        Memory limit in bytes.
    versions : dict of str to str
        Version of each package, by name.
    """

    n_threads: int
    memory: int
    versions: dict[str, str] = field(default_factory=dict)


class Workers:
    """The workers of a cluster, as they join and leave.

    Raises
    ------
    ClusterError
        There are no workers, or the versions of the workers or the scheduler differ from those here.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._scheduler = str(client.scheduler.address)  # type: ignore[union-attr]
        self._asked: dict[str, Future[Any]] = {}
        self._known: dict[str, Member | None] = {}
        # The deadline of the waiting that the user has been told of.
        self._told = 0.0
        _require_same_versions(self._ask_scheduler(), "the scheduler")
        self._ask(self._wait_for_workers())
        wait(self._asked.values(), PATIENCE)
        for address, found in self._answers().items():
            _require_same_versions(found, f"the worker {address}")

    def members(self) -> dict[str, Member]:
        """Return the workers that accept work, by address; wait if there is none.

        Paused workers, which are short of memory, are left out.

        Raises
        ------
        ClusterError
            No worker came within the time allowed.
        """
        deadline = self.deadline()
        while True:
            addresses = self.accepting()
            self._meet(addresses)
            members = {name: member for name in addresses if (member := self._known.get(name)) is not None}
            if members:
                return members
            self._go_on_waiting(deadline)

    def accepting(self) -> list[str]:
        """Return the addresses of workers that accept work now; none if the scheduler does not answer."""
        return self._addresses("ncores_running")

    def present(self) -> list[str]:
        """Return the addresses of all workers present, including paused ones."""
        return self._addresses("ncores")

    def deadline(self) -> float:
        """Return the time (`time.monotonic`) until which to wait for something that is missing now."""
        return time.monotonic() + PATIENCE

    def require_accepting(self) -> list[str]:
        """Return the addresses of workers that accept work now.

        Raises
        ------
        ClusterError
            No worker accepts work.
        """
        if not (addresses := self.accepting()):
            raise ClusterError(self._absence())
        return addresses

    def _meet(self, addresses: Sequence[str]) -> None:
        """Register workers that have joined, once they have answered; a slow answer delays no pass."""
        for gone in self._asked.keys() - set(addresses):
            del self._asked[gone]
            self._known.pop(gone, None)
        self._ask([address for address in addresses if address not in self._asked])
        for address, found in self._answers().items():
            if address not in self._known:
                self._known[address] = _member(address, found)

    def _ask(self, addresses: Sequence[str]) -> None:
        """Ask workers to describe themselves, without waiting for the answers."""

        async def description(address: str) -> Any:
            run = self._client.run(_describe, workers=[address], on_error="return")
            return (await asyncio.wait_for(run, PATIENCE))[address]

        loop = self._client.loop.asyncio_loop  # type: ignore[union-attr]
        for address in addresses:
            self._asked[address] = asyncio.run_coroutine_threadsafe(description(address), loop)

    def _answers(self) -> dict[str, Any]:
        """Return the answers so far; workers that could not be reached will be asked again."""
        answers = {}
        for address, asked in [(address, asked) for address, asked in self._asked.items() if asked.done()]:
            found = asked.exception() or asked.result()
            if isinstance(found, OSError | KeyError):
                del self._asked[address]
            else:
                answers[address] = found
        return answers

    def _wait_for_workers(self) -> list[str]:
        deadline = self.deadline()
        while not (addresses := self.accepting()):
            self._go_on_waiting(deadline)
        return addresses

    def _go_on_waiting(self, deadline: float) -> None:
        """Wait a moment; raise if the deadline has passed or the client is closed."""
        if time.monotonic() > deadline or self._client.status == "closed":
            raise ClusterError(self._absence())
        if self._told != deadline and time.monotonic() > deadline - PATIENCE + _SILENCE:
            self._told = deadline
            # Logged, since a warning may be an error to the user, and the workers may still come.
            _LOGGER.warning(
                f"Waiting for workers: the scheduler {self._scheduler} has none that accept work. Start "
                f"some: dask worker {self._scheduler}. The run ends if none comes in {PATIENCE:.0f} seconds."
            )
        time.sleep(0.1)

    def _addresses(self, question: str) -> list[str]:
        try:
            if self._client.status != "running":
                return []
            ask = getattr(self._client.scheduler, question)
            return list(self._client.sync(ask, callback_timeout=_ANSWER))
        except (OSError, TimeoutError):
            return []

    def _absence(self) -> str:
        go_on = (
            "With checkpoint=... (--checkpoint) a run can be resumed on any other cluster; without it, it "
            "must begin anew."
        )
        if self._client.status == "closed":
            return f"The client has been closed, or its scheduler {self._scheduler} is gone. {go_on}"
        if self._client.status != "running":
            return f"The scheduler {self._scheduler} has not answered for {PATIENCE:.0f} seconds. {go_on}"
        return (
            f"The scheduler {self._scheduler} has had no workers that accept work for {PATIENCE:.0f} "
            f"seconds. Start some (dask worker {self._scheduler}), or see in their logs why they ended or "
            f"are paused. {go_on}"
        )

    def _ask_scheduler(self) -> Any:
        """Return the scheduler's description, or the exception that it raised."""
        try:
            return self._client.sync(
                self._client.run_on_scheduler, _describe_scheduler, callback_timeout=PATIENCE
            )
        except TimeoutError as error:
            raise ClusterError(
                f"The scheduler {self._scheduler} has not answered for {PATIENCE:.0f} seconds."
            ) from error
        except Exception as error:
            # An exception that cannot be unpickled there arrives as it was raised; the caller reports it.
            return error


def _member(address: str, found: Any) -> Member | None:
    """Return a worker that has joined; None, with a warning, if its versions differ."""
    try:
        return _require_same_versions(found, f"the worker {address}")
    except ClusterError as error:
        warn(f"{error} It is given no work.")
        return None


def _versions() -> dict[str, str]:
    """Return the versions of this process's packages, and of Python.

    Raises
    ------
    ClusterError
        A package is imported from a folder without being installed, so its version is unknown.
    """
    try:
        found = {name: importlib.metadata.version(name) for name in _MUST_AGREE}
    except importlib.metadata.PackageNotFoundError as error:
        raise ClusterError(
            f"The version of {error.name} here cannot be compared with the workers': it is not installed, "
            "but imported from a folder. Install it here as there (pip install)."
        ) from error
    return {"python": ".".join(platform.python_version_tuple()[:2]), **found}


def _describe_scheduler() -> Member:
    return Member(0, 0, _versions())


def _describe(dask_worker: Worker) -> Member:
    """Return the description of the worker that runs this."""
    limit = dask_worker.memory_manager.memory_limit or psutil.virtual_memory().available
    return Member(dask_worker.state.nthreads, int(limit), _versions())


def _require_same_versions(found: Any, where: str) -> Member:
    """Return a process whose software understands this one's and computes the same bits; refuse others.

    ``found`` is what it says of itself, or the exception raised when it was asked.
    """
    if not isinstance(found, Member):
        raise ClusterError(
            f"On {where} sparse_ap cannot be used ({type(found).__name__}: {found}). Install the same "
            "version there as here, in the environment that runs the scheduler and the workers."
        )
    here = _versions()
    differing = [
        f"{name} {found.versions.get(name)} there and {version} here"
        for name, version in here.items()
        if found.versions.get(name) != version
    ]
    if differing:
        raise ClusterError(
            f"On {where} the software differs: {'; '.join(differing)}. The result is the same to the bit "
            "only where all run the same versions: use one environment, or one container image."
        )
    return found
