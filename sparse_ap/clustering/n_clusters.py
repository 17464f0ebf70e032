"""A wanted number of clusters: find the cost of an exemplar that leads there, then land on it exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, NoReturn

import numpy as np

from sparse_ap.arguments import require_count
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
from sparse_ap.clustering.input import local_problem
from sparse_ap.clustering.solver import Solver
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.preferences import require_kept_edges
from sparse_ap.propagation.problem import Problem
from sparse_ap.propagation.result import Clustering
from sparse_ap.propagation.settings import Options

__all__ = ["Trial", "next_cost", "options_for", "with_n_clusters"]

# Runs of a few sweeps until the number is about right, then whole runs until it is nearly right; each as
# often as this at most. What is missing then, a few clusters more or less, is made up for at the end.
_SHORT_RUNS, _ABOUT = 10, 0.1
_WHOLE_RUNS, _NEARLY = 3, 0.03
# Where twice the cost has not made the number fall by this factor, still dearer ones will hardly do so.
_FLAT = 1.1


def options_for(n_clusters: object, options: Options) -> Options:
    """Return the options of a run that is to lead to a number of clusters.

    Raises
    ------
    InvalidInputError
        The number is none, or another option says otherwise.
    """
    require_count("n_clusters", n_clusters)
    preference, scheme, refine = options.preference, options.scheme, options.refine
    given = f"n_clusters={n_clusters} (--n-clusters) was given"
    if preference is not None and np.ndim(preference) > 0:
        raise InvalidInputError(
            f"{given} with a preference for each point; there can be one number, where the search for the "
            "preference of all begins. Leave out the preference."
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
    if options.checkpoint is not None:
        raise InvalidInputError(
            f"{given} with checkpoint; checkpoints are of a single run, and the number is found by several. "
            "Leave out the checkpoint; or take the preference of a clustering of that size, and give that."
        )
    return replace(options, scheme="compact", refine="search")


def _require_possible(problem: Problem, n_clusters: int) -> None:
    """Refuse numbers of clusters that no clustering of the graph can have."""
    n, most = problem.graph.n_points, 1 + problem.edges.max_in_degree
    if n_clusters > n:
        raise InvalidInputError(f"n_clusters={n_clusters}, but there are only {n} points.")
    if n_clusters * most < n:
        raise InvalidInputError(
            f"n_clusters={n_clusters}, but no clustering of this graph has fewer than {-(-n // most)} "
            f"clusters: at most {most} of the {n} points can have the same exemplar, for want of edges to "
            "any. Ask for more clusters, or give each point more neighbours."
        )


def with_n_clusters(solver: Solver, problem: Problem, n_clusters: int) -> tuple[Problem, Clustering]:
    """Return a clustering with exactly so many clusters, and the problem at the preference that led there.

    Parameters
    ----------
    solver : Solver
        With the compact scheme.
    problem : Problem
        Its preferences, one number for all, are where to begin.
    n_clusters : int
        At least 1.

    Raises
    ------
    InvalidInputError
        None was found with so few, or there can be none.
    """
    _require_possible(problem, n_clusters)
    problem, continuation = local_problem(problem), Continuation(solver)
    within = _ABOUT * n_clusters
    about, _ = _bracketed(
        continuation.short, at_cost(problem, first_cost(problem)), n_clusters, within, _SHORT_RUNS
    )
    # A bit below: what is missing can always be opened, what is too much cannot always be spared.
    within = _NEARLY * n_clusters
    near, others = _bracketed(continuation.full, about.problem, n_clusters - within, within, _WHOLE_RUNS)
    found = with_exactly(solver, near, n_clusters, others)
    if found.n_clusters > n_clusters:
        found = with_exactly(solver, with_fewer(solver, found), n_clusters)
    if found.n_clusters > n_clusters:
        found = with_exactly(solver, found, n_clusters, [with_fewest(solver, problem)])
    if found.n_clusters > n_clusters:
        _refuse(n_clusters, found.n_clusters)
    require_kept_edges(found.problem.preference, problem.graph.store.origin)
    return found.problem, found.clustering()


def _bracketed(
    found_at: Callable[[Problem], Solution], problem: Problem, n_clusters: float, within: float, n_times: int
) -> tuple[Solution, Sequence[Solution]]:
    """Try costs until there are about so many clusters; return the nearest found, and all."""
    tries: list[Solution] = []
    while True:
        found = found_at(problem)
        flat = any(2 * t.cost <= found.cost and t.n_clusters < _FLAT * found.n_clusters for t in tries)
        tries.append(found)
        near = abs(found.n_clusters - n_clusters) <= within
        if near or flat or len(tries) == n_times or found.cost >= highest_cost(problem):
            return min(tries, key=lambda t: abs(math.log(t.n_clusters / n_clusters))), tries
        cost = next_cost([Trial(t.cost, t.n_clusters) for t in tries], n_clusters)
        problem = at_cost(problem, min(highest_cost(problem), cost))


def _refuse(n_clusters: int, least: int) -> NoReturn:
    raise InvalidInputError(
        f"n_clusters={n_clusters}, but no clustering of this graph was found with fewer than {least} "
        "clusters: every point needs an edge to its exemplar. Ask for that many or more, or give each point "
        "more neighbours."
    )


# The power where there is one try only; and how far to leave the tries at most.
_POWER = 1.0
_LEAST_POWER = 0.05
_FARTHEST = math.log(4.0)
# How near to an end of the bracket to go, as a share of it.
_MARGIN = 0.1


class Trial(NamedTuple):
    """A cost and how many clusters there are at it."""

    cost: float
    n_clusters: int


def next_cost(tries: Sequence[Trial], n_clusters: float) -> float:
    """Return the cost at which to expect so many clusters.

    Parameters
    ----------
    tries : sequence of Try
        At least one, in the order of the trying; costs are positive.
    n_clusters : float
        How many to aim at.
    """
    too_many = [t for t in tries if t.n_clusters > n_clusters]
    too_few = [t for t in tries if t.n_clusters <= n_clusters]
    if too_many and too_few:
        same_side = len({t.n_clusters > n_clusters for t in tries[-2:]}) == 1
        return _between(max(too_many), min(too_few), n_clusters, halved=same_side)
    nearest = max(too_many) if too_many else min(too_few)
    away = math.log(nearest.n_clusters / n_clusters) / _power(tries, nearest)
    return nearest.cost * math.exp(max(-_FARTHEST, min(_FARTHEST, away)))


def _between(low: Trial, high: Trial, n_clusters: float, halved: bool) -> float:
    """Interpolate between the logarithms, not too near to either end; or halve, where one end has stayed."""
    fall = math.log(low.n_clusters / high.n_clusters)
    share = 0.5 if halved else math.log(low.n_clusters / n_clusters) / fall
    share = max(_MARGIN, min(1.0 - _MARGIN, share))
    return float(low.cost * (high.cost / low.cost) ** share)


def _power(tries: Sequence[Trial], nearest: Trial) -> float:
    """Return how steeply the number falls with the cost around the nearest try."""
    others = [t for t in tries if t.cost != nearest.cost and t.n_clusters != nearest.n_clusters]
    if not others:
        return _POWER
    other = min(others, key=lambda t: abs(math.log(t.cost / nearest.cost)))
    fall = math.log(other.n_clusters / nearest.n_clusters) / math.log(nearest.cost / other.cost)
    return max(_LEAST_POWER, fall)
