"""What all changes of clusters are made of: attract points, close an exemplar; keep it or take it back."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.compilation import helper
from sparse_ap.kernels.sorting import ascending
from sparse_ap.search.sizes.state import (
    BEGIN,
    HEAD,
    LEAST,
    MOST,
    N_MISFITS,
    N_NEAR,
    N_RECORDED,
    N_WAITING,
    ROUNDING,
    TOTAL,
    allowed,
    best_other,
    is_misfit,
    move,
    undo,
)

__all__ = ["attract", "awaken", "close", "gains", "keep", "losses", "settle"]


@helper
def settle(graph: Any, clusters: Any, before: int, total: float) -> int:
    """Keep the present change if it is better, and let what is near it wait; else take it back."""
    n_misfits, gain = clusters.counts[N_MISFITS], clusters.amounts[TOTAL] - total
    if n_misfits > before or (n_misfits == before and gain <= clusters.amounts[ROUNDING]):
        undo(clusters, clusters.counts[BEGIN], total)
        return 0
    keep(graph, clusters)
    return 1


@helper
def keep(graph: Any, clusters: Any) -> None:
    """Let all wait that is near the present change, and begin another one."""
    for at in range(clusters.counts[BEGIN], clusters.counts[N_RECORDED]):
        i = clusters.point[at]
        awaken(graph, clusters, i)
        for k in (clusters.was[at], clusters.chosen[i]):
            if k >= 0 and not clusters.waiting[k]:
                awaken(graph, clusters, k)
                # Its room is what others may want.
                for edge in range(graph.in_starts[k], graph.in_starts[k + 1]):
                    _wait(clusters, clusters.chosen[graph.rows[edge]])
    clusters.counts[BEGIN] = clusters.counts[N_RECORDED]


@helper
def _wait(clusters: Any, i: int) -> None:
    if i >= 0 and not clusters.waiting[i]:
        counts = clusters.counts
        clusters.waiting[i] = True
        clusters.queue[(counts[HEAD] + counts[N_WAITING]) % len(clusters.queue)] = i
        counts[N_WAITING] += 1


@helper
def awaken(graph: Any, clusters: Any, i: int) -> None:
    """Let a point wait, and all that may represent it."""
    _wait(clusters, i)
    for edge in range(graph.starts[i], graph.starts[i + 1]):
        _wait(clusters, graph.columns[edge])


@helper
def losses(graph: Any, clusters: Any, k: int, most: int) -> int:
    """Write what each member would lose by leaving, inf for the exemplar; return how many there are.

    They may join clusters of fewer than ``most`` members.
    """
    n, j = 0, clusters.first[k]
    while j >= 0:
        clusters.other[j] = best_other(graph, clusters, j, k, most)[1]
        clusters.keys[n] = np.inf if j == k else clusters.value[j] - clusters.other[j]
        n, j = n + 1, clusters.after[j]
    return n


@helper
def gains(graph: Any, clusters: Any, k: int) -> float:
    """Write what each point with an edge to k would lose by joining it, inf if it may not; add up gains.

    Count the misfits among these points too.
    """
    begin, gained, n_misfits = graph.in_starts[k], 0.0, 0
    for edge in range(begin, graph.in_starts[k + 1]):
        j = graph.rows[edge]
        single = clusters.chosen[j] != j or (clusters.size[j] == 1 and not graph.must[j])
        gain = graph.weight[j] * graph.in_similarity[edge] - clusters.value[j]
        clusters.keys[edge - begin] = -gain if single and clusters.chosen[j] != k else np.inf
        if single and clusters.chosen[j] != k and gain > 0.0:
            gained += gain
        n_misfits += is_misfit(clusters, j)
    clusters.counts[N_NEAR] = n_misfits
    return gained


@helper
def attract(graph: Any, clusters: Any, k: int) -> None:
    """Let points join k: first those that gain, then misfits, then any until the cluster is large enough."""
    begin, n = graph.in_starts[k], graph.in_starts[k + 1] - graph.in_starts[k]
    order = clusters.room[ascending(clusters.keys[:n], clusters.room)]
    least, most = clusters.counts[LEAST], clusters.counts[MOST]
    for turn in range(3 if least > 1 or clusters.counts[N_MISFITS] > 0 else 1):
        for place in range(n):
            loss = clusters.keys[order[place]]
            if clusters.size[k] >= most or loss == np.inf or (turn == 0 and loss >= 0.0):
                break
            if turn == 2 and clusters.size[k] >= least:
                break
            j, edge = graph.rows[begin + order[place]], begin + order[place]
            c = clusters.chosen[j]
            if c == k or not allowed(clusters, j):
                continue
            if turn == 1 and c >= 0 and clusters.size[c] >= least:
                continue
            if c == j and clusters.size[j] != 1:
                continue
            move(clusters, j, k, graph.weight[j] * graph.in_similarity[edge])


@helper
def close(graph: Any, clusters: Any, k: int) -> None:
    """Move all members of a cluster to their next exemplars, the exemplar last."""
    j = clusters.first[k]
    while j >= 0:
        following = clusters.after[j]
        if j != k:
            to, value = best_other(graph, clusters, j, k, clusters.counts[MOST])
            move(clusters, j, to, value)
        j = following
    to, value = best_other(graph, clusters, k, k, clusters.counts[MOST])
    move(clusters, k, to, value)
