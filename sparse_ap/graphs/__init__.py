"""Similarity graphs from points, neighbour lists, distance matrices, AnnData and files."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sparse_ap.graphs.anndata import from_anndata
    from sparse_ap.graphs.conversion.write_graph import WrittenGraph, write_graph
    from sparse_ap.graphs.distances import from_distances
    from sparse_ap.graphs.edges import symmetrise, top_k
    from sparse_ap.graphs.knn import knn_graph
    from sparse_ap.graphs.neighbour_lists import from_knn
    from sparse_ap.graphs.radius import radius_graph
    from sparse_ap.graphs.stored import StoredGraph, open_graph, read_graph
else:
    __getattr__, __dir__, _names = lazy_loader.attach(
        __name__,
        submod_attrs={
            "anndata": ["from_anndata"],
            "conversion.write_graph": ["WrittenGraph", "write_graph"],
            "distances": ["from_distances"],
            "edges": ["symmetrise", "top_k"],
            "knn": ["knn_graph"],
            "neighbour_lists": ["from_knn"],
            "radius": ["radius_graph"],
            "stored": ["StoredGraph", "open_graph", "read_graph"],
        },
    )

__all__ = [
    "StoredGraph",
    "WrittenGraph",
    "from_anndata",
    "from_distances",
    "from_knn",
    "knn_graph",
    "open_graph",
    "radius_graph",
    "read_graph",
    "symmetrise",
    "top_k",
    "write_graph",
]
