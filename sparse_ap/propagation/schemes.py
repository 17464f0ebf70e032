"""The two ways to keep messages between sweeps; how hard they are damped, what makes points decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from sparse_ap.kernels.block import Float64Array, FloatArray
from sparse_ap.kernels.classic import ClassicRows, ClassicSweep, ClassicVectors, Messages
from sparse_ap.kernels.compact import CompactRows, CompactSweep, SweepVectors
from sparse_ap.kernels.edge_pass import Pass
from sparse_ap.kernels.exact_sum import Grid
from sparse_ap.propagation.result import SweepReport

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

# docs/design/0003-damping.md has the measurements behind these.
_RIVALS_AT_EASE = 10.0
_LEAST, _MOST = 0.5, 0.9


class DampingWeights(NamedTuple):
    """What a sweep needs to know of damping.

    Attributes
    ----------
    damping : float
        Share of the old responsibility that is kept.
    before, after : float
        w before and after the sweep, the share of the damped responsibilities that has come from sweeps at
        all: 1 - damping**sweep.
    """

    damping: float
    before: float
    after: float


def damping_for_degree(mean_degree: float) -> float:
    """Return the damping for a graph: the more rivals react at once, the harder."""
    undamped = _RIVALS_AT_EASE / max(mean_degree, _RIVALS_AT_EASE)
    return min(max(1.0 - undamped, _LEAST), _MOST)


def weights_after(n_sweeps: int, damping: float) -> DampingWeights:
    """Return the weights of the sweep that follows on so many."""
    before, after = 0.0, 1.0 - damping
    # Not by a power, whose last bit is the platform's.
    for _ in range(n_sweeps):
        if after == before:
            break
        before, after = after, damping * after + (1.0 - damping)
    return DampingWeights(damping, before, after)


@dataclass(frozen=True, slots=True)
class BiasSchedule:
    """How far a point may be biased, sweep by sweep, in shares of its gap.

    A bias is added to the point's preference, by the messages alone. In each sweep it goes half of the way
    to T + D, the point's own inclination, but no further than a limit. So it adds up what the point has
    lately been: points that are sure are not changed by it, and such as swing to and fro lean to one side
    in the end. The limit follows from the number of the sweep.

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
        """Return the limit in a sweep; 0: no bias."""
        if sweep <= self.after:
            return 0.0
        limit = self.first
        # Not by a power, whose last bit is the platform's.
        for _ in range(sweep - self.after - 1):
            if limit >= self.most:
                break
            limit *= self.growth
        return min(limit, self.most)


NO_BIAS = BiasSchedule(first=0.0, most=0.0)


class OwnRows(NamedTuple):
    """The per-point arrays that the loop and the sweeps share: p, T with the bias added, and D without it."""

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

    def bias_limit(self, sweep: int) -> float:
        """Return how far a point may be biased in a sweep, in shares of its gap."""
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
    bias_schedule : BiasSchedule
    """

    damping: float
    support_damping: float
    total_damping: float
    total_dtype: np.dtype[Any]
    grid: Grid
    bias_schedule: BiasSchedule

    def rows(self, own: OwnRows) -> CompactRows:
        """Return every row without a winner."""
        return CompactRows.at_rest(*own, self.total_dtype)

    def sweep(self, history: Sequence[SweepReport]) -> CompactSweep:
        """Return the sweep that follows on ``history``."""
        return CompactSweep(*weights_after(len(history), self.damping), self.grid)

    def vectors(self, total: FloatArray) -> SweepVectors:
        """Return what the sweeps gather by column."""
        return SweepVectors(total)

    def bias_limit(self, sweep: int) -> float:
        """Return how far a point may be biased in a sweep, in shares of its gap."""
        return self.bias_schedule.limit(sweep)


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

    def bias_limit(self, sweep: int) -> float:
        """Return 0: the paper has no bias."""
        return 0.0
