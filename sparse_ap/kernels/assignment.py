"""Passes that assign points to given exemplars, or evaluate the assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Block, BoolArray, FloatArray, Int32Array
from sparse_ap.kernels.compilation import kernel
from sparse_ap.kernels.edge_pass import BasePass, Columns, PlainPass
from sparse_ap.kernels.exact_sum import Grid, on_grid
from sparse_ap.kernels.support_bound import PreferenceRows

__all__ = [
    "AssignmentPass",
    "AssignmentRows",
    "Evaluation",
    "EvaluationPass",
    "ExemplarVectors",
    "RankedVectors",
]


class ExemplarVectors(NamedTuple):
    """Vectors: whether each point is an exemplar."""

    exemplar: BoolArray


class RankedVectors(NamedTuple):
    """Vectors: whether each point is an exemplar, and the user's number of each point."""

    exemplar: BoolArray
    user_id: Int32Array


class AssignmentRows(NamedTuple):
    """Rows, written: each row's exemplar, -1 without an edge to any, and its similarity, 0 for exemplars."""

    chosen: Int32Array
    similarity: FloatArray


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Net similarity and coverage of an exemplar set; the tally of `EvaluationPass`.

    Attributes
    ----------
    net_similarity : float
        Net similarity if every point without an edge to an exemplar contributed its preference.
    n_uncovered : int
        Number of points without an edge to an exemplar.
    """

    net_similarity: float = 0.0
    n_uncovered: int = 0

    def __add__(self, other: Evaluation) -> Evaluation:
        """Add the values of another block; exact, since net similarities lie on a grid."""
        return Evaluation(self.net_similarity + other.net_similarity, self.n_uncovered + other.n_uncovered)


@dataclass(frozen=True, slots=True)
class EvaluationPass(BasePass):
    """Evaluate an exemplar set without storing labels."""

    grid: Grid

    reads = ("preference",)
    nothing = Evaluation()

    def __call__(
        self, block: Block, vectors: ExemplarVectors, rows: PreferenceRows, columns: Columns
    ) -> Evaluation:
        """Evaluate one block's points."""
        return Evaluation(
            *_evaluate(block.rows.start, *block.csr, vectors.exemplar, rows.preference, self.grid.shift)
        )


@dataclass(frozen=True, slots=True)
class AssignmentPass(PlainPass):
    """Assign every point to its most similar exemplar; among equals, to the user's first."""

    writes = ("chosen", "similarity")

    def __call__(self, block: Block, vectors: RankedVectors, rows: AssignmentRows, columns: Columns) -> int:
        """Assign one block's points."""
        _assign(block.rows.start, *block.csr, *vectors, *rows)
        return 0


@kernel
def _evaluate(
    start: int, indptr: Any, indices: Any, data: Any, exemplar: Any, preference: Any, shift: float
) -> tuple[float, int]:
    net_similarity, n_uncovered = 0.0, 0
    for i in range(len(indptr) - 1):
        value, covered = preference[i], exemplar[start + i]
        if not covered:
            best = -np.inf
            for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
                if data[edge] > best and exemplar[indices[edge]]:
                    best, covered = data[edge], True
            value = best if covered else value
        net_similarity += on_grid(value, shift)
        n_uncovered += not covered
    return net_similarity, n_uncovered


@kernel
def _assign(
    start: int,
    indptr: Any,
    indices: Any,
    data: Any,
    exemplar: Any,
    user_id: Any,
    chosen: Any,
    similarity: Any,
) -> None:
    for i in range(len(chosen)):
        chosen[i], similarity[i] = -1, 0
        if exemplar[start + i]:
            chosen[i] = start + i
            continue
        for edge in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            k, s = indices[edge], data[edge]
            if exemplar[k] and (
                chosen[i] < 0 or s > similarity[i] or (s == similarity[i] and user_id[k] < user_id[chosen[i]])
            ):
                chosen[i], similarity[i] = k, s
