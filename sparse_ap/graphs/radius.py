"""`radius_graph`: all pairs of points that are similar enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import psutil
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from sparse_ap.arguments import available, bytes_of, usable_threads
from sparse_ap.errors import InvalidInputError, MemoryLimitError
from sparse_ap.graphs.edges import symmetrise
from sparse_ap.graphs.metrics import DISTANCES, checked_metric
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbours.recall import EXACT
from sparse_ap.graphs.pairs.found import NearPairs
from sparse_ap.graphs.pairs.search import near_pairs
from sparse_ap.graphs.pairs.threshold import Threshold, checked_conversion
from sparse_ap.graphs.sparse_points import checked_vectors

if TYPE_CHECKING:
    from sparse_ap.graphs.conversion.write_graph import WrittenGraph

__all__ = ["radius_graph"]

# Bytes for each pair: as it is found, put together, sorted, and mirrored.
_BYTES_A_PAIR = 64


@overload
def radius_graph(
    X: Any, min_similarity: float, *, metric: str = ..., similarity: str | None = ..., output: None = ...,
    names: None = ..., memory_limit: int | str | None = ..., overwrite: bool = ..., n_jobs: int | None = ...,
    verbose: bool = ...,
) -> KNNGraph: ...  # fmt: skip


@overload
def radius_graph(
    X: Any, min_similarity: float, *, metric: str = ..., similarity: str | None = ..., output: str | Path,
    names: Sequence[str] | NDArray[Any] | None = ..., memory_limit: int | str | None = ...,
    overwrite: bool = ..., n_jobs: int | None = ..., verbose: bool = ...,
) -> WrittenGraph: ...  # fmt: skip


def radius_graph(
    X: ArrayLike,
    min_similarity: float,
    *,
    metric: str = "euclidean",
    similarity: str | None = None,
    output: str | Path | None = None,
    names: Sequence[str] | NDArray[Any] | None = None,
    memory_limit: int | str | None = None,
    overwrite: bool = False,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> KNNGraph | WrittenGraph:
    """Build the graph of all pairs of points whose similarity is ``min_similarity`` or more.

    The search is exact: by a k-d tree for up to 8 features ("euclidean", "manhattan", "chebyshev"), by an
    inverted index for sparse rows, and else by comparing all pairs. The graph is symmetric, and the same, to
    the bit, for any number of threads and on any processor.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n_points, n_features)
        The points, as for `knn_graph`.
    min_similarity : float
        The least similarity of an edge, after the conversion: -0.6 keeps distances up to 0.6 by "-d", and
        -0.36 by "-d**2". It is rounded to float32, as the similarities are: a distance of 0.6 stays at -0.6.
    metric : {"euclidean", "manhattan", "chebyshev", "cosine", "correlation", "tanimoto", "hamming"}
        The distance, as for `knn_graph`.
    similarity : {"-d", "-d**2", "1-d"}, optional
        Conversion of a distance to a similarity; None: "-d**2" for "euclidean", "-d" for the others.
    output : path, optional
        A folder that does not exist, usually ``something.zarr``, to which the graph is written as by
        `write_graph`, without being held in memory. None: the graph is returned.
    names : sequence of str, shape (n_points,), optional
        Names of the points, stored beside the graph; with ``output``.
    memory_limit : int or str, optional
        Bytes that the whole process may hold, such as "2GB". With ``output``, edges that do not fit are
        sorted on disk, beside it. None: most of the free memory.
    overwrite : bool
        Whether to replace a graph at ``output``, once the new one is complete.
    n_jobs : int, optional
        Number of threads; None or -1: one per processor, and never more.
    verbose : bool
        Whether to show the progress of the search, if standard error is a terminal.

    Returns
    -------
    KNNGraph of float32, shape (n_points, n_points), or WrittenGraph
        A csr_array with columns ascending; ``missing_at_most`` is the largest float32 below
        ``min_similarity``, and minus infinity for the points that are linked with all others.

    Warns
    -----
    UserWarning
        Bytes look like packed bits, and are compared as numbers.

    Raises
    ------
    InvalidInputError
        ``X`` is invalid, a name is unknown, no similarity can reach ``min_similarity``, or ``output`` exists.
    MemoryLimitError
        There are more pairs than fit into memory.
    MissingDependencyError
        The edges are to be sorted on disk, and duckdb is not installed.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> sparse_ap.graphs.radius_graph([[0.0], [1.0], [3.0]], -1).toarray()
    array([[ 0., -1.,  0.],
           [-1.,  0.,  0.],
           [ 0.,  0.,  0.]], dtype=float32)
    """
    points = checked_vectors(X, _checked_distance(metric))
    threshold = Threshold.of(min_similarity, checked_conversion(similarity, metric))
    limit = available() if memory_limit is None else bytes_of(memory_limit)
    pairs = near_pairs(points, metric, threshold, usable_threads(n_jobs), verbose=verbose)
    if output is not None:
        # Imported here, since it imports zarr.
        from sparse_ap.graphs.pairs.write_pairs import write_pairs

        return write_pairs(pairs, points.shape[0], threshold.below, Path(output), names, limit, overwrite)
    for name, is_given in {"names": names is not None, "overwrite": overwrite}.items():
        if is_given:
            raise InvalidInputError(f"{name} is for a graph on disk: give output, the folder to write.")
    return _held(pairs, points.shape[0], threshold, limit)


def _checked_distance(metric: str) -> str:
    if checked_metric(metric) in DISTANCES:
        return metric
    raise InvalidInputError(
        f"metric={metric!r} is no distance, by which all pairs above a threshold are found. Of rows of "
        "length 1 it is the cosine: metric='cosine', similarity='1-d'. Or link each point with "
        "those of the largest products, by knn_graph (sparse-ap knn)."
    )


def _held(pairs: Iterable[NearPairs], n_points: int, threshold: Threshold, memory_limit: int) -> KNNGraph:
    """Return the graph of the pairs, in memory."""
    pieces, n_pairs = [NearPairs.none()], 0
    room = memory_limit - int(psutil.Process().memory_info().rss)
    for piece in pairs:
        pieces.append(piece)
        n_pairs += len(piece.one)
        if n_pairs * _BYTES_A_PAIR > room:
            raise MemoryLimitError(
                f"{n_pairs:,} pairs and more have a similarity of min_similarity={threshold.least} or above, "
                f"whose graph takes more than the {max(0, room) / 1e9:.2f} GB of memory that are left. Raise "
                "min_similarity; or give output='graph.zarr' (--output graph.zarr), a folder to which "
                "the graph is written."
            )
    one, other, similarities = map(np.concatenate, zip(*pieces, strict=True))
    del pieces
    upper = scipy.sparse.coo_array((similarities, (one, other)), shape=(n_points, n_points))
    graph = symmetrise(upper)
    missing = np.full(n_points, threshold.below)
    missing[np.diff(graph.indptr) == n_points - 1] = -np.inf
    known = KNNGraph(graph)
    known.recall, known.missing_at_most = EXACT, missing
    return known
