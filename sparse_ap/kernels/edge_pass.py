"""The contract of passes: a pass reads every edge once, block by block.

A pass is a small frozen record of parameters that can be called on a block. It may

* read **vectors**: arrays over all points, gathered by column, the same for every block;
* read and write **rows**: arrays over all points, of which each call sees the part of its block. The pass
  declares the rows that it reads and writes, so that an executor without shared memory can send and fetch
  them;
* add to **columns**: arrays over all points, of which every thread has its own share. The pass declares how
  the shares combine, which is always exact: no order of blocks can change a bit;
* return a **tally**: any value with an exact ``+``.

A pass does not depend on the reader of the blocks, their origin, or their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block, Int32Array

__all__ = [
    "COUNT",
    "EXACT_SUM",
    "LARGEST",
    "MARK",
    "BasePass",
    "ColumnReduction",
    "Columns",
    "LabelVectors",
    "Pass",
    "PlainPass",
    "Tally",
]

Columns = tuple[NDArray[Any], ...]


class Tally(Protocol):
    """A value added up over blocks, exactly."""

    def __add__(self, other: Self, /) -> Self:
        """Combine with another block's tally; exact, hence independent of the order."""
        ...


@dataclass(frozen=True, slots=True)
class ColumnReduction:
    """The exact operation that combines the threads' shares of a column.

    Attributes
    ----------
    combine : ufunc
    dtype : type
        Element type of the column.
    """

    combine: np.ufunc
    dtype: type[np.generic]

    def new_share(self, n_points: int) -> NDArray[Any]:
        """Return an uninitialised share; its user sets it to zero first."""
        return np.empty(n_points, self.dtype)


#: Sums of float64 values that a `Grid` has rounded, which are exact.
EXACT_SUM = ColumnReduction(np.add, np.float64)
#: Counts of edges.
COUNT = ColumnReduction(np.add, np.int32)
#: Maxima of nonnegative integers.
LARGEST = ColumnReduction(np.maximum, np.int32)
#: Marks of points: whether any edge makes one.
MARK = ColumnReduction(np.logical_or, np.bool_)

VectorsT = TypeVar("VectorsT", bound=tuple[Any, ...], contravariant=True)
RowsT = TypeVar("RowsT", bound=tuple[Any, ...], contravariant=True)
TallyT = TypeVar("TallyT", bound=Tally, covariant=True)


class Pass(Protocol[VectorsT, RowsT, TallyT]):
    """A pass: one reading of every edge (see the module)."""

    @property
    def column_reductions(self) -> tuple[ColumnReduction, ...]:
        """The exact operation that combines the shares of each column."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the rows that the pass reads."""
        ...

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the rows that the pass writes; rows that it does not read it fills completely."""
        ...

    @property
    def nothing(self) -> TallyT:
        """The tally of no blocks."""
        ...

    def __call__(self, block: Block, vectors: VectorsT, rows: RowsT, columns: Columns) -> TallyT:
        """Read one block: write its rows, add to the columns, and return its tally."""
        ...


class LabelVectors(NamedTuple):
    """Vectors: a number for each point, such as that of its cluster."""

    label: Int32Array


class BasePass:
    """Defaults of passes: no rows and no columns."""

    __slots__ = ()

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()


class PlainPass(BasePass):
    """A pass without a tally: each call returns 0."""

    __slots__ = ()

    nothing: ClassVar[int] = 0
