"""Where the blocks of a graph live."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sparse_ap.model import Block, Int64Array, RowCut

__all__ = ["Store"]


class Store(Protocol):
    """A graph that can be read in blocks of rows."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the similarities: float32 or float64."""
        ...

    @property
    def indptr(self) -> Int64Array:
        """Where each row's edges begin, shape (n_points + 1,)."""
        ...

    def block(self, rows: RowCut) -> Block:
        """Return some consecutive rows."""
        ...
