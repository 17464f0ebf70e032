"""Graphs on disk as objects: opened, not read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.storage.csr import csr_graph
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.zarr_csr import ZarrStore
from sparse_ap.storage.zarr_dense import ZarrDenseStore
from sparse_ap.storage.zarr_reader import read_all

__all__ = ["StoredGraph", "open_graph", "read_graph"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredGraph:
    """A graph on disk, from which `affinity_propagation` reads the edges in each sweep.

    Made by `open_graph`. Give the path instead to leave it to the memory that there is whether the graph is
    read into it first.

    Attributes
    ----------
    store : ZarrStore or ZarrDenseStore
    loadable : bool
        Whether a run may read the edges into memory first, where they fit.
    """

    store: ZarrStore | ZarrDenseStore
    loadable: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Points, twice."""
        n_points = len(self.store.indptr) - 1
        return n_points, n_points

    @property
    def n_stored(self) -> int:
        """Entries stored."""
        return int(self.store.indptr[-1])

    def names(self) -> NDArray[Any] | None:
        """Read the names of the points, where the graph was made from a table with names."""
        ids = getattr(self.store, "ids", None)
        return None if ids is None else read_all(ids).astype(object)

    def __repr__(self) -> str:
        """Say how large it is."""
        return f"StoredGraph({self.shape[0]:,} points, {self.n_stored:,} stored entries, {self.store.dtype})"


def open_graph(
    location: Any,
    *,
    symmetric: bool = False,
    missing_chunks: Literal["zero"] | None = None,
    threshold: float | None = None,
    top_k: int | None = None,
) -> StoredGraph:
    """Open a graph on disk, to be clustered without being read into memory.

    Parameters
    ----------
    location : path, URL, zarr.Group or zarr.Array
        A group in AnnData's CSR layout (arrays ``data``, ``indices``, ``indptr``; zarr format 2 or 3), as
        `write_graph` writes it and as the ``obsp`` of AnnData stores holds it, or a dense array of shape
        (n_points, n_points), whose NaN and -inf are no edges. Never written to.
    symmetric : bool
        Whether a group by columns (CSC) may be read as if it were by rows, since entry (i, k) equals (k, i).
    missing_chunks : {"zero"} or None
        "zero": a chunk of ``data`` or ``indptr`` that is not there is one of zeros, which zarr leaves out
        unless told otherwise. None: it is an error.
    threshold : float, optional
        Of a dense array: entries below are no edges.
    top_k : int, optional
        Of a dense array: only so many of the largest entries of each row are edges.

    Returns
    -------
    StoredGraph

    Raises
    ------
    InvalidInputError
        There is no graph there, or its arrays do not fit together.
    DamagedGraphError
        Chunks are missing.
    """
    # Here, since it imports zarr.
    from sparse_ap.storage.zarr_groups import open_zarr

    return StoredGraph(
        open_zarr(
            location, symmetric=symmetric, missing_chunks=missing_chunks, threshold=threshold, top_k=top_k
        )
    )


def read_graph(location: Any, **options: Any) -> scipy.sparse.csr_array:
    """Read a graph on disk into memory.

    Parameters
    ----------
    location, **options
        As for `open_graph`; of sparse graphs only.

    Returns
    -------
    csr_array, shape (n_points, n_points)
        In the user's order, whatever order it is stored in.
    """
    store = open_graph(location, **options).store
    if isinstance(store, ZarrDenseStore):
        raise InvalidInputError("The graph is a dense array; read it with zarr: zarr.open(location)[:].")
    held = store.in_memory()
    graph = csr_graph(held.indptr, held.indices, held.data)
    order = store.origin.order
    if order is None:
        return graph
    rows, columns = graph.tocoo().coords
    in_user_order = scipy.sparse.coo_array((graph.data, (order[rows], order[columns])), shape=graph.shape)
    tidy = MemoryStore.from_sparse(in_user_order).canonical()
    return csr_graph(tidy.indptr, tidy.indices, tidy.data)
