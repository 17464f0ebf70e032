"""Vectors as whole numbers, whose products are exact in floating point, in any order of summation.

Coordinates become whole numbers, so small that no part of the sum q·b - |b|²/2, in any order of summation,
has more digits than a float: for |q|, |b| ≤ r it is at most 1.5 r². So matrix products give the same bits
with every library and on every processor, with or without fused multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.lists import padded
from sparse_ap.kernels.compilation import kernel
from sparse_ap.storage.mapped_arrays import gathered

__all__ = ["NARROW", "WIDE", "Codes", "Lifted", "Vectors"]


@dataclass(frozen=True, slots=True)
class Codes:
    """A form of whole numbers.

    Attributes
    ----------
    kept : dtype
        Of the coordinates.
    computed : dtype
        Of products and scores.
    radius : int
        Largest length of a vector: 1.5 radius² is below 2²⁴ for float32, below 2⁵³ for float64.
    """

    kept: np.dtype[Any]
    computed: np.dtype[Any]
    radius: int


NARROW = Codes(np.dtype(np.int16), np.dtype(np.float32), 3_300)
WIDE = Codes(np.dtype(np.int32), np.dtype(np.float64), 75_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Vectors of whole numbers; the score of b for q is q·b - |b|²/2, rounded down.

    Attributes
    ----------
    codes : Codes
    coordinates : ndarray of codes.kept, shape (n, n_features)
    halves : ndarray of codes.computed, shape (n,)
        Half the squared lengths, rounded down.
    """

    ROWS: ClassVar[tuple[str, ...]] = ("coordinates", "halves")
    HOME_IS_NEAREST: ClassVar[bool] = True
    CELLS_PER_ROOT: ClassVar[int] = 6

    codes: Codes
    coordinates: NDArray[Any]
    halves: NDArray[Any]

    @classmethod
    def of(cls, coordinates: NDArray[Any], codes: Codes) -> Self:
        """Return vectors of whole coordinates."""
        halves = np.empty(len(coordinates), codes.computed)
        _half_squares(coordinates, halves)
        return cls(codes, coordinates, halves)

    @property
    def n(self) -> int:
        """Number of vectors."""
        return len(self.coordinates)

    @property
    def score_type(self) -> np.dtype[Any]:
        """Type of the scores."""
        return self.codes.computed

    def taken(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the vectors, in this order."""
        return type(self)(self.codes, gathered(self.coordinates, rows), gathered(self.halves, rows))

    def searched(self) -> Vectors:
        """Return the vectors themselves: they are searched as they are cut into cells."""
        return self

    def columns(self, start: int, stop: int) -> NDArray[Any]:
        """Return vectors and their halves, one a column; those of the padding are never near."""
        n_features = self.coordinates.shape[1]
        columns = np.zeros((padded(stop - start), n_features + 1), self.codes.computed)
        columns[: stop - start, :n_features] = self.coordinates[start:stop]
        columns[: stop - start, n_features] = -self.halves[start:stop]
        columns[stop - start :, n_features] = -np.inf
        return columns.T

    def scores(self, queries: NDArray[np.int64], columns: Any) -> NDArray[Any]:
        """Return q·b - |b|²/2, by a matrix product."""
        rows = np.empty((len(queries), len(columns)), self.codes.computed)
        _lay_out(self.coordinates, queries, rows)
        return np.asarray(rows @ columns)

    def listed_scores(
        self, start: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Return q·b - |b|²/2 of listed candidates."""
        values = np.empty(len(candidates), self.codes.computed)
        _listed(self.coordinates, self.halves, start, candidates, indptr, values)
        return values

    def centres(self, labels: NDArray[np.int32], before: Any) -> Self:
        """Return the mean of the vectors of each label, or the centre of ``before`` where there are none."""
        totals = np.zeros(before.coordinates.shape, np.int64)
        counts = np.bincount(labels, minlength=before.n)[:, None]
        _add_up(self.coordinates, labels, totals)
        means = (2 * totals + counts) // np.maximum(2 * counts, 1)
        return self.of(np.where(counts > 0, means, before.coordinates).astype(self.codes.kept), self.codes)


class Lifted(Vectors):
    """Vectors to be searched by inner products, with a last coordinate that makes all equally long.

    All have the length r. A vector q whose last coordinate is 0 has the products (|q|² + r² - |q - b|²) / 2
    with them: the nearest are those of the largest products [1]_.

    References
    ----------
    .. [1] Y. Bachrach et al. Speeding up the Xbox recommender system using a Euclidean transformation for
       inner-product spaces. RecSys 2014.
    """

    __slots__ = ()

    # As queries they lie elsewhere.
    HOME_IS_NEAREST: ClassVar[bool] = False

    def searched(self) -> Vectors:
        """Return the vectors without the last coordinate, which is 0; their scores are the products."""
        coordinates = np.array(self.coordinates)
        coordinates[:, -1] = 0
        return Vectors(self.codes, coordinates, np.zeros_like(self.halves))


@kernel
def _half_squares(coordinates, halves):  # type: ignore[no-untyped-def]
    for r in range(coordinates.shape[0]):
        total = np.int64(0)
        for f in range(coordinates.shape[1]):
            total += np.int64(coordinates[r, f]) * np.int64(coordinates[r, f])
        halves[r] = total // 2


@kernel
def _lay_out(coordinates, rows, out):  # type: ignore[no-untyped-def]
    for a in range(rows.size):
        for f in range(coordinates.shape[1]):
            out[a, f] = coordinates[rows[a], f]
        out[a, coordinates.shape[1]] = 1


@kernel
def _add_up(coordinates, labels, totals):  # type: ignore[no-untyped-def]
    for r in range(coordinates.shape[0]):
        for f in range(coordinates.shape[1]):
            totals[labels[r], f] += coordinates[r, f]


@kernel
def _listed(coordinates, halves, start, candidates, indptr, values):  # type: ignore[no-untyped-def]
    wide = coordinates.itemsize == 4
    for r in range(indptr.size - 1):
        row = start + r
        for e in range(indptr[r], indptr[r + 1]):
            b = candidates[e]
            if wide:
                product = np.int64(0)
                for f in range(coordinates.shape[1]):
                    product += np.int64(coordinates[row, f]) * np.int64(coordinates[b, f])
                values[e] = product - halves[b]
            else:
                small = np.int32(0)
                for f in range(coordinates.shape[1]):
                    small += np.int32(coordinates[row, f]) * np.int32(coordinates[b, f])
                values[e] = np.float32(small) - halves[b]
