"""`StoredGraph`: a graph on disk that is opened but not read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.kernels.block import FloatArray
from sparse_ap.storage.csr import csr_graph
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.zarr_csr import ZarrStore
from sparse_ap.storage.zarr_dense import ZarrDenseStore
from sparse_ap.storage.zarr_reader import read_all

__all__ = ["StoredGraph", "open_graph", "read_graph"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredGraph:
    """A graph on disk, whose edges `affinity_propagation` reads in each sweep.

    `open_graph` returns it. With a path in its place, a run reads the graph into memory first, if it fits.

    Attributes
    ----------
    store : ZarrStore or ZarrDenseStore
        The arrays on disk.
    loadable : bool
        Whether a run may read the edges into memory first, if they fit.
    """

    store: ZarrStore | ZarrDenseStore
    loadable: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(n_points, n_points)."""
        n_points = len(self.store.indptr) - 1
        return n_points, n_points

    @property
    def n_stored(self) -> int:
        """Number of stored entries."""
        return int(self.store.indptr[-1])

    def names(self) -> NDArray[Any] | None:
        """Read the names of the points; None for a graph whose points have no names."""
        ids = getattr(self.store, "ids", None)
        return None if ids is None else read_all(ids).astype(object)

    @property
    def recall(self) -> Recall | None:
        """The recall of the search that the graph comes from, as of a `KNNGraph`; None if not known."""
        noted = getattr(self.store, "recall", None)
        return None if noted is None else Recall(*noted)

    @property
    def missing_at_most(self) -> FloatArray | None:
        """The largest similarity that an edge of each point which is not stored can have, as of a `KNNGraph`.

        It is read from the disk, in the user's order, shape (n_points,); None if it is not known.
        """
        missing = getattr(self.store, "missing", None)
        return None if missing is None else read_all(missing)

    def __repr__(self) -> str:
        """Return the size and the dtype of the graph."""
        return f"StoredGraph({self.shape[0]:,} points, {self.n_stored:,} stored entries, {self.store.dtype})"


def open_graph(
    location: Any,
    *,
    symmetric: bool = False,
    missing_chunks: Literal["zero"] | None = None,
    threshold: float | None = None,
    top_k: int | None = None,
) -> StoredGraph:
    """Open a graph on disk, to be clustered without reading it into memory.

    Parameters
    ----------
    location : path, URL, zarr.Group or zarr.Array
        A group in AnnData's CSR layout (arrays ``data``, ``indices``, ``indptr``; zarr format 2 or 3), as
        `write_graph` writes it and the ``obsp`` of an AnnData store holds it; or a dense array of shape
        (n_points, n_points), in which NaN and -inf are no edges. It is never written to.
    symmetric : bool
        Whether to read a group stored by columns (CSC) as if by rows, since entry (i, k) equals (k, i).
    missing_chunks : {"zero"} or None
        "zero": a missing chunk of ``data`` or ``indptr`` counts as zeros, since zarr leaves out such chunks
        by default. None: a missing chunk is an error.
    threshold : float, optional
        For a dense array: smallest entry that is an edge.
    top_k : int, optional
        For a dense array: largest number of edges in each row, the largest entries.

    Returns
    -------
    StoredGraph

    Raises
    ------
    InvalidInputError
        There is no graph, or its arrays are inconsistent.
    DamagedGraphError
        Chunks are missing.
    """
    # Imported here, since it imports zarr.
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
        As for `open_graph`; sparse graphs only.

    Returns
    -------
    csr_array, shape (n_points, n_points)
        The graph in the user's order, whatever the order on disk. A `KNNGraph` if the recall of its search is
        stored with it.
    """
    stored = open_graph(location, **options)
    return KNNGraph.of(_in_memory(stored.store), stored.recall, stored.missing_at_most)


def _in_memory(store: ZarrStore | ZarrDenseStore) -> scipy.sparse.csr_array:
    if isinstance(store, ZarrDenseStore):
        raise InvalidInputError("The graph is a dense array; read it with zarr: zarr.open(location)[:].")
    held = store.in_memory()
    graph = csr_graph(held.indptr, held.indices, held.data)
    order = store.origin.order
    if order is None:
        return graph
    rows, columns = graph.tocoo().coords
    in_user_order = scipy.sparse.coo_array((graph.data, (order[rows], order[columns])), shape=graph.shape)
    # Renumbering has mixed the columns of each row, so they are sorted again.
    tidy = MemoryStore.from_sparse(in_user_order).canonical()
    return csr_graph(tidy.indptr, tidy.indices, tidy.data)
