"""`knn_graph`: the graph from each point to its nearest neighbours."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.arguments import bytes_of, is_positive_integer, require, seed_of, usable_threads
from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.asked_graph import AskedGraph, kept_distances, require_cells, require_memory_of_exact
from sparse_ap.graphs.distances import Similarity, conversion_of, is_falling
from sparse_ap.graphs.metrics import (
    checked_metric,
    checked_points,
    require_points,
    warn_of_packed_bits,
)
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbour_lists import from_knn
from sparse_ap.graphs.neighbours.recall import EXACT
from sparse_ap.graphs.neighbours.search import search_for, threads
from sparse_ap.graphs.neighbours.stages import Stages
from sparse_ap.graphs.sparse_points import checked_rows
from sparse_ap.storage.atomic_files import require_free

if TYPE_CHECKING:
    from distributed import Client

    from sparse_ap.graphs.conversion.write_graph import WrittenGraph

__all__ = ["knn_graph"]

_OTHERWISE = (
    "Divide the points by one number; or give distances of float64, as neighbour lists, to "
    "sparse_ap.graphs.from_knn."
)


@overload
def knn_graph(
    X: Any, n_neighbors: int, *, metric: str = ..., similarity: Similarity | None = ..., recall: float = ...,
    output: None = ..., memory_limit: int | str | None = ..., client: Client | None = ...,
    overwrite: bool = ..., n_jobs: int | None = ...,
    random_state: int | np.random.RandomState | np.random.Generator | None = ..., verbose: bool = ...,
) -> KNNGraph: ...  # fmt: skip


@overload
def knn_graph(
    X: Any, n_neighbors: int, *, metric: str = ..., similarity: Similarity | None = ..., recall: float = ...,
    output: str | Path, memory_limit: int | str | None = ..., client: Client | None = ...,
    overwrite: bool = ..., n_jobs: int | None = ...,
    random_state: int | np.random.RandomState | np.random.Generator | None = ..., verbose: bool = ...,
) -> WrittenGraph: ...  # fmt: skip


def knn_graph(
    X: Any,
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    similarity: Similarity | None = None,
    recall: float = 0.95,
    output: str | Path | None = None,
    memory_limit: int | str | None = None,
    client: Client | None = None,
    overwrite: bool = False,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    verbose: bool = False,
) -> KNNGraph | WrittenGraph:
    """Build the directed graph from each point to its nearest neighbours.

    The search is exact for up to 10,000 points, by a k-d tree for up to 8 features ("euclidean", "manhattan",
    "chebyshev"), and with ``recall=1``. Otherwise it is approximate: points are cut into cells by k-means,
    each is compared with the points of the cells nearest to it, and then with its neighbours' neighbours
    [1]_, until an estimate of the recall reaches ``recall`` (docs/design/0017-cells.md). The graph is the
    same, to the bit, for any number of threads and on any processor.

    With ``output`` the approximate search keeps its arrays in files, in a hidden folder beside the output,
    and the points need not fit into memory. After an error, Ctrl-C, or a kill the same call goes on from
    there; the folder is removed once the graph is written.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n_points, n_features)
        The points, finite real numbers. With ``output`` also a mapped array (``numpy.load(path,
        mmap_mode="r")``), a zarr array, or any array whose rows can be read by slices. Sparse rows
        for "euclidean" and "inner_product", which compare all pairs, and "cosine", whose approximate search
        begins with features that few points have. For "tanimoto" and "hamming", bits: bool, or uint8 from
        ``numpy.packbits(X, axis=1)``.
    n_neighbors : int
        Number of neighbours of each point, not counting itself: from 1 to n_points - 1.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming", \
"inner_product"}
        The distance. "cosine" and "correlation" are 1 minus the cosine or correlation, from 0 to 2; a row
        without direction (all zeros or, for "correlation", all equal) has distance 1 from every other row.
        "tanimoto" is 1 minus the share of common bits; 0 between two rows without bits. "hamming" is the
        share of bits that differ. "manhattan" and "chebyshev" have no approximate search. "inner_product" is
        no distance: the similarity is the product itself, and the nearest are those of the largest products,
        among which the point itself need not be; it is left out all the same.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        Conversion of a distance to a similarity; None: "-d**2" for "euclidean", the product for
        "inner_product", "-d" for the others. A callable receives all distances, in float64; for
        "inner_product" minus the products, and no name is needed.
    recall : float
        The share of the nearest neighbours that an approximate search must find, above 0 and at most 1; 1
        for an exact search. More takes longer. The share that was found is the result's ``recall``.
    output : str or Path, optional
        The zarr folder to which the graph is written. Exact searches, and those of sparse rows, are in
        memory all the same, and are refused if ``memory_limit`` is too little for that.
    memory_limit : int or str, optional
        With ``output``: bytes that the process may hold, such as "2GB": at least .45 GB, and some 70 bytes a
        point. None: most of the free memory.
    client : distributed.Client, optional
        With ``output``: a dask cluster whose workers do the search. They need to see the output's folder,
        and the file of mapped points, under the same names.
    overwrite : bool
        With ``output``: whether to replace a graph that is there, once the new one is complete.
    n_jobs : int, optional
        Number of threads; None or -1: one per processor, and never more.
    random_state : int, RandomState, Generator or None
        Seed of the approximate search: of the cells and of the sample on which the recall is estimated.
    verbose : bool
        Whether to show the progress of the search, if standard error is a terminal.

    Warns
    -----
    UserWarning
        The recall stays below ``recall``: points are millions of times as far apart as neighbours. Or bytes
        look like packed bits, and are compared as numbers.

    Returns
    -------
    KNNGraph of float32, shape (n_points, n_points)
        A csr_array of rows of ``n_neighbors`` edges, nearest first, with ``recall`` and ``missing_at_most``.
        With ``output`` a `WrittenGraph`: its size, range and recall; `open_graph` opens it.

    Raises
    ------
    InvalidInputError
        ``X`` is invalid, a number is out of range, a name is unknown, the approximate search lacks the
        metric, the distances leave the range of float32, ``output`` exists, or a search for something else
        was interrupted there.
    MemoryLimitError
        The search does not fit into ``memory_limit``.
    ClusterError
        A worker does not see the files.

    References
    ----------
    .. [1] W. Dong, C. Moses, K. Li. Efficient k-nearest neighbor graph construction for generic similarity
       measures. WWW 2011. (Neighbours' neighbours.)

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> sparse_ap.graphs.knn_graph([[0.0], [1.0], [3.0]], 1).toarray()
    array([[ 0., -1.,  0.],
           [-1.,  0.,  0.],
           [ 0., -4.,  0.]], dtype=float32)
    """
    asked = _checked(X, n_neighbors, metric, similarity, recall, seed_of(random_state))
    n_threads = usable_threads(n_jobs)
    if output is not None:
        return _written(asked, Path(output), memory_limit, client, overwrite, n_threads, verbose)
    if memory_limit is not None or client is not None or overwrite:
        raise InvalidInputError(
            "memory_limit, client and overwrite are for a graph that is written to disk: give output too, or "
            "leave them out."
        )
    return _graph_in_memory(asked, n_threads, verbose)


def _written(
    asked: AskedGraph, output: Path, memory_limit: int | str | None, client: Client | None, overwrite: bool,
    n_threads: int, verbose: bool,
) -> WrittenGraph:  # fmt: skip
    """Search, in files if that is approximate, and write the graph."""
    # Imported here, since it imports zarr.
    from sparse_ap.graphs.conversion.write_graph import write_graph
    from sparse_ap.graphs.knn_on_disk import graph_on_disk

    if search_for(asked.points, asked.n_neighbors, asked.metric, asked.recall) == "cells":
        limit = None if memory_limit is None else bytes_of(memory_limit)
        return graph_on_disk(asked, output, limit, client, overwrite, n_threads, verbose)
    require_free(output.absolute(), overwrite)
    if memory_limit is not None:
        require_memory_of_exact(asked, bytes_of(memory_limit), n_threads)
    if client is not None:
        warn("client is for an approximate search; this one is exact, and done in this process.")
    graph = _graph_in_memory(asked, n_threads, verbose)
    return write_graph(graph, output, memory_limit=memory_limit, overwrite=overwrite, verbose=verbose)


def _checked(
    X: Any, n_neighbors: int, metric: str, similarity: Similarity | None, recall: float, seed: int
) -> AskedGraph:
    """Return what is asked for, with checked arguments; the points' entries are not checked."""
    checked_metric(metric)
    require_points(X)
    points = X if len(getattr(X, "shape", ())) == 2 else checked_points(X, metric)
    warn_of_packed_bits(points, metric)
    n, right = points.shape[0], is_positive_integer(n_neighbors) and n_neighbors < points.shape[0]
    needed = f"a whole number from 1 to {n - 1} for {n} points: a point is not its own neighbour"
    require("n_neighbors", n_neighbors, right, needed)
    require("recall", recall, isinstance(recall, Real) and 0 < recall <= 1, "a number above 0, and at most 1")
    chosen = conversion_of(similarity, metric)
    return AskedGraph(points, int(n_neighbors), metric, chosen, float(recall), seed)


def _graph_in_memory(asked: AskedGraph, n_threads: int, verbose: bool) -> KNNGraph:
    check = checked_rows if scipy.sparse.issparse(asked.points) else checked_points
    asked = replace(asked, points=check(asked.points, asked.metric))
    n, k, recall = asked.points.shape[0], asked.n_neighbors, asked.recall
    if search_for(asked.points, k, asked.metric, recall) == "cells":
        require_cells(asked.metric)
    with threads(n_threads) as pool:
        found, reached = asked.neighbours(Stages(pool, verbose))
        numbers, distances = found.rows(slice(0, n))
    graph = KNNGraph(_graph_of(numbers, distances, asked.similarity))
    graph.recall = reached
    # A function may give larger similarities to farther points.
    if reached == EXACT and is_falling(asked.similarity):
        graph.missing_at_most = _missing_at_most(graph, k)
    return graph


def _missing_at_most(graph: Any, n_neighbors: int) -> NDArray[np.float32]:
    """Return the similarity of each row's last neighbour; the lists are exact."""
    n = graph.shape[0]
    if n_neighbors == n - 1:
        return np.full(n, -np.inf, np.float32)
    return np.asarray(graph.data.reshape(n, n_neighbors).min(axis=1))


def _graph_of(
    indices: NDArray[np.int32], distances: NDArray[np.float64], similarity: Similarity
) -> scipy.sparse.csr_array:
    """Return the graph of neighbour lists, with similarities of float32."""
    graph = from_knn(indices, kept_distances(distances, similarity), similarity=similarity)
    if graph.dtype == np.float64:
        graph.data = Narrowing(np.dtype(np.float32), _OTHERWISE)(graph.data)
    return graph
