"""The two ways to keep damped messages between sweeps. What they share is the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from sparse_ap.kernels.block import Float64Array, FloatArray, SweepReport
from sparse_ap.kernels.classic import ClassicRows, ClassicSweep, ClassicVectors, Messages
from sparse_ap.kernels.compact import CompactRows, CompactSweep, SweepVectors
from sparse_ap.kernels.edge_pass import Pass
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.damping import weights_after
from sparse_ap.propagation.settling import Settling

__all__ = ["Classic", "Compact", "OwnRows", "Scheme"]


class OwnRows(NamedTuple):
    """The per-point arrays that the loop and the sweeps share: p, T with the tilt added, and D without it."""

    preference: Float64Array
    support: Float64Array
    self_responsibility: Float64Array


class Scheme(Protocol):
    """How messages are damped, and what is kept of them."""

    @property
    def support_damping(self) -> float:
        """Damping of the support T."""
        ...

    @property
    def total_damping(self) -> float:
        """Damping of the totals G = T + D."""
        ...

    @property
    def total_dtype(self) -> np.dtype[Any]:
        """Precision in which sweeps gather G."""
        ...

    def rows(self, own: OwnRows) -> tuple[Any, ...]:
        """Return what the sweeps keep by row, before the first one."""
        ...

    def sweep(self, history: Sequence[SweepReport]) -> Pass[Any, Any, int]:
        """Return the sweep that follows on ``history``."""
        ...

    def vectors(self, total: FloatArray) -> tuple[Any, ...]:
        """Return what the sweeps gather by column."""
        ...

    def tilt_limit(self, sweep: int) -> float:
        """Return how far a point may be tilted in a sweep, in shares of its gap."""
        ...


@dataclass(frozen=True, slots=True)
class Compact:
    """Damped responsibilities kept by row, damped column totals; the edges carry no state.

    Attributes
    ----------
    damping : float
        Of the responsibilities.
    support_damping, total_damping : float
        Of the column totals T, and T + D.
    total_dtype : dtype
        That of the similarities: what the sweeps gather.
    grid : Grid
        For the column totals.
    settling : Settling
    """

    damping: float
    support_damping: float
    total_damping: float
    total_dtype: np.dtype[Any]
    grid: Grid
    settling: Settling

    def rows(self, own: OwnRows) -> CompactRows:
        """Return every row without a winner."""
        return CompactRows.at_rest(*own, self.total_dtype)

    def sweep(self, history: Sequence[SweepReport]) -> CompactSweep:
        """Return the sweep that follows on ``history``."""
        return CompactSweep(*weights_after(len(history), self.damping), self.grid)

    def vectors(self, total: FloatArray) -> SweepVectors:
        """Return what the sweeps gather by column."""
        return SweepVectors(total)

    def tilt_limit(self, sweep: int) -> float:
        """Return how far a point may be tilted in a sweep, in shares of its gap."""
        return self.settling.limit(sweep)


@dataclass(frozen=True, slots=True, eq=False)
class Classic:
    """Every responsibility and every availability damped and kept, as in the paper.

    The availabilities are damped edge by edge, so the totals they come from are not; a(k,k) = T_k is.
    """

    damping: float
    messages: Messages
    grid: Grid

    total_damping: float = 0.0
    total_dtype: np.dtype[Any] = np.dtype(np.float64)  # noqa: RUF009 -- dtypes are immutable

    @property
    def support_damping(self) -> float:
        """The same for a(k,k) as for every other message."""
        return self.damping

    def rows(self, own: OwnRows) -> ClassicRows:
        """Return the loop's own arrays: everything else is kept by edge."""
        return ClassicRows(*own)

    def sweep(self, history: Sequence[SweepReport]) -> ClassicSweep:
        """Return the next sweep; they are all alike."""
        return ClassicSweep(self.damping, self.messages, self.grid)

    def vectors(self, total: FloatArray) -> ClassicVectors:
        """Return what the sweeps gather by column."""
        return ClassicVectors(total)

    def tilt_limit(self, sweep: int) -> float:
        """Return 0: the paper has no tilt."""
        return 0.0
