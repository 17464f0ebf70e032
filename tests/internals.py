"""Private names of the package that several tests change, all in one place: where one moves, this follows.

change(monkeypatch, least_edges=512, patience=2.0)
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from sparse_ap import arguments
from sparse_ap.execution import blocking, room
from sparse_ap.execution.dask import client, executor, placement, workers
from sparse_ap.search import refinement

PLACES: dict[str, tuple[ModuleType, str]] = {
    # That this process may use.
    "processors": (arguments, "_processors"),
    # Of a block in memory, and of one that is streamed.
    "least_edges": (blocking, "_LEAST_EDGES"),
    "streamed_edges": (blocking, "_STREAMED_EDGES"),
    # Of a graph that is brought to this process.
    "local_edges": (room, "_LOCAL_EDGES"),
    # Similarities to candidates that are kept for exchanges.
    "candidates": (room, "_CANDIDATES"),
    # Edges that the search reads, and moves of an annealing.
    "edges_searched": (refinement, "_SMALL"),
    "moves": (refinement, "_MOVES"),
    # Of a part on a cluster.
    "most_edges": (placement, "_MOST_EDGES"),
    # Of a worker's memory: what is not for edges.
    "machinery": (placement, "_MACHINERY"),
    "kept_in_memory": (placement, "kept_in_memory"),
    # Seconds that a cluster is waited for.
    "patience": (workers, "PATIENCE"),
    "timeout": (client, "_TIMEOUT"),
    # Packages whose versions are compared.
    "must_agree": (workers, "_MUST_AGREE"),
    # What a task on a cluster does.
    "read_part": (executor, "read_part"),
}


def change(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    """Give private names other values until the end of a test."""
    for name, value in values.items():
        monkeypatch.setattr(*PLACES[name], value)


def current(name: str) -> Any:
    """Return the value that a private name has now."""
    return getattr(*PLACES[name])
