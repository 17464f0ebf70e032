"""What a run tells of its sweeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparse_ap.kernels.block import Int64Array

__all__ = ["SweepReport", "history_in", "history_table"]


class SweepReport(NamedTuple):
    """The state of a run after a sweep, as a callback receives it.

    Attributes
    ----------
    sweep : int
        Number of the sweep, from 1.
    n_exemplars : int
        Points that are exemplars after this sweep.
    n_changed : int
        Points that became or ceased to be exemplars in this sweep.
    n_unsettled : int
        Points that became or ceased to be exemplars within the last ``convergence_iter`` sweeps, so that
        their status was not the same after each of them.
    """

    sweep: int
    n_exemplars: int
    n_changed: int
    n_unsettled: int

    def without(self, n_exemplars: int) -> SweepReport:
        """Return the report with so many exemplars fewer."""
        return self._replace(n_exemplars=self.n_exemplars - n_exemplars)


SweepReport.__module__ = "sparse_ap"


def history_table(history: Iterable[SweepReport]) -> Int64Array:
    """Return reports as an array of shape (n_sweeps, 4), the form in which files hold them."""
    return np.array(list(history), np.int64).reshape(-1, 4)


def history_in(table: NDArray[Any]) -> tuple[SweepReport, ...]:
    """Return the reports in a table of `history_table`; further columns, of later versions, are ignored."""
    return tuple(SweepReport(*row[:4]) for row in table.tolist())
