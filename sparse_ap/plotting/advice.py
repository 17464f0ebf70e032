"""What a result means, and what to do next, in sentences for the report."""

from __future__ import annotations

import numpy as np

from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.result import Clustering

__all__ = ["meaning", "next_steps"]


def meaning(shown: Clustering | Hierarchy | Cut) -> list[str]:
    """Return what a result says of the points."""
    if isinstance(shown, Hierarchy):
        counts = shown.n_clusters
        return [
            f"A tree of {len(shown.labels(0)):,} points: {counts[0]:,} clusters, put together level by "
            f"level, down to {counts[-1]:,}. Every exemplar is one on all finer levels too."
        ]
    if not shown.n_clusters:
        return ["There are no clusters."]
    n_points = int((shown.labels >= 0).sum())
    told = (
        f"{shown.n_clusters:,} {'exemplar stands' if shown.n_clusters == 1 else 'exemplars stand'} for "
        f"{n_points:,} points: one for {n_points / shown.n_clusters:,.1f} on average."
    )
    return [told] if isinstance(shown, Cut) else [told, _quality(shown)]


def _quality(clustering: Clustering) -> str:
    gap, fewest = clustering.optimality_gap, clustering.n_clusters_bound
    if fewest is not None:
        so = ", so no cover is smaller" if clustering.optimal else ""
        return f"At least {fewest:,} exemplars are needed{so}: proven."
    where = "for all pairs of points" if clustering.bound_is_complete else "on this graph"
    if clustering.optimal:
        return f"No clustering {where} has a larger net similarity: proven, within the solver's tolerance."
    if gap is None or np.isnan(gap):
        return "How far it is from the best possible clustering is not known."
    return f"No clustering {where} has a net similarity larger by more than {gap:.2%}: proven."


def next_steps(shown: Clustering | Hierarchy | Cut) -> list[str]:
    """Return what can be done with a result, by the calls and commands that do it."""
    if isinstance(shown, Hierarchy):
        return [
            "A wanted number of clusters: tree.cut_exactly(20), or --n-clusters 20.",
            "To look inside, from the groups to their members: sparse_ap.write_explorer(tree, "
            "'explore.html'), or --explore explore.html.",
        ]
    if isinstance(shown, Cut):
        return ["The tree that it was cut from has other numbers of clusters: tree.cut_exactly(...)."]
    return [*_of_sizes(shown), *_of_bound(shown), *_of_points(shown)]


def _of_sizes(clustering: Clustering) -> list[str]:
    steps = []
    if clustering.mostly_tiny:
        steps.append(
            "Half of the clusters are so small that they are right for representatives, and too small for "
            "groups: sparse_ap.hierarchy (sparse-ap tree) has groups of every size."
        )
    if clustering.preference is not None and clustering.preference < 0:
        steps.append(
            f"Fewer clusters: a lower preference, such as {_roughly(2 * clustering.preference)}; more: a "
            f"higher one, such as {_roughly(clustering.preference / 2)}. sparse_ap.preference_path "
            "(sparse-ap path) compares several."
        )
    return steps


def _roughly(number: float) -> str:
    """Return a number in three digits, in signs that Python and the command line take."""
    return f"{float(f'{number:.3g}'):.12g}"


def _of_bound(clustering: Clustering) -> list[str]:
    known = clustering.net_similarity_bound is not None or clustering.n_clusters_bound is not None
    if known or clustering.optimal or clustering.outcome is Outcome.GROUPED:
        return []
    return ["How good it is: certify=True (--certify) proves how much better any clustering could be."]


def _of_points(clustering: Clustering) -> list[str]:
    steps = []
    if clustering.n_unrepresented:
        steps.append(
            f"Nobody can represent {clustering.n_unrepresented:,} points, with the label −1: link them with "
            "more neighbours, or let more points be exemplars."
        )
    if clustering.n_clusters:
        steps.append("New points: clustering.predict, or sparse-ap predict.")
    return steps
