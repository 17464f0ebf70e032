"""Points made of bits, compared by counts of bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.lists import padded
from sparse_ap.graphs.neighbours.vectors import NARROW, Codes
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.storage.mapped_arrays import gathered

__all__ = ["BIT_METRICS", "Bits", "count_common"]

#: Metrics for bits.
BIT_METRICS = ("tanimoto", "hamming")

_WORD = 8
_UNROLLED = 4
# Widest points, in bits, whose shares of common bits all differ in float32 if they differ.
_NARROW_BITS = 2048


class _Columns(NamedTuple):
    """Points one a column: their words, numbers of bits, and how many are points and not padding."""

    words: NDArray[np.uint64]
    counts: NDArray[Any]
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """Points made of bits; the score is the Tanimoto similarity, or minus the number of different bits.

    Attributes
    ----------
    metric : {"tanimoto", "hamming"}
    n_bits : int
        Number of bits of a point, set or not.
    words : ndarray of uint64, shape (n, n_words)
        n_words is a multiple of 4.
    counts : ndarray of float, shape (n,)
        Numbers of bits set.
    """

    ROWS: ClassVar[tuple[str, ...]] = ("words", "counts")
    # The centres nearest to that of a point's own cell are often not those nearest to the point.
    HOME_IS_NEAREST: ClassVar[bool] = False
    CELLS_PER_ROOT: ClassVar[int] = 3

    metric: str
    n_bits: int
    words: NDArray[np.uint64]
    counts: NDArray[Any]

    @classmethod
    def of(cls, X: NDArray[Any], metric: str) -> Self:
        """Return points of bits: bool, shape (n, n_bits), or packed in uint8, shape (n, n_bytes)."""
        packed = np.packbits(X, axis=1) if X.dtype == np.bool_ else X
        n_bits = X.shape[1] if X.dtype == np.bool_ else 8 * X.shape[1]
        n, n_bytes = packed.shape
        room = -(-n_bytes // (_WORD * _UNROLLED)) * _WORD * _UNROLLED
        whole = np.zeros((n, room), np.uint8)
        whole[:, :n_bytes] = packed
        words = whole.view(np.uint64)
        dtype = np.float32 if n_bits <= _NARROW_BITS else np.float64
        return cls(metric, n_bits, words, np.bitwise_count(words).sum(axis=1, dtype=np.int64).astype(dtype))

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.words)

    @property
    def score_type(self) -> np.dtype[Any]:
        """Type of the scores."""
        return self.counts.dtype

    def taken(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the points, in this order."""
        return replace(self, words=gathered(self.words, rows), counts=gathered(self.counts, rows))

    def columns(self, start: int, stop: int) -> _Columns:
        """Return points one a column, which processors compare several at a time."""
        width = padded(stop - start)
        words = np.zeros((self.words.shape[1], width), np.uint64)
        words[:, : stop - start] = self.words[start:stop].T
        counts = np.zeros(width, self.counts.dtype)
        counts[: stop - start] = self.counts[start:stop]
        return _Columns(words, counts, stop - start)

    def scores(self, queries: NDArray[np.int64], columns: Any) -> NDArray[Any]:
        """Return the scores of all columns for some points."""
        scores = np.empty((len(queries), columns.words.shape[1]), self.counts.dtype)
        tanimoto, common = self.metric == "tanimoto", np.empty(scores.shape[1], np.int64)
        _score(self.words, self.counts, queries, columns.words, columns.counts, tanimoto, common, scores)
        scores[:, columns.n :] = -np.inf
        return scores

    def listed_scores(
        self, start: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Return the scores of listed candidates."""
        return self._listed(self, start, candidates, indptr, self.counts.dtype)

    def beside(self, X: NDArray[Any]) -> tuple[Self, Self]:
        """Return these points and others, laid out so that they can be compared."""
        return self, self.of(X, self.metric)

    def coded(self, codes: Codes) -> Self:
        """Return the points themselves: bits need no rounding."""
        return self

    def searched(self) -> Self:
        """Return the points themselves."""
        return self

    def codes_for(self, distances: NDArray[np.float64]) -> Codes:
        """Return any codes: bits need none."""
        return NARROW

    def beyond(self, points: Any, worst: NDArray[Any]) -> NDArray[np.float64]:
        """Return infinity: scores are exact, so points beyond a list are no nearer than those in it."""
        return np.full(len(worst), np.inf)

    def row_words(self) -> NDArray[np.uint64]:
        """Return the rows as whole numbers, equal if the points are."""
        return self.words

    def remote(self) -> NDArray[np.int64]:
        """Return the points far away from all others: none."""
        return np.empty(0, np.int64)

    def directionless(self) -> NDArray[np.int64]:
        """Return the points whose distance to others is undefined: none."""
        return np.empty(0, np.int64)

    def distances(
        self, others: Any, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the distances of listed pairs; see `VectorSpace.distances`."""
        scores = self._listed(others, first, candidates, indptr, np.dtype(np.float64))
        return 1 - scores if self.metric == "tanimoto" else -scores / self.n_bits

    def _listed(
        self, others: Self, first: int, candidates: NDArray[np.int32], indptr: NDArray[np.int64], dtype: Any
    ) -> NDArray[Any]:
        common = np.empty(len(candidates), dtype)
        _common_bits_listed(self.words, others.words, first, candidates, indptr, common)
        rows = np.arange(first, first + len(indptr) - 1).repeat(np.diff(indptr))
        return self._scores_of(
            common, self.counts[rows].astype(dtype), others.counts[candidates].astype(dtype)
        )

    def _scores_of(self, common: NDArray[Any], counts: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
        """Return the scores of pairs from the numbers of their common bits and of the bits of each."""
        if self.metric == "hamming":
            return np.asarray(2 * common - counts - others)
        union = counts + others - common
        # Two points without bits are equal.
        return np.asarray(np.divide(common, union, out=np.ones_like(common), where=union > 0))

    def centres(self, labels: NDArray[np.int32], before: Any) -> Self:
        """Return the commonest bits of the points of each label, as many as the points have on average."""
        order = np.argsort(labels, kind="stable")
        ends = np.searchsorted(labels[order], np.arange(before.n + 1))
        packed = before.words.view(np.uint8).copy()
        for c in np.flatnonzero(np.diff(ends)):
            members = self.words[order[ends[c] : ends[c + 1]]].view(np.uint8)
            shares = np.unpackbits(members, axis=1).sum(axis=0, dtype=np.int64)
            n_bits = int(shares.sum()) // len(members)
            bits = np.zeros(len(shares), np.uint8)
            bits[np.argsort(-shares, kind="stable")[: max(1, n_bits)]] = 1
            packed[c] = np.packbits(bits)
        counts = np.bitwise_count(packed).sum(axis=1, dtype=np.int64).astype(self.counts.dtype)
        return replace(self, words=packed.view(np.uint64), counts=counts)


def _count_bits(typing: Any, word: Any) -> Any:
    """Return the number of bits set, by the processor's instruction if it has one."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_popcount: Any = intrinsic(_count_bits)


@helper
def count_common(points, q, words, common):  # type: ignore[no-untyped-def]
    """Count the bits that point q has in common with each column of words."""
    common[:] = 0
    for f in range(0, words.shape[0], _UNROLLED):
        w0, w1, w2, w3 = points[q, f], points[q, f + 1], points[q, f + 2], points[q, f + 3]
        for c in range(words.shape[1]):
            common[c] += np.int64(
                _popcount(w0 & words[f, c])
                + _popcount(w1 & words[f + 1, c])
                + _popcount(w2 & words[f + 2, c])
                + _popcount(w3 & words[f + 3, c])
            )


@kernel
def _score(points, counts, queries, words, others, tanimoto, common, scores):  # type: ignore[no-untyped-def]
    for a in range(queries.size):
        count_common(points, queries[a], words, common)
        own = counts[queries[a]]
        # From here on in the type of the scores.
        for c in range(others.size):
            scores[a, c] = common[c]
        if tanimoto:
            for c in range(others.size):
                union = own + others[c] - scores[a, c]
                # Two points without bits are equal.
                scores[a, c] = scores[a, c] / union if union > 0 else 1
        else:
            for c in range(others.size):
                scores[a, c] = 2 * scores[a, c] - own - others[c]


@kernel
def _common_bits_listed(points, others, start, candidates, indptr, common):  # type: ignore[no-untyped-def]
    for r in range(indptr.size - 1):
        for e in range(indptr[r], indptr[r + 1]):
            total = np.int64(0)
            for f in range(points.shape[1]):
                total += np.int64(_popcount(points[start + r, f] & others[candidates[e], f]))
            common[e] = total
