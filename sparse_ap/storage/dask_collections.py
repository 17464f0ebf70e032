"""Opening dask's collections as graphs: arrays of similarities, sparse or dense."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import dask.array
import numpy as np
import scipy.sparse
from dask.delayed import Delayed
from dask.utils import is_dataframe_like
from distributed import Client

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.storage.dask_blocks import ChunkedStore, Fetch, computed
from sparse_ap.storage.dask_table import from_table
from sparse_ap.storage.dense import dense_block
from sparse_ap.storage.memory import csr_of
from sparse_ap.storage.naming import task
from sparse_ap.storage.validation import (
    as_float,
    float_type,
    require_ids_fit,
    require_square,
    require_structure,
)

__all__ = ["open_collection"]


def open_collection(collection: Any, client: Client, fetch: Fetch) -> ChunkedStore:
    """Compute a dask collection on a cluster, and keep it there as blocks.

    Parameters
    ----------
    collection : dask.array.Array or dask.dataframe.DataFrame
        As for `sparse_ap.affinity_propagation`.
    client : distributed.Client
    fetch : callable
        Returns the results of futures, and does not wait for ever.

    Raises
    ------
    InvalidInputError
        It is no graph.
    """
    if isinstance(collection, dask.array.Array):
        return _from_array(collection, client, fetch)
    if is_dataframe_like(collection):
        return from_table(collection, client, fetch)
    name = "Delayed" if isinstance(collection, Delayed) else type(collection).__name__
    raise InvalidInputError(
        f"The similarities are a dask {name}; of dask's collections an array of shape (n_points, n_points), "
        "its chunks sparse CSR or dense, or a dataframe of edges is needed. Give what it computes, "
        "similarity.compute(); or make a Delayed matrix an array: dask.array.from_delayed(similarity, shape, "
        "dtype)."
    )


def _from_array(array: dask.array.Array, client: Client, fetch: Fetch) -> ChunkedStore:
    """Take each chunk of rows as a block."""
    if any(np.isnan(size) for size in (*array.shape, *(n for sizes in array.chunks for n in sizes))):
        raise InvalidInputError(
            f"The dask array has chunks of unknown size (shape {array.shape}). Call its "
            "compute_chunk_sizes() first."
        )
    require_square(array.shape)
    n_points = int(array.shape[0])
    require_ids_fit(n_points)
    dtype = float_type(array.dtype)
    # By the method that takes any chunks; the other is for dense ones.
    array = array.rechunk({1: -1}, method="tasks") if array.numblocks[1] > 1 else array
    bounds = np.cumsum([0, *array.chunks[0]]).tolist()
    divisions = [RowCut(start, stop) for start, stop in pairwise(bounds) if stop > start]
    chunks = [chunk for chunk, size in zip(array.to_delayed()[:, 0], array.chunks[0], strict=True) if size]
    blocks = [
        task("chunk-to-block", _block_of_chunk, chunk, rows, n_points, dtype)
        for chunk, rows in zip(chunks, divisions, strict=True)
    ]
    return computed(blocks, divisions, dtype, client, fetch)


def _block_of_chunk(chunk: Any, rows: RowCut, n_points: int, dtype: np.dtype[Any]) -> Block:
    if chunk.shape != (rows.stop - rows.start, n_points):
        raise InvalidInputError(
            f"A chunk of the dask array has shape {chunk.shape}, and {(rows.stop - rows.start, n_points)} "
            "was announced. Build the array with the shapes of its chunks."
        )
    if not scipy.sparse.issparse(chunk):
        block = dense_block(np.asarray(chunk), rows)
        return Block(rows, n_points, block.indptr, block.indices, block.data.astype(dtype, copy=False))
    csr = csr_of(chunk)
    require_structure(csr)
    n_entries = int(csr.indptr[-1])
    return Block(
        rows,
        n_points,
        np.asarray(csr.indptr, np.int64),
        np.asarray(csr.indices[:n_entries], np.int32),
        as_float(csr.data[:n_entries]).astype(dtype, copy=False),
    )
