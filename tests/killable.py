"""A run with checkpoints that tells how far it is, to be killed; and processes that begin it quickly.

python killable.py GRAPH FOLDER RESULT    the same from a true start
"""

from __future__ import annotations

import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from sparse_ap import affinity_propagation
from sparse_ap.graphs import open_graph

# What is told after the last sweep.
SAVING = -1
OPTIONS: dict[str, Any] = {"preference": -0.02, "max_iter": 60, "convergence_iter": 59, "refine": "medoid"}


def cluster(graph: str, folder: str, result: str, tell: Callable[[int], object]) -> None:
    """Begin or go on; tell the number of each sweep, and that the result is being saved."""
    warnings.simplefilter("ignore")

    def slowly(sweep: int) -> None:
        tell(sweep)
        # On a fast machine the run would else end before it is killed.
        time.sleep(0.005)

    clustering = affinity_propagation(
        open_graph(graph),
        checkpoint=folder,
        resume=True,
        checkpoint_every=3,
        n_jobs=2,
        callback=lambda report: slowly(report.sweep),
        **OPTIONS,
    )
    tell(SAVING)
    clustering.save(result)


def _send(connection: Any, *given: str) -> None:
    cluster(*given, tell=connection.send)


def started(*given: str) -> tuple[Any, Any]:
    """Start it in a process of its own; return that, and what its words can be received from.

    The process is forked from one that has imported the package and done nothing else. So it has no state of
    any run, just as one that was started anew, but is there within milliseconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["sparse_ap.clustering.affinity_propagation", "sparse_ap.storage.zarr_groups"]
    )
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, *given))
    process.start()
    # When the process has ended, nobody can send any more.
    sender.close()
    return process, receiver


if __name__ == "__main__":
    cluster(*sys.argv[1:], tell=lambda sweep: None)
