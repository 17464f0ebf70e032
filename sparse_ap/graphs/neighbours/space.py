"""Points under a metric: what every search needs of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.bits import BIT_METRICS, Bits
from sparse_ap.graphs.neighbours.points import Space
from sparse_ap.graphs.neighbours.stages import Stages, slabs
from sparse_ap.graphs.neighbours.vector_space import TIMES_THE_ROUNDING, VectorSpace
from sparse_ap.graphs.neighbours.vectors import NARROW, WIDE, Codes, Lifted
from sparse_ap.kernels.compilation import kernel

__all__ = ["INNER_PRODUCT", "laid_out", "space_of"]

#: The metric by which the nearest points are those of the largest inner products.
INNER_PRODUCT = "inner_product"


@dataclass(frozen=True, slots=True, eq=False)
class ProductSpace(VectorSpace):
    """Points that are compared by inner products; their "distance" is minus the product.

    The centre is the origin. The cells are those of points with one coordinate more (`Lifted`).
    """

    @classmethod
    def of(cls, X: NDArray[Any], metric: str) -> Self:
        """Lay out checked points."""
        # Called by its name, since a class with slots is made anew by its decorator.
        space = VectorSpace.of.__func__(cls, X, metric)  # type: ignore[attr-defined]
        space = replace(space, centre=np.zeros(X.shape[1]))
        return cast(Self, replace(space, longest=float(space.lengths_of_rows().max(initial=0))))

    def directionless(self) -> NDArray[np.int64]:
        """Return the points whose coordinates are all 0, and so are their products."""
        there = [self.X[part].any(axis=1) for part in slabs(self.n)]
        return np.flatnonzero(~np.concatenate(there))

    def coded(self, codes: Codes) -> Lifted:
        """Return the points as whole numbers, with one coordinate more."""
        plain = VectorSpace.coded(self, codes).coordinates
        lifted = np.zeros((len(plain), plain.shape[1] + 1), codes.kept)
        lifted[:, :-1] = plain
        for part in slabs(len(plain)):
            squares = np.square(plain[part].astype(np.float64)).sum(axis=1)
            # Whole numbers below 2⁵³, whose root is rounded alike everywhere.
            lifted[part, -1] = np.sqrt(np.maximum(float(codes.radius) ** 2 - squares, 0))
        return Lifted.of(lifted, codes)

    def codes_for(self, distances: NDArray[np.float64]) -> Codes:
        """Return the shortest codes that tell products apart.

        Those of a point of length L with points about S from their centre differ by L · S / √d, and rounding
        changes them by up to the length of the longest over √6 units, on average.
        """
        spread = np.median(VectorSpace.of(self.X, "euclidean").lengths_of_rows())
        differ = np.median(self.lengths_of_rows()) * spread / math.sqrt(self.X.shape[1])
        return NARROW if differ >= TIMES_THE_ROUNDING * self.unit(NARROW) * self.longest / 2.4 else WIDE

    def beyond(self, points: Any, worst: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance, for each point, that points of a lower score than ``worst`` exceed.

        Rounding moves either point by √d / 2 units at most, of which neither has more than the radius.
        """
        n_features, unit = self.X.shape[1], self.unit(points.codes)
        rounding = math.sqrt(n_features) * points.codes.radius + n_features
        # Laying out, and the products themselves, round too, by less than 2^-50 in each feature.
        products = (worst + rounding) * unit * unit + n_features * self.longest**2 * 2.0**-50
        return np.asarray(-products / self.factors[:1] / self.factors[:1])

    def distances(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return minus the inner products of listed pairs; see `VectorSpace.distances`."""
        values = np.empty(len(candidates))
        _products(self.X, self.factors, others.X, others.factors, first, candidates, indptr, values)
        with np.errstate(over="ignore"):
            # 0 is added since minus -0.0 is 0.0, and a product of 0 is to be one of 0.0.
            return -(values / self.factors[:1] / self.factors[:1] + 0.0)


@kernel
def _products(X, factors, Y, other_factors, first, candidates, indptr, values):  # type: ignore[no-untyped-def]
    quarter = X.shape[1] // 4 * 4
    for r in range(indptr.size - 1):
        a = first + r
        s = factors[a]
        for e in range(indptr[r], indptr[r + 1]):
            b = candidates[e]
            t = other_factors[b]
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            for f in range(0, quarter, 4):
                s0 += (X[a, f] * s) * (Y[b, f] * t)
                s1 += (X[a, f + 1] * s) * (Y[b, f + 1] * t)
                s2 += (X[a, f + 2] * s) * (Y[b, f + 2] * t)
                s3 += (X[a, f + 3] * s) * (Y[b, f + 3] * t)
            for f in range(quarter, X.shape[1]):
                s0 += (X[a, f] * s) * (Y[b, f] * t)
            values[e] = (s0 + s1) + (s2 + s3)


def space_of(X: NDArray[Any], metric: str) -> Space:
    """Return checked points under a metric."""
    return Bits.of(X, metric) if metric in BIT_METRICS else _vectors_of(X, metric)


def _vectors_of(X: NDArray[Any], metric: str) -> VectorSpace:
    return ProductSpace.of(X, metric) if metric == INNER_PRODUCT else VectorSpace.of(X, metric)


def laid_out(X: NDArray[Any], metric: str, name: str, stages: Stages) -> Space:
    """Return checked points under a metric, kept where a search keeps its arrays, under this name."""
    if metric in BIT_METRICS:
        return stages.filled(f"{name} as bits", partial(_bits_of, X, metric), len(X))
    space = _vectors_of(X, metric)
    shifts, factors = stages.kept(f"layout of {name}", lambda: (space.shifts, space.factors))
    return replace(space, shifts=shifts, factors=factors)


def _bits_of(X: NDArray[Any], metric: str, rows: slice) -> Bits:
    return Bits.of(X[rows], metric)
