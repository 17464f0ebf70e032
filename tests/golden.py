"""How the golden files are made, and how what is in files is put into words and numbers.

``tests/data/golden/make.py`` has made the files with this, and ``tests/test_formats.py`` makes them again.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import zarr
from click.testing import CliRunner

from sparse_ap import Clustering, affinity_propagation
from sparse_ap.cli.commands import main

FOLDER = Path(__file__).parent / "data" / "golden"

# The run that checkpoints are of goes on to its 60th sweep, after which it has not settled.
RUN: dict[str, Any] = {"preference": -0.02, "max_iter": 60, "convergence_iter": 59, "refine": "medoid"}
# Of each checkpoint: the sweep it is of, whether points are renumbered, the type of the similarities. Before
# the first look there is no best set to remember, and before sweep 41 no bias.
CHECKPOINTS: dict[str, tuple[int, bool, str]] = {
    "young": (5, False, "float32"),
    "tilted": (45, False, "float32"),
    "renumbered": (45, True, "float32"),
    "renumbered-float64": (20, True, "float64"),
}
COMMANDS: dict[str, list[str]] = {
    "cluster": ["cluster", "--preference=-0.02", "--refine=medoid"],
    "tree": ["tree", "--preference=-0.02", "--n-clusters=3"],
    "path": ["path", "--preferences=-0.02,-0.05"],
}
# Of these the output may be in several forms.
TABLES = ("cluster", "tree")
N_NEIGHBORS = 8


class StopError(Exception):
    pass


def graph(dtype: str = "float32") -> scipy.sparse.csr_array:
    found = scipy.sparse.load_npz(FOLDER / "graph.npz")
    return scipy.sparse.csr_array(found.astype(dtype))


def interrupt(name: str, folder: Path) -> None:
    """Leave the checkpoint of that name in a folder."""
    sweep, reorder, dtype = CHECKPOINTS[name]

    def stop(report: Any) -> None:
        if report.sweep == sweep + 2:
            raise StopError

    options = {**RUN, "reorder": reorder, "checkpoint": folder, "checkpoint_every": sweep}
    try:
        affinity_propagation(graph(dtype), callback=stop, **options)
    except StopError:
        return
    raise AssertionError("the run has not been interrupted")


def command(which: str, source: Path, *options: str) -> None:
    """Run a command on a graph as a user does."""
    found = CliRunner().invoke(main, [*COMMANDS[which], "--quiet", str(source), *options])
    assert found.exit_code == 0, found.output


def unpacked(name: str, folder: Path) -> Path:
    """Unpack a graph to a folder."""
    with zipfile.ZipFile(FOLDER / f"{name}.zarr.zip") as packed:
        packed.extractall(folder)
    return folder


def cells(folder: Path) -> Path:
    """Make a store as AnnData does, with the golden graph for its similarities."""
    store = zarr.create_group(folder, zarr_format=3)
    store.create_group("obsp")
    obs = store.create_group("obs")
    obs.attrs.update({"encoding-type": "dataframe", "_index": "_index", "column-order": []})
    names = np.array([f"cell {point}" for point in range(graph().shape[0])], object)
    obs.create_array("_index", shape=names.shape, dtype=str)[:] = names
    unpacked("plain", folder / "obsp" / "similarities")
    return folder


def in_archive(path: Path) -> dict[str, Any]:
    """Return what is in an ``.npz`` file: name, type and shape of each array."""
    with np.load(path) as arrays:
        return {name: [arrays[name].dtype.str, list(arrays[name].shape)] for name in arrays.files}


def in_group(group: zarr.Group) -> dict[str, Any]:
    """Return what is in a zarr group: names, attributes, types, and of arrays the first values."""
    found: dict[str, Any] = {"": dict(group.attrs)}
    for name, member in group.members(max_depth=None):
        array = isinstance(member, zarr.Array)
        found[name] = [dict(member.attrs), *(_in_array(member) if array else [])]
    return found


def _in_array(array: Any) -> list[Any]:
    # The type of text has changed with numpy and zarr.
    text = array.dtype.kind in ("O", "T", "U")
    return ["text" if text else array.dtype.str, list(array.shape), array[:8].tolist()]


def in_clustering(clustering: Any) -> dict[str, Any]:
    """Return all that a clustering is, as it is written in JSON."""
    assert isinstance(clustering, Clustering)
    return {
        "labels": clustering.labels.tolist(),
        "exemplars": clustering.exemplars.tolist(),
        "similarities": [clustering.similarities.dtype.name, clustering.similarities.tolist()],
        "net_similarity": clustering.net_similarity,
        "data_similarity": clustering.data_similarity,
        "exemplar_preference": clustering.exemplar_preference,
        "n_iter": clustering.n_iter,
        "converged": clustering.converged,
        "outcome": clustering.outcome.name,
        "n_unsettled": clustering.n_unsettled,
        "n_promoted": clustering.n_promoted,
        "history": [[r.sweep, r.n_exemplars, r.n_changed, r.n_unsettled] for r in clustering.history],
        "net_similarity_bound": clustering.net_similarity_bound,
        "preference": clustering.preference,
    }


def in_hierarchy(tree: Any) -> dict[str, Any]:
    """Return all that a hierarchy is, and a cut of it, as it is written in JSON."""
    return {
        "clusterings": [in_clustering(clustering) for clustering in tree.clusterings],
        "graphs": [
            [g.indptr.tolist(), g.indices.tolist(), g.data.dtype.name, g.data.tolist()] for g in tree.graphs
        ],
        "n_inner_edges": tree.n_inner_edges.tolist(),
        "n_edges": tree.n_edges,
        "cut": [values.tolist() for values in tree.cut(3)[:2]],
    }


def expected(name: str) -> Any:
    """Return what was written down when the files were made."""
    return json.loads((FOLDER / "expected.json").read_text())[name]
