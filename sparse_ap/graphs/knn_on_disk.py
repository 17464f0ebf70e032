"""The graph of the nearest neighbours of points that need not fit into memory, written as it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import available
from sparse_ap.errors import MemoryLimitError
from sparse_ap.graphs.asked_graph import A_THREAD, PROGRAM, AskedGraph, kept_distances, require_cells
from sparse_ap.graphs.conversion.write_graph import WrittenGraph, write_graph
from sparse_ap.graphs.distances import Similarity, similarities_of
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.graphs.neighbours.search import Neighbours, threads
from sparse_ap.graphs.neighbours.stages import FileStages, work_of_threads
from sparse_ap.graphs.search_folder import digest_of, points_on_disk, search_folder
from sparse_ap.graphs.search_on_dask import work_of_cluster
from sparse_ap.storage.mapped_arrays import hold_at_most

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["graph_on_disk"]

# Edges that are written at a time; bytes of an edge that is read; share of the memory that these may have.
_WRITTEN, _AN_EDGE, _READ = 1 << 19, 40, 0.1
# Bytes that a search needs besides pages of files, the program and its threads: for each point, and for each
# point once more in each thread.
_A_POINT, _A_POINT_AND_THREAD = 60, 4
# Bytes below the limit, and share of it, at which pages of files are given back: so much may be read before
# it is looked again.
_MARGIN, _SHARE = 200_000_000, 1 / 3


def graph_on_disk(
    asked: AskedGraph,
    output: Path,
    memory_limit: int | None,
    client: Client | None,
    overwrite: bool,
    n_threads: int,
    verbose: bool,
) -> WrittenGraph:
    """Search in files beside ``output``, and write the graph; go on from a search that did not end."""
    require_cells(asked.metric)
    limit = available() if memory_limit is None else memory_limit
    _require_memory(asked.points.shape[0], limit, n_threads)
    with ExitStack() as held:
        folder = held.enter_context(search_folder(output, _noted(asked), overwrite))
        held.callback(hold_at_most, float("inf"))
        hold_at_most(limit - max(_MARGIN, _SHARE * limit))
        pool = held.enter_context(threads(n_threads))
        by_threads = partial(work_of_threads, pool)
        workers = by_threads if client is None else partial(work_of_cluster, client, folder)
        asked = replace(asked, points=points_on_disk(asked.points, asked.metric, folder))
        found, reached = asked.neighbours(FileStages(pool, verbose, folder=folder, workers=workers))
        return write_graph(
            _pieces(found, reached, asked.similarity, limit),
            output,
            n_points=found.shape[0],
            memory_limit=memory_limit,
            overwrite=overwrite,
            verbose=verbose,
        )


def _noted(asked: AskedGraph) -> dict[str, Any]:
    """Return what the neighbours depend on, as a search that goes on from another compares it."""
    noted = {name: getattr(asked, name) for name in ("n_neighbors", "metric", "recall")}
    return noted | {"random_state": asked.seed, "points": digest_of(asked.points)}


def _require_memory(n: int, limit: int, n_threads: int) -> None:
    needed = PROGRAM + _A_POINT * n + n_threads * (A_THREAD + _A_POINT_AND_THREAD * n)
    if needed > limit:
        raise MemoryLimitError(
            f"The search for the neighbours of {n:,} points on {n_threads} threads needs "
            f"{needed / 1e9:.2f} GB, and {limit / 1e9:.2f} GB are allowed. Raise memory_limit "
            "(--memory-limit), or lower n_jobs (--n-jobs)."
        )


def _pieces(found: Neighbours, reached: Recall, similarity: Similarity, limit: int) -> Iterator[KNNGraph]:
    """Yield the rows of the graph, some at a time."""
    n, k = found.shape
    read, written = (max(1, int(edges) // k) for edges in (_READ * limit / _AN_EDGE, _WRITTEN))
    for start in range(0, n, read):
        numbers, distances = found.rows(slice(start, min(n, start + read)))
        for first in range(0, len(numbers), written):
            some = slice(first, first + written)
            kept = kept_distances(distances[some].ravel(), similarity)
            yield _piece(numbers[some], similarities_of(kept, similarity), n, reached)


def _piece(numbers: NDArray[np.int32], values: NDArray[Any], n: int, reached: Recall) -> KNNGraph:
    indptr = np.arange(0, numbers.size + 1, numbers.shape[1])
    piece = KNNGraph((values, numbers.ravel(), indptr), shape=(len(numbers), n))
    piece.recall = reached
    return piece
