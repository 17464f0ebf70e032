"""`read_npz`: graphs from ``.npz`` files, and one error for all faults of such files."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.kernels.block import FloatArray
from sparse_ap.storage.archives import DAMAGE, require_archive

__all__ = ["damage_told", "names_in_npz", "read_npz", "write_npz"]

# The names of the points, beside the arrays that scipy.sparse.save_npz writes.
_NAMES = "ids"
# What is known of the search that the graph comes from.
_RECALL, _MISSING = "recall", "missing_at_most"
_LISTS = ("indices", "distances")


def read_npz(path: Path) -> Any:
    """Return the sparse matrix that ``scipy.sparse.save_npz`` wrote, or neighbour lists as a pair of arrays.

    Neighbour lists are the arrays ``indices`` and ``distances`` of shape (n_points, k).

    Raises
    ------
    InvalidInputError
        The file holds neither, or is damaged.
    """
    with damage_told(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = set(arrays.files)
        if names >= set(_LISTS):
            return arrays[_LISTS[0]], arrays[_LISTS[1]]
        if names >= {"format", "shape", "data"}:
            return KNNGraph.of(scipy.sparse.load_npz(path), *_knowledge_in(arrays))
    raise InvalidInputError(
        f"{path} holds the arrays {', '.join(sorted(names)) or '(none)'}; needed is a sparse matrix as "
        "scipy.sparse.save_npz writes it, or neighbour lists: the arrays 'indices' and 'distances'."
    )


def names_in_npz(path: Path, n_points: int) -> NDArray[Any] | None:
    """Return the names of points that `write_npz` has written, as objects; None if there are none."""
    with damage_told(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = arrays[_NAMES] if _NAMES in arrays.files else None
    if names is None or names.dtype.kind != "U" or names.shape != (n_points,):
        return None
    as_objects: NDArray[Any] = names.astype(object)
    return as_objects


def _knowledge_in(arrays: Any) -> tuple[Recall | None, FloatArray | None]:
    """Return what `write_npz` has written about the search that a graph comes from."""
    recall = arrays[_RECALL] if _RECALL in arrays.files else np.empty(0)
    if recall.shape != (3,) or recall.dtype.kind != "f":
        return None, None
    missing = arrays[_MISSING] if _MISSING in arrays.files else None
    return Recall(float(recall[0]), float(recall[1]), int(recall[2])), missing


def write_npz(path: Path, graph: scipy.sparse.csr_array, names: NDArray[Any] | None = None) -> None:
    """Write a graph as ``scipy.sparse.save_npz`` does, and more arrays, which scipy passes over.

    Parameters
    ----------
    path : Path
    graph : csr_array
        Of a `KNNGraph` the recall is written too, and what missing edges are at most.
    names : ndarray of str objects, shape (n_points,), optional
    """
    more = {} if names is None else {_NAMES: names.astype(str)}
    if isinstance(graph, KNNGraph) and graph.recall is not None:
        more[_RECALL] = np.array(astuple(graph.recall), np.float64)
        if graph.missing_at_most is not None:
            more[_MISSING] = graph.missing_at_most
    with path.open("wb") as file:
        scipy.sparse.save_npz(file, graph, compressed=False)
    with zipfile.ZipFile(path, "a") as archive:
        for name, values in more.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn the errors of numpy, scipy and zipfile about a damaged file into an `InvalidInputError`."""
    if path.suffix == ".npz":
        require_archive(path)
    try:
        with warnings.catch_warnings():
            # scipy would take complex positions, or NaN, for whole numbers, with such a warning only.
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except (*DAMAGE, RuntimeWarning) as error:
        raise InvalidInputError(
            f"{path} is no {path.suffix} file, or a damaged one ({error}). Write it again."
        ) from error
