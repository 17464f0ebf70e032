"""The pass that examines the stored entries before a run, and one that another pass is part of."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from sparse_ap.kernels.block import Block
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.edge_pass import BasePass, ColumnReduction, Columns, Pass
from sparse_ap.kernels.sorting import ascending, room_for_rows

__all__ = ["EntryStatistics", "Examined", "ExaminingPass", "StatisticsPass"]

_NOWHERE = np.iinfo(np.int64).max
# Number of counts among the fields of EntryStatistics; the fields after them are row numbers.
_N_COUNTS = 9


@dataclass(frozen=True, slots=True)
class EntryStatistics:
    """Counts of the stored entries of a graph, by kind; the tally of `StatisticsPass`.

    Attributes
    ----------
    n_diagonal, n_duplicate, n_nan, n_plus_inf, n_minus_inf, n_outside : int
        Numbers of entries: on the diagonal; repetitions of a pair; and, off the diagonal, NaN; +inf; -inf
        (no edge); with a column id that is not a point's.
    n_alike_itself : int
        Entries on the diagonal above 0, evidence that entries are not distances.
    n_nearest_first, n_best_first : int
        Rows not sorted by column but by value: rising from 0, as lists of distances; or falling, as lists of
        similarities.
    first_nan, first_infinite, first_outside : int
        First row with an entry counted in ``n_nan``, ``n_plus_inf``, ``n_outside``.
    """

    n_diagonal: int = 0
    n_duplicate: int = 0
    n_nan: int = 0
    n_plus_inf: int = 0
    n_minus_inf: int = 0
    n_outside: int = 0
    n_alike_itself: int = 0
    n_nearest_first: int = 0
    n_best_first: int = 0
    first_nan: int = _NOWHERE
    first_infinite: int = _NOWHERE
    first_outside: int = _NOWHERE

    def __add__(self, other: EntryStatistics) -> EntryStatistics:
        """Combine with another block's statistics."""
        mine, others = astuple(self), astuple(other)
        sums = (a + b for a, b in zip(mine[:_N_COUNTS], others[:_N_COUNTS], strict=True))
        firsts = (min(a, b) for a, b in zip(mine[_N_COUNTS:], others[_N_COUNTS:], strict=True))
        return EntryStatistics(*sums, *firsts)

    @property
    def canonical(self) -> bool:
        """Whether every stored entry is an edge of its own."""
        return not (self.n_diagonal or self.n_duplicate or self.n_minus_inf or self.n_nan)

    @property
    def wrong(self) -> bool:
        """Whether an entry can be no edge, nor be passed over."""
        return bool(self.n_outside or self.n_plus_inf)


@dataclass(frozen=True, slots=True)
class StatisticsPass(BasePass):
    """Count the stored entries by kind."""

    nothing = EntryStatistics()

    def __call__(
        self, block: Block, vectors: tuple[()], rows: tuple[()], columns: Columns
    ) -> EntryStatistics:
        """Count the entries of one block."""
        # Positions in counts are those of the fields of EntryStatistics.
        counts, firsts = np.zeros(9, np.int64), np.full(3, _NOWHERE, np.int64)
        _look(block.rows.start, block.n_points, *block.csr, room_for_rows(block.indptr), counts, firsts)
        return EntryStatistics(*counts.tolist(), *firsts.tolist())


@dataclass(frozen=True, slots=True)
class Examined:
    """The statistics of the entries, and the tally of a pass over blocks in which every entry is an edge."""

    statistics: EntryStatistics
    tally: Any

    def __add__(self, other: Examined) -> Examined:
        """Combine with another block's."""
        return Examined(self.statistics + other.statistics, self.tally + other.tally)


@dataclass(frozen=True, slots=True)
class ExaminingPass:
    """Another pass, in the same reading as `StatisticsPass`.

    What it says counts if the graph turns out to be canonical, without a wrong entry; blocks that are not are
    left out, so that it meets edges only.
    """

    inner: Pass[Any, Any, Any]

    @property
    def column_reductions(self) -> tuple[ColumnReduction, ...]:
        """Those of the other pass."""
        return self.inner.column_reductions

    @property
    def reads(self) -> tuple[str, ...]:
        """Those of the other pass."""
        return self.inner.reads

    @property
    def writes(self) -> tuple[str, ...]:
        """Those of the other pass."""
        return self.inner.writes

    @property
    def nothing(self) -> Examined:
        """Nothing of both."""
        return Examined(StatisticsPass.nothing, self.inner.nothing)

    def __call__(self, block: Block, vectors: Any, rows: Any, columns: Columns) -> Examined:
        """Examine one block, and read it as the other pass does."""
        statistics = StatisticsPass()(block, (), (), ())
        if statistics.wrong or not statistics.canonical:
            return Examined(statistics, self.inner.nothing)
        return Examined(statistics, self.inner(block, vectors, rows, columns))


@kernel
def _look(
    start: int, n_points: int, indptr: Any, indices: Any, data: Any, room: Any, counts: Any, firsts: Any
) -> None:
    for row in range(len(indptr) - 1):
        first, last = indptr[row] - indptr[0], indptr[row + 1] - indptr[0]
        columns, values = indices[first:last], data[first:last]
        if not _is_ascending(columns):
            counts[1] += _repeated(columns, room)
            counts[7] += _nearest_first(values)
            counts[8] += _best_first(values)
        for edge in range(first, last):
            column, s = indices[edge], data[edge]
            if column == start + row:
                counts[0] += 1
                counts[6] += s > 0
            elif column < 0 or column >= n_points:
                counts[5] += 1
                firsts[2] = min(firsts[2], start + row)
            elif np.isnan(s):
                counts[2] += 1
                firsts[0] = min(firsts[0], start + row)
            elif s == np.inf:
                counts[3] += 1
                firsts[1] = min(firsts[1], start + row)
            elif s == -np.inf:
                counts[4] += 1


@helper
def _is_ascending(columns: Any) -> bool:
    """Whether every column is larger than the one before."""
    rising = True
    for edge in range(1, len(columns)):
        rising &= columns[edge - 1] < columns[edge]
    return rising


@helper
def _repeated(columns: Any, room: Any) -> int:
    """Return the number of entries of a row whose column occurred in it before."""
    repeated = 0
    order = room[ascending(columns, room)]
    for edge in range(1, len(columns)):
        repeated += columns[order[edge - 1]] == columns[order[edge]]
    return repeated


@helper
def _nearest_first(values: Any) -> bool:
    """Whether a row's values rise from 0: the point itself, then its neighbours by distance."""
    rising = bool(len(values) > 2 and values[0] == 0 and values[-1] > 0)
    for edge in range(1, len(values)):
        rising &= values[edge - 1] <= values[edge]
    return rising


@helper
def _best_first(values: Any) -> bool:
    """Whether a row falls: no value is larger than the one before, and the last is smaller than the first."""
    falling = bool(values[0] > values[-1])
    for edge in range(1, len(values)):
        falling &= values[edge - 1] >= values[edge]
    return falling
