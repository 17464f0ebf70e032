"""The pass that copies the similarities to some points into a table in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sparse_ap.kernels.block import Block, FloatArray, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import Columns, PlainPass

__all__ = ["GatherPass", "PlaceVectors", "TableRows"]


class PlaceVectors(NamedTuple):
    """Vectors: the column of the table for each candidate; -1 for all other points."""

    place: Int32Array


class TableRows(NamedTuple):
    """Rows: similarities, shape (n_points, n_places), written where there is an edge."""

    similarity: FloatArray


@dataclass(frozen=True, slots=True)
class GatherPass(PlainPass):
    """Copy the similarities to the candidates into a table."""

    reads = ("similarity",)
    writes = ("similarity",)

    def __call__(self, block: Block, vectors: PlaceVectors, rows: TableRows, columns: Columns) -> int:
        """Copy the similarities of one block's points."""
        _gather(block.rows.start, *block.csr, vectors.place, rows.similarity)
        return 0


@kernel
def _gather(start: int, indptr: Any, indices: Any, data: Any, place: Any, table: Any) -> None:
    for i in range(len(table)):
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k = indices[edge]
            if place[k] >= 0 and k != start + i:
                table[i, place[k]] = data[edge]
