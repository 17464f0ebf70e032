"""`knn_graph`: the graph from each point to its nearest neighbours."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.arguments import is_positive_integer, require, seed_of, usable_threads
from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.distances import Similarity, similarity_function
from sparse_ap.graphs.metrics import checked_metric, checked_points
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbour_lists import from_knn
from sparse_ap.graphs.neighbours.recall import EXACT
from sparse_ap.graphs.neighbours.search import nearest_neighbours, search_for
from sparse_ap.graphs.sparse_points import checked_rows
from sparse_ap.kernels.block import FloatArray

__all__ = ["default_similarity", "knn_graph"]

_OUT_OF_RANGE = (
    "The distances reach {:g}, which leaves the range of float32. Divide the points by one number."
)
_OTHERWISE = (
    "Divide the points by one number; or give distances of float64, as neighbour lists, to "
    "sparse_ap.graphs.from_knn."
)


def knn_graph(
    X: ArrayLike,
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    similarity: Similarity | None = None,
    recall: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    verbose: bool = False,
) -> KNNGraph:
    """Build the directed graph from each point to its nearest neighbours.

    The search is exact for up to 10,000 points, by a k-d tree for up to 8 features ("euclidean", "manhattan",
    "chebyshev"), and with ``recall=1``. Otherwise it is approximate: points are cut into cells by k-means,
    each is compared with the points of the cells nearest to it, and then with its neighbours' neighbours
    [1]_, until an estimate of the recall reaches ``recall`` (docs/design/0017-cells.md). The graph is the
    same, to the bit, for any number of threads and on any processor.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n_points, n_features)
        The points, finite real numbers. Sparse rows for "euclidean", which compares all pairs, and "cosine",
        whose approximate search begins with features that few points have. For "tanimoto" and "hamming",
        bits: bool, or uint8 from ``numpy.packbits(X, axis=1)``.
    n_neighbors : int
        Number of neighbours of each point, not counting itself: from 1 to n_points - 1.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming"}
        The distance. "cosine" and "correlation" are 1 minus the cosine or correlation, from 0 to 2; a row
        without direction (all zeros or, for "correlation", all equal) has distance 1 from every other row.
        "tanimoto" is 1 minus the share of common bits; 0 between two rows without bits. "hamming" is the
        share of bits that differ. "manhattan" and "chebyshev" have no approximate search.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        Conversion of a distance to a similarity; None: "-d**2" for "euclidean", "-d" for the others. A
        callable receives all distances, in float64.
    recall : float
        The share of the nearest neighbours that an approximate search must find, above 0 and at most 1; 1
        for an exact search. More takes longer. The share that was found is the result's ``recall``.
    n_jobs : int, optional
        Number of threads; None or -1: one per processor, and never more.
    random_state : int, RandomState, Generator or None
        Seed of the approximate search: of the cells and of the sample on which the recall is estimated.
    verbose : bool
        Whether to show the progress of the search, if standard error is a terminal.

    Warns
    -----
    UserWarning
        The recall stays below ``recall``: points are millions of times as far apart as neighbours.

    Returns
    -------
    KNNGraph of float32, shape (n_points, n_points)
        A csr_array of rows of ``n_neighbors`` edges, nearest first, with ``recall`` and ``missing_at_most``.

    Raises
    ------
    InvalidInputError
        ``X`` is invalid, a number is out of range, a name is unknown, the approximate search lacks the
        metric, or the distances leave the range of float32.

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
    check = checked_rows if scipy.sparse.issparse(X) else checked_points
    points = check(X, checked_metric(metric))
    n, right = points.shape[0], is_positive_integer(n_neighbors) and n_neighbors < points.shape[0]
    needed = f"a whole number from 1 to {n - 1} for {n} points: a point is not its own neighbour"
    require("n_neighbors", n_neighbors, right, needed)
    require("recall", recall, isinstance(recall, Real) and 0 < recall <= 1, "a number above 0, and at most 1")
    chosen = default_similarity(metric) if similarity is None else similarity
    similarity_function(chosen)
    n_threads, seed = usable_threads(n_jobs), seed_of(random_state)
    if search_for(points, n_neighbors, metric, recall) == "cells":
        _require_cells(metric)
    lists, reached = nearest_neighbours(
        points, n_neighbors, metric, recall=recall, seed=seed, n_threads=n_threads, verbose=verbose
    )
    if reached.value < recall:
        warn(
            f"recall={recall} was asked for, but the recall is {reached}: neighbours are so close, beside "
            "the distances of other points, that the search mixes them up. recall=1 compares all pairs."
        )
    graph = KNNGraph(_graph_of(lists.numbers, -lists.scores, chosen))
    graph.recall = reached
    # A function may give larger similarities to farther points.
    if reached == EXACT and not callable(chosen):
        graph.missing_at_most = _missing_at_most(graph, n_neighbors)
    return graph


def _require_cells(metric: str) -> None:
    """Refuse a metric by which points cannot be cut into cells."""
    if metric not in ("manhattan", "chebyshev"):
        return
    raise InvalidInputError(
        f"metric={metric!r} was given for more than 10,000 points of more than 8 features, among which "
        "neighbours are searched approximately, by 'euclidean', 'cosine', 'correlation', 'tanimoto' and "
        "'hamming' only. Pass recall=1 to compare all pairs; or build neighbour lists with a library that "
        "has it, such as pynndescent, and give them to sparse_ap.graphs.from_knn."
    )


def _missing_at_most(graph: Any, n_neighbors: int) -> NDArray[np.float32]:
    """Return the similarity of each row's last neighbour; the lists are exact."""
    n = graph.shape[0]
    if n_neighbors == n - 1:
        return np.full(n, -np.inf, np.float32)
    return np.asarray(graph.data.reshape(n, n_neighbors).min(axis=1))


def default_similarity(metric: str) -> str:
    """Return the default conversion of distances: negative squares for Euclidean ones, as in the paper."""
    return "-d**2" if metric == "euclidean" else "-d"


def _graph_of(
    indices: NDArray[np.int32], distances: NDArray[np.float64], similarity: Similarity
) -> scipy.sparse.csr_array:
    """Return the graph of neighbour lists, with similarities of float32."""
    if not np.isfinite(distances).all():
        raise InvalidInputError(_OUT_OF_RANGE.format(np.inf))
    if not callable(similarity) and similarity != "1-d":
        return from_knn(indices, _as_float32(distances), similarity=similarity)
    # Other functions can map distances that are equal in float32 to different similarities.
    graph = from_knn(indices, distances, similarity=similarity)
    graph.data = Narrowing(np.dtype(np.float32), _OTHERWISE)(graph.data)
    return graph


def _as_float32(distances: FloatArray) -> NDArray[np.float32]:
    largest = distances.max(initial=0, where=~np.isnan(distances))
    if largest > np.finfo(np.float32).max:
        raise InvalidInputError(_OUT_OF_RANGE.format(largest))
    return distances.astype(np.float32)
