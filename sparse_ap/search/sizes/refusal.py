"""Limits on the sizes of clusters, and the refusal where points cannot be in such clusters."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from numpy.typing import NDArray

from sparse_ap.propagation.roles import PointsError
from sparse_ap.propagation.settings import Options

__all__ = ["Sizes", "refusal"]


class Sizes(NamedTuple):
    """The limits on the number of points in a cluster, the exemplar counted.

    Attributes
    ----------
    least, most : int
    label : bool
        Whether points that cannot be in such a cluster are labelled -1, rather than refused.
    """

    least: int
    most: int
    label: bool

    @classmethod
    def of(cls, options: Options) -> Self | None:
        """Return the limits that the options give; None: there are none."""
        if not options.limits_sizes:
            return None
        most = options.max_cluster_size
        return cls(
            int(options.min_cluster_size or 1),
            _NO_LIMIT if most is None else min(int(most), _NO_LIMIT),
            options.unrepresented == "label",
        )

    def __str__(self) -> str:
        """Return the limits as they are given."""
        least = f"min_cluster_size={self.least} (--min-cluster-size)" * (self.least > 1)
        most = f"max_cluster_size={self.most} (--max-cluster-size)"
        return least if self.least > 1 and self.most >= _NO_LIMIT else f"{least}{' and ' * bool(least)}{most}"


_NO_LIMIT = 2**31 - 1


def refusal(points: NDArray[Any], sizes: Sizes, n_small: int, proven: bool) -> PointsError:
    """Return the error that some points cannot be, or were not found, in clusters of the sizes asked for.

    Parameters
    ----------
    points : ndarray of int, shape (n_left_out,)
        Their numbers, ascending.
    sizes : Sizes
    n_small : int
        How many of them are in components of the graph with fewer points than the least size.
    proven : bool
        Whether all of them together cannot be.
    """
    why = "cannot be" if proven else "were not found to fit"
    small = (
        f" {n_small} of these are in components of the graph with fewer than {sizes.least} points."
        * bool(n_small)
    )
    return PointsError(
        points,
        f"With {sizes}, {len(points)} of the points {why} in any cluster: {{points}}.{small} Allow other "
        "sizes, more exemplars or more edges; or give unrepresented='label' (--unrepresented label), which "
        "labels them -1.",
    )
