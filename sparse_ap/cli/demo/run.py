"""The demonstration, from the places to the maps and the table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
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

__all__ = ["EXEMPLAR_COST_KM", "N_NEIGHBORS", "demonstrate", "great_circle_graph", "run_demo"]

N_NEIGHBORS = 200
"""Edges from each place. A place can represent only places that have it among these, which limits regions."""

EXEMPLAR_COST_KM = 10_000.0
"""Distance that an exemplar must save the other places: that from the equator to a pole."""

_SWEEPS_BETWEEN_REPORTS = 25

# Edges whose distances are converted at a time: a copy of all would double the peak memory.
_EDGES_AT_A_TIME = 2**18

_Echo = Callable[[str], object]
T = TypeVar("T")


def run_demo(output: Path, n_jobs: int | None = None, echo: _Echo = print) -> None:
    """Cluster the world's places; write ``map.png``, ``hierarchy.png`` and ``clusters.csv``.

    Parameters
    ----------
    output : Path
        Folder to write to; created if it does not exist.
    n_jobs : int or None
        Number of threads; None: one per processor.
    echo : callable
        Called with each line of the report.

    Raises
    ------
    MissingDependencyError
        If matplotlib, an optional dependency, is not installed; raised before the work starts.
    """
    require_matplotlib("The map")
    output.mkdir(parents=True, exist_ok=True)
    demonstrate(load_places(), output, N_NEIGHBORS, -EXEMPLAR_COST_KM, n_jobs, echo)


def demonstrate(
    places: Places, output: Path, n_neighbors: int, preference: float, n_jobs: int | None, echo: _Echo
) -> None:
    """Run the demonstration on given places, to a folder that exists.

    Parameters
    ----------
    places : Places
    output, n_jobs, echo
        As for `run_demo`.
    n_neighbors : int
        Number of nearest places that each place is linked to.
    preference : float
        Minus the distance in km that an exemplar must save the other places.
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
    seconds = {
        "k-NN graph": knn_seconds, "clustering": clustering_seconds, "hierarchy": hierarchy_seconds,
        "maps": map_seconds + tree_seconds,
    }  # fmt: skip
    figures = _figures(found, regions, tree, graph.nnz) | {of: f"{s:.1f} s" for of, s in seconds.items()}
    for name, value in (figures | {"peak memory": peak_memory()}).items():
        echo(f"{name:<16} {value}")
    written = ", ".join(str(output / name) for name in ("map.png", "hierarchy.png", "clusters.csv"))
    echo(f"written: {written}")


def great_circle_graph(places: Places, n_neighbors: int, n_jobs: int | None = None) -> Any:
    """Link each place to its nearest places, by minus the distances along the Earth's surface, in km."""
    graph = knn_graph(unit_vectors(places), n_neighbors, similarity="-d", n_jobs=n_jobs)
    # Neighbours by straight distance are those along the surface, so only the values need converting.
    for start in range(0, graph.nnz, _EDGES_AT_A_TIME):
        some = graph.data[start : start + _EDGES_AT_A_TIME]
        some[:] = -EARTH_RADIUS_KM * arcs_over(-some.astype(np.float64))
    return graph


def _cluster_places(graph: Any, preference: float, n_jobs: int | None, echo: _Echo) -> Clustering:
    """Cluster the places, and report some of the sweeps."""

    def tell(report: SweepReport) -> None:
        if report.sweep % _SWEEPS_BETWEEN_REPORTS == 0:
            echo(f"sweep {report.sweep}: {report.n_exemplars:,} exemplars, {report.n_unsettled:,} unsettled")

    return affinity_propagation(graph, preference=preference, n_jobs=n_jobs, callback=tell)


def peak_memory() -> str:
    """Return the peak memory of this process as text, or that the system does not report it."""
    if sys.platform == "win32":
        return "not known here"
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{(peak if sys.platform == 'darwin' else 1024 * peak) / 1e9:.2f} GB"


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


def _figures(found: Clustering, regions: Regions, tree: Hierarchy, n_edges: int) -> dict[str, str]:
    """Return the sizes and the quality of what was found."""
    mean_km = np.average(regions.mean_km, weights=regions.sizes)
    continents = [regions.places.names[i] for i in largest_first(tree, continent_level(tree))]
    return {
        "places": f"{len(regions.places):,}",
        "edges": f"{n_edges:,}",
        "sweeps": f"{found.n_iter:,}",
        "exemplars": f"{len(regions):,}",
        "unsettled": f"{found.n_unsettled:,} places",
        "mean distance": f"{mean_km:.1f} km to the exemplar",
        "net similarity": f"{found.net_similarity:,.0f} km",
        "levels": " > ".join(f"{n:,}" for n in tree.n_clusters),
        f"the {len(continents)}": ", ".join(continents),
    }
