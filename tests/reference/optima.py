"""The largest net similarity of small graphs, by enumeration and by HiGHS; and graphs to look for it in."""

import itertools

import numpy as np
import scipy.sparse
from graphs import Graph
from scipy.optimize import Bounds, LinearConstraint, milp


def optimum_of(graph: Graph) -> float:
    """Return the same in floating-point numbers, of all sets of exemplars at once."""
    n = len(graph.preference)
    sets = np.array(list(itertools.product([False, True], repeat=n))[1:])
    similarity = np.where(np.eye(n, dtype=bool), -np.inf, graph.similarity)
    values = np.where(sets[:, None, :], similarity, -np.inf).max(axis=2)
    return float(np.where(sets, graph.preference, values).sum(axis=1).max())


def solved(graph: Graph, *, whole: bool = True) -> float:
    """Return HiGHS's optimum; with ``whole=False`` that of the linear relaxation."""
    n = len(graph.preference)
    rows, columns = np.nonzero(~np.eye(n, dtype=bool) & (graph.similarity > -np.inf))
    m, edges = len(rows), np.arange(len(rows))
    ones = np.ones(m)
    one_each = scipy.sparse.hstack(
        [scipy.sparse.csr_array((ones, (rows, edges)), shape=(n, m)), scipy.sparse.eye_array(n)]
    )
    of_exemplars = scipy.sparse.hstack(
        [scipy.sparse.eye_array(m), scipy.sparse.csr_array((-ones, (edges, columns)), shape=(m, n))]
    )
    found = milp(
        -np.r_[graph.similarity[rows, columns], graph.preference],
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(of_exemplars, -np.inf, 0)],
        integrality=np.r_[np.zeros(m), np.full(n, float(whole))],
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    assert found.status == 0
    return -float(found.fun)


def mixed_graph(seed: int, most_points: int) -> Graph:
    """Similarities of both signs and any size, with an offset or none, dense or sparse; any preferences."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, most_points + 1))
    offset = rng.choice([0.0, 0.0, -1.0, 1.0, 1e3, -1e6])
    similarity = rng.normal(size=(n, n)) * 10.0 ** rng.integers(-3, 4) + offset
    similarity[rng.random((n, n)) < 0.8 * rng.random()] = -np.inf
    np.fill_diagonal(similarity, 0.0)
    size = np.abs(similarity[np.isfinite(similarity)]).max(initial=1e-3)
    each = rng.normal(size=n) * 10.0 ** rng.integers(-2, 1)
    return Graph(similarity, size * (each if rng.random() < 0.5 else np.full(n, -2.0 * rng.random())))
