"""What a graph is like, before it is clustered: what ``sparse-ap info`` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from sparse_ap.model import Float64Array, RowCut
from sparse_ap.ordering import matrix_of
from sparse_ap.passes.extent import BestRows, ExtentPass
from sparse_ap.passes.statistics import EdgeStatistics
from sparse_ap.processors import usable_threads
from sparse_ap.similarity import similarity_quantiles
from sparse_ap.sources import examined, executed, open_runner, open_source
from sparse_ap.stores import block_of

__all__ = ["QUANTILES", "GraphSummary", "inspect_graph"]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class GraphSummary:
    """What a graph is like.

    Attributes
    ----------
    n_points, n_edges : int
    entries : EdgeStatistics
        Of the stored entries, which may include a diagonal, duplicates and -inf.
    out_degree, in_degree : tuple of float
        Least, median and largest.
    n_components : int
        Connected components, edges taken both ways.
    n_without_edges : int
        Points no other can represent.
    quantiles : ndarray of float64, shape (len(QUANTILES),)
        Of the similarities.
    n_joinable : tuple of int
        For each quantile as preference: points with an edge of larger similarity. The others are
        exemplars at that preference, or lose by joining anybody.
    """

    n_points: int
    n_edges: int
    entries: EdgeStatistics
    out_degree: tuple[float, float, float]
    in_degree: tuple[float, float, float]
    n_components: int
    n_without_edges: int
    quantiles: Float64Array
    n_joinable: tuple[int, ...]

    @property
    def least_clusters(self) -> int:
        """A lower bound on the number of clusters, whatever the preference.

        A cluster is its exemplar and some of the points with an edge to it, within one component.
        """
        if not self.n_points:
            return 0
        return max(self.n_components, -(-self.n_points // (1 + int(self.in_degree[2]))))


def inspect_graph(similarity: Any, n_jobs: int | None = None) -> GraphSummary:
    """Look at a graph.

    Parameters
    ----------
    similarity, n_jobs
        As for `affinity_propagation`.

    Raises
    ------
    InvalidInputError
        The matrix cannot be taken as a graph.
    """
    with open_runner(usable_threads(n_jobs)) as runner:
        execution, entries = examined(executed(open_source(similarity).store, runner), missing=None)
        rows = BestRows(np.empty(execution.n_points))
        (in_degree,), extent = execution.run(ExtentPass(), (), rows)
        quantiles = similarity_quantiles(execution, extent.n_edges, list(QUANTILES))
        graph = block_of(execution.store, RowCut(0, execution.n_points))
    out_degree = np.diff(execution.store.indptr)
    n_components = connected_components(matrix_of(graph), directed=True, connection="weak")[0]
    return GraphSummary(
        execution.n_points,
        extent.n_edges,
        entries,
        _spread(out_degree),
        _spread(in_degree),
        int(n_components) if execution.n_points else 0,
        int(np.count_nonzero(out_degree == 0)),
        quantiles,
        tuple(int(np.count_nonzero(rows.best > preference)) for preference in quantiles),
    )


def _spread(degrees: Any) -> tuple[float, float, float]:
    if not len(degrees):
        return 0.0, 0.0, 0.0
    return float(degrees.min()), float(np.median(degrees)), float(degrees.max())
