"""The search for all pairs within a distance: which way is taken, and its tasks in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.arguments import progress_bar
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbours.search import threads
from sparse_ap.graphs.neighbours.space import space_of
from sparse_ap.graphs.neighbours.tree_search import MINKOWSKI, suits_tree
from sparse_ap.graphs.pairs.found import NearPairs, Pairs, PairSearch
from sparse_ap.graphs.pairs.products import AllDistances, Products
from sparse_ap.graphs.pairs.sharing import SharedFeatures
from sparse_ap.graphs.pairs.threshold import Threshold, falling
from sparse_ap.graphs.pairs.tree import TreeSearch

__all__ = ["near_pairs", "pair_search_for"]

# Tasks of each thread whose results wait to be taken.
_AHEAD = 2


def pair_search_for(X: Any, metric: str) -> str:
    """Return the name of the search for the near pairs of these points."""
    if scipy.sparse.issparse(X):
        return "inverted index"
    return "k-d tree" if suits_tree(metric, X.shape[1]) else "all pairs"


def near_pairs(
    X: Any, metric: str, threshold: Threshold, n_threads: int, *, verbose: bool
) -> Iterator[NearPairs]:
    """Yield all pairs of points whose similarity is at least that of a threshold, each pair once.

    The pieces are the same for any number of threads.

    Parameters
    ----------
    X : ndarray or csr_array, shape (n, n_features)
        Checked points.
    metric : str
    threshold : Threshold
    n_threads : int
    verbose : bool
        Whether to show progress, if standard error is a terminal.
    """
    searches = _searches(X, metric, threshold.reach)
    n_tasks = sum(len(search.tasks) for search in searches)
    narrowing = Narrowing(np.dtype(np.float32), "Divide the points by one number.")
    with (
        threads(n_threads) as pool,
        progress_bar(verbose, n_tasks, "near pairs", unit="block") as bar,
    ):
        for search in searches:
            for one, other, distances in _in_order(search, pool, _AHEAD * n_threads):
                bar.update()
                yield NearPairs(one, other, narrowing(falling(threshold.similarity, distances)))


def _searches(X: Any, metric: str, reach: float) -> list[PairSearch]:
    """Return searches that find all pairs together."""
    way = pair_search_for(X, metric)
    if way == "inverted index":
        return [SharedFeatures.of(X, metric, reach)]
    space = space_of(X, metric)
    if way == "k-d tree":
        return [TreeSearch.of(space, reach)]
    if metric in MINKOWSKI and metric != "euclidean":
        return [AllDistances(space, np.arange(space.n), reach)]
    # A few points far away from all others would coarsen the whole numbers of the rest; points without
    # direction are at distance 1.
    remote = space.remote()
    left_out = np.concatenate([remote, space.directionless()]) if reach < 1 else remote
    rows = np.setdiff1d(np.arange(space.n), left_out)
    return [AllDistances(space, remote, reach), Products.of(X, rows, space, reach)]


def _in_order(search: PairSearch, pool: ThreadPoolExecutor, ahead: int) -> Iterator[Pairs]:
    """Yield what the tasks find, in their order; few results wait, so that they fit into memory."""
    waiting: deque[Future[Pairs]] = deque()
    for task in search.tasks:
        waiting.append(pool.submit(search.find, task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
