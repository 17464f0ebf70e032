"""`DaskStore`: a graph whose blocks are in the memory of a cluster's workers already."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from uuid import uuid4

import numpy as np

from sparse_ap.kernels.block import Block, Int64Array, RowCut, starts_of
from sparse_ap.storage.parts import ChangedStore, task
from sparse_ap.storage.store import AS_GIVEN, HeldPart, Holding, Origin

if TYPE_CHECKING:
    from dask.delayed import Delayed
    from distributed import Client, Future

__all__ = ["DaskStore", "Fetch", "computed"]

Fetch: TypeAlias = "Callable[[Sequence[Future[Any]]], list[Any]]"


@dataclass(frozen=True, slots=True, eq=False)
class DaskStore:
    """A graph in blocks of rows on a dask cluster.

    Attributes
    ----------
    client : distributed.Client
    fetch : callable
        Function that returns the results of futures, with bounded waiting.
    blocks : tuple of Future
        A `Block` for each of ``divisions``; dask recomputes lost ones.
    divisions : tuple of RowCut
        The rows of each block.
    indptr : ndarray of int64, shape (n_points + 1,)
    dtype : dtype
    """

    client: Client
    fetch: Fetch
    blocks: tuple[Future[Any], ...]
    divisions: tuple[RowCut, ...]
    indptr: Int64Array
    dtype: np.dtype[Any]

    origin: ClassVar[Origin] = AS_GIVEN
    chunk_edges: ClassVar[None] = None
    holding: ClassVar[Holding] = Holding(
        copies=2,
        reason="that they compute, and hold twice: as it was computed, and as parts of equal size, tidied",
        remedy="Compute it once, to a zarr store that all workers can open (a table: sparse-ap convert "
        "edges.parquet -o graph.zarr), and give its path: edges that do not fit are then read from there in "
        "each sweep.",
    )

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        """Yield blocks, fetched from the cluster."""
        for rows in cuts:
            within = [
                self.client.submit(_rows_of, block, rows, key=f"rows-of-block-{uuid4().hex}")
                for block, those in zip(self.blocks, self.divisions, strict=True)
                if those.start < rows.stop and rows.start < those.stop
            ]
            yield _joined(self.fetch(within), rows, self)

    def part(self, cuts: Sequence[RowCut], hold: bool) -> Delayed:
        """Return the rows of some whole blocks for another process; they are in memory in any case."""
        # Cuts are whole divisions: a store with divisions is cut nowhere else.
        first = bisect_left(self.divisions, cuts[0])
        return task("join-blocks", _held, *self.blocks[first : first + len(cuts)])

    def canonical(self) -> ChangedStore:
        """Return the graph with its parts made canonical on the workers."""
        return ChangedStore(self)


def computed(
    blocks: Sequence[Delayed], divisions: Sequence[RowCut], dtype: np.dtype[Any], client: Client, fetch: Fetch
) -> DaskStore:
    """Compute blocks on a cluster, keep them there, and return the store."""
    # Futures, not delayed calls: the blocks are computed once, for all passes.
    futures = client.compute(list(blocks))
    counts = fetch(client.compute([task("row-lengths", _row_lengths, block) for block in futures]))
    indptr = starts_of(np.concatenate([np.empty(0, np.int64), *counts]))
    return DaskStore(client, fetch, tuple(futures), tuple(divisions), indptr, dtype)


def _held(*blocks: Block) -> HeldPart:
    return HeldPart(blocks)


def _row_lengths(block: Block) -> Int64Array:
    return np.diff(block.indptr)


def _rows_of(block: Block, rows: RowCut) -> Block:
    """Return the rows of a block that lie in ``rows``."""
    start, stop = max(rows.start, block.rows.start), min(rows.stop, block.rows.stop)
    indptr = block.indptr[start - block.rows.start : stop - block.rows.start + 1]
    edges = slice(indptr[0] - block.indptr[0], indptr[-1] - block.indptr[0])
    return replace(
        block, rows=RowCut(start, stop), indptr=indptr, indices=block.indices[edges], data=block.data[edges]
    )


def _joined(pieces: Sequence[Block], rows: RowCut, store: DaskStore) -> Block:
    return Block(
        rows,
        len(store.indptr) - 1,
        store.indptr[rows.start : rows.stop + 1],
        np.concatenate([piece.indices for piece in pieces] or [np.empty(0, np.int32)]),
        np.concatenate([piece.data for piece in pieces] or [np.empty(0, store.dtype)]),
    )
