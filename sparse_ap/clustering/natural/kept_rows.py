"""Rows that a run makes for itself: kept in memory, or, where they do not fit, in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.clustering.input import blocked_graph, in_memory
from sparse_ap.execution.blocking import BlockedGraph
from sparse_ap.execution.executor import Executor
from sparse_ap.kernels.block import Block, RowCut, starts_of
from sparse_ap.storage.store import AS_GIVEN

__all__ = ["kept_rows"]


def kept_rows(
    parts: Iterable[scipy.sparse.csr_array],
    n_rows: int,
    dtype: Any,
    folder: Path,
    most: int,
    executor: Executor,
) -> BlockedGraph:
    """Keep the rows of a graph that is made here: in memory up to ``most`` entries, else in ``folder``.

    Parameters
    ----------
    parts : iterable of csr_array
        The rows, one range after the other.
    n_rows : int
    dtype : float32 or float64
    folder : Path
        Where to write; it must not exist.
    most : int
    executor : Executor
    """
    held: list[Block] = []
    n_held, blocks = 0, _blocks_of(parts, n_rows, dtype)
    for block in blocks:
        held.append(block)
        n_held += len(block.data)
        if n_held > most:
            # Imported here: only graphs that do not fit need zarr.
            from sparse_ap.storage.zarr_groups import open_zarr
            from sparse_ap.storage.zarr_writer import write_csr

            write_csr(folder, chain(held, blocks), dtype, AS_GIVEN)
            return blocked_graph(open_zarr(folder), executor)
    degrees = np.concatenate([np.diff(block.indptr) for block in held])
    indices, data = (np.concatenate([getattr(block, of) for block in held]) for of in ("indices", "data"))
    return in_memory(starts_of(degrees), indices, data, executor)


def _blocks_of(parts: Iterable[scipy.sparse.csr_array], n_rows: int, dtype: Any) -> Iterator[Block]:
    start = 0
    for part in parts:
        cut = RowCut(start, start + part.shape[0])
        indptr = part.indptr.astype(np.int64)
        yield Block(cut, n_rows, indptr, part.indices.astype(np.int32), part.data.astype(dtype))
        start = cut.stop
