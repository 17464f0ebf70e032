"""What a pass is: one reading of every edge, block by block.

A pass is a small frozen record of parameters that can be called on a block. It may

* read **vectors**: arrays over all points, gathered by column, the same for every block;
* read and write **rows**: arrays over all points of which it sees only its block's part. It says which
  it reads and which it writes: an executor without shared memory sends those and fetches these;
* add to **columns**: arrays over all points, of which every thread has its own share. How shares
  combine is named by the pass, and is always exact: no order of blocks can change a bit;
* return a **tally**: anything with an exact ``+``.

Who reads the blocks, where from and in what order, is not its business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Block

__all__ = [
    "COUNT",
    "EXACT_SUM",
    "LARGEST",
    "BasePass",
    "ColumnReduction",
    "Columns",
    "Pass",
    "PlainPass",
    "Tally",
]

Columns = tuple[NDArray[Any], ...]


class Tally(Protocol):
    """Totals over blocks."""

    def __add__(self, other: Self, /) -> Self:
        """Combine with another block's; exact, so in any order."""
        ...


@dataclass(frozen=True, slots=True)
class ColumnReduction:
    """How the threads' shares of one array over the columns combine."""

    combine: np.ufunc
    dtype: type[np.generic]

    def new_share(self, n_points: int) -> NDArray[Any]:
        """Return room for a share; whoever fills it begins by setting it to zero."""
        return np.empty(n_points, self.dtype)


#: Sums of float64 values that a `Grid` has rounded: exact.
EXACT_SUM = ColumnReduction(np.add, np.float64)
#: Counts of edges.
COUNT = ColumnReduction(np.add, np.int32)
#: The largest of numbers from 0.
LARGEST = ColumnReduction(np.maximum, np.int32)

VectorsT = TypeVar("VectorsT", bound=tuple[Any, ...], contravariant=True)
RowsT = TypeVar("RowsT", bound=tuple[Any, ...], contravariant=True)
TallyT = TypeVar("TallyT", bound=Tally, covariant=True)


class Pass(Protocol[VectorsT, RowsT, TallyT]):
    """One reading of every edge."""

    @property
    def column_reductions(self) -> tuple[ColumnReduction, ...]:
        """How the shares of each array over the columns combine."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the rows it reads."""
        ...

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the rows it writes; what it writes and does not read it writes in full."""
        ...

    @property
    def nothing(self) -> TallyT:
        """The tally of no block at all."""
        ...

    def __call__(self, block: Block, vectors: VectorsT, rows: RowsT, columns: Columns) -> TallyT:
        """Read one block."""
        ...


class BasePass:
    """What a pass does unless its class says otherwise: it sees no rows and adds to no columns."""

    __slots__ = ()

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()


class PlainPass(BasePass):
    """A pass without a tally: it returns 0."""

    __slots__ = ()

    nothing: ClassVar[int] = 0
