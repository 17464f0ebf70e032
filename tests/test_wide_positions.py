"""Graphs of more than 2**31 edges, forced on small ones: positions of edges must never be narrowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from internals import change
from samples import knn_similarity

from sparse_ap import InvalidInputError, affinity_propagation
from sparse_ap.clustering import input as sources
from sparse_ap.kernels.block import Block, RowCut
from sparse_ap.storage.memory import MemoryStore

FAR = 2**33


class LastRows:
    """The rows of a graph as the last ones of a graph with 2**33 edges before them."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.indptr = store.indptr + FAR
        self.dtype, self.origin, self.chunk_edges = store.dtype, store.origin, store.chunk_edges
        self.divisions = store.divisions

    def read(self, cuts: Iterable[RowCut]) -> Iterator[Block]:
        for block in self._store.read(cuts):
            yield replace(block, indptr=block.indptr + FAR)

    def canonical(self) -> LastRows:
        return LastRows(self._store.canonical())


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = sources._memory_store
    monkeypatch.setattr(sources, "_memory_store", lambda *given: LastRows(taken(*given)))


GRAPH = knn_similarity(400, 8, 2, seed=0)
OPTIONS: dict[str, Any] = {"preference": -0.05, "damping": 0.7, "reorder": False}


def untidy(graph: Any) -> Any:
    """Add a diagonal, an entry of -inf and a duplicate."""
    triplets = graph.tocoo()
    rows = np.r_[triplets.row, np.arange(400), 0, 1]
    columns = np.r_[triplets.col, np.arange(400), 399, triplets.col[triplets.row == 1][0]]
    values = np.r_[triplets.data, np.full(400, -3.0), -np.inf, -9.0]
    return scipy.sparse.coo_array((values, (rows, columns)), shape=(400, 400))


@pytest.mark.parametrize("graph", [GRAPH, GRAPH.astype(np.float32), untidy(GRAPH)])
@pytest.mark.parametrize("preference", [-0.05, -5.0])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_answer_is_that_of_the_small_graph(
    request: pytest.FixtureRequest,
    graph: Any,
    preference: float,
    n_jobs: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(monkeypatch, least_edges=512)
    options = {**OPTIONS, "preference": preference, "n_jobs": n_jobs, "tol": 0.5}
    near = affinity_propagation(graph, **options)
    request.getfixturevalue("far")
    there = affinity_propagation(graph, **options)
    assert (near.labels == there.labels).all()
    assert near.net_similarity == there.net_similarity
    assert near.history == there.history


def test_a_wrong_entry_far_down_is_found(far: None) -> None:
    graph = GRAPH.copy()
    graph.data[3000] = np.nan
    with pytest.raises(InvalidInputError, match=rf"wrong entry is \(375, {graph.indices[3000]}\) = nan"):
        affinity_propagation(graph, **OPTIONS)
