"""Make the golden files: ``python tests/data/golden/make.py``.

They are what users have: files of sparse_ap 0.1.0, made with commit c535536. That is why they are not to be
made again when a format changes, unless nobody can have files of the old form: make new ones beside them.
``made_with`` in expected.json says what was installed. Needs the extras ``edges`` and ``parquet``.
"""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import zarr

sys.path.insert(0, str(Path(__file__).parents[2]))

import golden
from conftest import knn_similarity
from sklearn.exceptions import ConvergenceWarning

from sparse_ap import AffinityPropagation, affinity_propagation, hierarchy
from sparse_ap.graphs import write_graph

LIBRARIES = ("numpy", "scipy", "scikit-learn", "zarr", "numba")


def main() -> None:
    scipy.sparse.save_npz(golden.FOLDER / "graph.npz", knn_similarity(120, 8, 2, seed=1))
    expected: dict[str, Any] = {"made_with": {"commit": "c535536", **{x: version(x) for x in LIBRARIES}}}
    expected["checkpoints"] = checkpoints()
    expected["results"] = results()
    with tempfile.TemporaryDirectory() as scratch:
        expected["graphs"] = graphs(Path(scratch))
        expected["tables"] = tables(Path(scratch))
        expected["obs"] = columns(Path(scratch))
    expected["estimators"] = estimators()
    (golden.FOLDER / "expected.json").write_text(json.dumps(expected, indent=None) + "\n")


def checkpoints() -> dict[str, Any]:
    """Leave runs half way, and say where they lead."""
    found = {}
    for name, (_, _, dtype) in golden.CHECKPOINTS.items():
        golden.interrupt(name, golden.FOLDER / "checkpoints" / name)
        for older in sorted((golden.FOLDER / "checkpoints" / name).iterdir())[:-1]:
            older.unlink()
        found[name] = golden.in_clustering(affinity_propagation(golden.graph(dtype), **golden.RUN))
    return found


def results() -> dict[str, Any]:
    """Save clusterings and a hierarchy, also as pickles."""
    graph = golden.graph()
    proven = affinity_propagation(graph, preference=-0.02, refine="medoid", certify=True)
    preference = np.linspace(-0.03, -0.01, graph.shape[0])
    options = {**golden.RUN, "preference": preference}
    cut_off = affinity_propagation(golden.graph("float64"), **options)
    tree = hierarchy(graph, clustering=proven)
    for name, result in (("proven", proven), ("cut-off", cut_off), ("tree", tree)):
        result.save(golden.FOLDER / f"{name}.npz")
        (golden.FOLDER / f"{name}.pickle").write_bytes(pickle.dumps(result, protocol=4))
    return {
        "proven": golden.in_clustering(proven),
        "cut-off": golden.in_clustering(cut_off),
        "tree": golden.in_hierarchy(tree),
    }


def graphs(scratch: Path) -> dict[str, Any]:
    """Write a graph as it is, and one with names, renumbered, its least similarities left out."""
    graph = golden.graph()
    write_graph(graph, scratch / "plain.zarr")
    rows, columns = graph.tocoo().coords
    lines = [f"p{i}\tp{k}\t{s!r}\n" for i, k, s in zip(rows, columns, graph.data.tolist(), strict=True)]
    (scratch / "edges.tsv").write_text("".join(lines))
    write_graph(scratch / "edges.tsv", scratch / "named.zarr", min_similarity=-0.03, order="rcm")
    found = {}
    for name in ("plain", "named"):
        folder = scratch / f"{name}.zarr"
        shutil.make_archive(str(golden.FOLDER / f"{name}.zarr"), "zip", folder)
        clustering = affinity_propagation(folder, preference=-0.02, refine="medoid")
        content = golden.in_group(zarr.open_group(folder, mode="r"))
        found[name] = {"content": content, "clustering": golden.in_clustering(clustering)}
    return found


def tables(scratch: Path) -> dict[str, Any]:
    """Write tables as the commands do."""
    import pyarrow.parquet

    found: dict[str, Any] = {}
    for graph in ("plain", "named"):
        for which in golden.TABLES:
            name = f"{which}-{graph}"
            source = scratch / f"{graph}.zarr"
            golden.command(which, source, "-o", str(golden.FOLDER / f"{name}.csv"))
            for ending in ("parquet", "npz", "zarr"):
                golden.command(which, source, "-o", str(scratch / f"{name}.{ending}"))
            schema = pyarrow.parquet.read_schema(scratch / f"{name}.parquet")
            found[name] = {
                "parquet": [[field.name, str(field.type)] for field in schema],
                "npz": golden.in_archive(scratch / f"{name}.npz"),
                "zarr": golden.in_group(zarr.open_group(scratch / f"{name}.zarr", mode="r")),
            }
    golden.command("path", scratch / "plain.zarr", "-o", str(golden.FOLDER / "path-plain.csv"))
    return found


def columns(scratch: Path) -> dict[str, Any]:
    """Write into the table of the cells of an AnnData store."""
    store = golden.cells(scratch / "cells.zarr")
    for which in golden.TABLES:
        golden.command(which, store / "obsp" / "similarities", "--obs", which, "-o", str(store))
    return golden.in_group(zarr.open_group(store / "obs", mode="r"))


def estimators() -> dict[str, Any]:
    """Pickle fitted estimators; say what they predict."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(36, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 12, axis=0)
    new = [[0.5, 0.2], [8.7, 0.1], [-0.2, 9.4], [9.3, 0.5]]
    found: dict[str, Any] = {"new": new}
    neighbours: dict[str, Any] = {"n_neighbors": golden.N_NEIGHBORS, "n_levels": None}
    for name, options in (("euclidean", {"affinity": "euclidean"}), ("neighbours", neighbours)):
        estimator = AffinityPropagation(refine="medoid", **options).fit(points)
        (golden.FOLDER / f"estimator-{name}.pickle").write_bytes(pickle.dumps(estimator, protocol=4))
        found[name] = {
            "labels": estimator.labels_.tolist(),
            "predicted": estimator.predict(new).tolist(),
            "clustering": golden.in_clustering(estimator.clustering_),
        }
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    main()
