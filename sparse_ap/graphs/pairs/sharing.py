"""All pairs within a distance among sparse rows, by an inverted index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparse_ap.graphs.neighbours.sparse_space import Postings, SparseSpace
from sparse_ap.graphs.pairs.found import Pairs, within
from sparse_ap.kernels.compilation import kernel

__all__ = ["SharedFeatures"]

# Rows of a task, and candidates whose distances are computed at a time.
_ROWS, _CANDIDATES = 256, 1 << 20
# What sums of products may round, of the squared lengths, more than enough.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SharedFeatures:
    """The search by the products over shared features, and the distances of rows that may be near.

    Attributes
    ----------
    space : SparseSpace
    postings : Postings
    least : ndarray of float64, shape (n,)
        For each row, a score below which all others are out of reach.
    everybody : bool
        Whether rows without a common feature may be near.
    reach : float
    """

    space: SparseSpace
    postings: Postings
    least: NDArray[np.float64]
    everybody: bool
    reach: float

    @classmethod
    def of(cls, rows: Any, metric: str, reach: float) -> Self:
        """Lay out checked sparse rows."""
        space = SparseSpace.of(rows, metric)
        postings = Postings.of(space)
        if metric == "cosine":
            least = np.full(space.n, 1 - min(reach, 3.0) - _SLACK)
            return cls(space, postings, least, reach >= 1, reach)
        halves = -postings.least
        length = min(reach / space.scale, 1e150)
        slack = _SLACK * (halves + halves.max(initial=0))
        return cls(space, postings, halves - length * length / 2 * (1 + _SLACK) - slack, True, reach)

    @property
    def tasks(self) -> list[int]:
        """First rows of the tasks."""
        return list(range(0, self.space.n, _ROWS))

    def find(self, task: int) -> Pairs:
        """Return the pairs of some rows and those of higher numbers."""
        n, stop = self.space.n, min(self.space.n, task + _ROWS)
        room = np.zeros(n), np.full(n, -1, np.int32), np.empty(n, np.int32)
        numbers, found, row = np.arange(n, dtype=np.int32), [], task
        while row < stop:
            candidates, indptr = np.empty(max(n, _CANDIDATES), np.int32), np.zeros(stop - row + 1, np.int64)
            n_rows = _near(
                self.space.indptr, self.space.features, self.space.values, self.postings.starts,
                self.postings.rows, self.postings.values, self.postings.least, self.least, self.everybody,
                row, *room, candidates, indptr,
            )  # fmt: skip
            listed = candidates[: indptr[n_rows]]
            found.append(within(self.space, self.reach, row, listed, indptr[: n_rows + 1], numbers))
            row += n_rows
        return Pairs(*map(np.concatenate, zip(*found, strict=True)))


@kernel
def _near(  # type: ignore[no-untyped-def]
    indptr, features, values, starts, rows, weights, halves, least, everybody, start, products, seen, sharing,
    candidates, lists,
):  # fmt: skip
    """List, for as many rows as there is room for, the rows of higher numbers that may be near."""
    n = 0
    for r in range(lists.size - 1):
        q, n_sharing = start + r, 0
        if r and n + halves.size > candidates.size:
            return r
        for e in range(indptr[q], indptr[q + 1]):
            f = features[e]
            # From the end: rows of higher numbers only.
            for p in range(starts[f + 1] - 1, starts[f] - 1, -1):
                b = rows[p]
                if b <= q:
                    break
                if seen[b] != q:
                    seen[b] = q
                    products[b] = 0.0
                    sharing[n_sharing] = b
                    n_sharing += 1
                products[b] += values[e] * weights[p]
        if everybody:
            for b in range(q + 1, halves.size):
                if halves[b] + (products[b] if seen[b] == q else 0.0) >= least[q]:
                    candidates[n] = b
                    n += 1
        else:
            for c in range(n_sharing):
                b = sharing[c]
                if products[b] >= least[q]:
                    candidates[n] = b
                    n += 1
        lists[r + 1] = n
    return lists.size - 1
