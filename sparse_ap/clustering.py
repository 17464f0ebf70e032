"""The public function: check, plan, choose store and runner, propagate, read out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from sparse_ap.convergence import StopRule
from sparse_ap.errors import InvalidInputError, warn_not_converged
from sparse_ap.model import Clustering, Int32Array, Outcome, RowCut, SweepReport
from sparse_ap.ordering import locality_order, reordered
from sparse_ap.passes.classic import Messages
from sparse_ap.passes.statistics import EdgeStatistics
from sparse_ap.plan import Execution, cut_rows
from sparse_ap.progress import told_of_sweeps
from sparse_ap.propagation import Propagation, propagate
from sparse_ap.readout import exact_sum, in_user_order, move_to_medoids, repair
from sparse_ap.runners import Runner
from sparse_ap.runners.serial import SerialRunner
from sparse_ap.runners.threads import ThreadsRunner
from sparse_ap.schemes import Classic, Compact, Scheme
from sparse_ap.similarity import (
    Problem,
    break_ties,
    examine,
    normalised,
    require_usable,
    resolve_preference,
    support_grid,
)
from sparse_ap.stores.memory import MemoryStore

__all__ = ["affinity_propagation", "load_graph", "open_runner"]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a scheme uses where the user is silent; measured in docs/design/0003-damping.md."""

    damping: float
    tol: float
    tie_strength: float


DEFAULTS = {
    "compact": Defaults(damping=0.8, tol=1e-4, tie_strength=1e-3),
    "classic": Defaults(damping=0.5, tol=0.0, tie_strength=1e-12),
}
# Damping of compact's column totals.
TOTAL_DAMPING = 0.5
# Below this many points the vectors that sweeps gather from fit into the second-level cache anyway.
WORTH_REORDERING = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run, checked, defaults filled in."""

    scheme: str
    damping: float
    stop: StopRule
    refine: bool
    reorder: bool | Literal["auto"]
    seed: int


def affinity_propagation(
    similarity: Any,
    *,
    preference: ArrayLike | None = None,
    preference_quantile: float | None = None,
    damping: float | None = None,
    max_iter: int = 200,
    convergence_iter: int = 15,
    tol: float | None = None,
    scheme: Literal["auto", "compact", "classic"] = "auto",
    refine: Literal["auto", "medoid"] | None = "auto",
    reorder: bool | Literal["auto"] = "auto",
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    callback: Callable[[SweepReport], object] | None = None,
    verbose: bool = False,
) -> Clustering:
    """Cluster a similarity graph by affinity propagation.

    Finds exemplars, points of the data that represent the others, by passing messages along the
    stored edges until they agree on a choice that makes the net similarity large: the sum of every
    point's similarity to its exemplar, plus the preferences of the exemplars [1]_.

    Parameters
    ----------
    similarity : scipy sparse matrix or array, or ndarray, shape (n_points, n_points)
        Entry (i, k) says how well k would represent i; larger is better, any sign. Only stored entries
        of a sparse matrix are edges: an absent entry, or -inf, means that k cannot represent i, and a
        stored 0 is a similarity of 0. Neither symmetry nor sorted columns are needed; of duplicates
        the largest counts; the diagonal is ignored. It is never written to.
    preference : float, array-like of shape (n_points,), or None
        How much each point gains by being an exemplar: larger means more clusters. None: the median
        of the stored similarities (of an ndarray, scikit-learn's: all its entries).
    preference_quantile : float in [0, 1], optional
        Take this quantile of the stored similarities off the diagonal as preference.
    damping : float in [0.5, 1), optional
        Share of the old responsibility kept in each sweep; more of it for runs that oscillate.
        Default 0.8 for ``scheme="compact"``, 0.5 (scikit-learn's) for "classic".
    max_iter : int
        Sweeps at most.
    convergence_iter : int
        Sweeps without (much) change that end the run.
    tol : float in [0, 1), optional
        Share of the points that may still be changing, or be without an edge to an exemplar, when
        the run ends. Default 1e-4 for "compact", 0 for "classic", which is scikit-learn's rule.
    scheme : {"auto", "compact", "classic"}
        "compact" keeps no state on the edges and is the one for large graphs; "classic" is the
        paper's update, message by message, for reference. "auto": "classic" for an ndarray,
        "compact" for everything else.
    refine : {"auto", "medoid"} or None
        "medoid": move each exemplar once to the medoid of its cluster, as scikit-learn does; the net
        similarity never falls. "auto" is "medoid".
    reorder : bool or "auto"
        Work on a copy whose points are renumbered so that neighbours lie near each other: sweeps are
        about twice as fast, for 8 bytes an edge. The result is the same to the bit.
        "auto": from 100,000 points on.
    random_state : int, RandomState, Generator or None
        Seed of the tiny differences between preferences that break ties; nothing else is random.
        None: a new one each time.
    n_jobs : int, optional
        Threads. None or -1: one for each processor this process may use. The result is the same to
        the bit for any number.
    callback : callable, optional
        Called after each sweep with a `SweepReport`. What it raises ends the run.
    verbose : bool
        Show progress on standard error, where that is a terminal.

    Returns
    -------
    Clustering

    Raises
    ------
    InvalidInputError
        A `ValueError`: an argument cannot be used; the message says what was needed instead.

    Warns
    -----
    ConvergenceWarning
        scikit-learn's: the stop rule was not met within ``max_iter`` sweeps. Labels are valid
        all the same.
    UserWarning
        All similarities and preferences of a dense matrix are equal.

    References
    ----------
    .. [1] B. J. Frey and D. Dueck, "Clustering by passing messages between data points", Science 315,
       972-976 (2007). https://doi.org/10.1126/science.1136800

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> import sparse_ap
    >>> points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> similarity = -(points[:, None] - points) ** 2
    >>> clustering = sparse_ap.affinity_propagation(scipy.sparse.csr_array(similarity), preference=-5)
    >>> clustering.exemplars, clustering.labels
    (array([1, 4]), array([0, 0, 0, 1, 1, 1]))
    """
    settings = _settings(
        similarity, scheme, damping, max_iter, convergence_iter, tol, refine, reorder, random_state
    )
    with open_runner(n_jobs) as runner:
        problem = _prepare(similarity, preference, preference_quantile, settings, runner)
        if _all_equal(problem):
            clustering = _arbitrary(problem)
        else:
            with told_of_sweeps(max_iter, callback, verbose) as told:
                clustering = _cluster(problem, settings, told)
    _warn(clustering.outcome)
    return clustering


@contextmanager
def open_runner(n_jobs: int | None) -> Iterator[Runner]:
    """Yield the runner for a number of threads; None or -1: one for each usable processor.

    Raises
    ------
    InvalidInputError
        ``n_jobs`` is neither -1 nor positive.
    """
    if n_jobs is None or n_jobs == -1:
        n_jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs < 1:
        raise InvalidInputError(f"n_jobs={n_jobs}; a positive number of threads is needed, or -1 for all.")
    if n_jobs == 1:
        yield SerialRunner()
        return
    with ThreadsRunner(n_jobs) as threads:
        yield threads


def load_graph(similarity: Any, runner: Runner) -> tuple[Execution, EdgeStatistics, Int32Array]:
    """Take a matrix as a graph, and look at it.

    Returns
    -------
    execution : Execution
        The graph, every stored entry an edge of its own.
    statistics : EdgeStatistics
        Of the entries as given.
    in_degree : ndarray of int32, shape (n_points,)

    Raises
    ------
    InvalidInputError
        The matrix cannot be taken as a graph.
    """
    execution = _execution(_store_of(similarity), runner)
    statistics, in_degree = examine(execution)
    require_usable(statistics, execution)
    if not statistics.canonical:
        execution = _execution(MemoryStore(*normalised(execution)), runner)
        _, in_degree = examine(execution)
    return execution, statistics, in_degree


def _store_of(similarity: Any) -> MemoryStore:
    if scipy.sparse.issparse(similarity):
        return MemoryStore.from_sparse(similarity)
    if isinstance(similarity, np.ndarray | list | tuple):
        return MemoryStore.from_dense(np.asarray(similarity))
    raise InvalidInputError(
        f"The similarities are a {type(similarity).__name__}; a scipy sparse matrix or a numpy array of "
        "shape (n_points, n_points) is needed."
    )


def _execution(store: MemoryStore, runner: Runner) -> Execution:
    return Execution(store, cut_rows(store.indptr, runner.n_threads), runner)


def _prepare(
    similarity: Any, preference: ArrayLike | None, quantile: float | None, settings: Settings, runner: Runner
) -> Problem:
    """Check the input, resolve the preferences, renumber the points where that pays."""
    execution, statistics, in_degree = load_graph(similarity, runner)
    if preference is None and quantile is None and not scipy.sparse.issparse(similarity):
        preference = _dense_median(np.asarray(similarity))
    given = resolve_preference(preference, quantile, execution)
    user_id = np.arange(execution.n_points, dtype=np.int32)
    if settings.reorder is True or (settings.reorder == "auto" and len(user_id) >= WORTH_REORDERING):
        user_id = locality_order(execution.store.block(RowCut(0, execution.n_points)))
        execution = _execution(MemoryStore(*reordered(execution, user_id)), runner)
        given = given if given.strides == (0,) else given[user_id]
    return Problem(
        execution,
        user_id,
        given,
        statistics.smallest,
        statistics.largest,
        int(in_degree.max(initial=0)),
    )


def _dense_median(matrix: Any) -> float | None:
    """Return scikit-learn's default preference: the median of all entries, the diagonal included."""
    median = float(np.median(matrix)) if matrix.size else 0.0
    return median if np.isfinite(median) else None


def _all_equal(problem: Problem) -> bool:
    """Whether every pair of points is an edge, and nothing distinguishes any point from another."""
    n, preference = problem.execution.n_points, problem.preference
    return (
        n > 1
        and problem.execution.n_edges == n * (n - 1)
        and problem.smallest == problem.largest
        and bool((preference == preference[0]).all())
    )


def _arbitrary(problem: Problem) -> Clustering:
    """Return scikit-learn's answer where all points are alike: every point alone, or one cluster."""
    n, p, s = problem.execution.n_points, float(problem.preference[0]), problem.largest
    n_clusters = n if p > s else 1
    return Clustering(
        labels=np.arange(n) if n_clusters == n else np.zeros(n, np.int64),
        exemplars=np.arange(n_clusters),
        net_similarity=n_clusters * p + (n - n_clusters) * s,
        data_similarity=(n - n_clusters) * s,
        exemplar_preference=n_clusters * p,
        n_iter=0,
        converged=True,
        outcome=Outcome.ALL_EQUAL,
        n_unsettled=0,
        n_promoted=0,
        history=(),
    )


def _cluster(problem: Problem, settings: Settings, callback: Callable[[SweepReport], object]) -> Clustering:
    propagation = _propagate(problem, settings, callback)
    assignment, n_promoted = repair(problem, propagation.exemplar)
    if settings.refine:
        assignment = move_to_medoids(problem, assignment)
    labels, exemplars = in_user_order(problem, assignment)
    data_similarity = exact_sum(assignment.similarity)
    exemplar_preference = exact_sum(problem.preference[assignment.exemplar])
    last = propagation.history[-1]
    return Clustering(
        labels=labels,
        exemplars=exemplars,
        net_similarity=data_similarity + exemplar_preference,
        data_similarity=data_similarity,
        exemplar_preference=exemplar_preference,
        n_iter=last.sweep,
        converged=propagation.converged,
        outcome=_outcome(propagation),
        n_unsettled=last.n_unsettled,
        n_promoted=n_promoted,
        history=propagation.history,
    )


def _propagate(
    problem: Problem, settings: Settings, callback: Callable[[SweepReport], object]
) -> Propagation:
    """Break ties, fit the grid, pass messages; everything but the exemplars is let go at the end."""
    strength = DEFAULTS[settings.scheme].tie_strength
    preference = break_ties(problem.preference, problem.user_id, problem.largest, settings.seed, strength)
    grid = support_grid(
        problem.execution, preference, problem.smallest, problem.largest, problem.max_in_degree
    )
    scheme: Scheme
    if settings.scheme == "classic":
        scheme = Classic(settings.damping, Messages.at_rest(problem.execution.n_edges), grid)
    else:
        dtype = problem.execution.dtype
        scheme = Compact(settings.damping, TOTAL_DAMPING, TOTAL_DAMPING, dtype, grid)
    return propagate(problem.execution, scheme, preference, settings.stop, callback)


def _outcome(propagation: Propagation) -> Outcome:
    if propagation.converged:
        return Outcome.CONVERGED
    return Outcome.MAX_ITER_REACHED if propagation.history[-1].n_exemplars else Outcome.NO_EXEMPLARS


def _warn(outcome: Outcome) -> None:
    if outcome in (Outcome.MAX_ITER_REACHED, Outcome.NO_EXEMPLARS):
        warn_not_converged(outcome.value)
    elif outcome is Outcome.ALL_EQUAL:
        warnings.warn(outcome.value, UserWarning, stacklevel=3)


def _settings(
    similarity: Any,
    scheme: str,
    damping: float | None,
    max_iter: int,
    convergence_iter: int,
    tol: float | None,
    refine: str | None,
    reorder: bool | str,
    random_state: Any,
) -> Settings:
    """Fill in the defaults and refuse what is out of range."""
    _require("scheme", scheme, scheme in ("auto", *DEFAULTS), "'auto', 'compact' or 'classic'")
    if scheme == "auto":
        scheme = "compact" if scipy.sparse.issparse(similarity) else "classic"
    damping = DEFAULTS[scheme].damping if damping is None else damping
    tol = DEFAULTS[scheme].tol if tol is None else tol
    _require("damping", damping, 0.5 <= damping < 1, "0.5 or more and less than 1")
    _require("max_iter", max_iter, max_iter >= 1, "at least 1")
    _require("convergence_iter", convergence_iter, convergence_iter >= 1, "at least 1")
    _require("tol", tol, 0 <= tol < 1, "0 or more and less than 1: a share of the points")
    _require("refine", refine, refine in ("auto", "medoid", None), "'auto', 'medoid' or None")
    _require("reorder", reorder, reorder in (True, False, "auto"), "True, False or 'auto'")
    return Settings(
        scheme,
        float(damping),
        StopRule(int(max_iter), int(convergence_iter), float(tol)),
        refine is not None,
        reorder,  # type: ignore[arg-type]
        _seed(random_state),
    )


def _require(name: str, given: object, right: bool, needed: str) -> None:
    if not right:
        raise InvalidInputError(f"{name}={given!r}; it must be {needed}.")


def _seed(random_state: Any) -> int:
    """Return a number for the hash that breaks ties."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63 - 1))
    if random_state is None:
        return int(np.random.default_rng().integers(2**63 - 1))
    return int(random_state)
