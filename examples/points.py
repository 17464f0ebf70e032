"""From points in the plane to exemplars: `python examples/points.py`."""

import numpy as np

from sparse_ap import affinity_propagation
from sparse_ap.graphs import knn_graph

# Five clouds of a hundred points each.
rng = np.random.default_rng(0)
centres = np.array([[0, 0], [12, 0], [0, 12], [12, 12], [6, 24]])
points = np.repeat(centres, 100, axis=0) + rng.normal(size=(500, 2))

# Each point may be represented by its 99 nearest; the similarity is minus the squared distance.
graph = knn_graph(points, n_neighbors=99)

# An exemplar must bring the other points closer by more than 200 in all to be worth having.
clustering = affinity_propagation(graph, preference=-200)

print(clustering)
for k, size in zip(clustering.exemplars, np.bincount(clustering.labels), strict=True):
    x, y = points[k]
    print(f"point {k} at ({x:.1f}, {y:.1f}) represents {size} points")
