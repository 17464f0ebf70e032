"""How hard the responsibilities of the compact scheme are damped, sweep by sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from sparse_ap.model import SweepReport

__all__ = ["Damping", "Weights"]

# docs/design/0003-damping.md has the measurements behind these.
_RIVALS_AT_EASE = 10.0
_LEAST, _MOST_AT_START, _MOST = 0.5, 0.9, 0.95
_PERIOD = 10
_FALL_EXPECTED = 0.5
_RISE = 0.75


class Weights(NamedTuple):
    """What a sweep needs to know of damping.

    Attributes
    ----------
    damping : float
        Share of the old responsibility that is kept.
    before, after : float
        w before and after the sweep: the share of the damped responsibilities that has come from
        sweeps at all; without changes of damping, 1 - damping**sweep.
    """

    damping: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Damping:
    """Damping that begins at ``start`` and rises towards ``most`` while exemplars keep flipping.

    Every ten sweeps the statuses that changed are counted: unless they are half of what they were in
    the ten sweeps before, the undamped share shrinks by a quarter. The dampings follow from the
    history alone, whose counts are exact, so they are the same in every way of running.

    Attributes
    ----------
    start, most : float
        Equal for a damping that stays.
    """

    start: float
    most: float

    @classmethod
    def fixed(cls, damping: float) -> Self:
        """Return a damping that stays."""
        return cls(damping, damping)

    @classmethod
    def for_degree(cls, mean_degree: float) -> Self:
        """Return the damping to try on a graph: the more rivals react at once, the harder from the start."""
        undamped = _RIVALS_AT_EASE / max(mean_degree, _RIVALS_AT_EASE)
        return cls(min(max(1.0 - undamped, _LEAST), _MOST_AT_START), _MOST)

    def next_weights(self, history: Sequence[SweepReport]) -> Weights:
        """Return the weights of the sweep that follows on ``history``."""
        damping, before = self.start, 0.0
        after = 1.0 - damping
        for done in range(1, len(history) + 1):
            if done >= 2 * _PERIOD and done % _PERIOD == 0 and _oscillates(history[:done]):
                damping = max(damping, min(self.most, 1.0 - _RISE * (1.0 - damping)))
            before, after = after, damping * after + (1.0 - damping)
        return Weights(damping, before, after)


def _oscillates(history: Sequence[SweepReport]) -> bool:
    """Whether the changes of the last period have not fallen enough against the one before."""
    lately = sum(report.n_changed for report in history[-_PERIOD:])
    earlier = sum(report.n_changed for report in history[-2 * _PERIOD : -_PERIOD])
    return lately > _FALL_EXPECTED * earlier
