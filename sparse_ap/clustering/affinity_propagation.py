"""`affinity_propagation`: its parameters, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.clustering.run import run, warn_of, weighed
from sparse_ap.execution.plans import Resources
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.progress import showing_compilation
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["affinity_propagation"]


@showing_compilation
def affinity_propagation(
    similarity: Any,
    *,
    preference: ArrayLike | None = None,
    preference_quantile: float | None = None,
    candidates: ArrayLike | None = None,
    unrepresented: Literal["error", "label"] = "error",
    min_similarity: float | None = None,
    weights: ArrayLike | None = None,
    collapse_duplicates: bool | float | None = None,
    max_cluster_size: int | None = None,
    min_cluster_size: int | None = None,
    n_clusters: int | None = None,
    start: Clustering | None = None,
    damping: float | None = None,
    max_iter: int = 200,
    convergence_iter: int | None = None,
    tol: float | None = None,
    scheme: Literal["auto", "compact", "classic"] = "auto",
    refine: Literal["auto", "search", "medoid"] | None = "auto",
    reorder: bool | Literal["auto"] = "auto",
    missing: Literal["nan"] | None = None,
    check_finite: bool = True,
    certify: bool | Literal["complete"] = False,
    missing_at_most: ArrayLike | None = None,
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
        Of shape (n_points, n_points). A path, or URL, names a graph on disk, as
        `sparse_ap.graphs.open_graph` takes it.
        Entry (i, k) says how well k would represent i; larger is better, any sign. Only stored entries
        of a sparse matrix are edges: an absent entry, a masked one, or -inf, means that k cannot
        represent i, and a stored 0 is a similarity of 0. The matrix may be asymmetric and its columns
        unsorted; of duplicates the largest counts; the diagonal is ignored. The graph is never written to.
        On a cluster also a dask array, its chunks CSR or dense (NaN and -inf: no edge), or a dask dataframe
        of edges: its first three columns are row, column and similarity, points numbered from 0. Without
        ``client`` the active one is taken.
    preference : float, array-like of shape (n_points,), or None
        How much each point gains by being an exemplar: larger means more clusters. None: the median
        of the stored similarities (of an ndarray, scikit-learn's: all its entries). inf: the point is always
        an exemplar, and adds nothing to ``exemplar_preference``; -inf: it never is one. Both need
        ``scheme="compact"``, which then is the default.
    preference_quantile : float in [0, 1], optional
        Take this quantile of the stored similarities off the diagonal as preference.
    candidates : array-like of bool, shape (n_points,), or of int, optional
        Points that may be exemplars: True for these, or their numbers. All others are as with a preference of
        -inf.
    unrepresented : {"error", "label"}
        What happens with points that may not be exemplars and have no edge to any that may. "error": they are
        refused. "label": they get the label -1 and a similarity of NaN, and add nothing to any sum or bound.
    min_similarity : float, optional
        Nobody is represented by an exemplar less similar than this; an edge of just this similarity, rounded
        to the precision of the graph, stays. The default ``preference`` is then the median of the edges that
        are left, and the clustering that of a graph without the others. (`write_graph`, which has a parameter
        of this name too, leaves out edges of just this similarity as well.)
    weights : array-like of float, shape (n_points,), optional
        How often each point's similarity to its exemplar counts, above 0. An exemplar's preference counts
        once, whatever it weighs. So a point of weight 3 is like three equal points whose similarity to each
        other is 0. The default ``preference`` is the median without weights. A run with weights is in 64
        bits, on a copy of the similarities if they are in memory.
    collapse_duplicates : bool or float, optional
        The similarity of equal points to each other, such as 1 for "1-d"; True: 0. Of several equal points
        the run has one, with their weights added, which saves memory and time; the result is of all of them,
        and its exemplar of each group is the first that serves as well as any. Equal are points with edges
        of this similarity, the largest of their rows, whose rows and columns say the same of all others, as
        far as they go: what one row lacks must be no more than its smallest entry. Needs
        ``scheme="compact"``, which then is the default, and copies the graph if it is in memory.
    max_cluster_size, min_cluster_size : int, optional
        No cluster has more, or fewer, points than this, the exemplar counted. A search changes what the run
        has found until all clusters keep to it; a point then need not be with its most similar exemplar.
        Points for which there is no such cluster are treated as ``unrepresented`` says. The search holds the
        edges in this process, 48 bytes for each. What is proven by ``certify`` is that no clustering of any
        sizes exceeds ``net_similarity_bound``. Not with ``n_clusters`` or ``collapse_duplicates``; and
        ``min_cluster_size`` not with points that are always exemplars.
    n_clusters : int, optional
        Return exactly this many clusters. Several runs search for one preference, common to all points, that
        leads there, starting from ``preference``; they cost one and a half to four times as much as one
        run. Needs ``scheme="compact"``, which then is the default, and ``refine="search"``.
    start : Clustering, optional
        A clustering of these points to begin with, of another preference or graph. There are some 20 sweeps
        then; where they lead to better exemplars, place by place, those are taken; ``refine`` goes on from
        there. The net similarity is at least that of the exemplars of ``start``, with more where points have
        no edge to one. Not with ``n_clusters`` or ``checkpoint``. For more points, or fewer, see `extend`.
    damping : float in [0.5, 1), optional
        Share of the old responsibility kept in each sweep; a larger share helps runs that oscillate.
        Default for "classic": 0.5, as in scikit-learn. For "compact": 0.5 to 0.9, by the mean number of
        edges per point.
    max_iter : int
        Largest number of sweeps.
    convergence_iter : int, optional
        The run ends when few points, or none, have changed in this many sweeps; ``max_iter`` must be larger
        for that to happen. Sweeps count from the one after which messages have nine tenths of their size:
        the 22nd at ``damping=0.9``, the 45th at 0.95. Default 31 for "compact"; 15 for "classic", as in
        scikit-learn.
    tol : float in [0, 1), optional
        Share of the points that may be unsettled when the run ends. Default 1e-4 for "compact", 0 for
        "classic", scikit-learn's rule. With "compact" also the share that may have no edge to an
        exemplar.
    scheme : {"auto", "compact", "classic"}
        "compact" keeps no state on the edges and is the one for large graphs; "classic" is the
        paper's update, message by message, whose answer is scikit-learn's unless there is a better one.
        "auto": "classic" for an ndarray, "compact" for everything else.
    refine : {"auto", "search", "medoid"} or None
        How to improve the exemplars after the last sweep; the net similarity never falls. "search": a local
        search that opens, closes and swaps exemplars, and in large graphs reads the edges up to half as
        often as the sweeps did; with "classic" it starts from the medoids and from the answer of
        "compact", and where neither leads to a larger net similarity the medoids stay. "medoid": move each
        exemplar once to the medoid of its cluster, as scikit-learn does. "auto": "search".
    reorder : bool or "auto"
        Work on a copy whose points are renumbered so that neighbours lie near each other: sweeps are
        about twice as fast, for the memory of the copy. The result is the same to the bit.
        "auto": from 100,000 points on.
    missing : {"nan"} or None
        "nan": an entry that is NaN is no edge, like -inf. None: NaN is refused.
    check_finite : bool
        Whether to check every entry before the run. False saves one reading of the graph. Use it only for
        graphs with finite entries, valid column ids, no diagonal and no duplicates, such as
        `sparse_ap.graphs` makes; a graph that breaks this promise may crash the process.
    certify : bool
        Also compute ``net_similarity_bound``, which no clustering of the graph exceeds, by up to 130 more
        passes over the edges. With ``n_clusters`` the bound holds at the preference found. Where the bound
        leaves few edges over that could belong to a better clustering (20,000 at most), HiGHS looks for the
        best one: ``optimal`` is True if it comes to an end. Better exemplars that it finds are taken with
        ``refine="search"`` and without ``n_clusters``. "complete":
        the bound that no clustering of the *complete* graph exceeds, whatever edges are missing from this one
        (``bound_is_complete``). It needs to be known what those can be: a `KNNGraph`, or a graph on disk,
        that holds ``missing_at_most``; or that parameter; or a graph of all pairs.
    missing_at_most : float or array of shape (n_points,), optional
        With ``certify="complete"``: no similarity s(i, k) that is not an edge of the graph exceeds that of
        row i. *Not* the smallest stored similarity of the row. None: what the graph knows.
    random_state : int, RandomState, Generator or None
        Seed of the tiny differences between preferences that break ties, and of the search's perturbations.
        None: a new seed for each call.
    n_jobs : int, optional
        Number of computing threads. None or -1: one for each processor this process may use. There are
        never more than that, nor more than have work: a small graph is read by one. The result is the same
        to the bit for any number. (A graph on disk needs one more thread, which reads.)
    memory_limit : int or str, optional
        Bytes that the whole process may hold, such as ``"2GB"``. The fastest plan that fits is chosen: read
        a graph on disk into memory or not, renumber the points or not, use fewer threads. The result is the
        same to the bit. None: for a graph on disk, most of the free memory; otherwise no limit.
    checkpoint : path, optional
        Folder for the state of the run (about 60 bytes per point), from which a later call can resume. Ctrl-C
        and SIGTERM then end the run after the current sweep, once its state is written.
    checkpoint_every : int
        Sweeps between checkpoints.
    resume : bool
        Continue from the newest checkpoint, or start anew where there is none. The graph and the parameters
        must be the same, except ``max_iter``, ``n_jobs``, ``memory_limit``, ``client`` and the place of the
        graph; the result is that of an uninterrupted run, to the bit.
    client : distributed.Client, optional
        Client of a dask cluster whose workers read the graph and compute. Only vectors travel between this
        process and the workers; a small graph is fetched once, for the steps that read it hundreds of times.
        The result is the same to the bit. The state of the run stays in this process, and ``memory_limit``
        applies to this process alone.
    callback : callable, optional
        Called after each sweep with a `SweepReport`. An exception that it raises ends the run.
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
        The run does not fit into the allowed memory; raised before the computation starts.
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
        A `UserWarning`: no similarity is negative, so the entries may be distances. It is not issued where
        entries on the diagonal are positive or rows are sorted with the largest first.
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
        preference=preference, preference_quantile=preference_quantile, candidates=candidates,
        unrepresented=unrepresented, min_similarity=min_similarity, weights=weights,
        collapse_duplicates=collapse_duplicates, max_cluster_size=max_cluster_size,
        min_cluster_size=min_cluster_size, start=start, damping=damping,
        max_iter=max_iter, convergence_iter=convergence_iter, tol=tol, scheme=scheme, refine=refine,
        reorder=reorder, missing=missing, check_finite=check_finite, certify=certify,
        missing_at_most=missing_at_most, random_state=random_state, checkpoint=checkpoint,
        checkpoint_every=checkpoint_every, resume=resume, callback=callback,
    )  # fmt: skip
    resources = Resources(n_jobs=n_jobs, memory_limit=memory_limit, client=client, verbose=verbose)
    clustering = weighed(run(similarity, n_clusters, options, resources), options)
    warn_of(clustering.outcome)
    return clustering
