"""`write_pairs`: the graph of pairs of points to disk, without holding it in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.conversion.names import checked_names
from sparse_ap.graphs.conversion.row_blocks import RowBlocks
from sparse_ap.graphs.conversion.transforms import Scratch, Triplets, mirrored, sorted_graph
from sparse_ap.graphs.conversion.write_graph import WrittenGraph
from sparse_ap.graphs.neighbours.recall import EXACT
from sparse_ap.graphs.pairs.found import NearPairs
from sparse_ap.storage.atomic_files import replacing_folder
from sparse_ap.storage.zarr_writer import write_csr

__all__ = ["write_pairs"]


def write_pairs(
    pairs: Iterator[NearPairs],
    n_points: int,
    below: np.float32,
    target: Path,
    names: Sequence[str] | NDArray[Any] | None,
    memory_limit: int,
    overwrite: bool,
) -> WrittenGraph:
    """Write all pairs that are similar enough, in both directions; see `write_graph`.

    Parameters
    ----------
    pairs : iterator of NearPairs
        Each pair once.
    n_points : int
    below : float32
        What the similarity of a pair that is missing is at most.
    target, names, memory_limit, overwrite
        As for `radius_graph`.
    """
    ids = None if names is None else [checked_names(names, n_points, False)]
    scratch = Scratch(memory_limit, np.dtype(np.float32))
    with replacing_folder(target, overwrite) as workspace, ExitStack() as held:
        scratch.use(workspace.scratch, held)
        few, n_edges = _as_many_as_fit(pairs, scratch)
        graph = RowBlocks(n_points, iter(()), recall=EXACT, missing=np.full(n_points, below))
        edges = mirrored(Triplets(*piece) for piece in chain(few, pairs))
        # Rows may be full.
        graph = sorted_graph(graph, edges, n_edges, scratch).changed(lambda block: block)
        written = write_csr(
            workspace.result, graph.blocks, scratch.dtype, graph.origin, ids=ids, recall=astuple(EXACT),
            missing=graph.missing, n_edges=n_edges,
        )  # fmt: skip
    return WrittenGraph(target, **asdict(written))


def _as_many_as_fit(pairs: Iterable[NearPairs], scratch: Scratch) -> tuple[list[NearPairs], int | None]:
    """Return the first pairs, and the number of all edges if these are all; else None."""
    few, n_edges = [NearPairs.none()], 0
    for piece in pairs:
        few.append(piece)
        n_edges += 2 * len(piece.one)
        if not scratch.fits(n_edges):
            return few, None
    return few, n_edges
