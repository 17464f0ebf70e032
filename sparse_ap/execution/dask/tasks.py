"""What the workers of a cluster do: pure functions of a part of the graph and this pass's vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.execution.executor import new_columns, read_blocks
from sparse_ap.kernels.block import Int32Array, RowCut
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns, Pass
from sparse_ap.storage.store import Part

__all__ = ["SentRows", "Share", "add_columns", "read_part", "unpacked", "written"]


class SparseColumn(NamedTuple):
    """The entries of a column share that are not 0."""

    places: Int32Array
    values: NDArray[Any]


_PackedColumns = tuple[NDArray[Any] | SparseColumn, ...]


class SentRows(NamedTuple):
    """A part's rows as they travel to a worker.

    Attributes
    ----------
    kind : type
        The pass's type of rows.
    values : mapping of str to ndarray
        Those that the pass reads.
    room : mapping of str to dtype
        Those that it only writes.
    """

    kind: type[tuple[Any, ...]]
    values: Mapping[str, NDArray[Any]]
    room: Mapping[str, np.dtype[Any]]

    @classmethod
    def of(cls, pass_: Pass[Any, Any, Any], rows: tuple[Any, ...], cut: RowCut) -> SentRows:
        """Take what a pass needs of the rows of a part."""
        arrays: dict[str, NDArray[Any]] = dict(zip(getattr(rows, "_fields", ()), rows, strict=True))
        return cls(
            type(rows),
            {name: cut.of(arrays[name]) for name in pass_.reads},
            {name: arrays[name].dtype for name in pass_.writes if name not in pass_.reads},
        )

    def unpacked(self, n_rows: int) -> tuple[Any, ...]:
        """Return rows that may be written to: a task can be run twice, and on the same arrays."""
        copies = {name: np.array(values) for name, values in self.values.items()}
        room = {name: np.empty(n_rows, dtype) for name, dtype in self.room.items()}
        return self.kind(**copies, **room)


class Share(NamedTuple):
    """What one part contributes.

    Attributes
    ----------
    columns : tuple
    rows : mapping of str to ndarray
        Those that the pass has written.
    tally
    """

    columns: _PackedColumns
    rows: Mapping[str, NDArray[Any]]
    tally: Any


def read_part(pass_: Pass[Any, Any, Any], part: Part, n_points: int, vectors: Any, sent: SentRows) -> Share:
    """Run a pass over one part, in one thread."""
    cut = part.rows
    rows = sent.unpacked(cut.stop - cut.start)
    columns = new_columns(pass_, n_points)
    tally = read_blocks(pass_, part.read(), vectors, rows, columns, first_row=cut.start)
    wrote = {name: getattr(rows, name) for name in pass_.writes}
    return Share(tuple(map(_packed, columns)), wrote, tally)


def written(share: Share) -> tuple[Mapping[str, NDArray[Any]], Any]:
    """Return what travels back of every part: its rows and its tally."""
    return share.rows, share.tally


def add_columns(
    reductions: tuple[ColumnReduction, ...], n_points: int, *summands: Share | _PackedColumns
) -> _PackedColumns:
    """Combine the columns of parts, or columns combined already."""
    columns = (summand.columns if isinstance(summand, Share) else summand for summand in summands)
    return tuple(map(_packed, unpacked(reductions, n_points, *columns)))


def unpacked(reductions: tuple[ColumnReduction, ...], n_points: int, *columns: _PackedColumns) -> Columns:
    """Combine columns, and write out every entry."""
    return tuple(
        _total(reduction, n_points, [packed[which] for packed in columns])
        for which, reduction in enumerate(reductions)
    )


def _total(
    reduction: ColumnReduction, n_points: int, shares: Sequence[NDArray[Any] | SparseColumn]
) -> NDArray[Any]:
    dense = [share for share in shares if not isinstance(share, SparseColumn)]
    sparse = [share for share in shares if isinstance(share, SparseColumn)]
    total: NDArray[Any] = np.zeros(n_points, reduction.dtype) if not dense else dense[0]
    for share in dense[1:]:
        total = reduction.combine(total, share)
    if sparse and len(dense) == 1:
        total = total.copy()  # another task's result
    for places, values in sparse:
        total[places] = reduction.combine(total[places], values)
    return total


def _packed(column: NDArray[Any]) -> NDArray[Any] | SparseColumn:
    """Leave out zeros where that makes a column half as large."""
    if np.count_nonzero(column) * (4 + column.itemsize) > column.nbytes // 2:
        return column
    places = np.flatnonzero(column)
    return SparseColumn(places.astype(np.int32), column[places])
