"""The steps of a search on the workers of a dask cluster, which see the same files as the client."""

from __future__ import annotations

import os
import pickle
import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from sparse_ap.errors import ClusterError
from sparse_ap.graphs.neighbours.stages import Step
from sparse_ap.storage.mapped_arrays import flush_mapped, hold_at_most

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["work_of_cluster"]

# Share of its memory limit at which a worker gives pages of files back; dask spills at .6 of it.
_SHARE = 0.5


def work_of_cluster(client: Client, folder: Path, step: Step, parts: Sequence[slice]) -> Iterator[int]:
    """Do a step for some tiles on a cluster, one a task, and yield the number of each once it is done.

    The workers need to see the ``folder`` of the search under this name.
    """
    from distributed import as_completed

    file = folder / f"step-{uuid.uuid4().hex}.pickle"
    file.write_bytes(pickle.dumps(step))
    asked = [(str(file), part.start, part.stop) for part in parts]
    futures = client.map(_do, asked, pure=False, key="sparse-ap-search")
    numbers = {future.key: number for number, future in enumerate(futures)}
    try:
        for future in as_completed(futures, loop=client.loop):
            future.result()
            yield numbers[future.key]
    finally:
        client.cancel(futures)
        file.unlink(missing_ok=True)


def _do(asked: tuple[str, int, int]) -> None:
    """Do a tile of a step on a worker."""
    from distributed import get_worker

    path, start, stop = asked
    limit = get_worker().memory_manager.memory_limit
    hold_at_most(_SHARE * limit if limit else float("inf"))
    try:
        step = _step_in(path)
    except FileNotFoundError as error:
        raise ClusterError(
            f"The worker on {os.uname().nodename} does not see {error.filename}. The graph is searched in a "
            "folder beside it, and the points are read from their file: both need to be on storage that the "
            "client and all workers see under the same name."
        ) from error
    with threadpool_limits(1, "blas"):
        step(slice(start, stop))
    flush_mapped()


@lru_cache(maxsize=1)
def _step_in(path: str) -> Any:
    return pickle.loads(Path(path).read_bytes())
