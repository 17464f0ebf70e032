"""Making similarity graphs: from points, and from the neighbour lists that k-NN libraries give."""

from sparse_ap.graphs.knn import knn_graph
from sparse_ap.graphs.neighbours import from_knn

__all__ = ["from_knn", "knn_graph"]
