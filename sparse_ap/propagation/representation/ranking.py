"""`Ranking`: the exemplars in the order in which one would give them up, each time the one least missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparse_ap.kernels.block import BoolArray, Float64Array, Int32Array, Int64Array, starts_of
from sparse_ap.kernels.compilation import helper, kernel
from sparse_ap.kernels.exact_sum import Grid, exact_sum
from sparse_ap.propagation.representation.exemplar_edges import ExemplarEdges

__all__ = ["Ranking", "ranked"]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The exemplars of a clustering in such an order that the first m are good for every m.

    Entry m - 1 of the other arrays is about the first m exemplars, each point with the most similar of them.

    Attributes
    ----------
    exemplars : ndarray of int64, shape (n_clusters,)
        Numbers of points, the one that is kept longest first.
    net_similarities : ndarray of float64, shape (n_clusters,)
        The net similarity with the first m alone. Points that none of them can represent count at the
        lowest similarity of their row of the graph (of the graph, if their row is empty).
    coverage : ndarray of float64, shape (n_clusters,)
        The share of the points that are one of the first m, or have an edge to one; by weight, if there are
        weights.
    """

    __module__ = "sparse_ap"

    exemplars: Int64Array
    net_similarities: Float64Array
    coverage: Float64Array


class _Edges(NamedTuple):
    """The edges to exemplars by point, the best first, and by exemplar; and what points and exemplars are.

    Attributes
    ----------
    indptr, label, value : ndarray
        Values are similarities times weights, on a grid.
    column, edge, row : ndarray
        Edge ``edge[j]``, from point ``row[edge[j]]``, leads to label k, for j from ``column[k]`` on.
    lowest : ndarray of float64, shape (n_points,)
        The value of a point that no exemplar reaches.
    weight : ndarray of float64, shape (n_points,)
    member : ndarray of int32, shape (n_points,)
        The label of each exemplar; -1 of all other points.
    exemplar : ndarray of int64, shape (n_clusters,)
    pinned : ndarray of bool, shape (n_clusters,)
        Exemplars that are given up last.
    """

    indptr: Int64Array
    label: Int32Array
    value: Float64Array
    column: Int64Array
    edge: Int64Array
    row: Int32Array
    lowest: Float64Array
    weight: Float64Array
    member: Int32Array
    exemplar: Int64Array
    pinned: BoolArray


class _State(NamedTuple):
    """What changes while exemplars are given up.

    Attributes
    ----------
    first, second : ndarray of int64, shape (n_points,)
        The point's best two edges to exemplars that are kept; the end of its row: none.
    kept : ndarray of bool, shape (n_clusters,)
    loss : ndarray of float64, shape (n_clusters,)
        What the net similarity loses by giving up each one. It never falls while others are given up.
    seen : ndarray of float64, shape (n_clusters,)
        The loss by which the heap is ordered, which may be an earlier, smaller one.
    heap : ndarray of int32, shape (n_clusters,)
    """

    first: Int64Array
    second: Int64Array
    kept: BoolArray
    loss: Float64Array
    seen: Float64Array
    heap: Int32Array


def ranked(edges: ExemplarEdges, preference: Float64Array, weight: Float64Array) -> Ranking:
    """Give up one exemplar after the other, of equally missed ones that with the larger number first.

    Parameters
    ----------
    edges : ExemplarEdges
        All.
    preference : ndarray of float64, shape (n_clusters,)
        Of the exemplars; inf: always one, which adds nothing and is given up after all others.
    weight : ndarray of float64, shape (n_points,)
    """
    there, pinned = edges.own_label >= 0, preference == np.inf
    given, cost = _weighted(edges, weight, there), np.where(pinned, 0.0, preference)
    row = np.repeat(np.arange(len(there), dtype=np.int32), np.diff(given.indptr))
    most = np.abs(given.lowest)
    np.maximum.at(most, row, np.abs(given.value))
    shift = Grid.for_totals(2.0 * (exact_sum(most) + exact_sum(np.abs(cost)))).shift
    value, lowest, cost = ((values + shift) - shift for values in (given.value, given.lowest, cost))
    exemplars, n_clusters = edges.exemplars, len(edges.exemplars)
    member = np.full(len(there), -1, np.int32)
    member[exemplars] = np.arange(n_clusters)
    by_label = np.argsort(given.label, kind="stable")
    column = starts_of(np.bincount(given.label, minlength=n_clusters))
    fixed = _Edges(
        given.indptr, given.label, value, column, by_label, row, lowest, weight, member, exemplars, pinned
    )
    nobody = np.zeros(len(there), np.int64)
    state = _State(
        nobody, nobody.copy(), np.ones(n_clusters, np.bool_), cost, np.empty(n_clusters),
        np.arange(n_clusters, dtype=np.int32),
    )  # fmt: skip
    order, net, missed = np.empty(n_clusters, np.int32), np.empty(n_clusters), np.empty(n_clusters)
    _give_up(fixed, state, there, order, net, missed)
    covered = (exact_sum(weight[there]) - missed) / (exact_sum(weight) or 1.0)
    return Ranking(exemplars[order], net, covered)


class _Given(NamedTuple):
    indptr: Int64Array
    label: Int32Array
    value: Float64Array
    lowest: Float64Array


def _weighted(edges: ExemplarEdges, weight: Float64Array, there: BoolArray) -> _Given:
    """Return the edges to exemplars with similarities times weights; the lowest is always a number."""
    indptr, label, similarity = edges.joined()
    lowest = np.fmin(edges.lowest, edges.own)
    known = np.isfinite(lowest)
    lowest[~known] = lowest[known].min(initial=np.inf) if known.any() else 0.0
    factor = np.repeat(weight, np.diff(indptr))
    return _Given(indptr, label, similarity * factor, np.where(there, lowest * weight, 0.0))


@kernel
def _give_up(edges: Any, state: Any, there: Any, order: Any, net: Any, missed: Any) -> None:
    """Give up all exemplars but one; write their order, and the net similarity and the weight not covered."""
    total, uncovered = _begin(edges, state, there)
    n = len(order)
    for k in range(n // 2 - 1, -1, -1):
        _sift(edges.pinned, state, k, n)
    while n > 0:
        k = state.heap[0]
        if state.seen[k] < state.loss[k]:
            state.seen[k] = state.loss[k]
        else:
            net[n - 1], missed[n - 1], order[n - 1] = total, uncovered, k
            n -= 1
            total -= state.loss[k]
            state.heap[0] = state.heap[n]
            uncovered += _close(edges, state, k)
        _sift(edges.pinned, state, 0, n)


@helper
def _begin(edges: Any, state: Any, there: Any) -> tuple[float, float]:
    """Find the best edges and the losses; return the net similarity, and the weight not covered."""
    total, uncovered = 0.0, 0.0
    for k in range(len(state.loss)):
        total += state.loss[k]
    for i in range(len(there)):
        if not there[i]:
            continue
        end = edges.indptr[i + 1]
        state.first[i] = edges.indptr[i]
        state.second[i] = min(edges.indptr[i] + 1, end)
        if edges.member[i] >= 0:
            state.loss[edges.member[i]] -= _value(edges, state.first[i], i)
        elif state.first[i] < end:
            total += edges.value[state.first[i]]
            _add(edges, state, i)
        else:
            total += edges.lowest[i]
            uncovered += edges.weight[i]
    for k in range(len(state.loss)):
        state.seen[k] = state.loss[k]
    return total, uncovered


@helper
def _value(edges: Any, edge: int, i: int) -> Any:
    """Return the value of a point's edge; at the end of its row that of a point that nobody reaches."""
    return edges.value[edge] if edge < edges.indptr[i + 1] else edges.lowest[i]


@helper
def _add(edges: Any, state: Any, i: int) -> None:
    """Add to the loss of a point's exemplar what the point loses with it."""
    first, second = state.first[i], state.second[i]
    state.loss[edges.label[first]] += edges.value[first] - _value(edges, second, i)


@helper
def _next_kept(edges: Any, state: Any, edge: int, i: int) -> int:
    """Return the point's first edge from ``edge`` on to an exemplar that is kept."""
    while edge < edges.indptr[i + 1] and not state.kept[edges.label[edge]]:
        edge += 1
    return edge


@helper
def _close(edges: Any, state: Any, k: int) -> Any:
    """Give up an exemplar; return the weight of the points that nobody reaches any more."""
    state.kept[k] = False
    uncovered = 0.0
    for j in range(edges.column[k], edges.column[k + 1]):
        edge = edges.edge[j]
        i = edges.row[edge]
        first, second = state.first[i], state.second[i]
        own = edges.member[i]
        if own >= 0 and state.kept[own]:
            # An exemplar: it has a value only if it is given up, by its first edge.
            if first == edge:
                state.first[i] = _next_kept(edges, state, first, i)
                state.loss[own] += edges.value[edge] - _value(edges, state.first[i], i)
        elif first == edge:
            state.first[i] = second
            if second < edges.indptr[i + 1]:
                state.second[i] = _next_kept(edges, state, second + 1, i)
                _add(edges, state, i)
            else:
                uncovered += edges.weight[i]
        elif second == edge:
            state.second[i] = _next_kept(edges, state, second, i)
            state.loss[edges.label[first]] += edges.value[edge] - _value(edges, state.second[i], i)
    i = edges.exemplar[k]
    if state.first[i] == edges.indptr[i + 1]:
        return uncovered + edges.weight[i]
    state.second[i] = _next_kept(edges, state, state.first[i] + 1, i)
    _add(edges, state, i)
    return uncovered


@helper
def _sift(pinned: Any, state: Any, place: int, n: int) -> None:
    """Move the exemplar at a place of the heap down until none below comes before it."""
    while 2 * place + 1 < n:
        below = 2 * place + 1
        if below + 1 < n and _comes_before(pinned, state.seen, state.heap[below + 1], state.heap[below]):
            below += 1
        if not _comes_before(pinned, state.seen, state.heap[below], state.heap[place]):
            return
        state.heap[place], state.heap[below] = state.heap[below], state.heap[place]
        place = below


@helper
def _comes_before(pinned: Any, seen: Any, k: int, other: int) -> Any:
    """Whether one exemplar is given up before another."""
    if pinned[k] != pinned[other]:
        return pinned[other]
    return seen[k] < seen[other] or (seen[k] == seen[other] and k > other)
