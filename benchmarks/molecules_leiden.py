"""Leiden on 1.9 million molecules: seconds, clusters, edges inside, similarity of random pairs within.

For docs/molecules.md, beside the levels of the hierarchy. Needs `pip install igraph rdkit`. Arguments:
the files that examples/molecules.py takes, and resolutions of the modularity.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import igraph
import numpy as np
from measure import moses_graph

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from molecules import pairs_within, smiles_in, tanimoto


def main() -> None:
    graph = moses_graph(Path(sys.argv[1])).tocoo()
    smiles = smiles_in(Path(sys.argv[2]))
    undirected = symmetrised(graph)
    for resolution in [float(value) for value in sys.argv[3:]] or [1.0]:
        random.seed(0)
        start = time.process_time()
        found = undirected.community_leiden("modularity", resolution=resolution, n_iterations=2)
        spent = time.process_time() - start
        labels = np.array(found.membership)
        sizes = np.bincount(labels)
        inside = np.mean(labels[graph.row] == labels[graph.col])
        similarity = tanimoto(*pairs_within(labels), smiles)
        print(
            f"resolution {resolution:g}: {spent:.0f} s, {len(sizes)} clusters, "
            f"median {np.median(sizes):,.0f}, largest {sizes.max():,}, inside {inside:.3f}, "
            f"random {np.sum((sizes / sizes.sum()) ** 2):.3f}, "
            f"pairs within {similarity.mean():.3f}, above .4 {np.mean(similarity > 0.4):.4f}"
        )


def symmetrised(graph: Any) -> igraph.Graph:
    """Return the graph without directions and without doubles."""
    ends = np.sort(np.column_stack([graph.row, graph.col]), axis=1).astype(np.int64)
    n = graph.shape[0]
    pairs = np.unique(ends[ends[:, 0] != ends[:, 1]] @ np.array([n, 1]))
    return igraph.Graph(n=n, edges=np.column_stack([pairs // n, pairs % n]))


if __name__ == "__main__":
    main()
