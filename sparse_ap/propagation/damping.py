"""How hard the responsibilities of the compact scheme are damped."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Weights", "damping_for_degree", "weights_after"]

# docs/design/0003-damping.md has the measurements behind these.
_RIVALS_AT_EASE = 10.0
_LEAST, _MOST = 0.5, 0.9


class Weights(NamedTuple):
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


def weights_after(n_sweeps: int, damping: float) -> Weights:
    """Return the weights of the sweep that follows on so many."""
    before, after = 0.0, 1.0 - damping
    # Not by a power, whose last bit is the platform's.
    for _ in range(n_sweeps):
        if after == before:
            break
        before, after = after, damping * after + (1.0 - damping)
    return Weights(damping, before, after)
