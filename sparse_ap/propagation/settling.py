"""What makes undecided points decide: after some sweeps a point is tilted towards what it has lately been."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNTILTED", "Settling"]


@dataclass(frozen=True, slots=True)
class Settling:
    """How far a point may be tilted, sweep by sweep, in shares of its gap.

    A tilt is added to the point's preference, by the messages alone. In each sweep it goes half of the way
    to T + D, the point's own inclination, but no further than a limit. So it adds up what the point has
    lately been: points that are sure are not changed by it, and such as swing to and fro lean to one side
    in the end. The limit follows from the number of the sweep.

    Attributes
    ----------
    after : int
        Sweeps before the first tilt.
    first, growth, most : float
        The limit in the first sweep with a tilt, its growth from sweep to sweep, and its largest value.
    """

    after: int = 40
    first: float = 0.01
    growth: float = 1.048
    most: float = 1.0

    def limit(self, sweep: int) -> float:
        """Return the limit in a sweep; 0: no tilt."""
        if sweep <= self.after:
            return 0.0
        limit = self.first
        # Not by a power, whose last bit is the platform's.
        for _ in range(sweep - self.after - 1):
            if limit >= self.most:
                break
            limit *= self.growth
        return min(limit, self.most)


UNTILTED = Settling(first=0.0, most=0.0)
