"""The tasks of a cluster's workers: pure functions of a part of the graph and a pass's vectors and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.execution.executor import new_columns, read_blocks
from sparse_ap.kernels.block import Int32Array, RowCut
from sparse_ap.kernels.edge_pass import ColumnReduction, Columns, Pass
from sparse_ap.storage.parts import StreamedPart
from sparse_ap.storage.store import HeldPart

__all__ = ["SentRows", "Share", "add_columns", "read_part", "unpacked", "written"]


class SparseColumn(NamedTuple):
    """The nonzero entries of a column share, with their places."""

    places: Int32Array
    values: NDArray[Any]


_PackedColumns = tuple[NDArray[Any] | SparseColumn, ...]


class SentRows(NamedTuple):
    """The rows of a part, in the form in which they travel to a worker.

    Attributes
    ----------
    kind : type
        The type of the pass's rows.
    values : mapping of str to ndarray
        Rows that the pass reads, by name.
    room : mapping of str to dtype
        Dtypes of the rows that the pass only writes, by name.
    """

    kind: type[tuple[Any, ...]]
    values: Mapping[str, NDArray[Any]]
    room: Mapping[str, np.dtype[Any]]

    @classmethod
    def of(cls, pass_: Pass[Any, Any, Any], rows: tuple[Any, ...], cut: RowCut) -> SentRows:
        """Select the rows of a part that a pass needs."""
        arrays: dict[str, NDArray[Any]] = dict(zip(getattr(rows, "_fields", ()), rows, strict=True))
        return cls(
            type(rows),
            {name: cut.of(arrays[name]) for name in pass_.reads},
            {name: arrays[name].dtype for name in pass_.writes if name not in pass_.reads},
        )

    def unpacked(self, n_rows: int) -> tuple[Any, ...]:
        """Return writable copies of the rows, since a task may run twice on the same arrays."""
        copies = {name: np.array(values) for name, values in self.values.items()}
        room = {name: np.empty(n_rows, dtype) for name, dtype in self.room.items()}
        return self.kind(**copies, **room)


class Share(NamedTuple):
    """The results of a pass on one part.

    Attributes
    ----------
    columns : tuple of ndarray or SparseColumn
    rows : mapping of str to ndarray
        Rows that the pass has written, by name.
    tally : Tally
    """

    columns: _PackedColumns
    rows: Mapping[str, NDArray[Any]]
    tally: Any


def read_part(
    pass_: Pass[Any, Any, Any], part: HeldPart | StreamedPart, n_points: int, vectors: Any, sent: SentRows
) -> Share:
    """Run a pass over one part, in one thread; return its share of the results."""
    cut = part.rows
    rows = sent.unpacked(cut.stop - cut.start)
    columns = new_columns(pass_, n_points)
    tally = read_blocks(pass_, part.read(), vectors, rows, columns, first_row=cut.start)
    wrote = {name: getattr(rows, name) for name in pass_.writes}
    return Share(tuple(map(_packed, columns)), wrote, tally)


def written(share: Share) -> Share:
    """Return what travels back to the client part by part, the rows and the tally, without the columns."""
    return share._replace(columns=())


def add_columns(
    reductions: tuple[ColumnReduction, ...], n_points: int, *summands: Share | _PackedColumns
) -> _PackedColumns:
    """Combine the columns of parts, or columns that were combined before."""
    return tuple(map(_packed, unpacked(reductions, n_points, *summands)))


def unpacked(
    reductions: tuple[ColumnReduction, ...], n_points: int, *summands: Share | _PackedColumns
) -> Columns:
    """Combine the columns of parts, or columns that were combined before; return them as dense arrays."""
    columns = [summand.columns if isinstance(summand, Share) else summand for summand in summands]
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
        total = total.copy()  # a result of another task must not be written to
    for places, values in sparse:
        total[places] = reduction.combine(total[places], values)
    return total


def _packed(column: NDArray[Any]) -> NDArray[Any] | SparseColumn:
    """Return a column without its zeros, if that halves its size."""
    if np.count_nonzero(column) * (4 + column.itemsize) > column.nbytes // 2:
        return column
    places = np.flatnonzero(column)
    return SparseColumn(places.astype(np.int32), column[places])
