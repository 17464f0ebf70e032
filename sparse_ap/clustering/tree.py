"""`Hierarchy`: the levels of a tree of clusters, and the clusterings that can be cut from it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse

from sparse_ap.arguments import require_count
from sparse_ap.clustering.natural.cuts import Cut
from sparse_ap.clustering.natural.faces import representing
from sparse_ap.clustering.natural.free_groups import FreeGroups
from sparse_ap.clustering.natural.linkage import merges_of
from sparse_ap.clustering.natural.merging import merged_within, too_few
from sparse_ap.clustering.natural.persistence import halves, merging, splitting
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Float64Array, Int64Array
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.archives import arrays_in, part_of, write_arrays
from sparse_ap.storage.csr import arrays_of, graph_in

__all__ = ["Cut", "Hierarchy"]

_NOT_FREE = (
    "nested=False, but this hierarchy holds no groups of single points: an earlier version saved it. "
    "Build it again, hierarchy(...), or cut it with nested=True."
)


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """A tree of exemplars, level by level.

    Level 0 clusters the points; each further level clusters the clusters of the level below, and its
    exemplars are exemplars of all levels below. Level 0 is the finest; level -1 is the coarsest.

    Attributes
    ----------
    clusterings : tuple of Clustering
        The first clusters the points; each further one clusters the labels of the one before.
    graphs : tuple of csr_array, shape (n_clusters, n_clusters)
        Of level 0, in float32: similarities of its clusters, the input of level 1. Of each further level, in
        float64: weights of the links between its clusters; the diagonal holds twice the weight inside.
    n_inner_edges : ndarray of int64, shape (n_levels,)
        For each level, the edges of the graph inside a cluster; with given links, their total weight.
    n_edges : int
        Number of edges of the graph; with given links, their total weight.
    resolutions : ndarray of float64, shape (n_levels,), or None
        Resolution γ of each level of natural groups; NaN for levels of affinity propagation. None: the
        hierarchy was saved by an earlier version, whose levels are all of affinity propagation.
    free : FreeGroups, or None
        Groups between which single points moved, which may divide clusters of level 0; ``free.levels`` holds
        their exemplars, resolution and gain. None: there is one level only, or the hierarchy was saved by an
        earlier version.
    """

    __module__ = "sparse_ap"  # where pickles look for it, wherever it is defined

    clusterings: tuple[Clustering, ...]
    graphs: tuple[scipy.sparse.csr_array, ...]
    n_inner_edges: Int64Array
    n_edges: int
    resolutions: Float64Array | None = None
    free: FreeGroups | None = None

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.clusterings)

    @property
    def n_clusters(self) -> Int64Array:
        """Number of clusters of each level, shape (n_levels,); descending."""
        return np.array([c.n_clusters for c in self.clusterings], np.int64)

    @property
    def inner_share(self) -> Float64Array:
        """Share of the graph's edges that stay inside a cluster, shape (n_levels,); 1 without any edge."""
        return self.n_inner_edges / self.n_edges if self.n_edges else np.ones(self.n_levels)

    def level(self, level: int) -> Cut:
        """Return the clustering of the points on a level."""
        return Cut(self.labels(level), self.exemplars(level))

    def labels(self, level: int = -1) -> Int64Array:
        """Return the cluster of each point, shape (n_points,)."""
        first, *others = self.clusterings[: self._checked(level) + 1]
        labels = first.labels
        for clustering in others:
            labels = clustering.labels[labels]
        return labels

    def exemplars(self, level: int = -1) -> Int64Array:
        """Return the points that are exemplars, ascending, shape (n_clusters,)."""
        first, *others = self.clusterings[: self._checked(level) + 1]
        exemplars = first.exemplars
        for clustering in others:
            exemplars = exemplars[clustering.exemplars]
        return exemplars

    def sizes(self, level: int = -1) -> Int64Array:
        """Return the number of points in each cluster, shape (n_clusters,)."""
        return self.level(level).sizes

    def net_similarity(self, level: int = -1) -> float:
        """Return the net similarity of a level, on the graph of the clusters below it."""
        return self.clusterings[self._checked(level)].net_similarity

    def parents(self, level: int) -> Int64Array:
        """Return the cluster of the next coarser level in which each cluster lies, shape (n_clusters,).

        Raises
        ------
        InvalidInputError
            There is no coarser level.
        """
        level = self._checked(level)
        if level + 1 == self.n_levels:
            raise InvalidInputError(f"Level {level} is the coarsest; it has no parents.")
        return self.clusterings[level + 1].labels

    def persistence(self, level: int = -1) -> Float64Array:
        """Return between which resolutions γ each cluster lives, shape (n_clusters, 2).

        Below the first it gains by merging with another cluster of its level; above the second, by letting
        one of its clusters of the level below go (inf: it has one). If the first is larger, it never is best.
        NaN where the tree has no links to tell from: on level 0, of the second on level 1, and in old trees.
        """
        level = self._checked(level)
        found = np.full((self.clusterings[level].n_clusters, 2), np.nan)
        if self.resolutions is not None and level > 0:
            found[:, 0] = merging(self.graphs[level])
        if self.resolutions is not None and level > 1:
            found[:, 1] = splitting(self.graphs[level - 1], self.parents(level - 1), len(found))
        return found

    @property
    def lives(self) -> Float64Array:
        """The `persistence` of each level: medians over all points, shape (n_levels, 2)."""
        levels = range(self.n_levels)
        return np.array([[halves(v, self.sizes(k)) for v in self.persistence(k).T] for k in levels])

    def representatives(self, level: int = -1, m: int = 5) -> Int64Array:
        """Return exemplars that together stand for each cluster, shape (n_clusters, m); -1 for none.

        The first is the cluster's own exemplar; then come those that represent most of its points on all
        finer levels, each level added up.
        """
        level = self._checked(level)
        require_count("m", m)
        candidates = self.exemplars(0)
        finer = [(self.exemplars(k), self.sizes(k)) for k in range(max(1, level))]
        placed = [(found, sizes, np.searchsorted(candidates, found)) for found, sizes in finer]
        return representing(placed, self.labels(level)[candidates], self.exemplars(level), m)

    def nearest_level(self, n_clusters: int) -> int:
        """Return the level whose number of clusters has the smallest ratio to this one; of two, the finer."""
        require_count("n_clusters", n_clusters)
        counts = np.maximum(1, self.n_clusters)
        return int(np.maximum(counts / n_clusters, n_clusters / counts).argmin())

    def cut(self, n_clusters: int) -> Cut:
        """Return the level with the number of clusters nearest to the one given (`cut_exactly`: exactly).

        Parameters
        ----------
        n_clusters : int
            At least 1.
        """
        return self.level(self.nearest_level(n_clusters))

    def cut_exactly(self, n_clusters: int, n_jobs: int | None = None, *, nested: bool = True) -> Cut:
        """Return exactly ``n_clusters`` clusters, by merging the clusters of the next finer level.

        Each cluster is a union of clusters of finer levels. It lies in one of every coarser level, unless
        these are of γ < 1 and that costs more than .01 of the gain at γ = 1. More than level 1 has are found
        by affinity propagation among those of level 0. `Cut.nested` says whether all lie in coarser ones.

        Parameters
        ----------
        n_clusters : int
            At least 1; at most as many as the finest level has.
        n_jobs : int, optional
            As for `affinity_propagation`.
        nested : bool
            False: the groups of single points in ``free`` are merged, as far as there are so many; they may
            divide clusters of every level, and are nearer to what a search for groups alone finds. Cuts into
            more are those of True.

        Raises
        ------
        InvalidInputError
            The finest level has fewer clusters, or parts of the graph that no edge links are more; or
            ``nested=False``, and the hierarchy was saved by an earlier version.
        """
        require_count("n_clusters", n_clusters)
        n_clusters, counts = int(n_clusters), self.n_clusters
        if n_clusters > counts[0]:
            raise InvalidInputError(
                f"n_clusters={n_clusters}, but the finest level has {counts[0]} clusters. Give a smaller "
                "number, or cluster the graph itself: affinity_propagation(..., n_clusters=...)."
            )
        if not nested and self.n_levels > 1:
            if self.free is None:
                raise InvalidInputError(_NOT_FREE)
            if n_clusters <= self.free.n_groups[0]:
                return self.free.cut(n_clusters)
        level = int(np.flatnonzero(counts >= n_clusters)[-1])
        finer = self.level(level)
        if counts[level] == n_clusters:
            return finer
        if self.resolutions is None or level == 0:
            return self._clustered_into(n_clusters, level, n_jobs)
        parents = self.parents(level) if level + 1 < self.n_levels else None
        may_leave = bool((self.resolutions[level + 1 : level + 2] < 1).any())
        label, within = merged_within(self.graphs[level], parents, n_clusters, may_leave)
        if label.max() + 1 > n_clusters:
            raise InvalidInputError(too_few(n_clusters, f"{counts[level]} clusters of level {level}"))
        return finer.joined(label)._replace(nested=within)

    def _clustered_into(self, n_clusters: int, level: int, n_jobs: int | None) -> Cut:
        """Cluster the clusters of a level into a number by affinity propagation."""
        # The function is looked up late: this record stands below the solver in the layers.
        import sparse_ap

        finer = self.level(level)
        try:
            coarser = sparse_ap.affinity_propagation(self.graphs[level], n_clusters=n_clusters, n_jobs=n_jobs)
        except InvalidInputError as error:
            text = too_few(n_clusters, f"{finer.n_clusters} clusters of level {level}")
            raise InvalidInputError(f"{text} For its graph, the reason: {error}") from error
        labels, lone = coarser.labels[finer.labels], level + 1 == self.n_levels
        return Cut(labels, finer.exemplars[coarser.exemplars], nested=lone)

    def to_linkage(self, level: int = 0) -> Float64Array:
        """Return the tree above a level as SciPy's linkage matrix.

        Parameters
        ----------
        level : int
            The level whose clusters are the leaves, in the order of `exemplars`. Dendrograms are readable
            with up to a few hundred leaves.

        Returns
        -------
        ndarray of float64, shape (n_clusters - 1, 4)
            As `scipy.cluster.hierarchy.linkage` returns it. Clusters that a coarser level joins are merged at
            a height of the number of levels between the two, starting from the exemplar's own cluster. The
            clusters of the coarsest level are merged one higher, although the graph does not join them.
        """
        level = self._checked(level)
        above = [(c.labels, c.exemplars) for c in self.clusterings[level + 1 :]]
        merges = list(merges_of(self.clusterings[level].n_clusters, above))
        return np.array(merges, np.float64).reshape(-1, 4)

    def save(self, path: str | Path) -> None:
        """Write the hierarchy to an uncompressed ``.npz`` file; an existing file is replaced at the end.

        Raises
        ------
        InvalidInputError
            The folder does not exist, or nothing can be written there.
        """
        arrays: dict[str, Any] = {"n_inner_edges": self.n_inner_edges, "n_edges": self.n_edges}
        if self.resolutions is not None:
            arrays["resolutions"] = self.resolutions
        if self.free is not None:
            arrays |= {f"free.{name}": part for name, part in self.free.arrays().items()}
        for level, (clustering, graph) in enumerate(zip(self.clusterings, self.graphs, strict=True)):
            parts = clustering.arrays() | arrays_of(graph)
            arrays |= {f"{level}.{name}": part for name, part in parts.items()}
        write_arrays(Path(path), "hierarchy", arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a hierarchy that `save` wrote.

        Raises
        ------
        InvalidInputError
            The file holds no hierarchy, or was written by a later version of sparse_ap.
        """
        with arrays_in(path, "hierarchy", "Hierarchy.save") as arrays:
            n_inner_edges, n_edges = arrays["n_inner_edges"], int(arrays["n_edges"])
            levels = [part_of(arrays, level) for level in range(len(n_inner_edges))]
            clusterings = tuple(Clustering.from_arrays(part) for part in levels)
            graphs = tuple(graph_in(part) for part in levels)
            free = FreeGroups.from_arrays(part_of(arrays, "free"))
            return cls(clusterings, graphs, n_inner_edges, n_edges, arrays.get("resolutions"), free)

    def __setstate__(self, state: Any) -> None:
        """Restore a pickle; those of earlier versions hold no resolutions and no free groups."""
        for field, value in zip(fields(self), [*state, None, None], strict=False):
            object.__setattr__(self, field.name, value)

    def _checked(self, level: int) -> int:
        """Return the level counted from the finest; refuse one that does not exist."""
        if not isinstance(level, Integral) or not -self.n_levels <= level < self.n_levels:
            n = self.n_levels
            raise InvalidInputError(f"level={level!r}, but there are {n} levels: 0, the finest, to {n - 1}.")
        return int(level) % self.n_levels

    def __repr__(self) -> str:
        """Return the number of points and of clusters on each level."""
        counts = " > ".join(f"{n:,}" for n in self.n_clusters)
        return f"Hierarchy({len(self.clusterings[0].labels)} points > {counts} exemplars)"
