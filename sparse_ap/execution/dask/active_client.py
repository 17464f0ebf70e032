"""The client of the dask cluster that is in use."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

__all__ = ["active_client"]


def active_client() -> Any:
    """Return the client of the dask cluster that is in use, if any.

    None within a task of a cluster: it would wait for others while it keeps them from being run.
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
