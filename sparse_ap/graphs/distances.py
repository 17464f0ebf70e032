"""Conversion of distances to similarities, and graphs from sparse matrices of distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.narrowing import AS_FLOAT64, Narrowing
from sparse_ap.kernels.block import BoolArray, FloatArray
from sparse_ap.storage.csr import csr_graph, csr_of
from sparse_ap.storage.masks import filled

__all__ = [
    "SIMILARITIES",
    "Similarity",
    "conversion_of",
    "default_similarity",
    "exact_dtype",
    "from_distances",
    "in_precision",
    "is_falling",
    "similarities_between",
    "similarities_of",
    "similarity_dtype",
    "similarity_function",
]

Similarity = str | Callable[[NDArray[Any]], NDArray[Any]]


def _minus_squares(d: NDArray[Any]) -> NDArray[Any]:
    try:
        with np.errstate(over="raise"):
            squares = d * d
    except FloatingPointError as error:
        raise InvalidInputError(
            f"The squares of the distances, which reach {np.abs(d).max():g}, leave the range of {d.dtype}. "
            "Divide the distances by one number, or use similarity='-d'."
        ) from error
    return np.asarray(np.negative(squares, out=squares))


SIMILARITIES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "-d": np.negative,
    "-d**2": _minus_squares,
    "1-d": lambda d: 1 - d,
}


def default_similarity(metric: str) -> str:
    """Return the default conversion of distances: negative squares for Euclidean ones, as in the paper."""
    return "-d**2" if metric == "euclidean" else "-d"


def conversion_of(similarity: Similarity | None, metric: str) -> Similarity:
    """Return the conversion of a metric's distances, which may be left to it.

    Minus an inner product is no distance but is converted as one: its conversion is the function of "-d",
    since names are for distances from 0.

    Raises
    ------
    InvalidInputError
        The name is unknown, or none for inner products.
    """
    chosen = default_similarity(metric) if similarity is None else similarity
    function = similarity_function(chosen)
    if metric != "inner_product" or callable(chosen):
        return chosen
    if function is np.negative:
        return function
    raise InvalidInputError(
        f"similarity={similarity!r} was given with metric='inner_product', whose similarities are the "
        "products themselves. Leave similarity out; or give a function, which receives minus the products."
    )


def is_falling(similarity: Similarity) -> bool:
    """Return whether a larger distance is known to give no larger similarity."""
    return not callable(similarity) or similarity is np.negative


def in_precision(distances: NDArray[np.float64], similarity: Similarity) -> FloatArray:
    """Return the distances of a search in the precision in which it converts them: float32, or as they are.

    Functions, and "1-d", can map distances that are equal in float32 to different similarities.
    """
    if callable(similarity) or similarity == "1-d":
        return distances
    with np.errstate(over="ignore"):
        return distances.astype(np.float32)


def similarity_function(similarity: Similarity) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the function that converts distances to similarities.

    Raises
    ------
    InvalidInputError
        The name is unknown.
    """
    if callable(similarity):
        return similarity
    if not isinstance(similarity, str) or similarity not in SIMILARITIES:
        known = ", ".join(repr(name) for name in SIMILARITIES)
        raise InvalidInputError(f"similarity={similarity!r}; one of {known} is needed, or a function.")
    return SIMILARITIES[similarity]


def similarity_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of similarities for a dtype of distances: float64 for float64, else float32."""
    return np.dtype(np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32)


def exact_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 if it holds all numbers of a dtype, else float64."""
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32) else np.float64)


def similarities_of(distances: NDArray[Any], similarity: Similarity) -> FloatArray:
    """Convert distances to similarities, one for each, in float64; `Narrowing` makes them the graph's.

    Parameters
    ----------
    distances : ndarray of real numbers, shape (n_edges,)
        Finite distances. A callable may overwrite the array.
    similarity : {"-d", "-d**2", "1-d"} or callable

    Raises
    ------
    InvalidInputError
        ``similarity`` is unknown, is a name and was given negative distances, or does not return one
        similarity, finite or -inf, for each distance.
    """
    function = similarity_function(similarity)
    if not callable(similarity):
        _require_no_negative(distances)
    # float32 first would make e-values of 1e-50 and 1e-60 the same. A change of sign alone is exact in it.
    kind = exact_dtype(distances.dtype) if function is np.negative else np.dtype(np.float64)
    distances = distances.astype(kind, copy=False)
    # Of a function such as numpy.ma.log the masked results are no edges.
    values = np.asarray(filled(np.asanyarray(function(distances)), -np.inf))
    if values.shape != distances.shape:
        raise InvalidInputError(
            f"similarity returned an array of shape {values.shape} for distances of shape {distances.shape}; "
            "one similarity for each distance is needed, in the same order."
        )
    if values.dtype.kind not in "biuf":
        raise InvalidInputError(f"similarity returned dtype {values.dtype}; real numbers are needed.")
    wrong = ~(values < np.inf)
    if wrong.any():
        raise InvalidInputError(
            f"similarity returned NaN or +inf {np.count_nonzero(wrong)} times, the first being "
            f"{values[wrong][0]}. Finite numbers are needed, or -inf for no edge."
        )
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _require_no_negative(distances: NDArray[Any]) -> None:
    lowest = distances.min(initial=0)
    if lowest < 0:
        raise InvalidInputError(
            f"The distances have negative values, down to {lowest}; distances from 0 are needed. Set "
            "rounding errors below 0 to 0: numpy.maximum(distances, 0). Inner products and cosine "
            "similarities take similarity=lambda s: s; one minus an inner product takes "
            "similarity=lambda d: -d. (A sparse matrix of similarities is clustered as it is, by "
            "affinity_propagation.)"
        )


def from_distances(distances: Any, *, similarity: Similarity = "-d") -> scipy.sparse.csr_array:
    """Build a similarity graph from a sparse matrix of distances.

    Parameters
    ----------
    distances : sparse matrix or array of real numbers, shape (n_points, n_points)
        Entry (i, k) is the distance from point i to point k. A stored zero off the diagonal is a distance
        of 0; an entry that is not stored is no edge. The diagonal and infinite distances are left out. The
        matrix may have any format, and is never written to.
    similarity : {"-d", "-d**2", "1-d"} or callable
        Conversion of a distance d to a similarity, as in `from_knn`; negative distances are for a callable.

    Returns
    -------
    csr_array of float32, shape (n_points, n_points)
        Float64 for distances in float64. The entries of a CSR matrix keep their order.

    Raises
    ------
    InvalidInputError
        The matrix is dense or not square, a column id is no point, a distance is NaN or (without a
        callable) negative, or ``similarity`` cannot be used.

    Examples
    --------
    >>> import sparse_ap.graphs
    >>> from sklearn.neighbors import kneighbors_graph
    >>> distances = kneighbors_graph([[0.0], [1.0], [3.0]], 1, mode="distance")
    >>> sparse_ap.graphs.from_distances(distances).toarray()
    array([[ 0., -1.,  0.],
           [-1.,  0.,  0.],
           [ 0., -2.,  0.]])
    """
    csr = _real_csr(distances)
    n = csr.shape[0]
    if csr.shape[1] != n:
        raise InvalidInputError(
            f"The distances have shape {csr.shape}; a square matrix is needed, with one row and one column a "
            "point."
        )
    rows = np.repeat(np.arange(n), np.diff(csr.indptr.astype(np.int64)))
    indptr, columns, values = _converted(csr, csr.indices[: len(rows)] != rows, similarity)
    return csr_graph(indptr, columns, Narrowing(similarity_dtype(distances.dtype), AS_FLOAT64)(values))


def similarities_between(distances: Any, similarity: Similarity) -> scipy.sparse.csr_array:
    """Convert every stored distance of a sparse matrix of any shape, such as from new points to old ones.

    The similarities are those of `similarities_of`, not narrowed.

    Raises
    ------
    InvalidInputError
        As in `from_distances`.
    """
    csr = _real_csr(distances)
    indptr, columns, values = _converted(csr, np.ones(csr.indptr[-1], np.bool_), similarity)
    return scipy.sparse.csr_array((values, columns, indptr), shape=csr.shape)


def _real_csr(distances: Any) -> Any:
    if not scipy.sparse.issparse(distances):
        raise InvalidInputError(
            f"The distances are a {type(distances).__name__}; a sparse matrix of distances is needed, as "
            "sklearn.neighbors.KNeighborsTransformer gives it. Neighbour lists are for from_knn; a dense "
            "matrix D of all distances can be clustered as similarities: affinity_propagation(-D)."
        )
    if distances.dtype.kind not in "biuf":
        raise InvalidInputError(f"The distances have dtype {distances.dtype}; real numbers are needed.")
    csr = csr_of(distances)
    _require_columns(csr)
    return csr


def _require_columns(csr: Any) -> None:
    columns = csr.indices[: csr.indptr[-1]]
    if len(columns) and not 0 <= columns.min() <= columns.max() < csr.shape[1]:
        wrong = columns.max() if columns.max() >= csr.shape[1] else columns.min()
        raise InvalidInputError(
            f"Column id {wrong} is no column of distances of shape {csr.shape}; ids must lie in 0 to "
            f"{csr.shape[1] - 1}. Rebuild the matrix."
        )


def _converted(
    csr: Any, kept: BoolArray, similarity: Similarity
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return new arrays (indptr, indices, similarities) of the entries that are kept and finite."""
    data = csr.data[: len(kept)]
    kept = kept & (data != np.inf)
    values = data[kept]
    _require_numbers(values)
    before = np.zeros(len(kept) + 1, csr.indptr.dtype)
    np.cumsum(kept, out=before[1:])
    return before[csr.indptr], csr.indices[: len(kept)][kept], similarities_of(values, similarity)


def _require_numbers(values: NDArray[Any]) -> None:
    n_nan = np.count_nonzero(np.isnan(values))
    if n_nan:
        raise InvalidInputError(
            f"Of the distances {n_nan} are NaN; numbers are needed. Remove these entries: what is not stored "
            "is no edge."
        )
