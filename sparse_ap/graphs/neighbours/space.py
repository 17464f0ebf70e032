"""Points under a metric: what every search needs of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.bits import BIT_METRICS, Bits
from sparse_ap.graphs.neighbours.points import Points
from sparse_ap.graphs.neighbours.stages import RowArrays, Stages
from sparse_ap.graphs.neighbours.vector_space import VectorSpace
from sparse_ap.graphs.neighbours.vectors import Codes

__all__ = ["Rankable", "Space", "laid_out", "space_of"]


class Rankable(Protocol):
    """Points whose distances can be computed, pair by pair."""

    @property
    def n(self) -> int:
        """Number of points."""
        ...

    def taken(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the points, in this order."""
        ...

    def distances(
        self, others: Self, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the distances of listed pairs; see `VectorSpace.distances`."""
        ...


class Space(RowArrays, Rankable, Protocol):
    """Points under a metric, in a form in which all can be compared with all."""

    @property
    def metric(self) -> str:
        """Name of the metric."""
        ...

    def beside(self, X: NDArray[Any]) -> tuple[Self, Self]:
        """Return these points and others, laid out so that they can be compared."""
        ...

    def coded(self, codes: Codes) -> Points:
        """Return the points as whole numbers."""
        ...

    def codes_for(self, distances: NDArray[np.float64]) -> Codes:
        """Return the shortest codes that tell apart points at such distances."""
        ...

    def beyond(self, points: Points, worst: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance, for each point, that points of a lower score than ``worst`` exceed."""
        ...

    def row_words(self) -> NDArray[Any]:
        """Return the rows as whole numbers, equal if the points are."""
        ...

    def remote(self) -> NDArray[np.int64]:
        """Return a few points that are much farther from the centre than all others, if there are such."""
        ...

    def directionless(self) -> NDArray[np.int64]:
        """Return the points at distance 1 from all others."""
        ...


def space_of(X: NDArray[Any], metric: str) -> Space:
    """Return checked points under a metric."""
    space: Any = Bits.of(X, metric) if metric in BIT_METRICS else VectorSpace.of(X, metric)
    return cast(Space, space)


def laid_out(X: NDArray[Any], metric: str, name: str, stages: Stages) -> Space:
    """Return checked points under a metric, kept where a search keeps its arrays, under this name."""
    if metric in BIT_METRICS:
        return cast(Space, stages.filled(f"{name} as bits", partial(_bits_of, X, metric), len(X)))
    space = VectorSpace.of(X, metric)
    shifts, factors = stages.kept(f"layout of {name}", lambda: (space.shifts, space.factors))
    return cast(Space, replace(space, shifts=shifts, factors=factors))


def _bits_of(X: NDArray[Any], metric: str, rows: slice) -> Bits:
    return Bits.of(X[rows], metric)
