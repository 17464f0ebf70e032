"""`inspect_graph`: size, degrees, components and similarities of a graph, for ``sparse-ap info``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sparse_ap.clustering.input import fetched_rows, loaded, open_executor, open_input
from sparse_ap.clustering.preparation import examined
from sparse_ap.execution.plans import Resources, choose_plan
from sparse_ap.kernels.block import Float64Array
from sparse_ap.kernels.edge_summary import BestRows, EdgeSummaryPass
from sparse_ap.kernels.entry_statistics import EntryStatistics
from sparse_ap.propagation.preferences import similarity_quantiles
from sparse_ap.propagation.problem import out_degrees
from sparse_ap.search.cover_bound import parts_of

__all__ = ["QUANTILES", "GraphSummary", "inspect_graph"]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class GraphSummary:
    """Size, degrees, connectivity and similarities of a graph.

    Attributes
    ----------
    n_points, n_edges : int
    entries : EntryStatistics
        Statistics of the stored entries, which may include a diagonal, duplicates and -inf.
    out_degree, in_degree : tuple of float
        Smallest, median and largest degree.
    n_components : int or None
        Connected components, ignoring directions; None for a graph that does not fit into memory.
    n_without_edges : int
        Number of points without an edge to another point; they are exemplars in every clustering.
    quantiles : ndarray of float64, shape (len(QUANTILES),)
        Quantiles of the similarities.
    n_joinable : tuple of int
        For each quantile, taken as preference: the number of points with an edge of larger similarity. All
        other points are exemplars at that preference, or lose by joining a cluster.
    """

    n_points: int
    n_edges: int
    entries: EntryStatistics
    out_degree: tuple[float, float, float]
    in_degree: tuple[float, float, float]
    n_components: int | None
    n_without_edges: int
    quantiles: Float64Array
    n_joinable: tuple[int, ...]

    @property
    def least_clusters(self) -> int:
        """A lower bound on the number of clusters at any preference.

        A cluster lies in one component and holds its exemplar and points with an edge to it, so its size is
        at most 1 + the largest in-degree.
        """
        if not self.n_points:
            return 0
        return max(self.n_components or 1, -(-self.n_points // (1 + int(self.in_degree[2]))))


def inspect_graph(
    similarity: Any, n_jobs: int | None = None, missing: Literal["nan"] | None = None
) -> GraphSummary:
    """Summarise a graph: its entries, degrees, components and quantiles of similarity.

    Parameters
    ----------
    similarity, n_jobs, missing
        As for `affinity_propagation`.

    Raises
    ------
    InvalidInputError
        The matrix cannot be taken as a graph.
    """
    input_graph = open_input(similarity)
    plan = choose_plan(input_graph, Resources(n_jobs=n_jobs))
    with open_executor(plan.n_threads) as executor:
        blocked, entries = examined(loaded(input_graph, plan, executor), missing)
        rows = BestRows(np.empty(blocked.n_points))
        (in_degree,), tally = blocked.run(EdgeSummaryPass(), (), rows)
        quantiles = similarity_quantiles(blocked, tally.n_edges, list(QUANTILES))
        # Components need all edges in memory at the same time.
        n_components = None if plan.streaming else parts_of(*fetched_rows(blocked))[0]
        out_degree = out_degrees(blocked)
    return GraphSummary(
        blocked.n_points,
        tally.n_edges,
        entries,
        _spread(out_degree),
        _spread(in_degree),
        n_components,
        int(np.count_nonzero(out_degree == 0)),
        quantiles,
        tuple(int(np.count_nonzero(rows.best > preference)) for preference in quantiles),
    )


def _spread(degrees: Any) -> tuple[float, float, float]:
    if not len(degrees):
        return 0.0, 0.0, 0.0
    return float(degrees.min()), float(np.median(degrees)), float(degrees.max())
