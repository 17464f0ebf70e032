"""The loop driven from below the public face, so that its state can be looked at."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from sparse_ap.execution.blocking import BlockedGraph, cut_rows
from sparse_ap.execution.local import SerialExecutor
from sparse_ap.kernels.classic import Messages
from sparse_ap.propagation.checkpoints import NoCheckpoints
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.incumbent import LastIncumbent
from sparse_ap.propagation.loop import PointState, propagate
from sparse_ap.propagation.problem import Problem, summarise_edges, support_grid
from sparse_ap.propagation.schemes import NO_BIAS, Classic, Compact
from sparse_ap.propagation.stopping import StopRule
from sparse_ap.storage.memory import MemoryStore


class Watched:
    """A scheme that keeps hold of the arrays which the loop updates in place."""

    def __init__(self, scheme: Any) -> None:
        self._scheme = scheme

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheme, name)

    def rows(self, own: Any) -> Any:
        self.kept = self._scheme.rows(own)
        return self.kept

    def vectors(self, total: Any) -> Any:
        self.total = total
        return self._scheme.vectors(total)


class State(NamedTuple):
    """Rows and column totals after the last sweep; the messages of every edge if the scheme keeps them."""

    rows: Any
    total: Any
    messages: Messages | None
    history: tuple[SweepReport, ...]


def csr_of_dense(similarity: Any, dtype: Any = np.float64) -> scipy.sparse.csr_array:
    """Return the entries of a dense matrix that are edges: off the diagonal, and not -inf."""
    similarity = np.asarray(similarity, np.float64)
    row, column = np.nonzero(~np.eye(len(similarity), dtype=bool) & (similarity > -np.inf))
    data = similarity[row, column].astype(dtype)
    indptr = np.searchsorted(row, np.arange(len(similarity) + 1))
    return scipy.sparse.csr_array((data, column, indptr), shape=similarity.shape)


def classic(graph: scipy.sparse.csr_array, preference: Any, n_sweeps: int, damping: float) -> State:
    """Return what the classic scheme keeps after some sweeps."""
    problem = problem_of(graph, preference)
    messages = Messages.at_rest(problem.edges.n_edges)
    scheme = Watched(Classic(damping, messages, support_grid(problem, problem.preference, np.zeros(1))))
    history = _sweep(problem, scheme, n_sweeps)
    return State(scheme.kept, scheme.total, messages, history)


def compact(
    graph: scipy.sparse.csr_array, preference: Any, n_sweeps: int, damping: float, total_damping: float
) -> State:
    """Return what the compact scheme keeps after some sweeps."""
    problem = problem_of(graph, preference)
    grid = support_grid(problem, problem.preference, np.zeros(1))
    scheme = Watched(Compact(damping, total_damping, total_damping, problem.graph.dtype, grid, NO_BIAS))
    history = _sweep(problem, scheme, n_sweeps)
    return State(scheme.kept, scheme.total, None, history)


def problem_of(graph: scipy.sparse.csr_array, preference: Any, user_id: Any = None) -> Problem:
    """Return a problem for one thread; ``user_id`` are the user's numbers of the points."""
    store = MemoryStore.from_sparse(graph)
    blocked = BlockedGraph(store, cut_rows(store.indptr, 1), SerialExecutor())
    ids = np.arange(graph.shape[0], dtype=np.int32) if user_id is None else user_id
    return Problem(blocked, ids, np.array(preference, np.float64), summarise_edges(blocked)[0])


def _sweep(problem: Problem, scheme: Any, n_sweeps: int) -> tuple[SweepReport, ...]:
    never = StopRule(max_iter=n_sweeps, convergence_iter=n_sweeps, tol=0.0)
    done = propagate(
        problem.graph,
        scheme,
        PointState.at_rest(problem.preference, scheme.total_dtype),
        np.zeros(len(problem.preference), np.float32),
        never,
        LastIncumbent(),
        callback=lambda report: None,
        checkpoints=NoCheckpoints(),
    )
    assert len(done.history) == n_sweeps
    return done.history
