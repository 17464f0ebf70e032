"""The demonstration, from the places to the maps and the table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sparse_ap import affinity_propagation, hierarchy
from sparse_ap.cli.demo.map import Caption, draw_map
from sparse_ap.cli.demo.places import EARTH_RADIUS_KM, Places, arcs_over, load_places, unit_vectors
from sparse_ap.cli.demo.regions import Regions, measure_regions, write_table
from sparse_ap.cli.demo.tree_map import continent_level, draw_tree, largest_first, tree_caption
from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.graphs import knn_graph
from sparse_ap.plotting.axes import require_matplotlib
from sparse_ap.propagation.history import SweepReport
from sparse_ap.propagation.result import Clustering

__all__ = ["EXEMPLAR_COST_KM", "N_NEIGHBORS", "DemoFigures", "demonstrate", "great_circle_graph", "run_demo"]

N_NEIGHBORS = 200
"""Edges from each place. A place can represent only places that have it among these, which limits regions."""

EXEMPLAR_COST_KM = 10_000.0
"""Distance that an exemplar must save the other places: that from the equator to a pole."""

_SWEEPS_BETWEEN_REPORTS = 25

# Edges whose distances are converted at a time: a copy of all would double the peak memory.
_EDGES_AT_A_TIME = 2**18

_Echo = Callable[[str], object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """The figures of a demonstration: sizes, quality, time and memory.

    Attributes
    ----------
    n_places, n_edges : int
        Size of the graph.
    n_sweeps : int
        Number of sweeps.
    n_exemplars : int
        Number of exemplars among the places.
    n_unsettled : int
        Places that still became or ceased to be exemplars near the last sweep.
    mean_km : float
        Mean distance from a place to its exemplar.
    net_similarity : float
        Minus the sum of these distances, minus the exemplars' cost, in km: the objective.
    n_clusters : tuple of int
        Number of exemplars on each level of the hierarchy.
    continents : tuple of str
        Names of the exemplars of the coarsest level drawn, in descending order of their numbers of places.
    knn_seconds, clustering_seconds, hierarchy_seconds, drawing_seconds : float
        Time for the neighbour search, the clustering, the hierarchy, and the maps.
    peak_memory : int or None
        Peak memory of the process in bytes; None if the system does not report it.
    """

    n_places: int
    n_edges: int
    n_sweeps: int
    n_exemplars: int
    n_unsettled: int
    mean_km: float
    net_similarity: float
    n_clusters: tuple[int, ...]
    continents: tuple[str, ...]
    knn_seconds: float
    clustering_seconds: float
    hierarchy_seconds: float
    drawing_seconds: float
    peak_memory: int | None

    def lines(self) -> list[str]:
        """Return the figures as text, one per line."""
        memory = "not known here" if self.peak_memory is None else f"{self.peak_memory / 1e9:.2f} GB"
        rows = {
            "places": f"{self.n_places:,}",
            "edges": f"{self.n_edges:,}",
            "sweeps": f"{self.n_sweeps:,}",
            "exemplars": f"{self.n_exemplars:,}",
            "unsettled": f"{self.n_unsettled:,} places",
            "mean distance": f"{self.mean_km:.1f} km to the exemplar",
            "net similarity": f"{self.net_similarity:,.0f} km",
            "levels": " > ".join(f"{n:,}" for n in self.n_clusters),
            f"the {len(self.continents)}": ", ".join(self.continents),
            "k-NN graph": f"{self.knn_seconds:.1f} s",
            "clustering": f"{self.clustering_seconds:.1f} s",
            "hierarchy": f"{self.hierarchy_seconds:.1f} s",
            "maps": f"{self.drawing_seconds:.1f} s",
            "peak memory": memory,
        }
        return [f"{name:<16} {value}" for name, value in rows.items()]


def run_demo(
    output: Path,
    n_neighbors: int = N_NEIGHBORS,
    preference: float = -EXEMPLAR_COST_KM,
    n_jobs: int | None = None,
    echo: _Echo = print,
) -> DemoFigures:
    """Cluster the world's places; write ``map.png``, ``hierarchy.png`` and ``clusters.csv``.

    Parameters
    ----------
    output : Path
        Folder to write to; created if it does not exist.
    n_neighbors : int
        Number of nearest places that each place is linked to.
    preference : float
        Minus the distance in km that an exemplar must save the other places.
    n_jobs : int or None
        Number of threads; None: one per processor.
    echo : callable
        Called with each line of the report.

    Returns
    -------
    DemoFigures
        The figures of the report.

    Raises
    ------
    MissingDependencyError
        If matplotlib, an optional dependency, is not installed; raised before the work starts.
    """
    require_matplotlib("The map")
    output.mkdir(parents=True, exist_ok=True)
    figures = demonstrate(load_places(), output, n_neighbors, preference, n_jobs, echo)
    written = ", ".join(str(output / name) for name in ("map.png", "hierarchy.png", "clusters.csv"))
    for line in (*figures.lines(), f"written: {written}"):
        echo(line)
    return figures


def demonstrate(
    places: Places, output: Path, n_neighbors: int, preference: float, n_jobs: int | None, echo: _Echo
) -> DemoFigures:
    """Run the demonstration on given places; parameters are those of `run_demo`.

    Returns
    -------
    DemoFigures
    """
    echo(f"{len(places):,} places, each linked with its {n_neighbors} nearest")
    graph, knn_seconds = _timed(lambda: great_circle_graph(places, n_neighbors, n_jobs))
    found, clustering_seconds = _timed(lambda: _cluster_places(graph, preference, n_jobs, echo))
    regions = measure_regions(places, found.labels, found.exemplars)
    write_table(regions, output / "clusters.csv")
    caption = _caption(regions, found, graph.nnz, preference)
    _, map_seconds = _timed(lambda: draw_map(regions, caption, output / "map.png"))
    tree, hierarchy_seconds = _timed(lambda: hierarchy(graph, clustering=found, n_jobs=n_jobs))
    _, tree_seconds = _timed(lambda: draw_tree(places, tree, tree_caption(tree), output / "hierarchy.png"))
    seconds = (knn_seconds, clustering_seconds, hierarchy_seconds, map_seconds + tree_seconds)
    return _figures(found, regions, tree, graph.nnz, seconds)


def great_circle_graph(places: Places, n_neighbors: int, n_jobs: int | None = None) -> Any:
    """Link each place to its nearest places.

    Parameters
    ----------
    places : Places
        The points of the graph.
    n_neighbors : int
        Number of edges from each place.
    n_jobs : int or None
        Number of threads; None: one per processor.

    Returns
    -------
    csr_matrix of float32, shape (n_places, n_places)
        The similarity s(i, k) is minus the distance from i to k along the Earth's surface, in km.
    """
    graph = knn_graph(unit_vectors(places), n_neighbors, similarity="-d", n_jobs=n_jobs)
    # Neighbours by straight distance are those along the surface, so only the values need converting.
    for start in range(0, graph.nnz, _EDGES_AT_A_TIME):
        some = graph.data[start : start + _EDGES_AT_A_TIME]
        some[:] = -EARTH_RADIUS_KM * arcs_over(-some.astype(np.float64))
    return graph


def _cluster_places(graph: Any, preference: float, n_jobs: int | None, echo: _Echo) -> Clustering:
    """Cluster the places, and report some of the sweeps.

    Parameters
    ----------
    graph : csr_matrix
        Similarities in km.
    preference : float
        Minus the cost of an exemplar in km.
    n_jobs : int or None
        Number of threads; None: one per processor.
    echo : callable
        Called with a line about the run every 25 sweeps.

    Returns
    -------
    Clustering
    """

    def tell(report: SweepReport) -> None:
        if report.sweep % _SWEEPS_BETWEEN_REPORTS == 0:
            echo(f"sweep {report.sweep}: {report.n_exemplars:,} exemplars, {report.n_unsettled:,} unsettled")

    return affinity_propagation(graph, preference=preference, n_jobs=n_jobs, callback=tell)


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not report it."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """Call ``work``; return its result and the seconds it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _caption(regions: Regions, found: Clustering, n_edges: int, preference: float) -> Caption:
    """Return the caption of the map, with the figures of the run."""
    facts = (
        f"{len(regions.places):,} places",
        f"{n_edges / 1e6:.1f} million edges",
        f"{found.n_iter} sweeps",
    )
    note = (
        "Each line leads from a place\nto the exemplar that stands for it.\n"
        f"An exemplar costs {-preference:,.0f} km, and must\nsave the other places more than that."
    )
    return Caption(f"The world in {len(regions):,} places", facts, note)


def _figures(
    found: Clustering, regions: Regions, tree: Hierarchy, n_edges: int, seconds: tuple[float, ...]
) -> DemoFigures:
    knn_seconds, clustering_seconds, hierarchy_seconds, drawing_seconds = seconds
    return DemoFigures(
        n_places=len(regions.places),
        n_edges=n_edges,
        n_sweeps=found.n_iter,
        n_exemplars=len(regions),
        n_unsettled=found.n_unsettled,
        mean_km=float(np.average(regions.mean_km, weights=regions.sizes)),
        net_similarity=found.net_similarity,
        n_clusters=tuple(int(n) for n in tree.n_clusters),
        continents=tuple(regions.places.names[i] for i in largest_first(tree, continent_level(tree))),
        knn_seconds=knn_seconds,
        clustering_seconds=clustering_seconds,
        hierarchy_seconds=hierarchy_seconds,
        drawing_seconds=drawing_seconds,
        peak_memory=peak_memory(),
    )
