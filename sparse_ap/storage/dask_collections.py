"""Graphs from dask's collections: arrays of similarities, and dataframes of edges."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import dask.array
import numpy as np
import scipy.sparse
from dask.delayed import Delayed
from dask.utils import is_dataframe_like
from distributed import Client
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Block, Int32Array, Int64Array, RowCut, starts_of
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.dask_blocks import DaskStore, Fetch, computed
from sparse_ap.storage.masks import array_of
from sparse_ap.storage.parts import task
from sparse_ap.storage.validation import (
    as_float,
    float_dtype,
    n_points_of,
    require_ids_fit,
    require_structure,
)
from sparse_ap.storage.zarr_dense import dense_block

__all__ = ["open_collection"]


def open_collection(collection: Any, client: Client, fetch: Fetch) -> DaskStore:
    """Compute a dask collection on a cluster, and keep it there as blocks of a graph.

    Parameters
    ----------
    collection : dask.array.Array or dask.dataframe.DataFrame
        As for `sparse_ap.affinity_propagation`.
    client : distributed.Client
    fetch : callable
        Function that returns the results of futures, with bounded waiting.

    Raises
    ------
    InvalidInputError
        The collection is not a graph.
    """
    if isinstance(collection, dask.array.Array):
        return _from_array(collection, client, fetch)
    if is_dataframe_like(collection):
        return _from_table(collection, client, fetch)
    name = "Delayed" if isinstance(collection, Delayed) else type(collection).__name__
    raise InvalidInputError(
        f"The similarities are a dask {name}; of dask's collections an array of shape (n_points, n_points), "
        "its chunks sparse CSR or dense, or a dataframe of edges is needed. Give what it computes, "
        "similarity.compute(); or make a Delayed matrix an array: dask.array.from_delayed(similarity, shape, "
        "dtype)."
    )


def _from_array(array: dask.array.Array, client: Client, fetch: Fetch) -> DaskStore:
    """Return a store with one block for each chunk of rows."""
    if any(np.isnan(size) for size in (*array.shape, *(n for sizes in array.chunks for n in sizes))):
        raise InvalidInputError(
            f"The dask array has chunks of unknown size (shape {array.shape}). Call its "
            "compute_chunk_sizes() first."
        )
    n_points = n_points_of(array.shape)
    dtype = float_dtype(array.dtype)
    # The method "tasks" accepts sparse chunks; the other method is for dense ones.
    array = array.rechunk({1: -1}, method="tasks") if array.numblocks[1] > 1 else array
    bounds = np.cumsum([0, *array.chunks[0]]).tolist()
    # dask allows empty chunks; a block without rows would be an empty cut.
    divisions = [RowCut(start, stop) for start, stop in pairwise(bounds) if stop > start]
    chunks = [chunk for chunk, size in zip(array.to_delayed()[:, 0], array.chunks[0], strict=True) if size]
    blocks = [
        task("chunk-to-block", _block_of_chunk, chunk, rows, n_points, dtype)
        for chunk, rows in zip(chunks, divisions, strict=True)
    ]
    return computed(blocks, divisions, dtype, client, fetch)


def _block_of_chunk(chunk: Any, rows: RowCut, n_points: int, dtype: np.dtype[Any]) -> Block:
    if hasattr(chunk, "to_scipy_sparse"):
        chunk = chunk.to_scipy_sparse()  # of pydata/sparse
    if chunk.shape != (rows.stop - rows.start, n_points):
        raise InvalidInputError(
            f"A chunk of the dask array has shape {chunk.shape}, and {(rows.stop - rows.start, n_points)} "
            "was announced. Build the array with the shapes of its chunks."
        )
    if not scipy.sparse.issparse(chunk):
        block = dense_block(array_of(chunk), rows)
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


# Largest number of edges in a block that a table is divided into.
_BLOCK_EDGES = 16_000_000


class _Routine(logging.Filter):
    """A log filter that drops the messages about the begin and end of our own shuffles.

    dask logs them as warnings, which a scheduler in this process would print to the user's terminal.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ours: set[str] = set()

    def add(self, collection: Any) -> None:
        """Register the shuffles in the graph of a collection."""
        logging.getLogger("distributed.shuffle._scheduler_plugin").addFilter(self)
        keys = map(str, collection.__dask_graph__())
        self._ours |= {key.removeprefix(_BARRIER) for key in keys if key.startswith(_BARRIER)}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        routine = str(record.msg).startswith(("Shuffle %s initialized by", "Shuffle %s deactivated due"))
        return not (routine and isinstance(record.args, tuple) and record.args[0] in self._ours)


_BARRIER = "shuffle-barrier-"
_ROUTINE = _Routine()


def _from_table(table: Any, client: Client, fetch: Fetch) -> DaskStore:
    """Compute a dask dataframe of edges, and bring the edges of each row together by a shuffle.

    Parameters
    ----------
    table : dask.dataframe.DataFrame
        As for `sparse_ap.affinity_propagation`.
    client : distributed.Client
    fetch : callable
        Function that returns the results of futures, with bounded waiting.

    Raises
    ------
    InvalidInputError
        The table is not a graph.
    """
    dtype = _require_edges(table)
    # The narrowest dtypes, since the edges travel between workers.
    kinds = {"row": np.int32, "column": np.int32, "similarity": dtype}
    edges = client.persist(table.map_partitions(_checked, dtype, meta=kinds, token="check-edges"))
    degrees = _degrees(edges, client, fetch)
    n_points = len(degrees)
    indptr = starts_of(degrees)
    bounds = _bounds(indptr, max(sum(client.nthreads().values()), -(-int(indptr[-1]) // _BLOCK_EDGES)))
    divisions = [RowCut(start, stop) for start, stop in pairwise(bounds)]
    # dask includes the last division in its partition, so it is the last row itself.
    ends = [*bounds[:-1], n_points - 1] if n_points > 1 else [0, 0]
    # Peer to peer: without a default client dask would shuffle on a disk that all workers must share.
    by_row = edges.set_index("row", divisions=ends, shuffle_method="p2p")
    # This builds the graph, whose keys name the shuffle by which its messages are recognised.
    parts = by_row.to_delayed()
    _ROUTINE.add(parts[0])
    blocks = [
        task("edges-to-block", _block_of_edges, part, rows, n_points)
        for part, rows in zip(parts, divisions, strict=True)
    ]
    return computed(blocks, divisions, dtype, client, fetch)


def _require_edges(table: Any) -> np.dtype[Any]:
    """Check the columns of a table of edges; return the dtype of the similarities."""
    if len(table.columns) < 3:
        raise InvalidInputError(
            f"The table of edges has the columns {', '.join(map(str, table.columns))}; three are needed: the "
            "row, the column and the similarity."
        )
    *ids, similarity = list(table.dtypes)[:3]
    for name, dtype in zip(table.columns, ids, strict=False):
        if dtype.kind not in "iu":
            raise InvalidInputError(
                f"The column {name!r} of the table of edges has dtype {dtype}; points must be "
                "numbered from 0. Edges between named points: sparse-ap convert numbers them."
            )
    # Nullable dtypes of pandas refer to numpy's.
    kind = getattr(similarity, "numpy_dtype", similarity)
    if not isinstance(kind, np.dtype):
        raise InvalidInputError(
            f"The column {table.columns[2]!r} of the table of edges has dtype {similarity}; real numbers are "
            "needed."
        )
    return float_dtype(kind)


def _degrees(edges: Any, client: Client, fetch: Fetch) -> Int64Array:
    """Return the number of edges of every row, up to the largest id."""
    parts = edges.to_delayed()
    ends = fetch(client.compute([task("last-point", _end_of, part) for part in parts]))
    n_points = max(ends, default=0)
    if n_points == 0:
        raise InvalidInputError(
            "The table of edges is empty, so that nobody knows how many points there are."
        )
    counts = [task("count-edges", _counts_of, part, n_points) for part in parts]
    while len(counts) > 1:
        # Pairwise, so that no worker holds the counts of all partitions.
        counts = [task("add-counts", _sum, *counts[i : i + 2]) for i in range(0, len(counts), 2)]
    degrees: Int64Array = fetch(client.compute(counts))[0]
    return degrees


def _bounds(indptr: Int64Array, n_blocks: int) -> list[int]:
    """Return the first rows of blocks with about equal numbers of edges, and the end."""
    n_points = len(indptr) - 1
    targets = np.linspace(0, indptr[-1], n_blocks + 1)[1:-1]
    bounds: list[int] = np.unique([0, *np.searchsorted(indptr, targets), n_points]).tolist()
    return bounds


def _checked(table: Any, dtype: np.dtype[Any]) -> Any:
    """Return a partition of a table with three checked columns of numpy's dtypes.

    Raises
    ------
    InvalidInputError
        An id is missing or negative.
    """
    row, column, similarity = (table.iloc[:, which] for which in range(3))
    return (
        table.iloc[:, :3]
        .set_axis(["row", "column", "similarity"], axis=1)
        .assign(
            row=_checked_ids(row),
            column=_checked_ids(column),
            similarity=similarity.to_numpy(dtype=dtype, na_value=np.nan),
        )
    )


def _checked_ids(ids: Any) -> Int32Array:
    if ids.isna().any():
        raise InvalidInputError(
            f"In the column {ids.name!r} of the table of edges there are missing ids. Drop those rows."
        )
    values: NDArray[Any] = ids.to_numpy()
    if len(values) and values.min() < 0:
        raise InvalidInputError(f"The table of edges has the id {values.min()}; points are numbered from 0.")
    require_ids_fit(int(values.max()) + 1 if len(values) else 0)
    return values.astype(np.int32)


def _block_of_edges(edges: Any, rows: RowCut, n_points: int) -> Block:
    """Return a partition, indexed by row, as a sorted block; the order of its edges is irrelevant."""
    row = edges.index.to_numpy()
    column, similarity = edges["column"].to_numpy(), edges["similarity"].to_numpy()
    # The similarity is a key, too: a shuffle returns duplicates in any order.
    order = np.lexsort((similarity, column, row))
    indptr = np.searchsorted(row[order], np.arange(rows.start, rows.stop + 1)).astype(np.int64)
    return Block(rows, n_points, indptr, column[order], similarity[order])


def _end_of(edges: Any) -> int:
    """Return 1 + the largest id of a partition; 0 without edges."""
    return 1 + max(int(edges[name].max()) for name in ("row", "column")) if len(edges) else 0


def _counts_of(edges: Any, n_points: int) -> NDArray[Any]:
    return np.bincount(edges["row"].to_numpy(), minlength=n_points)


def _sum(*counts: NDArray[Any]) -> Any:
    return np.sum(counts, axis=0)
