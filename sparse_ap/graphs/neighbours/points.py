"""The protocol of points that are searched: scores by whole numbers, the same on every processor."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.lists import GROUP
from sparse_ap.graphs.neighbours.stages import RowArrays

__all__ = ["ListedPoints", "Points", "padded"]


class ListedPoints(Protocol):
    """Points that can be compared pair by pair; a higher score means nearer."""

    @property
    def n(self) -> int:
        """Number of points."""
        ...

    def listed_scores(
        self, start: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Return the scores of the candidates ``indptr[r]:indptr[r + 1]`` for point ``start + r``."""
        ...


class Points(RowArrays, ListedPoints, Protocol):
    """Points in a form in which all can be compared with all, by exact scores.

    HOME_IS_NEAREST says whether the cells in which a point is searched are those near its own. There are
    CELLS_PER_ROOT cells for each unit of the root of the number of points.
    """

    HOME_IS_NEAREST: ClassVar[bool]
    CELLS_PER_ROOT: ClassVar[int]

    @property
    def score_type(self) -> np.dtype[Any]:
        """Type of the scores."""
        ...

    def taken(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the points, in this order."""
        ...

    def searched(self) -> Points:
        """Return the points in the form in which they are searched, once they are cut into cells."""
        ...

    def columns(self, start: int, stop: int) -> Any:
        """Return the points start:stop in the form in which `scores` takes them."""
        ...

    def scores(self, queries: NDArray[np.int64], columns: Any) -> NDArray[Any]:
        """Return the scores of points of another table for some points of this one.

        Parameters
        ----------
        queries : ndarray of int64, shape (m,)
        columns : object
            From `columns`, perhaps of another table of the same kind.

        Returns
        -------
        ndarray of score_type, shape (m, padded(stop - start))
            The last columns, without a point, are minus infinity.
        """
        ...

    def centres(self, labels: NDArray[np.int32], before: Self) -> Self:
        """Return the middle of the points of each label; where there are none, the centre of ``before``."""
        ...


def padded(width: int) -> int:
    """Return the width of a block of scores of so many points."""
    return -(-width // GROUP) * GROUP
