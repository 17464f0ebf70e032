"""What can be asked of a clustering with its graph: shares, runner-ups, outliers, a ranking."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import is_finite, require, require_count
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import BoolArray, Float64Array, FloatArray, Int64Array
from sparse_ap.kernels.exact_sum import exact_sum

if TYPE_CHECKING:
    import scipy.sparse
    from distributed import Client

    from sparse_ap.propagation.representation.exemplar_edges import ExemplarEdges
    from sparse_ap.propagation.representation.ranking import Ranking
    from sparse_ap.propagation.representation.shares import RunnerUp

__all__ = ["Representation"]


class Representation:
    """The methods of a `Clustering` that say how its exemplars represent the points.

    What they need of other modules is imported when they are called: these import the passes and the stores.
    """

    __slots__ = ()

    labels: Int64Array
    exemplars: Int64Array
    similarities: FloatArray
    preference: float | None
    exemplar_preference: float
    weighted_sizes: Float64Array | None
    n_collapsed: int
    min_similarity: float | None

    def exemplar_edges(
        self,
        similarity: Any,
        *,
        missing: Literal["nan"] | None = None,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
        client: Client | None = None,
    ) -> ExemplarEdges:
        """Read the edges to exemplars once, for several questions: they may then be given as ``similarity``.

        Parameters
        ----------
        similarity
            The graph of the run, as for `affinity_propagation`, or one of the same points with more edges.
            Edges count with the similarities given, whatever the points weigh; those weaker than the
            clustering's ``min_similarity`` do not, as in the run.
        missing, n_jobs, memory_limit, client
            As for `affinity_propagation`.

        Returns
        -------
        ExemplarEdges
            For `memberships`, `runner_up` and `ranking`.

        Raises
        ------
        InvalidInputError
            An argument cannot be used, or the graph is not that of the clustering.
        MemoryLimitError
            The edges do not fit into ``memory_limit``.
        """
        return self._edges(similarity, None, missing, n_jobs, memory_limit, client)

    def memberships(
        self,
        similarity: Any,
        top: int = 5,
        *,
        temperature: float | None = None,
        missing: Literal["nan"] | None = None,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
        client: Client | None = None,
    ) -> scipy.sparse.csr_array:
        """Return how much of each exemplar is in each point: shares that add up to 1.

        The share of exemplar k in point i is proportional to exp(s(i, k) / ``temperature``), among the
        ``top`` exemplars that are most similar to i and to which it has an edge, its own always among them.
        An exemplar has a share of 1 of itself.

        Parameters
        ----------
        similarity
            The graph of the run, or what `exemplar_edges` has read from it.
        top : int
            Exemplars of each point at most.
        temperature : float, optional
            The difference in similarity at which one share is e = 2.7 times another; small: nearly all is
            with the most similar exemplar; large: all are alike. None: the median of the margins above 0 that
            `runner_up` tells.
        missing, n_jobs, memory_limit, client
            As for `affinity_propagation`.

        Returns
        -------
        csr_array of float64, shape (n_points, n_clusters)
            Columns in the order of ``exemplars``. The row of a point that nobody represents is empty.

        Raises
        ------
        InvalidInputError
            An argument cannot be used, the graph is not that of the clustering, or the clustering is cut from
            a tree (`Outcome.GROUPED`), so that similarities to exemplars are not known.
        MemoryLimitError
            The shares do not fit into ``memory_limit``.
        """
        require_count("top", top)
        right = temperature is None or (is_finite(temperature) and temperature > 0)
        require("temperature", temperature, right, "a finite number above 0, or None")
        from sparse_ap.propagation.representation.shares import shares_of

        edges = self._edges(similarity, int(top) - 1, missing, n_jobs, memory_limit, client)
        return shares_of(edges, None if temperature is None else float(temperature))

    def runner_up(
        self,
        similarity: Any,
        *,
        missing: Literal["nan"] | None = None,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
        client: Client | None = None,
    ) -> RunnerUp:
        """Return the exemplar that comes next for each point, and by how much its own is more similar.

        Parameters
        ----------
        similarity, missing, n_jobs, memory_limit, client
            As for `memberships`.

        Returns
        -------
        RunnerUp

        Raises
        ------
        InvalidInputError
            The graph is not that of the clustering.
        """
        from sparse_ap.propagation.representation.shares import RunnerUp

        edges = self._edges(similarity, 1, missing, n_jobs, memory_limit, client)
        return RunnerUp.of(edges)

    def ranking(
        self,
        similarity: Any,
        *,
        preference: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        missing: Literal["nan"] | None = None,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
        client: Client | None = None,
    ) -> Ranking:
        """Order the exemplars so that the first m are good for every m.

        One exemplar after the other is given up, each time the one without which the net similarity is
        largest; points then belong to the most similar exemplar that is left. The sets are nested, so a
        run with exactly m clusters (``n_clusters``) may find better ones.

        Parameters
        ----------
        similarity
            The graph of the run, or what `exemplar_edges` has read from it.
        preference : float or array-like of shape (n_points,), optional
            The preferences of the run. None: the clustering's ``preference``, which is known if it was the
            same for all exemplars. inf: given up after all others, as what must always be an exemplar.
        weights : array-like of float, shape (n_points,), optional
            The weights of the run, if there were any.
        missing, n_jobs, memory_limit, client
            As for `affinity_propagation`.

        Returns
        -------
        Ranking
            Points that nobody represents in the clustering are never covered, and add nothing to net
            similarities. Of exemplars whose loss is the same that with the smaller number is kept.

        Raises
        ------
        InvalidInputError
            The graph is not that of the clustering, or preferences or weights of the run are missing.
        """
        from sparse_ap.clustering import checked_again
        from sparse_ap.propagation.representation.ranking import ranked

        if weights is None and self.weighted_sizes is not None:
            raise InvalidInputError(
                "The points had weights in the run, and the clustering knows only their sums. Give weights "
                "(--weights-column), those of the run."
            )
        of_points, weight = checked_again(preference, weights, len(self.labels))
        given = self._preferences(None if of_points is None else of_points[self.exemplars])

        edges = self._edges(similarity, None, missing, n_jobs, memory_limit, client)
        return ranked(edges, given, weight)

    def outliers(self, *, min_size: int | None = None, min_similarity: float | None = None) -> BoolArray:
        """Return which points one may call outliers; a clustering itself never calls any point noise.

        Parameters
        ----------
        min_size : int, optional
            Points in clusters of fewer points, the exemplar counted, are outliers.
        min_similarity : float, optional
            Points less similar to their exemplar are outliers, exemplars not; one that is just as similar,
            in the precision of ``similarities``, is none.

        Returns
        -------
        ndarray of bool, shape (n_points,)
            What one of the two says. Points that nobody represents are always among them.

        Raises
        ------
        InvalidInputError
            Neither is given, one is wrong, or the clustering does not know the similarities.
        """
        if min_size is None and min_similarity is None:
            raise InvalidInputError(
                "Which points are outliers is for you to say: give min_size (--min-size), the fewest points "
                "of a cluster, or min_similarity (--min-similarity), the least similarity to the exemplar."
            )
        require_count("min_size", min_size, or_none=True)
        right = min_similarity is None or is_finite(min_similarity)
        require("min_similarity", min_similarity, right, "a finite number, or None")
        there = self.labels >= 0
        outlier = ~there
        if min_size is not None and there.any():
            sizes = np.bincount(self.labels[there])
            outlier |= sizes[self.labels] < min_size
        if min_similarity is not None:
            if np.isnan(self.similarities[there]).any():
                raise InvalidInputError(
                    f"min_similarity={min_similarity}, but the clustering does not know all similarities "
                    "to its exemplars, as if cut from a tree (Outcome.GROUPED). Give min_size (--min-size) "
                    "alone."
                )
            with np.errstate(over="ignore"):
                far = self.similarities < self.similarities.dtype.type(min_similarity)
            far[self.exemplars] = False
            outlier |= far
        return outlier

    def _edges(
        self, similarity: Any, most: int | None, missing: Any, n_jobs: Any, memory_limit: Any, client: Any
    ) -> ExemplarEdges:
        """Read the edges to exemplars: of each point ``most`` to others than its own."""
        # By the package, since what opens graphs makes clusterings.
        from sparse_ap.clustering import examined_by, open_links
        from sparse_ap.execution.plans import Resources
        from sparse_ap.propagation.representation.exemplar_edges import ExemplarEdges, exemplar_edges

        if isinstance(similarity, ExemplarEdges):
            same = (similarity.own_label, self.labels), (similarity.exemplars, self.exemplars)
            alike = all(np.array_equal(*pair) for pair in same)
            if not alike or similarity.min_similarity != self.min_similarity:
                raise InvalidInputError(
                    "similarity holds the edges to the exemplars of another clustering; what "
                    "Clustering.exemplar_edges of this one returns is needed, or its graph."
                )
            return similarity if most is None else similarity.best(most)
        require("missing", missing, missing in (None, "nan"), "'nan' or None")
        resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client)
        with open_links(similarity, resources) as graph:
            return exemplar_edges(graph, self, most, partial(examined_by, graph, missing), resources)

    def _preferences(self, given: Float64Array | None) -> Float64Array:
        """Return the preferences of the exemplars: those given, or the one that all share.

        Raises
        ------
        InvalidInputError
            They are not known, or an exemplar may not be one.
        """
        if given is not None:
            barred = self.exemplars[given == -np.inf]
            if len(barred):
                raise InvalidInputError(
                    f"preference is -inf, never an exemplar, for {len(barred):,} of the exemplars, such as "
                    f"{barred[0]}. Give the preferences of the run."
                )
            return given
        shared = np.full(len(self.exemplars), np.nan if self.preference is None else self.preference)
        if len(shared) and exact_sum(shared) != self.exemplar_preference:
            raise InvalidInputError(
                "The clustering does not say what each exemplar gains by being one: preferences were not the "
                "same for all, or it is a table or a cover. Give preference (--preference), that of the run, "
                "one number or one a point; or 0, to count similarities alone."
            )
        return shared
