"""Clients of dask clusters: one for a command's options, or the active one."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from sparse_ap.errors import ClusterError, InvalidInputError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["active_client", "connected"]

# Seconds to wait for a scheduler.
_TIMEOUT = 10


@contextmanager
def connected(scheduler: str | None, n_workers: int | None) -> Iterator[Client | None]:
    """Yield a client of the cluster that the options name; None without such options.

    Parameters
    ----------
    scheduler : str or None
        Address of a running scheduler.
    n_workers : int or None
        Number of worker processes to start on this machine, and to stop at the end.

    Raises
    ------
    InvalidInputError
        Both are given, ``scheduler`` is no address, or ``n_workers`` is not positive.
    ClusterError
        No scheduler answers.
    """
    if scheduler is None and n_workers is None:
        yield None
        return
    if scheduler is not None and n_workers is not None:
        raise InvalidInputError(
            "--scheduler and --dask-workers were both given: the first is the address of a cluster that is "
            "there, the second starts one on this machine."
        )
    # The errors of the run report lost workers; dask's logs would repeat them in the middle of the output.
    for name in ("distributed", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _existing(scheduler) if scheduler is not None else _local(n_workers) as client:
        yield client


@contextmanager
def _existing(scheduler: str) -> Iterator[Client]:
    from distributed import Client

    _require_address(scheduler)
    # dask's own client would wait for ever for a peer that does not answer, and for long after an error.
    try:
        found = asyncio.run(asyncio.wait_for(_identity(scheduler), _TIMEOUT + 1))
    except Exception as error:
        said = str(error) or "it says nothing"
        raise ClusterError(
            f"No dask scheduler answers at {scheduler} within {_TIMEOUT} seconds ({said}). Start one with "
            "dask scheduler, which prints its address, or start workers here with --dask-workers."
        ) from error
    if found["type"] != "Scheduler":
        raise ClusterError(
            f"At {scheduler} there is no dask scheduler, but a {found['type']}. Give the address that dask "
            "scheduler prints."
        )
    with Client(scheduler, timeout=_TIMEOUT, set_as_default=False) as client:
        yield client


def _require_address(scheduler: str) -> None:
    from distributed.comm.addressing import get_address_host_port

    try:
        host, port = get_address_host_port(scheduler)
    except ValueError:
        host, port = "", 0
    if not host or not 0 < port < 1 << 16:
        raise InvalidInputError(f"--scheduler={scheduler}; an address such as tcp://node1:8786 is needed.")


async def _identity(address: str) -> dict[str, Any]:
    """Return the identity that a process of dask reports."""
    from distributed import Security, rpc

    arguments = Security().get_connection_args("client")
    async with rpc(address, timeout=_TIMEOUT, connection_args=arguments) as remote:
        identity: dict[str, Any] = await remote.identity()
    return identity


@contextmanager
def _local(n_workers: int | None) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    if n_workers is None or n_workers < 1:
        raise InvalidInputError(f"--dask-workers={n_workers}; at least 1 is needed.")
    with _ctrl_c_kept_from_children():
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            # Any free port: dask warns if its default port is taken.
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


@contextmanager
def _ctrl_c_kept_from_children() -> Iterator[None]:
    """Protect the processes started within from Ctrl-C, which a terminal sends to all processes of a command.

    A thread passes its blocked signals on to all threads and processes that it starts. A Ctrl-C within is
    raised at the end, since a partly started cluster cannot be closed.
    """
    pressed: list[int] = []
    # The resource tracker would otherwise start with the first worker, and unblock Ctrl-C in that thread.
    resource_tracker.ensure_running()
    handler = signal.signal(signal.SIGINT, lambda which, frame: pressed.append(which))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt


def active_client() -> Any:
    """Return the client of the dask cluster in use; None without one.

    None within a task of a cluster too: a run there would wait for workers that its own task occupies.
    """
    if "distributed" not in sys.modules:
        return None
    from distributed import Client, get_worker

    with suppress(ValueError):
        get_worker()
        return None
    with suppress(ValueError):
        client = Client.current()
        if client.status == "running" and not client.asynchronous:
            return client
    return None
