"""A local search within limits: clusters shed, attract and exchange members, open, close and swap exemplars.

A change is tried for real, and taken back unless it leaves fewer misfits, or as many at a larger net
similarity. Points are visited one after the other, first in the user's order, for as long as anything near
them has changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.compilation import helper, kernel
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
from sparse_ap.search.sizes.steps import attract, awaken, close, gains, keep, losses, settle

__all__ = ["improve"]

# Newcomers that are tried at each visit of a full cluster; clusters in a chain of exchanges.
_TRIED, _CHAIN = 8, 5


@kernel
def improve(graph: Any, clusters: Any, centres: Any, n_visits: int) -> None:
    """Let clusters shed members that are too large, and make changes until none is better; then disturb them.

    A disturbance, at each centre in turn, opens a point, or closes an exemplar, and holds it so until all
    around has adapted. What that leads to is taken back unless it is better. None begins after so many
    visits.
    """
    _shed(graph, clusters)
    left = n_visits - _run(graph, clusters, False)
    for i in centres:
        if left <= 0:
            break
        left -= _disturbed(graph, clusters, i)


@helper
def _run(graph: Any, clusters: Any, recording: bool) -> Any:
    """Visit the points that wait until none does, or the record is half full; return the number of visits."""
    counts, n_visits, n = clusters.counts, 0, len(clusters.size)
    while counts[N_WAITING] > 0:
        i = clusters.queue[counts[HEAD]]
        counts[HEAD] = (counts[HEAD] + 1) % n
        counts[N_WAITING] -= 1
        clusters.waiting[i] = False
        if 2 * counts[BEGIN] > len(clusters.point):
            continue
        n_visits += 1
        if clusters.chosen[i] == i:
            _visit(graph, clusters, i)
        else:
            _opened(graph, clusters, i)
        if not recording:
            counts[N_RECORDED] = counts[BEGIN] = 0
    return n_visits


@helper
def _disturbed(graph: Any, clusters: Any, i: int) -> Any:
    counts, amounts = clusters.counts, clusters.amounts
    before, total, held = counts[N_MISFITS], amounts[TOTAL], clusters.chosen[i] == i
    if held and graph.must[i]:
        return 1
    if held:
        graph.may[i] = False
        close(graph, clusters, i)
    elif graph.may[i]:
        graph.must[i] = True
        move(clusters, i, i, graph.preference[i])
        gains(graph, clusters, i)
        attract(graph, clusters, i)
    else:
        return 1
    keep(graph, clusters)
    n_visits = _run(graph, clusters, True)
    graph.may[i], graph.must[i] = True, False
    awaken(graph, clusters, i)
    n_visits += _run(graph, clusters, True)
    gain = amounts[TOTAL] - total
    if counts[N_MISFITS] > before or (counts[N_MISFITS] == before and gain <= amounts[ROUNDING]):
        undo(clusters, 0, total)
    counts[N_RECORDED] = counts[BEGIN] = 0
    return n_visits


@helper
def _shed(graph: Any, clusters: Any) -> None:
    """Move members out of every cluster that is too large: those that lose least by that."""
    most = clusters.counts[MOST]
    for k in range(len(clusters.size)):
        if clusters.size[k] > most:
            n = losses(graph, clusters, k, most)
            order = clusters.room[ascending(clusters.keys[:n], clusters.room)]
            surplus = clusters.size[k] - most
            # The list changes as its members move: their numbers are kept behind the places.
            j = clusters.first[k]
            for place in range(n):
                clusters.keys[place] = j
                j = clusters.after[j]
            for place in range(surplus):
                j = np.int64(clusters.keys[order[place]])
                to, value = best_other(graph, clusters, j, k, clusters.counts[MOST])
                move(clusters, j, to, value)
            clusters.counts[N_RECORDED] = 0


@helper
def _visit(graph: Any, clusters: Any, k: int) -> None:
    """Try the changes of an exemplar's cluster."""
    _attracted(graph, clusters, k)
    if clusters.size[k] == clusters.counts[MOST]:
        _exchanged(graph, clusters, k)
    if not graph.must[k]:
        _closed(graph, clusters, k)


@helper
def _attracted(graph: Any, clusters: Any, k: int) -> None:
    """Try to let points join an exemplar."""
    before, total = clusters.counts[N_MISFITS], clusters.amounts[TOTAL]
    if gains(graph, clusters, k) == 0.0 and clusters.counts[N_NEAR] == 0 and not is_misfit(clusters, k):
        return
    attract(graph, clusters, k)
    if clusters.counts[N_RECORDED] > clusters.counts[BEGIN]:
        settle(graph, clusters, before, total)


@helper
def _opened(graph: Any, clusters: Any, k: int) -> None:
    """Try to make a point an exemplar."""
    if not graph.may[k] or not allowed(clusters, k):
        return
    if graph.in_starts[k + 1] - graph.in_starts[k] + 1 < clusters.counts[LEAST]:
        return
    before, total = clusters.counts[N_MISFITS], clusters.amounts[TOTAL]
    gain = gains(graph, clusters, k) + (graph.preference[k] - clusters.value[k])
    if gain <= clusters.amounts[ROUNDING] and clusters.counts[N_NEAR] == 0 and not is_misfit(clusters, k):
        return
    move(clusters, k, k, graph.preference[k])
    attract(graph, clusters, k)
    settle(graph, clusters, before, total)


@helper
def _exchanged(graph: Any, clusters: Any, k: int) -> None:
    """Let others take the places of members of a full cluster."""
    tried = -np.inf
    for _ in range(_TRIED):
        gains(graph, clusters, k)
        begin, best = graph.in_starts[k], -1
        for edge in range(begin, graph.in_starts[k + 1]):
            loss = clusters.keys[edge - begin]
            better = tried < loss < 0.0 and (best < 0 or loss < clusters.keys[best - begin])
            if better and allowed(clusters, graph.rows[edge]):
                best = edge
        if best < 0:
            break
        tried, j = clusters.keys[best - begin], graph.rows[best]
        value = graph.weight[j] * graph.in_similarity[best]
        if _chained(graph, clusters, j, k, value, 1) + _chained(graph, clusters, j, k, value, _CHAIN) > 0:
            tried = -np.inf


@helper
def _chained(graph: Any, clusters: Any, j: int, k: int, value: float, length: int) -> Any:
    """Try to let a point join a full cluster, from which a member goes to another, and so on.

    The last of the clusters, at most so many, has room.
    """
    before, total, most = clusters.counts[N_MISFITS], clusters.amounts[TOTAL], clusters.counts[MOST]
    if clusters.chosen[j] == k or clusters.size[k] < most:
        return 0
    move(clusters, j, k, value)
    for step in range(length):
        slack = most + (step + 1 < length)
        n, place, leaving = losses(graph, clusters, k, slack), -1, -1
        member = clusters.first[k]
        for at in range(n):
            if member != j and member != k and (place < 0 or clusters.keys[at] < clusters.keys[place]):
                place, leaving = at, member
            member = clusters.after[member]
        if leaving < 0:
            break
        to, value = best_other(graph, clusters, leaving, k, slack)
        move(clusters, leaving, to, value)
        if to < 0 or clusters.size[to] <= most:
            return settle(graph, clusters, before, total)
        j, k = leaving, to
    undo(clusters, clusters.counts[BEGIN], total)
    return 0


@helper
def _closed(graph: Any, clusters: Any, k: int) -> None:
    """Try to close an exemplar, or to swap it for the member that promises most."""
    before, total = clusters.counts[N_MISFITS], clusters.amounts[TOTAL]
    losses(graph, clusters, k, clusters.counts[MOST])
    alone, member = 0.0, clusters.first[k]
    while member >= 0:
        alone += clusters.other[member] - clusters.value[member]
        member = clusters.after[member]
    # What neither gains nor makes a misfit fit is not tried.
    small, least = is_misfit(clusters, k), clusters.amounts[ROUNDING]
    successor, more = _successor(graph, clusters, k)
    if small or alone > least:
        close(graph, clusters, k)
        if settle(graph, clusters, before, total) == 1:
            return
    if successor < 0 or not (small or alone + more > least):
        return
    move(clusters, successor, successor, graph.preference[successor])
    gains(graph, clusters, successor)
    attract(graph, clusters, successor)
    close(graph, clusters, k)
    settle(graph, clusters, before, total)


@helper
def _successor(graph: Any, clusters: Any, k: int) -> Any:
    """Return the member whose opening at the closing of k adds most, but for limits, and how much; or -1."""
    best, most, member = -1, 0.0, clusters.first[k]
    while member >= 0:
        if member != k and graph.may[member]:
            gain = graph.preference[member] - clusters.other[member]
            for edge in range(graph.in_starts[member], graph.in_starts[member + 1]):
                j = graph.rows[edge]
                value = clusters.other[j] if clusters.chosen[j] == k else clusters.value[j]
                if clusters.chosen[j] != j or j == k:
                    gain += max(0.0, graph.weight[j] * graph.in_similarity[edge] - value)
            if best < 0 or gain > most:
                best, most = member, gain
        member = clusters.after[member]
    return best, most
