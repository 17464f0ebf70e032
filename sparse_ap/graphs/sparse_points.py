"""Points with few features that are not 0, as sparse rows: their graph of neighbours, by comparing all pairs.

scikit-learn is imported where it is used, since its import takes longer than all others together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.distances import Similarity
from sparse_ap.graphs.metrics import require_no_mask
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbour_lists import from_knn
from sparse_ap.storage.csr import csr_of
from sparse_ap.storage.validation import as_float, require_ids, require_structure

__all__ = ["checked_rows", "nearest_of_rows", "neighbours_of_rows"]

# Squares of larger features, and their sums, would leave the range of float64.
_LARGEST = 1e150
_METRICS = ("euclidean", "manhattan", "cosine")


def checked_rows(X: Any, metric: str) -> Any:
    """Return sparse rows as CSR of floats, every feature stored once; what is not stored is 0.

    Raises
    ------
    InvalidInputError
        The metric does not take sparse rows, features are masked, or the matrix is damaged.
    """
    if metric not in _METRICS:
        raise InvalidInputError(
            f"metric={metric!r} was given a sparse matrix of features; with it the rows must be dense: "
            f"X.toarray(). Sparse rows are compared by {', '.join(map(repr, _METRICS))}."
        )
    if len(X.shape) != 2:
        raise InvalidInputError(
            f"X has shape {X.shape}; a table is needed, one row a point, one column a feature."
        )
    require_no_mask(getattr(X, "data", None))
    try:
        # Zeros that fill up blocks or diagonals are zeros here.
        rows = X.tocsr() if X.format in ("bsr", "dia") else csr_of(X)
        require_structure(rows)
        require_ids("Column", rows.indices[: rows.indptr[-1]], rows.shape[1])
        data = as_float(rows.data)
    except InvalidInputError as error:
        raise InvalidInputError(f"X cannot be read as sparse rows of features: {error}") from error
    largest = float(np.abs(data).max(initial=0))
    if _LARGEST < largest < np.inf:
        raise InvalidInputError(
            f"X reaches {largest:g}, whose square float64 cannot hold. Divide the features by one number."
        )
    # Made anew, since scipy remembers of a matrix how its entries once were.
    rows = scipy.sparse.csr_array((data, rows.indices, rows.indptr), rows.shape)
    if rows.has_canonical_format:
        return rows
    # scikit-learn adds the squares of duplicates, not the square of their sum.
    rows = rows.copy()
    rows.sum_duplicates()
    return rows


def neighbours_of_rows(rows: Any, n_neighbors: int, metric: str, similarity: Similarity | None) -> Any:
    """Return the graph from each row to its nearest neighbours, as `knn_graph` does of dense points."""
    from sklearn.neighbors import NearestNeighbors

    with _on_one_thread():
        search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute", metric=metric).fit(rows)
        distances, indices = search.kneighbors()
    if similarity is None:
        similarity = "-d**2" if metric == "euclidean" else "-d"
    graph = from_knn(indices, np.maximum(distances, 0).astype(np.float64), similarity=similarity)
    graph.data = Narrowing(np.dtype(np.float32), "Divide the features by one number.")(graph.data)
    return graph


def nearest_of_rows(queries: Any, points: Any, metric: str) -> NDArray[np.int64]:
    """Return the number of each query's nearest point, shape (n_queries,)."""
    from sklearn.metrics import pairwise_distances_argmin

    rows = [x if scipy.sparse.issparse(x) else scipy.sparse.csr_array(x) for x in (queries, points)]
    queries, points = (checked_rows(x, metric) for x in rows)
    with _on_one_thread():
        return np.asarray(pairwise_distances_argmin(queries, points, metric=metric), np.int64)


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Run scikit-learn on one thread: its choice among equally near points depends on the number."""
    import sklearn

    with threadpool_limits(1), sklearn.config_context(working_memory=128):
        yield
