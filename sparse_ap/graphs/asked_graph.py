"""The graph of nearest neighbours that is asked for, in memory or on disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, MemoryLimitError, warn
from sparse_ap.graphs.distances import Similarity, in_precision
from sparse_ap.graphs.neighbours.bits import BIT_METRICS
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.graphs.neighbours.search import Neighbours, nearest_neighbours, search_for
from sparse_ap.graphs.neighbours.stages import Stages
from sparse_ap.kernels.block import FloatArray

__all__ = ["A_THREAD", "PROGRAM", "AskedGraph", "kept_distances", "require_cells", "require_memory_of_exact"]

#: Bytes that any search needs: for the program, and for each thread.
PROGRAM, A_THREAD = 450_000_000, 50_000_000
# Bytes that a search in memory needs: for each number of the points, or byte of bits; for each point; for
# each of its neighbours; for each point once more in each thread. Measured peaks are about half.
_A_NUMBER, _A_BYTE_OF_BITS, _A_POINT, _A_NEIGHBOUR, _A_POINT_AND_THREAD = 32, 4, 600, 60, 16


@dataclass(frozen=True, slots=True, eq=False)
class AskedGraph:
    """The graph that is asked for, by checked arguments of `knn_graph`.

    Attributes
    ----------
    points : array, shape (n_points, n_features)
        A matrix in memory, or anything whose rows can be read.
    n_neighbors : int
    metric : str
    similarity : str or callable
    recall : float
    seed : int
    """

    points: Any
    n_neighbors: int
    metric: str
    similarity: Similarity
    recall: float
    seed: int

    def neighbours(self, stages: Stages) -> tuple[Neighbours, Recall]:
        """Search the neighbours of the points, and warn if fewer are found than are asked for."""
        found, reached = nearest_neighbours(
            self.points, self.n_neighbors, self.metric, recall=self.recall, seed=self.seed, stages=stages
        )
        if reached.value < self.recall:
            warn(
                f"recall={self.recall} was asked for, but the recall is {reached}: neighbours are so close, "
                "beside the distances of other points, that the search mixes them up. recall=1 compares all "
                "pairs."
            )
        return found, reached


def kept_distances(distances: NDArray[np.float64], similarity: Similarity) -> FloatArray:
    """Return distances in the precision in which a conversion takes them.

    Raises
    ------
    InvalidInputError
        A distance leaves the range of this precision.
    """
    kept, largest = in_precision(distances, similarity), np.abs(distances).max(initial=0)
    if not largest <= np.finfo(kept.dtype).max:
        raise InvalidInputError(
            f"The distances reach {largest:g}, which leaves the range of float32. Divide the points by one "
            "number."
        )
    return kept


def require_memory_of_exact(asked: AskedGraph, limit: int, n_threads: int) -> None:
    """Refuse a search in memory that takes more than is allowed.

    Raises
    ------
    MemoryLimitError
    """
    n, points = asked.points.shape[0], asked.points
    stored = int(points.nnz) if scipy.sparse.issparse(points) else math.prod(points.shape)
    a_number = _A_BYTE_OF_BITS if asked.metric in BIT_METRICS else _A_NUMBER
    needed = PROGRAM + a_number * stored + n * (_A_POINT + _A_NEIGHBOUR * asked.n_neighbors)
    needed += n_threads * (A_THREAD + _A_POINT_AND_THREAD * n)
    if needed <= limit:
        return
    search = search_for(asked.points, asked.n_neighbors, asked.metric, asked.recall)
    raise MemoryLimitError(
        f"The search among {n:,} points ({search}) is in memory and needs {needed / 1e9:.2f} GB, and "
        f"{limit / 1e9:.2f} GB are allowed. Raise memory_limit (--memory-limit). An approximate search keeps "
        "its arrays in files: it takes more than 10,000 dense rows of over 8 features, with recall below 1."
    )


def require_cells(metric: str) -> None:
    """Refuse a metric by which points cannot be cut into cells.

    Raises
    ------
    InvalidInputError
    """
    if metric not in ("manhattan", "chebyshev"):
        return
    raise InvalidInputError(
        f"metric={metric!r} was given for more than 10,000 points of more than 8 features, among which "
        "neighbours are searched approximately, by 'euclidean', 'cosine', 'correlation', 'inner_product', "
        "'tanimoto' and 'hamming' only. Pass recall=1 to compare all pairs; or build neighbour lists with a "
        "library that has it, such as pynndescent, and give them to sparse_ap.graphs.from_knn."
    )
