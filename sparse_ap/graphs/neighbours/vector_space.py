"""Vectors under a metric: laid out for a search, and their exact distances."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.stages import slabs
from sparse_ap.graphs.neighbours.vectors import NARROW, WIDE, Codes, Vectors
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.storage.mapped_arrays import gathered

__all__ = ["DIRECTIONS", "TIMES_THE_ROUNDING", "VectorSpace"]

#: Metrics that compare only the directions of rows.
DIRECTIONS = ("cosine", "correlation")
#: Distances of neighbours must be at least so many times what rounding to whole numbers changes.
TIMES_THE_ROUNDING = 30
# At most so many points are remote: so many times as far from the centre as the farthest of the others.
_FEW, _MUCH_FARTHER = 16, 4


@dataclass(frozen=True, slots=True, eq=False)
class VectorSpace:
    """Points of a metric, as (X - shifts) · factors - centre: rows near the origin, of moderate length.

    Distances come from a loop in float64 with a fixed order of summation, so that they are the same on every
    processor.

    Attributes
    ----------
    X : ndarray of float32 or float64, shape (n, n_features)
    metric : {"euclidean", "cosine", "correlation", "manhattan", "chebyshev"}
    shifts, factors : ndarray of float64, shape (n,)
        For directions: the means of the rows (0 for "cosine"), and 1 by their lengths; factor 0 for a row
        without direction. Else 0, and one power of two.
    centre : ndarray of float64, shape (n_features,)
    longest : float
        A length that no row exceeds.
    """

    ROWS: ClassVar[tuple[str, ...]] = ("X", "shifts", "factors")

    X: NDArray[Any]
    metric: str
    shifts: NDArray[np.float64]
    factors: NDArray[np.float64]
    centre: NDArray[np.float64]
    longest: float

    @classmethod
    def of(cls, X: NDArray[Any], metric: str) -> Self:
        """Lay out checked points."""
        shifts, factors = _layout(X, metric, _power_of_two(X))
        totals = np.zeros(X.shape[1])
        for part in slabs(len(X)):
            _column_sums(X[part], shifts[part], factors[part], totals)
        space = cls(X, metric, shifts, factors, totals / max(1, len(X)), 0.0)
        return replace(space, longest=float(space.lengths_of_rows().max(initial=0)))

    def beside(self, X: NDArray[Any]) -> tuple[Self, Self]:
        """Return these points and others, laid out so that they can be compared."""
        scale = self.scale if self.metric not in DIRECTIONS else 1.0
        shifts, factors = _layout(X, self.metric, scale)
        others = replace(self, X=X, shifts=shifts, factors=factors)
        longest = max(self.longest, float(others.lengths_of_rows().max(initial=0)))
        return replace(self, longest=longest), replace(others, longest=longest)

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.X)

    @property
    def scale(self) -> float:
        """A power of two that brings all coordinates below 1; not for metrics that compare directions."""
        return float(self.factors[0]) if self.n else 1.0

    def scaled(self) -> NDArray[np.float64]:
        """Return the points in units in which all coordinates are below 1: no digit is lost."""
        return np.asarray(self.X, np.float64) * self.scale

    def row_words(self) -> NDArray[Any]:
        """Return the rows as whole numbers, equal if the points are."""
        # 0 is added since -0.0 is equal to 0.0.
        return np.ascontiguousarray(self.X + self.X.dtype.type(0)).view(f"u{self.X.itemsize}")

    def remote(self) -> NDArray[np.int64]:
        """Return a few points that are much farther from the centre than all others, if there are such."""
        lengths = self.lengths_of_rows()
        if len(lengths) <= _FEW:
            return np.empty(0, np.int64)
        far = _MUCH_FARTHER * np.partition(lengths, -1 - _FEW)[-1 - _FEW]
        return np.flatnonzero(lengths > far)

    def directionless(self) -> NDArray[np.int64]:
        """Return the points without direction, at distance 1 from all others; none for other metrics."""
        return np.flatnonzero(self.factors == 0)

    def taken(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the points, in this order."""
        X, shifts, factors = (gathered(array, rows) for array in (self.X, self.shifts, self.factors))
        return replace(self, X=X, shifts=shifts, factors=factors)

    def unit(self, codes: Codes) -> float:
        """Return the distance of two whole numbers next to each other."""
        # Rounding moves a coordinate by a half at most.
        return max(self.longest, 1e-300) / (codes.radius - math.sqrt(self.X.shape[1]))

    def coded(self, codes: Codes) -> Vectors:
        """Return the points as whole numbers."""
        coordinates = np.empty(self.X.shape, codes.kept)
        _round(self.X, self.shifts, self.factors, self.centre, self.unit(codes), coordinates)
        return Vectors.of(coordinates, codes)

    def codes_for(self, distances: NDArray[np.float64]) -> Codes:
        """Return the shortest codes that tell apart points at such distances.

        Rounding moves the difference of two points by √(d / 6) units, on average over d features.
        """
        moved = self.unit(NARROW) * math.sqrt(self.X.shape[1] / 6)
        return NARROW if np.median(self._laid_out(distances)) >= TIMES_THE_ROUNDING * moved else WIDE

    def beyond(self, points: Any, worst: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance, for each point, that points of a lower score than ``worst`` exceed.

        |q - b|² = |q|² - 2 (q·b - |b|²/2); rounding moves either point by √d / 2 units at most.
        """
        unit, n_features = self.unit(points.codes), self.X.shape[1]
        lengths = np.sqrt(np.maximum(2 * (points.halves - worst), 0)) * unit
        # Laying out rounds too, by less than 2^-52 in each feature; and so do the lines above.
        lengths = np.maximum(lengths * (1 - 1e-12) - math.sqrt(n_features) * (unit + 2.0**-51), 0)
        return np.asarray(lengths**2 / 2 if self.metric in DIRECTIONS else lengths / self.factors[:1])

    def _laid_out(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return distances between laid out points from those of the metric."""
        return np.sqrt(2 * distances) if self.metric in DIRECTIONS else distances * self.factors[:1]

    def lengths_of_rows(self) -> NDArray[np.float64]:
        """Return the distances of the rows from the centre, laid out."""
        lengths = np.empty(self.n)
        for part in slabs(self.n):
            _lengths(self.X[part], self.shifts[part], self.factors[part], self.centre, lengths[part])
        return lengths

    def distances(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the distances of listed pairs.

        Parameters
        ----------
        others : VectorSpace
            Laid out as these are.
        first : int
        candidates : ndarray of int32, shape (n_pairs,)
            Points of ``others``; from ``indptr[r]`` to ``indptr[r + 1]``, those that are compared with point
            ``first + r``.
        indptr : ndarray of int64

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        values = np.empty(len(candidates))
        one, two = (self.X, self.shifts, self.factors), (others.X, others.shifts, others.factors)
        compare = {"manhattan": _sums, "chebyshev": _largest}.get(self.metric, _squares)
        compare(*one, *two, first, candidates, indptr, values)
        if self.metric in DIRECTIONS:
            # Half the squared distance of two unit vectors is 1 minus their product.
            rows = np.arange(first, first + len(indptr) - 1).repeat(np.diff(indptr))
            lost = (self.factors[rows] == 0) | (others.factors[candidates] == 0)
            return np.where(lost, 1.0, values / 2)
        with np.errstate(over="ignore"):
            return (np.sqrt(values) if compare is _squares else values) / self.factors[:1]

    def squares(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the squared Euclidean distances of listed pairs; see `distances`."""
        values = np.empty(len(candidates))
        one, two = (self.X, self.shifts, self.factors), (others.X, others.shifts, others.factors)
        _squares(*one, *two, first, candidates, indptr, values)
        with np.errstate(over="ignore"):
            # One after the other: the square of the factor can leave the range of float64.
            return values / self.factors[:1] / self.factors[:1]


def _power_of_two(X: NDArray[Any]) -> float:
    """Return a power of two that brings all coordinates below 1, so that squares stay in range."""
    reach = 0.0
    for part in slabs(len(X)):
        reach = max(reach, float(X[part].max(initial=0)), -float(X[part].min(initial=0)))
    # The bound keeps the factor finite if all coordinates are tiny or 0.
    return 2.0 ** -max(math.frexp(reach)[1], -1000)


def _layout(X: NDArray[Any], metric: str, scale: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the shifts and factors of the rows."""
    shifts, factors = np.zeros(len(X)), np.full(len(X), scale)
    if metric in DIRECTIONS:
        for part in slabs(len(X)):
            _find_directions(X[part], metric == "correlation", shifts[part], factors[part])
    return shifts, factors


@kernel
def _find_directions(X, centred, shifts, factors):  # type: ignore[no-untyped-def]
    for r in range(X.shape[0]):
        largest, alike = 0.0, True
        for f in range(X.shape[1]):
            largest = max(largest, abs(np.float64(X[r, f])))
            alike &= X[r, f] == X[r, 0]
        factors[r] = 0.0
        if largest == 0 or (centred and alike):
            continue
        total = 0.0
        if centred:
            for f in range(X.shape[1]):
                total += X[r, f] / largest
            shifts[r] = total / X.shape[1] * largest
        square = 0.0
        for f in range(X.shape[1]):
            scaled = (X[r, f] - shifts[r]) / largest
            square += scaled * scaled
        factors[r] = 1 / largest / np.sqrt(square)


@kernel
def _column_sums(X, shifts, factors, totals):  # type: ignore[no-untyped-def]
    for r in range(X.shape[0]):
        for f in range(X.shape[1]):
            totals[f] += (X[r, f] - shifts[r]) * factors[r]


@kernel
def _round(X, shifts, factors, centre, unit, coordinates):  # type: ignore[no-untyped-def]
    for r in range(X.shape[0]):
        for f in range(X.shape[1]):
            coordinates[r, f] = np.rint(((X[r, f] - shifts[r]) * factors[r] - centre[f]) / unit)


@kernel
def _lengths(X, shifts, factors, centre, lengths):  # type: ignore[no-untyped-def]
    for r in range(X.shape[0]):
        square = 0.0
        for f in range(X.shape[1]):
            coordinate = (X[r, f] - shifts[r]) * factors[r] - centre[f]
            square += coordinate * coordinate
        lengths[r] = np.sqrt(square)


@helper
def _square(X, a, shift, factor, Y, b, other_shift, other_factor, f):  # type: ignore[no-untyped-def]
    difference = (X[a, f] - shift) * factor - (Y[b, f] - other_shift) * other_factor
    return difference * difference


@kernel
def _squares(X, shifts, factors, Y, other_shifts, other_factors, first, candidates, indptr, values):  # type: ignore[no-untyped-def]
    quarter = X.shape[1] // 4 * 4
    for r in range(indptr.size - 1):
        a = first + r
        s, t = shifts[a], factors[a]
        for e in range(indptr[r], indptr[r + 1]):
            b = candidates[e]
            u, v = other_shifts[b], other_factors[b]
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            for f in range(0, quarter, 4):
                s0 += _square(X, a, s, t, Y, b, u, v, f)
                s1 += _square(X, a, s, t, Y, b, u, v, f + 1)
                s2 += _square(X, a, s, t, Y, b, u, v, f + 2)
                s3 += _square(X, a, s, t, Y, b, u, v, f + 3)
            for f in range(quarter, X.shape[1]):
                s0 += _square(X, a, s, t, Y, b, u, v, f)
            values[e] = (s0 + s1) + (s2 + s3)


@kernel
def _sums(X, shifts, factors, Y, other_shifts, other_factors, first, candidates, indptr, values):  # type: ignore[no-untyped-def]
    for r in range(indptr.size - 1):
        a = first + r
        for e in range(indptr[r], indptr[r + 1]):
            total = 0.0
            for f in range(X.shape[1]):
                total += abs(X[a, f] * factors[a] - Y[candidates[e], f] * other_factors[candidates[e]])
            values[e] = total


@kernel
def _largest(X, shifts, factors, Y, other_shifts, other_factors, first, candidates, indptr, values):  # type: ignore[no-untyped-def]
    for r in range(indptr.size - 1):
        a = first + r
        for e in range(indptr[r], indptr[r + 1]):
            widest = 0.0
            for f in range(X.shape[1]):
                difference = X[a, f] * factors[a] - Y[candidates[e], f] * other_factors[candidates[e]]
                widest = max(widest, abs(difference))
            values[e] = widest
