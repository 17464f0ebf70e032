"""`preference_path`: clusterings at several preferences, each run continued from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import real_numbers
from sparse_ap.clustering.continuation import first_cost
from sparse_ap.clustering.growth.warm_start import restarted
from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.solver import Solver, open_problem
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.block import Float64Array, Int64Array
from sparse_ap.propagation.preferences import require_kept_edges
from sparse_ap.propagation.problem import Problem, best_of_rows, require_summable
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.readout import clustering_of, refined
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options
from sparse_ap.search.refinement import Effort

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["PreferencePath", "preference_path"]

# Costs of an exemplar (largest similarity minus preference), in units of the default preference's cost.
_COSTS = np.geomspace(0.25, 32.0, 10)
# The rule that ends the run at the lowest preference (docs/design/0014-number-of-clusters.md).
_TOL, _CONVERGENCE_ITER = 1e-3, 15
# Sweeps of the first short run after its messages have grown, their share in each run after that, the least.
_SWEEPS, _FEWER, _LEAST_SWEEPS = 40.0, 0.75, 6.0


@dataclass(frozen=True, slots=True, eq=False)
class PreferencePath:
    """Clusterings of one graph at several preferences.

    Attributes
    ----------
    preferences : ndarray of float64, shape (n_preferences,)
        Descending: from many clusters to few.
    clusterings : tuple of Clustering
        One clustering for each preference.
    """

    __module__ = "sparse_ap"  # where pickles look for it, wherever it is defined

    preferences: Float64Array
    clusterings: tuple[Clustering, ...]

    def __repr__(self) -> str:
        """Return the range of the preferences and of the numbers of clusters."""
        preferences, counts = self.preferences, self.n_clusters
        return (
            f"PreferencePath({len(counts)} preferences, {preferences[0]:.6g} to {preferences[-1]:.6g}: "
            f"{counts[0]} to {counts[-1]} clusters)"
        )

    @property
    def n_clusters(self) -> Int64Array:
        """Number of clusters at each preference, shape (n_preferences,)."""
        return np.array([c.n_clusters for c in self.clusterings], np.int64)

    @property
    def net_similarities(self) -> Float64Array:
        """Net similarity at each preference, shape (n_preferences,)."""
        return np.array([c.net_similarity for c in self.clusterings])

    @property
    def data_similarities(self) -> Float64Array:
        """Sum of the similarities of points to their exemplars, shape (n_preferences,)."""
        return np.array([c.data_similarity for c in self.clusterings])


@showing_compilation
def preference_path(
    similarity: Any,
    preferences: ArrayLike | None = None,
    *,
    missing: Literal["nan"] | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    memory_limit: int | str | None = None,
    client: Client | None = None,
    verbose: bool = False,
) -> PreferencePath:
    """Cluster a graph at several preferences.

    The lowest preference gets a whole run. Each of the others gets a short run of messages, whose exemplars
    are combined with those of the preference below, place by place, and improved by a short local search. The
    short runs count as converged: that they have few sweeps is the plan.

    Parameters
    ----------
    similarity
        As for `affinity_propagation`.
    preferences : array-like of float, shape (n_preferences,), optional
        In any order. None: ten preferences, whose distances from the largest similarity are 1/4 to 32 times
        that of the median.
    missing, random_state, n_jobs, memory_limit, client, verbose
        As for `affinity_propagation`. The clusterings themselves, some 12 bytes a point each, are not
        counted in ``memory_limit``.

    Returns
    -------
    PreferencePath
        Sorted by descending preference.

    Raises
    ------
    InvalidInputError
        No preference is given, or one is not a finite number; or `affinity_propagation` refuses the graph.
    MemoryLimitError, DamagedGraphError, ClusterError
        As by `affinity_propagation`.

    See Also
    --------
    sparse_ap.plotting.plot_path : Draws it.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> import sparse_ap
    >>> points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> similarity = -(points[:, None] - points) ** 2
    >>> path = sparse_ap.preference_path(scipy.sparse.csr_array(similarity), [-0.5, -5, -500])
    >>> path.n_clusters
    array([6, 2, 1])
    """
    given = None if preferences is None else _descending(preferences)
    options = Options(scheme="compact", missing=missing, random_state=random_state)
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    with open_problem(similarity, options, resources) as (solver, problem, _):
        problem = local_problem(problem)
        wanted = _default(problem) if given is None else given
        require_summable(float(np.abs(wanted).max()), problem.graph.dtype)
        for preference in wanted:
            require_kept_edges(np.array([preference]), problem.graph.store.origin)
        return PreferencePath(wanted, tuple(_clusterings(solver, problem, wanted[::-1]))[::-1])


def _descending(preferences: ArrayLike) -> Float64Array:
    try:
        values = np.atleast_1d(real_numbers(preferences))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"preferences={preferences!r}; a list of numbers is needed.") from error
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InvalidInputError(
            f"preferences={preferences!r}; a list of at least one number is needed, and all of them finite."
        )
    return np.unique(values)[::-1]


def _default(problem: Problem) -> Float64Array:
    return problem.edges.largest_or_zero - first_cost(problem) * _COSTS


def _clusterings(solver: Solver, problem: Problem, ascending: Float64Array) -> Iterator[Clustering]:
    """Yield the clustering at each preference: a whole run at the lowest, then short runs.

    From low to high: where exemplars are dear, messages from rest need many sweeps, and what they lack is
    there in the clustering before (docs/design/0014-number-of-clusters.md).
    """
    row_best = best_of_rows(problem.graph)
    lowest, n_edges = problem.at(float(ascending[0])), problem.edges.n_edges
    ending_sooner = solver.stopping(tol=_TOL, convergence_iter=_CONVERGENCE_ITER)
    propagation = ending_sooner.propagated(lowest, row_best.copy())[0]
    found, n_promoted = repair(lowest, propagation.exemplar)
    effort = Effort.after(len(propagation.history), problem.graph.n_points, n_edges)
    found = refined(lowest, found, partial(solver.searched, effort=effort))
    yield clustering_of(lowest, propagation, found, n_promoted)
    brief, n_sweeps = partial(solver.searched, effort=Effort.brief(n_edges)), _SWEEPS
    for preference in ascending[1:]:
        higher = problem.at(float(preference))
        _, propagation, found = restarted(solver, higher, row_best.copy(), found, brief, int(n_sweeps))
        yield clustering_of(higher, propagation, found, 0)
        n_sweeps = max(_LEAST_SWEEPS, _FEWER * n_sweeps)
