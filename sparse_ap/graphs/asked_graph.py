"""The graph of nearest neighbours that is asked for, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, warn
from sparse_ap.graphs.distances import Similarity, in_precision
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.graphs.neighbours.search import Neighbours, nearest_neighbours
from sparse_ap.graphs.neighbours.stages import Stages
from sparse_ap.kernels.block import FloatArray

__all__ = ["AskedGraph", "kept_distances", "require_cells"]


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
