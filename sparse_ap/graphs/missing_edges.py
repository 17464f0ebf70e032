"""`KNNGraph`, and what the edges that it lacks can be, which is kept up while edges are dropped."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.kernels.block import FloatArray
from sparse_ap.kernels.compilation import kernel

__all__ = ["KNNGraph", "inherited", "largest_dropped"]


class KNNGraph(scipy.sparse.csr_array):  # type: ignore[misc]
    """The graph from each point to its nearest neighbours, and how good it is.

    It is a csr_array. What scipy computes from it has None for both attributes; `symmetrise`, `top_k` and
    `write_graph` keep them.

    Attributes
    ----------
    recall : Recall
        The share of true neighbours among those that were found, ``value``, with the ``half_width`` of its
        95 % confidence interval, estimated on ``n_rows`` points; 1 for an exact search.
    missing_at_most : ndarray of the graph's dtype, shape (n_points,), or None
        The largest similarity that an edge which is not in the graph can have, for each row; minus infinity
        for a full row. None after an approximate search, and if the similarity is a function.
    """

    recall: Recall | None = None
    missing_at_most: FloatArray | None = None

    @classmethod
    def of(
        cls, graph: scipy.sparse.csr_array, recall: Recall | None, missing_at_most: FloatArray | None
    ) -> Self | scipy.sparse.csr_array:
        """Return a graph, whose arrays are shared, with what is known of it; itself if that is nothing."""
        if recall is None:
            return graph
        known = cls(graph)
        known.recall, known.missing_at_most = recall, missing_at_most
        return known


def inherited(given: Any, before: scipy.sparse.csr_array, after: scipy.sparse.csr_array) -> Any:
    """Return a graph with what is known of the graph that it was made from.

    Parameters
    ----------
    given : sparse matrix
        The user's graph. If it is a plain one, so is the result.
    before, after : csr_array, shape (n_points, n_points)
        The same graph, canonical; and the result, also canonical, in which edges may be missing, and in which
        there are no edges but those of ``before`` and their reverses.

    Notes
    -----
    The similarity of two points that were searched is the same from either side. So an edge that is in
    neither direction was missing from both rows before, and is at most what either row allows: of a union
    each row keeps its own bound. What an intersection drops raises the bound of its row.
    """
    if not isinstance(given, KNNGraph):
        return after
    missing = given.missing_at_most
    if missing is not None:
        dropped = largest_dropped(before.indptr, before.indices, before.data, after.indptr, after.indices)
        missing = np.maximum(missing.astype(after.dtype), dropped)
        missing[np.diff(after.indptr) == len(missing) - 1] = -np.inf
    return KNNGraph.of(after, given.recall, missing)


def largest_dropped(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    data: FloatArray,
    kept_indptr: NDArray[Any],
    kept: NDArray[Any],
) -> FloatArray:
    """Return the largest similarity of each row that is among the first edges but not among those kept.

    Parameters
    ----------
    indptr, indices, data : ndarray
        Rows of a canonical graph.
    kept_indptr, kept : ndarray
        Edges of the same rows, canonical too.

    Returns
    -------
    ndarray of the dtype of ``data``, shape (n_rows,)
        Minus infinity where no edge was dropped.
    """
    largest = np.full(len(indptr) - 1, -np.inf, data.dtype)
    _raise_to_dropped(indptr, indices, data, kept_indptr, kept, largest)
    return largest


@kernel
def _raise_to_dropped(
    indptr: Any, indices: Any, data: Any, kept_indptr: Any, kept: Any, largest: Any
) -> None:
    """Raise each number to the largest similarity of a dropped edge; the arrays may begin at any edge."""
    for row in range(len(largest)):
        place, end = kept_indptr[row] - kept_indptr[0], kept_indptr[row + 1] - kept_indptr[0]
        for edge in range(indptr[row] - indptr[0], indptr[row + 1] - indptr[0]):
            while place < end and kept[place] < indices[edge]:
                place += 1
            if (place == end or kept[place] != indices[edge]) and data[edge] > largest[row]:
                largest[row] = data[edge]
