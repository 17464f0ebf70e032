"""The pass that finds which differences between two sets of exemplars belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba

from sparse_ap.kernels.block import Block, Float64Array, Int32Array
from sparse_ap.kernels.edge_pass import LARGEST, ColumnReduction, Columns

__all__ = ["LabelVectors", "LinkPass", "LinkRows"]


class LabelVectors(NamedTuple):
    """A label, above 0, for each point that is an exemplar in one of the sets only; 0 for the others."""

    label: Int32Array


class LinkRows(NamedTuple):
    """Read: what each point has of the exemplars in both sets. Written: the largest label it sees."""

    common: Float64Array
    label: Int32Array


@dataclass(frozen=True, slots=True)
class LinkPass:
    """Hand the largest label that a point sees to all whose labels it sees.

    A point sees itself, and the exemplars that are better than all that both sets share.
    """

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = (LARGEST,)
    reads: ClassVar[tuple[str, ...]] = ("common",)
    writes: ClassVar[tuple[str, ...]] = ("label",)
    nothing: ClassVar[int] = 0  # no tally

    def __call__(self, block: Block, vectors: LabelVectors, rows: LinkRows, columns: Columns) -> int:
        """Do so for one block's points."""
        edges = block.indptr, block.indices, block.data
        _link(block.rows.start, *edges, vectors.label, rows, columns[0])
        return 0


@numba.njit(nogil=True, cache=True)
def _link(start: int, indptr: Any, indices: Any, data: Any, label: Any, rows: Any, linked: Any) -> None:
    for i in range(len(rows.label)):
        largest = label[start + i]
        first_edge, last_edge = indptr[i] - indptr[0], indptr[i + 1] - indptr[0]
        for edge in range(first_edge, last_edge):
            if data[edge] > rows.common[i]:
                largest = max(largest, label[indices[edge]])
        rows.label[i] = largest
        if largest == 0:
            continue
        if label[start + i] > 0:
            linked[start + i] = max(linked[start + i], largest)
        for edge in range(first_edge, last_edge):
            k = indices[edge]
            if label[k] > 0 and data[edge] > rows.common[i]:
                linked[k] = max(linked[k], largest)
