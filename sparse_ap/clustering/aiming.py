"""Which price of an exemplar to try next for a wanted number of clusters.

The price is what joining another costs less by than being alone, at best: the largest similarity minus the
preference. The number of clusters falls with it, about as a power of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Try", "next_price"]

# The power where there is one try only; and how far to leave the tries at most.
_POWER = 1.0
_LEAST_POWER = 0.05
_FARTHEST = math.log(4.0)
# How near to an end of the bracket to go, as a share of it.
_MARGIN = 0.1


class Try(NamedTuple):
    """A price and how many clusters there are at it."""

    price: float
    n_clusters: int


def next_price(tries: Sequence[Try], n_clusters: float) -> float:
    """Return the price at which to expect so many clusters.

    Parameters
    ----------
    tries : sequence of Try
        At least one, in the order of the trying; prices are positive.
    n_clusters : float
        How many to aim at.
    """
    too_many = [t for t in tries if t.n_clusters > n_clusters]
    too_few = [t for t in tries if t.n_clusters <= n_clusters]
    if too_many and too_few:
        same_side = len({t.n_clusters > n_clusters for t in tries[-2:]}) == 1
        return _between(max(too_many), min(too_few), n_clusters, halved=same_side)
    nearest = max(too_many) if too_many else min(too_few)
    away = math.log(nearest.n_clusters / n_clusters) / _power(tries, nearest)
    return nearest.price * math.exp(max(-_FARTHEST, min(_FARTHEST, away)))


def _between(low: Try, high: Try, n_clusters: float, halved: bool) -> float:
    """Interpolate between the logarithms, not too near to either end; or halve, where one end has stayed."""
    fall = math.log(low.n_clusters / high.n_clusters)
    share = 0.5 if halved else math.log(low.n_clusters / n_clusters) / fall
    share = max(_MARGIN, min(1.0 - _MARGIN, share))
    return float(low.price * (high.price / low.price) ** share)


def _power(tries: Sequence[Try], nearest: Try) -> float:
    """Return how steeply the number falls with the price around the nearest try."""
    others = [t for t in tries if t.price != nearest.price and t.n_clusters != nearest.n_clusters]
    if not others:
        return _POWER
    other = min(others, key=lambda t: abs(math.log(t.price / nearest.price)))
    fall = math.log(other.n_clusters / nearest.n_clusters) / math.log(nearest.price / other.price)
    return max(_LEAST_POWER, fall)
