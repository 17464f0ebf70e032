"""The two schemes of storing messages between sweeps, their damping, and the bias of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import Float64Array, FloatArray
from sparse_ap.kernels.classic import ClassicRows, ClassicSweep, ClassicVectors, Messages
from sparse_ap.kernels.compact import CompactRows, CompactSweep, CompactVectors
from sparse_ap.kernels.edge_pass import Pass
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.history import SweepReport

__all__ = [
    "NO_BIAS",
    "BiasSchedule",
    "Classic",
    "Compact",
    "DampingWeights",
    "OwnRows",
    "Scheme",
    "damping_for_degree",
    "weights_after",
]

# Mean degree up to which the least damping suffices, and the range of the damping;
# docs/design/0003-damping.md has the measurements.
_RIVALS_AT_EASE = 10.0
_LEAST, _MOST = 0.5, 0.9


class DampingWeights(NamedTuple):
    """The damping of a sweep, and the weights of the damped responsibilities before and after it.

    Attributes
    ----------
    damping : float
        Share of the old responsibility that is kept.
    before, after : float
        w before and after the sweep: 1 - damping**n after n sweeps, the total weight of all sweeps in the
        damped responsibilities.
    """

    damping: float
    before: float
    after: float


def damping_for_degree(mean_degree: float) -> float:
    """Return the damping for a mean degree: with more rivals reacting at once, damping must be stronger."""
    undamped = _RIVALS_AT_EASE / max(mean_degree, _RIVALS_AT_EASE)
    return min(max(1.0 - undamped, _LEAST), _MOST)


def weights_after(n_sweeps: int, damping: float) -> DampingWeights:
    """Return the weights of the sweep that follows ``n_sweeps`` sweeps."""
    before, after = 0.0, 1.0 - damping
    # A loop, not a power: the last bit of pow() depends on the platform.
    for _ in range(n_sweeps):
        # The weight has converged in float64: the remaining sweeps change nothing.
        if after == before:
            break
        before, after = after, damping * after + (1.0 - damping)
    return DampingWeights(damping, before, after)


@dataclass(frozen=True, slots=True)
class BiasSchedule:
    """The limit of a point's bias, sweep by sweep, in units of the point's gap.

    A bias is added to the point's preference, in the messages alone. In each sweep it moves half of the way
    to T + D, the point's tendency to be an exemplar, cut off at the limit. So it accumulates the recent
    tendencies: it does not change points that are sure, and makes points that oscillate lean to one side. The
    limit depends only on the number of the sweep (docs/design/0013-settling.md).

    Attributes
    ----------
    after : int
        Sweeps before the first bias.
    first, growth, most : float
        The limit in the first sweep with a bias, its growth from sweep to sweep, and its largest value.
    """

    after: int = 40
    first: float = 0.01
    growth: float = 1.048
    most: float = 1.0

    def limit(self, sweep: int) -> float:
        """Return the limit in a sweep; 0 means no bias."""
        if sweep <= self.after:
            return 0.0
        limit = self.first
        # A loop, not a power: the last bit of pow() depends on the platform.
        for _ in range(sweep - self.after - 1):
            if limit >= self.most:
                break
            limit *= self.growth
        return min(limit, self.most)


NO_BIAS = BiasSchedule(first=0.0, most=0.0)


class OwnRows(NamedTuple):
    """The arrays that the loop shares with the sweeps: p, T with the bias added, and D without the bias."""

    preference: Float64Array
    support: Float64Array
    self_responsibility: Float64Array


@dataclass(frozen=True, slots=True)
class Compact:
    """The scheme with damped responsibilities by row and damped column totals; edges carry no state.

    Attributes
    ----------
    damping : float
        Damping of the responsibilities, in [0.5, 1).
    support_damping, total_damping : float
        Damping of the column totals T, and of the totals G = T + D; in [0, 1).
    total_dtype : dtype
        The dtype of the similarities, in which sweeps read G.
    grid : Grid
        Grid of the column totals.
    bias_schedule : BiasSchedule
    falling : bool
        Whether the similarities of each row fall from edge to edge.
    """

    damping: float
    support_damping: float
    total_damping: float
    total_dtype: np.dtype[Any]
    grid: Grid
    bias_schedule: BiasSchedule
    falling: bool = False

    def rows(self, own: OwnRows) -> CompactRows:
        """Return rows without a winner, the state before the first sweep."""
        return CompactRows.at_rest(*own, self.total_dtype)

    def sweep(self, history: Sequence[SweepReport]) -> Pass[Any, Any, int]:
        """Return the pass for the sweep after those in ``history``."""
        return CompactSweep(*weights_after(len(history), self.damping), self.grid, self.falling)

    def vectors(self, total: FloatArray) -> CompactVectors:
        """Return the vectors of the sweeps: the totals G."""
        return CompactVectors(total)

    def bias_limit(self, sweep: int) -> float:
        """Return the limit of a point's bias in a sweep, in units of its gap."""
        return self.bias_schedule.limit(sweep)


@dataclass(frozen=True, slots=True, eq=False)
class Classic:
    """The scheme of Frey & Dueck (2007): every responsibility and availability is damped and stored.

    Availabilities are damped edge by edge, so the totals they are computed from are not damped. The
    self-availability a(k,k) = T_k is damped like every other message.
    """

    damping: float
    messages: Messages
    grid: Grid

    total_damping: float = 0.0
    total_dtype: np.dtype[Any] = np.dtype(np.float64)  # noqa: RUF009 -- dtypes are immutable

    @property
    def support_damping(self) -> float:
        """Damping of a(k,k), the same as of every other message."""
        return self.damping

    def rows(self, own: OwnRows) -> ClassicRows:
        """Return the loop's own arrays: all other state is stored by edge."""
        return ClassicRows(*own)

    def sweep(self, history: Sequence[SweepReport]) -> Pass[Any, Any, int]:
        """Return the pass for the next sweep; all sweeps are alike."""
        return ClassicSweep(self.damping, self.messages, self.grid)

    def vectors(self, total: FloatArray) -> ClassicVectors:
        """Return the vectors of the sweeps: the totals G."""
        return ClassicVectors(total)

    def bias_limit(self, sweep: int) -> float:
        """Return 0: the paper has no bias."""
        return 0.0


# A way of storing and damping messages between sweeps.
Scheme = Compact | Classic
