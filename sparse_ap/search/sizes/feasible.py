"""Starts for a search, where the one before left points out: from a flow, or from HiGHS in small components.

With an upper limit alone the question is easy: if all candidates are exemplars, there is room for as many
others as can be, and a largest flow fills it. With a lower limit it is hard (already whether all points can
be in clusters of three), and asked only in components that HiGHS can deal with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_ap.kernels.block import BoolArray, Int32Array
from sparse_ap.search.sizes.refusal import Sizes
from sparse_ap.search.sizes.state import Graph

__all__ = ["fewest_left_out"]

# Most edges of a component that HiGHS is given, and branches it may take; most edges of all of them.
_MOST_EDGES, _NODES, _EDGES_OF_ALL = 1_000, 1_000, 50_000


def fewest_left_out(
    graph: Graph, chosen: Int32Array, left_out: BoolArray, sizes: Sizes
) -> tuple[Int32Array, bool]:
    """Return exemplars for all points that leave out as few as possible, and whether that is proven.

    Parameters
    ----------
    graph : Graph
    chosen : ndarray of int32, shape (n_points,)
        As the search left them; they stay where it left nobody out.
    left_out : ndarray of bool, shape (n_points,)
    sizes : Sizes
    """
    component = graph.components()
    affected = np.zeros(int(component.max()) + 1, np.bool_)
    affected[component[left_out]] = True
    chosen = chosen.copy()
    if sizes.least == 1:
        _by_flow(graph, chosen, affected[component], sizes)
        return chosen, True
    n_points, n_edges = np.bincount(component), np.bincount(component, np.diff(graph.starts))
    chosen[affected[component] & (n_points[component] < sizes.least)] = -1
    affected &= n_points >= sizes.least
    small = affected & (n_edges <= _MOST_EDGES)
    small &= np.cumsum(small * n_edges) <= _EDGES_OF_ALL
    proven, order = not (affected & ~small).any(), np.argsort(component, kind="stable").astype(np.int32)
    last = np.cumsum(n_points)
    for number in np.flatnonzero(small):
        inside = order[last[number] - n_points[number] : last[number]]
        proven &= _by_program(graph, chosen, inside, sizes)
    return chosen, proven


def _by_flow(graph: Graph, chosen: Int32Array, inside: BoolArray, sizes: Sizes) -> None:
    """Make all candidates exemplars, and fill them with as many of the others as there is room for."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    n = len(chosen)
    chosen[inside] = np.where(graph.may, np.arange(n, dtype=np.int32), np.int32(-1))[inside]
    row = np.arange(n).repeat(np.diff(graph.starts))
    edge = inside[row] & ~graph.may[row] & graph.may[graph.columns]
    row, column = row[edge], graph.columns[edge]
    other, candidate = np.unique(row), np.unique(column)
    room = np.full(len(candidate), min(sizes.most - 1, len(other)))
    heads = np.r_[np.full(len(other), n), row, candidate]
    tails = np.r_[other, column, np.full(len(candidate), n + 1)]
    capacity = np.r_[np.ones(len(other) + len(row), np.int64), room].astype(np.int32)
    network = csr_array((capacity, (heads, tails)), shape=(n + 2, n + 2))
    flow = maximum_flow(network, n, n + 1).flow.tocoo()
    used = (flow.data > 0) & (flow.row < n) & (flow.col < n)
    chosen[flow.row[used]] = flow.col[used]


def _by_program(graph: Graph, chosen: Int32Array, inside: Int32Array, sizes: Sizes) -> bool:
    """Choose for one component what leaves out fewest, if HiGHS finds it; return whether it does."""
    # Imported here: it takes a fifth of a second.
    from scipy.optimize import Bounds, milp

    n, degree = len(inside), np.diff(graph.starts)[inside]
    place = np.full(len(chosen), -1, np.int64)
    place[inside] = np.arange(n)
    edge = np.concatenate([np.arange(graph.starts[i], graph.starts[i + 1]) for i in inside])
    row, column, m = np.arange(n).repeat(degree), place[graph.columns[edge]], len(edge)
    may = graph.may[inside]
    worth = np.r_[
        graph.weight[inside][row] * graph.similarity[edge], np.where(may, graph.preference[inside], 0)
    ]
    scale = float(np.abs(worth).max(initial=0.0)) or 1.0
    # One point less that is left out outweighs all else.
    cost = np.r_[-worth / scale, np.full(n, 4.0 * n)]
    bounds = Bounds(0, np.r_[np.ones(m), may.astype(float), np.ones(n)])
    found = milp(
        cost, integrality=np.r_[np.zeros(m), np.ones(2 * n)], bounds=bounds,
        constraints=_constraints(row, column, n, sizes),
        options={"mip_rel_gap": 1e-9, "node_limit": _NODES},
    )  # fmt: skip
    if found.x is None:
        return False
    chosen[inside] = np.where(found.x[m : m + n] > 0.5, inside, -1)
    taken = found.x[:m] > 0.5
    chosen[inside[row[taken]]] = inside[column[taken]]
    return bool(found.status == 0)


def _constraints(row: Any, column: Any, n: int, sizes: Sizes) -> list[Any]:
    """Return that each point has one exemplar, is one, or is left out; and that clusters keep the limits.

    Variables are the edges taken, the exemplars, and the points left out.
    """
    from scipy.optimize import LinearConstraint
    from scipy.sparse import csr_array, eye_array, hstack

    m = len(row)
    ones, edges, each, nothing = np.ones(m), np.arange(m), eye_array(n), csr_array((n, n))
    out, to = (csr_array((ones, (ends, edges)), shape=(n, m)) for ends in (row, column))
    of_exemplars = hstack([eye_array(m), -to.T, csr_array((m, n))])
    return [
        LinearConstraint(hstack([out, each, each]), 1, 1),
        LinearConstraint(of_exemplars, -np.inf, 0),
        LinearConstraint(hstack([to, -min(sizes.most - 1, n) * each, nothing]), -np.inf, 0),
        LinearConstraint(hstack([to, -(sizes.least - 1) * each, nothing]), 0, np.inf),
    ]
