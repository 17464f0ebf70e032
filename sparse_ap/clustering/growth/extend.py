"""`extend`: a clustering of more points, or of fewer, that keeps its exemplars where they serve."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import require
from sparse_ap.clustering.growth.old_points import OldPoints
from sparse_ap.clustering.growth.vicinity import near, restricted
from sparse_ap.clustering.growth.warm_start import restarted
from sparse_ap.clustering.run import weighed
from sparse_ap.clustering.solver import Solver, open_problem
from sparse_ap.errors import InvalidInputError
from sparse_ap.execution.plans import Resources
from sparse_ap.propagation.assignment import assign
from sparse_ap.propagation.loop import Propagation
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.readout import clustering_of
from sparse_ap.propagation.repair import repair
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options
from sparse_ap.search.refinement import Effort

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["extend"]

# The search climbs to where no move gains any more; perturbations would cost more than they gain.
_EFFORT = Effort(n_readings=100, n_perturbations=0)
# More than any change can gain, as similarities that are summed are limited.
_ALL = 1e300


@showing_compilation
def extend(
    clustering: Clustering,
    similarity: Any,
    *,
    old: ArrayLike | None = None,
    preference: ArrayLike | None = None,
    min_gain: float = 0.0,
    candidates: ArrayLike | None = None,
    unrepresented: Literal["error", "label"] = "error",
    min_similarity: float | None = None,
    weights: ArrayLike | None = None,
    missing: Literal["nan"] | None = None,
    check_finite: bool = True,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    memory_limit: int | str | None = None,
    client: Client | None = None,
    verbose: bool = False,
) -> Clustering:
    """Go on from a clustering with new points, or without some of the old ones.

    Old exemplars stay unless a change gains more than ``min_gain``. New points go to the most similar
    exemplar, and exemplars are opened where that pays: by a short run of messages and a local search, near
    what has changed. A point has changed if it is new, or lost its old exemplar: that was left out, may not
    be one any more, is no neighbour any more, or is further away than another old exemplar. Only these points
    may become exemplars, and those that they prefer to the nearest one there is; and only the exemplars of
    all these may be given up. Elsewhere exemplars stay what they are.

    Parameters
    ----------
    clustering : Clustering
        Of the old points.
    similarity : sparse matrix or array, ndarray, path, zarr group or array, StoredGraph, or dask collection
        Of all points, old and new, as for `affinity_propagation`; in any order.
    old : array-like of int, shape (n_old,), optional
        The row of each old point in ``similarity``; -1: it is left out. None: rows 0 to n_old - 1.
    preference : float, array-like of shape (n_points,), or None
        As for `affinity_propagation`. None: the clustering's own.
    min_gain : float, 0 or more
        How much the net similarity must gain for each old exemplar that is given up. inf: all stay.
    min_similarity : float, optional
        As for `affinity_propagation`. None: the clustering's own, if it has one. -inf: no limit.
    candidates, unrepresented, weights, missing, check_finite
        As for `affinity_propagation`, of all points. An old exemplar that is no candidate any more is given
        up.
    random_state, n_jobs, memory_limit, client, verbose
        As for `affinity_propagation`.

    Returns
    -------
    Clustering
        Its ``recourse`` says what has changed. The net similarity is at least that of the old exemplars that
        are left, with others where points have no edge to one, plus ``min_gain`` for each old exemplar given
        up.

    Raises
    ------
    InvalidInputError
        A `ValueError`: an argument cannot be used; the message says what was needed instead.
    MemoryLimitError
        The run does not fit into the allowed memory.
    DamagedGraphError
        A graph on disk is incomplete, or cannot be read.
    ClusterError
        The cluster cannot do the work.

    Examples
    --------
    >>> import sparse_ap
    >>> from sparse_ap.graphs import knn_graph
    >>> points = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
    >>> before = sparse_ap.affinity_propagation(knn_graph(points, 2), preference=-5)
    >>> after = sparse_ap.extend(before, knn_graph([*points, [1.5], [30.0]], 2))
    >>> after.exemplars, after.recourse.opened
    (array([1, 4, 7]), array([7]))
    """
    require("clustering", clustering, isinstance(clustering, Clustering), "a Clustering")
    # Compared as it is: float() fails for integers beyond the range of float64.
    right = isinstance(min_gain, Real) and not isinstance(min_gain, bool) and bool(min_gain >= 0)
    require("min_gain", min_gain, right, "0 or more, or inf")
    if min_similarity is None:
        min_similarity = clustering.min_similarity
    elif isinstance(min_similarity, Real) and min_similarity == -np.inf:
        min_similarity = None
    options = Options(
        preference=_preference(clustering) if preference is None else preference, candidates=candidates,
        unrepresented=unrepresented, min_similarity=min_similarity, weights=weights, missing=missing,
        check_finite=check_finite, random_state=random_state, scheme="compact",
        # A copy in another order costs more than it saves in so few readings.
        reorder=False,
    )  # fmt: skip
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    with open_problem(similarity, options, resources, selects=True) as (solver, problem, _):
        points = OldPoints.of(clustering, old, problem.graph.n_points)
        found = _extended(solver, problem, points, float(min_gain) if min_gain < _ALL else np.inf)
    return replace(weighed(found, options), recourse=points.recourse(found))


def _preference(clustering: Clustering) -> float:
    if clustering.preference is None:
        raise InvalidInputError(
            "The old points have no one preference that all share, or the result does not keep it, so it is "
            "not known which one new points have. Give preference (--preference): one number, or one for "
            "each point of the graph."
        )
    return clustering.preference


def _extended(solver: Solver, problem: Problem, points: OldPoints, min_gain: float) -> Clustering:
    """Return the clustering of all points."""
    old = problem.allowed(points.exemplar[problem.user_id])
    start, n_promoted = repair(problem, old)
    changed = points.exemplar_of[problem.user_id] != problem.user_id[start.chosen]
    if problem.roles is not None:
        # What must be an exemplar, or cannot be represented, is not kept for being old.
        old &= ~problem.roles.fixed
        changed &= ~problem.roles.unrepresented
    if not changed.any():
        return clustering_of(problem, Propagation(start.exemplar, True, ()), start, n_promoted)
    part, row_best = restricted(problem, start, near(problem, start, changed), old, min_gain)
    refine = solver.refinement(_EFFORT)
    _, propagation, assignment = restarted(solver, part, row_best, start, refine)
    return clustering_of(problem, propagation, assign(problem, assignment.exemplar), n_promoted)
