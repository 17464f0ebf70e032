"""Points with few features that are not 0, as sparse rows, under a metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.lists import CandidateLists, put
from sparse_ap.kernels.compilation import kernel

__all__ = ["SPARSE_METRICS", "Postings", "SparseSpace"]

#: Metrics of sparse rows.
SPARSE_METRICS = ("euclidean", "cosine", "inner_product")


@dataclass(frozen=True, slots=True, eq=False)
class SparseSpace:
    """Sparse rows; for "cosine" of length 1, or empty.

    Attributes
    ----------
    metric : {"euclidean", "cosine", "inner_product"}
    n_features : int
    indptr : ndarray of int64, shape (n + 1,)
    features : ndarray of int32, shape (n_stored,)
        Of each row, rising.
    values : ndarray of float64, shape (n_stored,)
        Divided by ``scale``, a power of two that keeps squares in range.
    scale : float
    """

    metric: str
    n_features: int
    indptr: NDArray[np.int64]
    features: NDArray[np.int32]
    values: NDArray[np.float64]
    scale: float

    @classmethod
    def of(cls, rows: Any, metric: str) -> Self:
        """Lay out a CSR matrix in canonical form."""
        values = rows.data.astype(np.float64)
        scale = 2.0 ** np.frexp(np.abs(values).max(initial=0))[1]
        values /= scale
        if metric == "cosine":
            _normalise(rows.indptr, values)
        features, indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int64)
        return cls(metric, rows.shape[1], indptr, features, values, float(scale))

    def beside(self, rows: Any) -> tuple[Self, Self]:
        """Return these points and others, laid out so that they can be compared."""
        others = self.of(rows, self.metric)
        if self.metric == "cosine":
            return self, others
        scale = max(self.scale, others.scale)
        one, two = (replace(x, values=x.values * (x.scale / scale), scale=scale) for x in (self, others))
        return one, two

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.indptr) - 1

    def taken(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the points, in this order."""
        matrix = scipy.sparse.csr_array(
            (self.values, self.features, self.indptr), shape=(self.n, self.n_features)
        )[rows]
        return replace(
            self,
            indptr=matrix.indptr.astype(np.int64),
            features=matrix.indices.astype(np.int32),
            values=matrix.data,
        )

    def distances(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the distances of listed pairs; see `VectorSpace.distances`."""
        values = self._compared(others, first, candidates, indptr)
        if self.metric == "inner_product":
            with np.errstate(over="ignore"):
                # 0 is added since minus -0.0 is 0.0, and a product of 0 is to be one of 0.0.
                return -(values * self.scale * self.scale + 0.0)
        return values if self.metric == "cosine" else np.sqrt(values) * self.scale

    def squares(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the squared Euclidean distances of listed pairs; see `VectorSpace.distances`."""
        with np.errstate(over="ignore"):
            return self._compared(others, first, candidates, indptr) * self.scale * self.scale

    def _compared(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        values, one, two = np.empty(len(candidates)), self._arrays, others._arrays
        if self.metric == "inner_product":
            _multiply(*one, *two, first, candidates, indptr, values)
        else:
            _compare(*one, *two, self.metric == "cosine", first, candidates, indptr, values)
        return values

    def listed_scores(
        self, start: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return minus the distances of listed pairs."""
        return -self.distances(self, start, candidates, indptr)

    @property
    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        return self.indptr, self.features, self.values


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The rows in which each feature is, the basis of an inverted index.

    Attributes
    ----------
    starts : ndarray of int64, shape (n_features + 1,)
    rows : ndarray of int32, shape (n_stored,)
    values : ndarray of float64, shape (n_stored,)
    least : ndarray of float64, shape (n_points,)
        Score of a point that shares no feature with the query.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: NDArray[np.float64]
    least: NDArray[np.float64]

    @classmethod
    def of(cls, points: SparseSpace) -> Self:
        """Turn rows of features into features of rows."""
        shape = (points.n, points.n_features)
        columns = scipy.sparse.csr_array((points.values, points.features, points.indptr), shape=shape).tocsc()
        least = np.zeros(points.n)
        if points.metric == "euclidean":
            _half_squares(points.indptr, points.values, least)
        return cls(columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data, -least)

    def offer(
        self,
        queries: SparseSpace,
        part: slice,
        longest: int,
        itself: NDArray[np.int64],
        lists: CandidateLists,
    ) -> None:
        """Offer some queries the points that share a feature with them, by the products over these features.

        Parameters
        ----------
        queries : SparseSpace
        part : slice
        longest : int
            Features that more points have are passed over.
        itself : ndarray of int64, shape (n_queries,)
            The point that each query is; -1 for none.
        lists : CandidateLists
            Of all queries, of float64.
        """
        n = len(self.least)
        room = np.zeros(n), np.full(n, -1, np.int32), np.empty(n, np.int32)
        # By cosine, points that share no feature are at distance 1, and the last.
        everybody = queries.metric != "cosine"
        _offer_sharing(
            queries.indptr, queries.features, queries.values, self.starts, self.rows, self.values, self.least,
            longest, everybody, part.start, part.stop, itself, *room, lists.scores, lists.numbers,
        )  # fmt: skip


@kernel
def _normalise(indptr, values):  # type: ignore[no-untyped-def]
    for r in range(indptr.size - 1):
        square = 0.0
        for e in range(indptr[r], indptr[r + 1]):
            square += values[e] * values[e]
        length = np.sqrt(square)
        for e in range(indptr[r], indptr[r + 1]):
            values[e] = values[e] / length if length > 0 else 0.0


@kernel
def _half_squares(indptr, values, halves):  # type: ignore[no-untyped-def]
    for r in range(indptr.size - 1):
        square = 0.0
        for e in range(indptr[r], indptr[r + 1]):
            square += values[e] * values[e]
        halves[r] = square / 2


@kernel
def _offer_sharing(  # type: ignore[no-untyped-def]
    indptr, features, values, starts, rows, weights, least, longest, everybody, start, stop, itself,
    products, seen, sharing, scores, numbers,
):  # fmt: skip
    last = scores.shape[1] - 1
    for q in range(start, stop):
        n = 0
        for e in range(indptr[q], indptr[q + 1]):
            f = features[e]
            if starts[f + 1] - starts[f] > longest:
                continue
            for p in range(starts[f], starts[f + 1]):
                b = rows[p]
                if seen[b] != q:
                    seen[b] = q
                    products[b] = 0.0
                    sharing[n] = b
                    n += 1
                products[b] += values[e] * weights[p]
        for c in range(least.size if everybody else n):
            b = c if everybody else sharing[c]
            score = least[b] + (products[b] if seen[b] == q else 0.0)
            if b != itself[q] and score >= scores[q, last] and (everybody or score > 0):
                put(score, b, scores, numbers, q)


@kernel
def _compare(indptr, features, values, starts, others, weights, cosine, first, candidates, lists, distances):  # type: ignore[no-untyped-def]
    for r in range(lists.size - 1):
        for e in range(lists[r], lists[r + 1]):
            a, a_end = indptr[first + r], indptr[first + r + 1]
            b, b_end = starts[candidates[e]], starts[candidates[e] + 1]
            square, shared = 0.0, False
            while a < a_end or b < b_end:
                one = a < a_end and (b == b_end or features[a] <= others[b])
                two = b < b_end and (a == a_end or others[b] <= features[a])
                difference = (values[a] if one else 0.0) - (weights[b] if two else 0.0)
                square += difference * difference
                shared |= one and two
                a += one
                b += two
            if cosine:
                # Half the squared distance of two rows of length 1 is 1 minus their product.
                distances[e] = square / 2 if shared else 1.0
            else:
                distances[e] = square


@kernel
def _multiply(indptr, features, values, starts, others, weights, first, candidates, lists, products):  # type: ignore[no-untyped-def]
    for r in range(lists.size - 1):
        for e in range(lists[r], lists[r + 1]):
            a, a_end = indptr[first + r], indptr[first + r + 1]
            b, b_end = starts[candidates[e]], starts[candidates[e] + 1]
            total = 0.0
            while a < a_end and b < b_end:
                if features[a] == others[b]:
                    total += values[a] * weights[b]
                step, other = features[a] <= others[b], others[b] <= features[a]
                a += step
                b += other
            products[e] = total
