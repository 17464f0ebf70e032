"""The public function: check, plan, choose store and runner, propagate, read out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.budget import Way
from sparse_ap.certificate import certified
from sparse_ap.damping import damping_for_degree
from sparse_ap.errors import warn_not_converged, warn_of_positive_similarities
from sparse_ap.judges import BestSeen, LastSeen
from sparse_ap.keeping import Keeping, checked_keeping
from sparse_ap.model import Clustering, Float64Array, Outcome, RowCut, SweepReport
from sparse_ap.ordering import locality_order
from sparse_ap.passes.classic import Messages
from sparse_ap.passes.grid import Grid
from sparse_ap.plan import Execution
from sparse_ap.preferences import require_kept_edges, resolve_preference
from sparse_ap.progress import told_of_readings, told_of_sweeps
from sparse_ap.propagation import Judge, Propagation, propagate
from sparse_ap.readout import Assignment, Refinement, all_equal, arbitrary, move_to_medoids, read_out
from sparse_ap.refinement import Effort, search
from sparse_ap.runners import Runner
from sparse_ap.schemes import Classic, Compact, Scheme
from sparse_ap.settings import LOOK_EVERY, TOTAL_DAMPING, Settings, checked_settings
from sparse_ap.settling import UNTILTED, Settling
from sparse_ap.similarity import Problem, support_grid, survey
from sparse_ap.sources import (
    Source,
    examined,
    loaded,
    open_cluster,
    open_runner,
    open_source,
    renumbered,
)
from sparse_ap.stores import block_of
from sparse_ap.stores.structure import as_float
from sparse_ap.ties import message_preference
from sparse_ap.ways import chosen_way, cluster_way

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["affinity_propagation"]


def affinity_propagation(
    similarity: Any,
    *,
    preference: ArrayLike | None = None,
    preference_quantile: float | None = None,
    damping: float | None = None,
    max_iter: int = 200,
    convergence_iter: int | None = None,
    tol: float | None = None,
    scheme: Literal["auto", "compact", "classic"] = "auto",
    refine: Literal["auto", "search", "medoid"] | None = "auto",
    reorder: bool | Literal["auto"] = "auto",
    missing: Literal["nan"] | None = None,
    check_finite: bool = True,
    certify: bool = False,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    memory_limit: int | str | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 25,
    resume: bool = False,
    client: Client | None = None,
    callback: Callable[[SweepReport], object] | None = None,
    verbose: bool = False,
) -> Clustering:
    """Cluster a similarity graph by affinity propagation.

    Finds exemplars, points of the data that represent the others, by passing messages along the
    stored edges until they agree on a choice that makes the net similarity large: the sum of every
    point's similarity to its exemplar, plus the preferences of the exemplars [1]_.

    Parameters
    ----------
    similarity : sparse matrix or array, ndarray, path, zarr group or array, StoredGraph, or dask collection
        Of shape (n_points, n_points). A path, or URL, is where a graph is on disk, as
        `sparse_ap.graphs.open_graph` takes it.
        Entry (i, k) says how well k would represent i; larger is better, any sign. Only stored entries
        of a sparse matrix are edges: an absent entry, or -inf, means that k cannot represent i, and a
        stored 0 is a similarity of 0. Neither symmetry nor sorted columns are needed; of duplicates
        the largest counts; the diagonal is ignored. It is never written to.
        On a cluster also a dask array, its chunks CSR or dense (NaN and -inf: no edge), or a dask dataframe
        of edges: its first three columns are row, column and similarity, points numbered from 0. Without
        ``client`` the active one is taken.
    preference : float, array-like of shape (n_points,), or None
        How much each point gains by being an exemplar: larger means more clusters. None: the median
        of the stored similarities (of an ndarray, scikit-learn's: all its entries).
    preference_quantile : float in [0, 1], optional
        Take this quantile of the stored similarities off the diagonal as preference.
    damping : float in [0.5, 1), optional
        Share of the old responsibility kept in each sweep; more of it for runs that oscillate.
        Default for "classic": 0.5, scikit-learn's. For "compact": 0.5 to 0.9, by the number of
        edges a point.
    max_iter : int
        Sweeps at most.
    convergence_iter : int, optional
        Sweeps without (much) change that end the run; ``max_iter`` must be larger for that to happen.
        Default 31 for "compact", 15 for "classic", scikit-learn's.
    tol : float in [0, 1), optional
        Share of the points that may be unsettled when the run ends. Default 1e-4 for "compact", 0 for
        "classic", scikit-learn's rule. With "compact" also the share that may have no edge to an
        exemplar.
    scheme : {"auto", "compact", "classic"}
        "compact" keeps no state on the edges and is the one for large graphs; "classic" is the
        paper's update, message by message, for reference. "auto": "classic" for an ndarray,
        "compact" for everything else.
    refine : {"auto", "search", "medoid"} or None
        What to do after the last sweep; the net similarity never falls. "search": a local search that opens,
        closes and swaps exemplars, and in large graphs takes up to half as many readings of the edges as
        the sweeps did. "medoid": move each exemplar once to the medoid of its cluster, as scikit-learn
        does. "auto": "medoid" for "classic", "search" for "compact".
    reorder : bool or "auto"
        Work on a copy whose points are renumbered so that neighbours lie near each other: sweeps are
        about twice as fast, for the memory of the copy. The result is the same to the bit.
        "auto": from 100,000 points on.
    missing : {"nan"} or None
        "nan": an entry that is NaN is no edge, like -inf. None: NaN is refused.
    check_finite : bool
        Whether to look at every entry before anything is computed. False saves one reading of the graph, for
        graphs that are known to have finite entries, valid column ids, no diagonal and no duplicates, as
        those made by `sparse_ap.graphs` do; what breaks this promise may crash the process.
    certify : bool
        Also compute ``net_similarity_bound``, which no clustering of the graph exceeds, by 122 more passes
        over the edges.
    random_state : int, RandomState, Generator or None
        Seed of the tiny differences between preferences that break ties; nothing else is random.
        None: a new one each time.
    n_jobs : int, optional
        Threads that compute at a time. None or -1: one for each processor this process may use. The result is
        the same to the bit for any number. (For a graph on disk there is one more, since one is reading.)
    memory_limit : int or str, optional
        Bytes that the whole process may hold, such as ``"2GB"``. Of the ways to run the fastest that fits is
        taken: a graph on disk is read into memory or not, points are renumbered or not, threads are fewer.
        The result is the same to the bit. None: for a graph on disk, most of the memory that is free.
    checkpoint : path, optional
        A folder for the state of the run (about 60 bytes a point), from which it can go on. Ctrl-C and
        SIGTERM then end the run after the sweep, its state written.
    checkpoint_every : int
        Sweeps between checkpoints.
    resume : bool
        Go on from the newest checkpoint, or begin where there is none. The graph and the parameters must be
        the same but for ``max_iter``, ``n_jobs``, ``memory_limit``, ``client`` and where the graph is; the
        result is that of a run that was never interrupted, to the bit.
    client : distributed.Client, optional
        Of a dask cluster whose workers read the graph and do the work; only vectors travel. The result is
        the same to the bit. This process keeps the state of the run, and ``memory_limit`` is for it alone.
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
    MemoryLimitError
        It does not fit into the memory allowed; raised before anything is computed.
    DamagedGraphError
        A graph on disk is incomplete, or cannot be read.
    CheckpointError
        The checkpoints are of another run.
    ClusterError
        The cluster cannot do the work, or has gone for good.
    RunInterrupted
        A `KeyboardInterrupt`: Ctrl-C or SIGTERM, with ``checkpoint``; the message says how to go on.

    Warns
    -----
    ConvergenceWarning
        scikit-learn's: the stop rule was not met within ``max_iter`` sweeps. Labels are valid
        all the same.
    PositiveSimilarityWarning
        A `UserWarning`: no similarity is negative, and neither positive entries on the diagonal nor rows
        sorted with the largest first tell that they are no distances.
    UserWarning
        All pairs of points are edges, and all similarities and all preferences are equal.

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
    settings = checked_settings(
        similarity,
        scheme,
        damping,
        max_iter,
        convergence_iter,
        tol,
        refine,
        reorder,
        missing,
        check_finite,
        certify,
        random_state,
    )
    keeping = checked_keeping(checkpoint, checkpoint_every, resume, settings)
    cluster = open_cluster(client, similarity)
    source = open_source(similarity, cluster)
    choose = chosen_way if cluster is None else cluster_way
    layout = keeping.layout(settings.reorder)
    way = choose(source, layout, settings.scheme, settings.refine, n_jobs, memory_limit)
    with open_runner(way.n_threads, cluster) as runner:
        problem, row_best = _prepare(source, way, preference, preference_quantile, settings, runner)
        if all_equal(problem):
            clustering = arbitrary(problem)
        else:
            with told_of_sweeps(max_iter, callback, verbose) as told:
                propagation = _propagate(problem, row_best, settings, keeping, way, told)
            clustering = read_out(problem, propagation, _refinement(problem, settings, propagation, verbose))
        if settings.certify:
            clustering = certified(problem, clustering, verbose)
    _warn(clustering.outcome)
    return clustering


def _prepare(
    source: Source,
    way: Way,
    preference: ArrayLike | None,
    quantile: float | None,
    settings: Settings,
    runner: Runner,
) -> tuple[Problem, Float64Array]:
    """Check the input, resolve the preferences, renumber the points where that pays.

    Returns
    -------
    problem : Problem
    row_best : ndarray of float64, shape (n_points,)
        Each point's largest similarity.
    """
    execution, no_distances = _load(source, way, settings, runner)
    if preference is None and quantile is None and source.dense is not None:
        preference = _dense_median(source.dense)
    edges, row_best = survey(execution)
    if 0 <= edges.smallest < edges.largest and not no_distances:
        warn_of_positive_similarities(edges.largest)
    given = resolve_preference(preference, quantile, execution, edges.n_edges)
    require_kept_edges(given, execution.store.origin)
    user_id = execution.store.origin.order
    if way.reorder:
        order = locality_order(block_of(execution.store, RowCut(0, execution.n_points)))
        execution = renumbered(execution, order)
        row_best = row_best[order]
        user_id = order if user_id is None else user_id[order]
    if user_id is None:
        user_id = np.arange(execution.n_points, dtype=np.int32)
    elif given.strides != (0,):
        given = given[user_id]
    return Problem(execution, user_id, given, edges), row_best


def _load(source: Source, way: Way, settings: Settings, runner: Runner) -> tuple[Execution, bool]:
    """Return the graph, and whether its entries surely are no distances."""
    execution = loaded(source, way, runner)
    if not settings.check_finite:
        return execution, True
    execution, statistics = examined(execution, settings.missing)
    best_first = 2 * statistics.n_best_first > execution.n_points
    alike_itself = statistics.n_alike_itself > 0 or (
        source.dense is not None and bool((np.diagonal(source.dense) > 0).any())
    )
    return execution, best_first or alike_itself


def _dense_median(matrix: Any) -> float | None:
    """Return scikit-learn's default preference: the median of all entries, the diagonal included."""
    # Not in half precision, where the mean of two numbers is rounded.
    median = float(np.median(as_float(matrix))) if matrix.size else 0.0
    return median if np.isfinite(median) else None


def _propagate(
    problem: Problem,
    row_best: Float64Array,
    settings: Settings,
    keeping: Keeping,
    way: Way,
    callback: Callable[[SweepReport], object],
) -> Propagation:
    """Break ties, fit the grid, pass messages; everything but the exemplars is let go at the end."""
    preference, gap = message_preference(problem, row_best, settings.seed, settings.tie_strength)
    settling = UNTILTED if settings.scheme == "classic" else Settling()
    grid = support_grid(problem, preference, settling.most * gap)
    scheme, judge = _scheme(problem, settings, grid, settling)
    checkpoints = keeping.checkpoints(problem, preference, settings, way)
    with checkpoints.guarding():
        return propagate(
            problem.execution, scheme, preference, gap, settings.stop, judge, callback, checkpoints
        )


def _scheme(problem: Problem, settings: Settings, grid: Grid, settling: Settling) -> tuple[Scheme, Judge]:
    execution, damping = problem.execution, settings.damping
    if settings.scheme == "classic":
        assert damping is not None
        return Classic(damping, Messages.at_rest(problem.survey.n_edges), grid), LastSeen()
    mean_degree = problem.survey.n_edges / max(1, execution.n_points)
    damping = damping_for_degree(mean_degree) if damping is None else damping
    return (
        Compact(damping, TOTAL_DAMPING, TOTAL_DAMPING, execution.dtype, grid, settling),
        BestSeen(problem, LOOK_EVERY, settings.stop.tol),
    )


def _refinement(
    problem: Problem, settings: Settings, propagation: Propagation, verbose: bool
) -> Refinement | None:
    if settings.refine != "search":
        return move_to_medoids if settings.refine == "medoid" else None
    effort = Effort.after(len(propagation.history), problem.survey.n_edges)

    def searched(problem: Problem, assignment: Assignment) -> Assignment:
        with told_of_readings("search", effort.n_readings, verbose) as told:
            return search(problem, assignment, effort, settings.seed, told)

    return searched


def _warn(outcome: Outcome) -> None:
    if outcome in (Outcome.MAX_ITER_REACHED, Outcome.NO_EXEMPLARS):
        warn_not_converged(outcome.value)
    elif outcome is Outcome.ALL_EQUAL:
        warnings.warn(outcome.value, UserWarning, stacklevel=3)
