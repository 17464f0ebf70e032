"""The cluster as it is now: who its workers are, and whether they will do."""

from __future__ import annotations

import importlib.metadata
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from distributed import Client, Worker

from sparse_ap.errors import ClusterError
from sparse_ap.runners.placement import Member

__all__ = ["Membership"]

# Seconds to wait for a worker where there is none, or for the scheduler, before giving up.
PATIENCE = 60.0
# What decides whether client and workers understand each other, and compute the same bits.
_MUST_AGREE = ("sparse-ap", "numpy", "numba", "zarr", "dask", "distributed")


@dataclass(frozen=True, slots=True)
class Description:
    """What a process of the cluster says of itself.

    Attributes
    ----------
    versions : dict of str to str
    n_threads : int
    memory : int
        What it may hold, in bytes.
    """

    versions: dict[str, str]
    n_threads: int
    memory: int


class Membership:
    """The workers of a cluster, those that join and those that leave.

    Parameters
    ----------
    client : distributed.Client

    Raises
    ------
    ClusterError
        There are no workers, or their versions, or the scheduler's, differ from those here.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, Member | None] = {}
        _require_same_versions(self._ask_scheduler(), "the scheduler")
        for address, found in self._descriptions(self._wait_for_workers()).items():
            _require_same_versions(found, f"the worker {address}")

    def members(self) -> dict[str, Member]:
        """Return the workers that can be given work, by address; wait where there is none.

        Raises
        ------
        ClusterError
            None came.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            addresses = self._wait_for_workers()
            self._meet([address for address in addresses if address not in self._known])
            members = {name: member for name in addresses if (member := self._known.get(name)) is not None}
            if members:
                return members
            if time.monotonic() > deadline:
                raise ClusterError(self._absence())
            time.sleep(0.1)

    def _meet(self, addresses: Sequence[str]) -> None:
        """Take note of workers that have joined."""
        for address, found in self._descriptions(addresses).items():
            try:
                _require_same_versions(found, f"the worker {address}")
            except ClusterError as error:
                warnings.warn(f"{error} It is given no work.", UserWarning, stacklevel=2)
                self._known[address] = None
            else:
                self._known[address] = Member(found.n_threads, found.memory)

    def _wait_for_workers(self) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while not (addresses := self._addresses()):
            if time.monotonic() > deadline:
                raise ClusterError(self._absence())
            time.sleep(0.1)
        return addresses

    def _addresses(self) -> list[str]:
        """Return the workers' addresses; none where the scheduler cannot be reached."""
        try:
            return list(self._client.nthreads()) if self._client.status == "running" else []
        except (OSError, TimeoutError):
            return []

    def _absence(self) -> str:
        go_on = (
            "With checkpoint=... (--checkpoint) a run can be resumed on any other cluster; without it, it "
            "must begin anew."
        )
        scheduler = address_of(self._client)
        if self._client.status != "running":
            return f"The scheduler {scheduler} has not answered for {PATIENCE:.0f} seconds. {go_on}"
        return (
            f"The scheduler {scheduler} has had no workers for {PATIENCE:.0f} seconds. Start some (dask "
            f"worker {scheduler}), or see in their logs why they ended. {go_on}"
        )

    def _ask_scheduler(self) -> Any:
        """Return the scheduler's description, or what it raised."""
        try:
            return self._client.run_on_scheduler(_describe_scheduler)
        except Exception as error:
            # Whatever cannot be unpickled there comes back as it was raised.
            return error

    def _descriptions(self, addresses: Sequence[str]) -> dict[str, Any]:
        """Ask workers about themselves; those that do not answer are left out, and asked again."""
        if not addresses:
            return {}
        answers: dict[str, Any] = self._client.run(_describe, workers=list(addresses), on_error="return")
        return {name: found for name, found in answers.items() if not isinstance(found, OSError)}


def address_of(client: Client) -> str:
    """Return the scheduler's address."""
    return (
        str(client.scheduler.address) if client.scheduler is not None else "of the client, which is closed,"
    )


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _MUST_AGREE}
    return {"python": ".".join(platform.python_version_tuple()[:2]), **found}


def _describe_scheduler() -> Description:
    return Description(_versions(), 0, 0)


def _describe(dask_worker: Worker) -> Description:
    """Describe the worker that this runs on."""
    limit = dask_worker.memory_manager.memory_limit or psutil.virtual_memory().available
    return Description(_versions(), dask_worker.state.nthreads, int(limit))


def _require_same_versions(found: Any, where: str) -> None:
    """Refuse a process whose software would not understand this one's, or compute other bits.

    ``found`` is its description, or what it raised when it was asked for one.
    """
    if not isinstance(found, Description):
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
