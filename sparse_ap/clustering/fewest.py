"""Numbers of clusters that the edges of a graph forbid, and what is said of them."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from sparse_ap.clustering.input import held_rows
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.problem import Problem
from sparse_ap.search.cover_bound import least_exemplars, packed, parts_of

__all__ = ["TooFewClustersError", "refuse", "require_covered", "require_possible"]

# The bound on the number of clusters is less than so many times the rough one.
_SHARPER = 4


class TooFewClustersError(InvalidInputError):
    """No clustering along the edges has so few clusters, but groups of clusters may be so few."""


def require_possible(problem: Problem, n_clusters: int) -> None:
    """Refuse a number of clusters above the number of points or below the bound by in-degrees."""
    n, most = problem.graph.n_points - problem.n_unrepresented, 1 + problem.edges.max_in_degree
    if n_clusters > n:
        of_what = "points" if problem.duplicates is None else "points that differ (collapse_duplicates)"
        raise InvalidInputError(f"n_clusters={n_clusters}, but there are only {n} {of_what}.")
    if problem.roles is not None and n_clusters > problem.roles.n_candidates:
        raise InvalidInputError(
            f"n_clusters={n_clusters}, but only {problem.roles.n_candidates} points may be exemplars. Ask "
            "for fewer clusters, or allow more exemplars."
        )
    if problem.roles is not None and n_clusters < problem.roles.n_pinned:
        raise InvalidInputError(
            f"n_clusters={n_clusters}, but {problem.roles.n_pinned} points have a preference of inf, which "
            "makes them exemplars always. Ask for that many clusters or more, or give fewer points that "
            "preference."
        )
    if n_clusters * most < n:
        _require_joined(problem, n_clusters)
        raise TooFewClustersError(
            f"n_clusters={n_clusters}, but no clustering of this graph has fewer than {-(-n // most)} "
            f"clusters: at most {most} of the {n} points can have the same exemplar, for want of edges to "
            f"any. Ask for more clusters, or give each point more neighbours; or {_by_tree(n_clusters)}."
        )


def require_covered(problem: Problem, n_clusters: int) -> None:
    """Refuse a number of clusters below a bound that is proven in less time than a run takes."""
    rows = held_rows(problem.graph)
    if rows is None or _SHARPER * packed(*rows) <= n_clusters + problem.n_unrepresented:
        return
    nobody = np.zeros(problem.graph.n_points, np.bool_)
    least = least_exemplars(*rows, nobody, problem.user_id, most_restarts=1) - problem.n_unrepresented
    if n_clusters < least:
        refuse(
            problem, n_clusters, f"no clustering of this graph has fewer than {least} clusters",
            "Ask for more (preference_range finds the fewest that can be had)",
        )  # fmt: skip


def refuse(problem: Problem, n_clusters: int, least: str, advice: str) -> NoReturn:
    """Refuse a number of clusters; name the tree, unless parts of the graph are more than that."""
    _require_joined(problem, n_clusters)
    raise TooFewClustersError(
        f"n_clusters={n_clusters}, but {least}: every point needs an edge to its exemplar. {advice}, or give "
        f"each point more neighbours; or {_by_tree(n_clusters)}."
    )


def _require_joined(problem: Problem, n_clusters: int) -> None:
    """Refuse a number of clusters below that of the parts of a graph in memory."""
    rows = held_rows(problem.graph)
    n_parts = 0 if rows is None else parts_of(*rows)[0] - problem.n_unrepresented
    if n_clusters < n_parts:
        raise InvalidInputError(
            f"n_clusters={n_clusters}, but the graph has {n_parts} parts that no edge links, and each needs "
            "a cluster of its own. Ask for that many or more, or give each point more neighbours."
        )


def _by_tree(n_clusters: int) -> str:
    """Return the advice to cut a hierarchy, whose groups need no edges from all members to one."""
    return f"group clusters into so few: sparse_ap.hierarchy(...).cut_exactly({n_clusters})"
