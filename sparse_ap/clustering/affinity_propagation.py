"""The public function: check, plan, choose store and executor, propagate, read out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.n_clusters import options_for, with_n_clusters
from sparse_ap.clustering.solver import Solver, open_problem
from sparse_ap.errors import warn, warn_not_converged
from sparse_ap.execution.plans import Resources
from sparse_ap.kernels.block import Float64Array
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.readout import all_equal, arbitrary
from sparse_ap.propagation.result import Clustering, Outcome, SweepReport
from sparse_ap.propagation.settings import Options
from sparse_ap.search.bound import with_bound

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["affinity_propagation", "clustered", "warn_of"]


@showing_compilation
def affinity_propagation(
    similarity: Any,
    *,
    preference: ArrayLike | None = None,
    preference_quantile: float | None = None,
    n_clusters: int | None = None,
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
        of a sparse matrix are edges: an absent entry, a masked one, or -inf, means that k cannot
        represent i, and a stored 0 is a similarity of 0. Neither symmetry nor sorted columns are needed;
        of duplicates the largest counts; the diagonal is ignored. It is never written to.
        On a cluster also a dask array, its chunks CSR or dense (NaN and -inf: no edge), or a dask dataframe
        of edges: its first three columns are row, column and similarity, points numbered from 0. Without
        ``client`` the active one is taken.
    preference : float, array-like of shape (n_points,), or None
        How much each point gains by being an exemplar: larger means more clusters. None: the median
        of the stored similarities (of an ndarray, scikit-learn's: all its entries).
    preference_quantile : float in [0, 1], optional
        Take this quantile of the stored similarities off the diagonal as preference.
    n_clusters : int, optional
        Return exactly so many clusters: the preference that leads there, one for all points, is looked for
        from the one given, by several runs, at one and a half to four times the cost of one. With
        ``scheme="compact"``, which then is the default, and ``refine="search"``.
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
        over the edges. With ``n_clusters`` it is that at the preference found.
    random_state : int, RandomState, Generator or None
        Seed of the tiny differences between preferences that break ties; nothing else is random.
        None: a new one each time.
    n_jobs : int, optional
        Threads that compute at a time. None or -1: one for each processor this process may use. There are
        never more than that, nor more than find something to do: a small graph is read by one. The result is
        the same to the bit for any number. (For a graph on disk there is one more, since one is reading.)
    memory_limit : int or str, optional
        Bytes that the whole process may hold, such as ``"2GB"``. Of the plans the fastest that fits is
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
        Of a dask cluster whose workers read the graph and do the work; only vectors travel, and, for what
        reads it hundreds of times, a small graph. The result is the same to the bit. This process keeps the
        state of the run, and ``memory_limit`` is for it alone.
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
    options = Options(
        preference=preference,
        preference_quantile=preference_quantile,
        damping=damping,
        max_iter=max_iter,
        convergence_iter=convergence_iter,
        tol=tol,
        scheme=scheme,
        refine=refine,
        reorder=reorder,
        missing=missing,
        check_finite=check_finite,
        certify=certify,
        random_state=random_state,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        resume=resume,
        callback=callback,
    )
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    if n_clusters is not None:
        options = options_for(n_clusters, options)
    with open_problem(similarity, options, resources) as (solver, problem, row_best):
        if n_clusters is not None:
            problem, clustering = with_n_clusters(solver, problem, int(n_clusters))
        else:
            problem, clustering = clustered(solver, problem, row_best)
        if certify:
            clustering = with_bound(local_problem(problem), clustering, verbose)
    warn_of(clustering.outcome)
    return clustering


def clustered(solver: Solver, problem: Problem, row_best: Float64Array) -> tuple[Problem, Clustering]:
    """Return the clustering that a run leads to, or scikit-learn's where all points are alike.

    The problem comes back with it: with a local copy of its graph where one was made.
    """
    if all_equal(problem):
        return problem, arbitrary(problem)
    return solver.clustering(problem, row_best)


def warn_of(outcome: Outcome) -> None:
    """Warn of runs that did not end well."""
    if outcome in (Outcome.MAX_ITER_REACHED, Outcome.NO_EXEMPLARS):
        warn_not_converged(outcome.value)
    elif outcome is Outcome.ALL_EQUAL:
        warn(outcome.value)
