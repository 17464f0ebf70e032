"""A clustering with a given number of clusters: search for the cost that leads near it, then adjust exactly.

docs/design/0014-number-of-clusters.md has the method and the measurements behind the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sparse_ap.arguments import is_positive_integer, real_numbers, require_count
from sparse_ap.clustering.continuation import (
    Continuation,
    Solution,
    at_cost,
    first_cost,
    highest_cost,
    with_exactly,
    with_fewer,
    with_fewest,
)
from sparse_ap.clustering.fewest import refuse, require_covered, require_possible
from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.solver import Solver
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.elementary import exponential, logarithm
from sparse_ap.propagation.preferences import require_kept_edges
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options

__all__ = ["Trial", "neighbours_for", "next_cost", "options_for", "with_n_clusters"]

# First short runs until the number is within 10 %, then whole runs until it is within 3 %; at most so many of
# each. The few clusters still missing or too many are opened or closed at the end (`exact_k`).
_SHORT_RUNS, _ABOUT = 10, 0.1
_WHOLE_RUNS, _NEARLY = 3, 0.03
# If twice the cost has not lowered the number by this factor, still higher costs will hardly lower it.
_FLAT = 1.1
# Neighbours of each point where nothing else is asked for; most edges where large clusters need more.
_NEIGHBOURS, _MOST_EDGES = 15, 10_000_000


def neighbours_for(n_points: int, n_clusters: int | None) -> int:
    """Return how many neighbours of each point make a graph that can be so many clusters.

    A cluster holds points that have its exemplar among their neighbours: twice the mean size of a cluster,
    where that is more than usual and the graph does not get too large. (What is no number is refused later.)
    """
    if not is_positive_integer(n_clusters):
        return _NEIGHBOURS
    assert n_clusters is not None
    return max(_NEIGHBOURS, min(-(-2 * n_points // n_clusters), _MOST_EDGES // n_points))


def options_for(n_clusters: object, options: Options) -> Options:
    """Return the options of a run with a given number of clusters.

    Raises
    ------
    InvalidInputError
        The number is not a positive integer, or another option contradicts it.
    """
    require_count("n_clusters", n_clusters)
    preference, scheme, refine = options.preference, options.scheme, options.refine
    given = f"n_clusters={n_clusters} (--n-clusters) was given"
    if preference is not None and np.ndim(preference) > 0 and not _is_one_number(preference):
        raise InvalidInputError(
            f"{given} with a preference for each point; there can be one number, where the search for the "
            "preference of all begins, and inf or -inf for points that are always or never exemplars. Leave "
            "out the preference."
        )
    if scheme == "classic":
        raise InvalidInputError(
            f"{given} with scheme='classic'; it is for scheme='compact', whose messages can go on from one "
            "preference to the next. Leave out the scheme."
        )
    if refine not in ("auto", "search"):
        raise InvalidInputError(
            f"{given} with refine={refine!r}; the last few clusters are opened or closed by the search. "
            "Leave out refine."
        )
    if options.limits_sizes:
        raise InvalidInputError(
            f"{given} with max_cluster_size or min_cluster_size, which open and close clusters. Give one of "
            "the two; a preference leads to about as many clusters as wanted, within the sizes."
        )
    if options.alike != 0:
        raise InvalidInputError(
            f"{given} with collapse_duplicates={options.collapse_duplicates}; where equal points have a "
            "similarity other than 0, each group of them has a preference of its own, and there is no common "
            "one to search. Give a preference instead."
        )
    if options.start is not None:
        raise InvalidInputError(
            f"{given} with start; the number is found by several runs, each of which begins where the one "
            "before has ended. Leave out one of them; or give the preference of a clustering of that size."
        )
    if options.checkpoint is not None:
        raise InvalidInputError(
            f"{given} with checkpoint; checkpoints are of a single run, and the number is found by several. "
            "Leave out the checkpoint; or take the preference of a clustering of that size, and give that."
        )
    return replace(options, scheme="compact", refine="search")


def _is_one_number(preference: ArrayLike) -> bool:
    """Whether all preferences that are not infinite are one number."""
    try:
        given = real_numbers(preference)
    except (TypeError, ValueError, OverflowError):
        return True  # refused later, in better words
    infinite = np.isinf(given)
    return bool(infinite.any()) and len(np.unique(given[~infinite])) == 1


def with_n_clusters(solver: Solver, problem: Problem, n_clusters: int) -> tuple[Problem, Clustering]:
    """Return a clustering with exactly ``n_clusters`` clusters, and the problem at its preference.

    Parameters
    ----------
    solver : Solver
        A solver with the compact scheme.
    problem : Problem
        Its preference, one number for all points, is where the search starts.
    n_clusters : int
        At least 1.

    Raises
    ------
    InvalidInputError
        No clustering with so few clusters exists, or none was found.
    """
    require_possible(problem, n_clusters)
    # Several runs read the edges hundreds of times: a small graph is fetched from a cluster first.
    problem, continuation = local_problem(problem), Continuation(solver)
    require_covered(problem, n_clusters)
    within = _ABOUT * n_clusters
    about, _ = _bracketed(
        continuation.short, at_cost(problem, first_cost(problem)), n_clusters, within, _SHORT_RUNS
    )
    # Aim slightly below: an exemplar can always be opened, but not always closed.
    within = _NEARLY * n_clusters
    near, others = _bracketed(continuation.full, about.problem, n_clusters - within, within, _WHOLE_RUNS)
    found = with_exactly(solver, near, n_clusters, others)
    if found.n_clusters > n_clusters:
        # Closing alone is stuck where each exemplar is some point's only one; a search at the highest cost
        # moves others there first.
        found = with_exactly(solver, with_fewer(solver, found), n_clusters)
    if found.n_clusters > n_clusters:
        # The last resort does not depend on n_clusters, so every refusal names the same fewest clusters.
        found = with_exactly(solver, found, n_clusters, [with_fewest(solver, problem)])
    if found.n_clusters > n_clusters:
        refuse(
            problem, n_clusters,
            f"no clustering of this graph was found with fewer than {found.n_clusters} clusters",
            "Ask for that many or more",
        )  # fmt: skip
    least, origin = problem.min_similarity, problem.graph.store.origin
    if least is None or least <= origin.floor:
        weights = None if problem.weighting is None else problem.weighting.weights
        # All with a choice have one preference.
        require_kept_edges(found.problem.free_preference[:1], origin, weights)
    return found.problem, found.clustering()


def _bracketed(
    found_at: Callable[[Problem], Solution], problem: Problem, n_clusters: float, within: float, n_times: int
) -> tuple[Solution, Sequence[Solution]]:
    """Run at a sequence of costs until the number of clusters is near the target.

    Parameters
    ----------
    found_at : callable
        Function from a problem to its solution.
    problem : Problem
        The problem at the first cost.
    n_clusters : float
        Target.
    within : float
        Largest accepted distance from the target.
    n_times : int
        Largest number of runs.

    Returns
    -------
    nearest : Solution
        The solution nearest to the target, by the logarithm of its number of clusters.
    tries : list of Solution
        All solutions, in order.
    """
    tries: list[Solution] = []
    while True:
        found = found_at(problem)
        flat = any(2 * t.cost <= found.cost and t.n_clusters < _FLAT * found.n_clusters for t in tries)
        tries.append(found)
        near = abs(found.n_clusters - n_clusters) <= within
        if near or flat or len(tries) == n_times or found.cost >= highest_cost(problem):
            return min(tries, key=lambda t: abs(logarithm(t.n_clusters / n_clusters))), tries
        cost = next_cost([Trial(t.cost, t.n_clusters) for t in tries], n_clusters)
        problem = at_cost(problem, min(highest_cost(problem), cost))


# Assumed exponent of number ~ cost**-power while there is a single run; the least exponent that is believed;
# and the largest step away from the tried costs, in logarithm.
_POWER = 1.0
_LEAST_POWER = 0.05
_FARTHEST = logarithm(4.0)
# Smallest distance of the next cost from the ends of the bracket, as a share of the bracket.
_MARGIN = 0.1


class Trial(NamedTuple):
    """A cost, and the number of clusters found at that cost."""

    cost: float
    n_clusters: int


def next_cost(tries: Sequence[Trial], n_clusters: float) -> float:
    """Return the cost at which to expect ``n_clusters`` clusters.

    The number of clusters is modelled as a power of the cost.

    Parameters
    ----------
    tries : sequence of Trial
        At least one, in the order in which they were run; costs are positive.
    n_clusters : float
        Target.
    """
    too_many = [t for t in tries if t.n_clusters > n_clusters]
    too_few = [t for t in tries if t.n_clusters <= n_clusters]
    if too_many and too_few:
        # Two runs in a row on one side: the interpolation creeps, so halve (as the Illinois method avoids
        # it).
        same_side = len({t.n_clusters > n_clusters for t in tries[-2:]}) == 1
        return _between(max(too_many), min(too_few), n_clusters, halved=same_side)
    nearest = max(too_many) if too_many else min(too_few)
    away = logarithm(nearest.n_clusters / n_clusters) / _power(tries, nearest)
    return nearest.cost * exponential(max(-_FARTHEST, min(_FARTHEST, away)))


def _between(low: Trial, high: Trial, n_clusters: float, halved: bool) -> float:
    """Interpolate between the logarithms of two costs, away from both ends; if ``halved``, at the middle."""
    fall = logarithm(low.n_clusters / high.n_clusters)
    share = 0.5 if halved else logarithm(low.n_clusters / n_clusters) / fall
    share = max(_MARGIN, min(1.0 - _MARGIN, share))
    return low.cost * exponential(share * logarithm(high.cost / low.cost))


def _power(tries: Sequence[Trial], nearest: Trial) -> float:
    """Return the exponent of the number's fall with the cost, from the nearest try and its neighbour."""
    others = [t for t in tries if t.cost != nearest.cost and t.n_clusters != nearest.n_clusters]
    if not others:
        return _POWER
    other = min(others, key=lambda t: abs(logarithm(t.cost / nearest.cost)))
    fall = logarithm(other.n_clusters / nearest.n_clusters) / logarithm(nearest.cost / other.cost)
    return max(_LEAST_POWER, float(fall))
