"""Try the package as it is installed, from a folder that knows nothing of it."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import scipy.sparse

import sparse_ap
from sparse_ap.cli.demo.places import load_places
from sparse_ap.graphs import knn_graph

installed = distribution("sparse-ap")
files = {str(file) for file in installed.files or ()}
assert Path(sparse_ap.__file__).is_relative_to(sys.prefix), sparse_ap.__file__
pages = ("report_page.html", "explorer/explorer.html", "explorer/explorer.css", "explorer/main.js")
assert {"sparse_ap/py.typed", *(f"sparse_ap/plotting/{page}" for page in pages)} <= files
assert not [file for file in files if file.startswith(("tests", "tools", "benchmarks"))]
assert len(load_places().latitude) == 171_075

# Two groups of points, far from each other.
points = np.r_[np.arange(5.0), 100 + np.arange(5.0)][:, None]
graph = knn_graph(points, 4)
clustering = sparse_ap.affinity_propagation(graph, preference=-20.0)
assert clustering.labels.tolist() == [0] * 5 + [1] * 5, clustering.labels

scipy.sparse.save_npz("graph.npz", graph)
for command in ["--version", "--help", "info graph.npz", "cluster graph.npz --preference=-20 -o labels.csv"]:
    subprocess.run(["sparse-ap", *command.split()], check=True, stdout=subprocess.DEVNULL)
assert len(Path("labels.csv").read_text().splitlines()) == 11
print(f"sparse-ap {installed.version}: {len(files)} files, imports, clusters, has its commands")
