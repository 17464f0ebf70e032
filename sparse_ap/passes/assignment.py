"""Passes that read labels off a set of exemplars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from sparse_ap.model import Block, BoolArray, FloatArray, Int32Array
from sparse_ap.passes.contract import ColumnReduction, Columns

__all__ = ["AssignmentPass", "AssignmentRows", "CoveragePass", "ExemplarVectors", "RankedVectors"]


class ExemplarVectors(NamedTuple):
    """Which points are exemplars."""

    exemplar: BoolArray


class RankedVectors(NamedTuple):
    """Which points are exemplars, and the user's number of each point."""

    exemplar: BoolArray
    user_id: Int32Array


class AssignmentRows(NamedTuple):
    """Written: each row's exemplar (-1: no edge to any), and the similarity to it (0 for itself)."""

    chosen: Int32Array
    similarity: FloatArray


@dataclass(frozen=True, slots=True)
class CoveragePass:
    """Count the points that have no edge to an exemplar and are none themselves."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()

    @property
    def nothing(self) -> int:
        """No such point."""
        return 0

    def __call__(self, block: Block, vectors: ExemplarVectors, rows: tuple[()], columns: Columns) -> int:
        """Count one block's."""
        return int(_uncovered(block.rows.start, block.indptr, block.indices, vectors.exemplar))


@dataclass(frozen=True, slots=True)
class AssignmentPass:
    """Give every point to its most similar exemplar; among equals to the user's first."""

    column_reductions: ClassVar[tuple[ColumnReduction, ...]] = ()

    @property
    def nothing(self) -> int:
        """There is nothing to tally."""
        return 0

    def __call__(self, block: Block, vectors: RankedVectors, rows: AssignmentRows, columns: Columns) -> int:
        """Assign one block's points."""
        _assign(block.rows.start, block.indptr, block.indices, block.data, *vectors, *rows)
        return 0


@numba.njit(nogil=True, cache=True)
def _uncovered(start: int, indptr: Any, indices: Any, exemplar: Any) -> int:
    uncovered = 0
    for i in range(len(indptr) - 1):
        covered = exemplar[start + i]
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            if covered:
                break
            covered = exemplar[indices[edge]]
        uncovered += not covered
    return uncovered


@numba.njit(nogil=True, cache=True)
def _assign(
    start: int, indptr: Any, indices: Any, data: Any, exemplar: Any, user_id: Any, chosen: Any, similarity: Any
) -> None:
    for i in range(len(chosen)):
        chosen[i], similarity[i] = -1, 0
        if exemplar[start + i]:
            chosen[i] = start + i
            continue
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k, s = indices[edge], data[edge]
            if exemplar[k] and (
                chosen[i] < 0
                or s > similarity[i]
                or (s == similarity[i] and user_id[k] < user_id[chosen[i]])
            ):
                chosen[i], similarity[i] = k, s
