"""Draw the tutorial's points, each linked with its exemplar: `python examples/picture.py [FILE.png]`."""

import sys

import numpy as np
from matplotlib.figure import Figure

from sparse_ap import affinity_propagation
from sparse_ap.graphs import knn_graph
from sparse_ap.plotting import plot_clustering

rng = np.random.default_rng(1)
centres = rng.uniform(0, 40, size=(30, 2))
cloud = rng.integers(30, size=2000)
points = centres[cloud] + rng.normal(size=(2000, 2))
clustering = affinity_propagation(knn_graph(points, n_neighbors=100), preference=-100)
print(clustering)

# Axes of yours decide size and ground; without them, plot_clustering makes a figure.
figure = Figure(figsize=(8, 8), layout="constrained")
axes = figure.add_subplot()
axes.set_axis_off()
plot_clustering(points, clustering, ax=axes)

path = sys.argv[1] if len(sys.argv) > 1 else "clustering.png"
figure.savefig(path, dpi=90)
print(f"drawn to {path}")
