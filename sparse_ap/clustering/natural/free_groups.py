"""`FreeGroups`: natural groups between which single points moved, which may divide clusters of level 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.clustering.natural.cuts import Cut
from sparse_ap.clustering.natural.link_graph import Labels, LinkGraph, of_nodes
from sparse_ap.clustering.natural.merging import merged_evenly, merged_to, too_few
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array
from sparse_ap.storage.archives import part_of
from sparse_ap.storage.csr import arrays_of, graph_in, heaviest

__all__ = ["FreeGroups", "FreeLevel"]


class FreeLevel(NamedTuple):
    """One level of free groups.

    Attributes
    ----------
    exemplars : ndarray of int64, shape (n_groups,)
        The member of each group that represents it.
    parents : ndarray of int64, shape (n_groups,)
        The group of the next coarser level in which each group lies; on the coarsest level all 0.
    graph : csr_array of float64, shape (n_groups, n_groups)
        Weights of the links between groups; the diagonal holds twice the weight inside.
    resolution : float
        γ; NaN for the clusters of level 1, cut by the groups.
    gain : float
        The share of the weight inside, less γ times that expected by chance; NaN where γ is.
    """

    exemplars: Int64Array
    parents: Int64Array
    graph: scipy.sparse.csr_array
    resolution: float
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class FreeGroups:
    """Groups of points that need not be unions of clusters, level by level; they lie inside each other.

    Attributes
    ----------
    labels : ndarray of uint8, uint16 or uint32, shape (n_points,)
        The group of each point on the finest level.
    levels : tuple of FreeLevel
        The finest first: the clusters of level 1, cut by the groups; the groups at γ = 3, 1, 1/2 and 1/4.
    """

    labels: NDArray[Any]
    levels: tuple[FreeLevel, ...]

    @classmethod
    def of(cls, points: LinkGraph, found: Sequence[tuple[Labels, float]], number: Labels) -> Self:
        """Elect exemplars of groups, each from those of the level below.

        Parameters
        ----------
        points : LinkGraph
        found : sequence of (labels, resolution)
            The finest first; labels are of the points as the links have them, from 0 without gaps.
        number : ndarray of int, shape (n_points,)
            The number that the links have for each point of the user's.
        """
        levels: list[FreeLevel] = []
        candidates: Any = slice(None)
        coarser = [label for label, _ in found[1:]] + [np.zeros(len(number), np.int32)]
        for (label, resolution), above in zip(found, coarser, strict=True):
            at = number[candidates]
            chosen = heaviest(label[at], points.inner(label)[at])
            candidates = candidates[chosen] if levels else chosen
            joined = points.contract(label).graph
            gain = joined.quality(resolution)
            parents = of_nodes(label, above).astype(np.int64)
            levels.append(FreeLevel(candidates, parents, joined.matrix(), resolution, gain))
        finest = found[0][0]
        small = np.min_scalar_type(int(finest.max(initial=0)))
        return cls(finest[number].astype(small), tuple(levels))

    @property
    def natural(self) -> FreeLevel:
        """The level at γ = 1."""
        return self.levels[self._natural]

    @property
    def _natural(self) -> int:
        return next(which for which, level in enumerate(self.levels) if level.resolution == 1)

    @property
    def n_groups(self) -> Int64Array:
        """Number of groups of each level, shape (n_levels,)."""
        return np.array([len(level.exemplars) for level in self.levels], np.int64)

    def cut(self, n_groups: int) -> Cut:
        """Return so many groups: unions of those of the next finer level, or of those at γ = 1.

        Parameters
        ----------
        n_groups : int
            At most as many as the finest level has.

        Raises
        ------
        InvalidInputError
            Parts of the graph that no edge links are more.
        """
        which = int(np.flatnonzero(self.n_groups >= n_groups)[-1])
        finer, coarsest = self.levels[which], which + 1 == len(self.levels)
        merged = merged_to(finer.graph, None if coarsest else finer.parents, n_groups)
        if merged.max() + 1 > n_groups:
            raise InvalidInputError(too_few(n_groups, f"{self.n_groups[-1]} groups of points"))
        cut, even = self._level(which).joined(merged), None
        if which > self._natural:
            even = merged_evenly(self.natural.graph, cut.labels[self.natural.exemplars], n_groups)
        return cut if even is None else self._level(self._natural).joined(even)

    def _level(self, which: int) -> Cut:
        """Return the groups of a level."""
        label = self.labels.astype(np.int64)
        for level in self.levels[:which]:
            label = level.parents[label]
        return Cut(label, self.levels[which].exemplars, nested=False)

    def arrays(self) -> dict[str, Any]:
        """Return all that it holds, by names for a file."""
        arrays: dict[str, Any] = {"labels": self.labels}
        for k, level in enumerate(self.levels):
            parts = {"exemplars": level.exemplars, "parents": level.parents}
            parts |= arrays_of(level.graph) | {"of": np.array([level.resolution, level.gain])}
            arrays |= {f"{k}.{name}": part for name, part in parts.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self | None:
        """Return what `arrays` was made of; None of nothing."""
        levels: list[FreeLevel] = []
        while f"{len(levels)}.of" in arrays:
            part = part_of(arrays, len(levels))
            resolution, gain = map(float, part["of"])
            levels.append(FreeLevel(part["exemplars"], part["parents"], graph_in(part), resolution, gain))
        return cls(arrays["labels"], tuple(levels)) if levels else None
