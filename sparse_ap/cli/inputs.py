"""Graphs and points from the files that a command is given, and graphs to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import StoredGraph, from_knn, open_graph
from sparse_ap.graphs.npz import damage_told, read_npz
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["load_graph", "read_points", "require_writable_graph", "save_graph"]


def load_graph(path: Path, similarity: str | None) -> scipy.sparse.csr_array | StoredGraph:
    """Read a similarity graph from a file, or open a graph on disk.

    Parameters
    ----------
    path : Path
        An ``.npz`` file with a sparse matrix as ``scipy.sparse.save_npz`` writes it, or with neighbour
        lists, the arrays ``indices`` and ``distances`` of shape (n_points, k). Or a folder with a graph in
        zarr's format, which is opened but not read.
    similarity : {"-d", "-d**2", "1-d"} or None
        Conversion of the distances in neighbour lists to similarities; None: "-d".

    Raises
    ------
    InvalidInputError
        The file has no such form, or ``similarity`` is given for a graph of similarities.
    """
    if path.is_dir():
        _require_no_conversion(path, similarity)
        return replace(open_graph(path), loadable=True)
    if path.suffix != ".npz":
        raise InvalidInputError(
            f"{path} ends in {path.suffix!r}; graphs are read from .npz files and zarr folders."
        )
    graph = read_npz(path)
    if isinstance(graph, tuple):
        return from_knn(*graph, similarity=similarity or "-d")
    _require_no_conversion(path, similarity)
    return graph


def _require_no_conversion(path: Path, similarity: str | None) -> None:
    if similarity is not None:
        raise InvalidInputError(
            f"{path} holds no distances, but how to turn them into similarities was given: {similarity!r}. "
            "That is for neighbour lists, the arrays 'indices' and 'distances'; leave it out."
        )


def read_points(path: Path) -> Any:
    """Read a table of points: an ``.npy`` file, memory-mapped, or an ``.npz`` file with one array.

    Raises
    ------
    InvalidInputError
        The file has no such form.
    """
    if path.suffix not in (".npy", ".npz"):
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; points are read from .npy or .npz files.")
    with damage_told(path):
        if path.suffix == ".npy":
            # Mapped, since the table of points may be the largest object of the command.
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = arrays.files
            if len(names) == 1:
                return arrays[names[0]]
    raise InvalidInputError(
        f"{path} holds the arrays {', '.join(sorted(names)) or '(none)'}; exactly one is needed, the table "
        "of points. Write it alone, with numpy.save."
    )


def require_writable_graph(path: Path) -> None:
    """Refuse a path to which a graph cannot be written, before the work starts.

    Raises
    ------
    InvalidInputError
        The path does not end in ``.npz``, its folder does not exist, or is not writable.
    """
    if path.suffix != ".npz":
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; a graph is written to an .npz file.")
    require_folder(path)


def save_graph(graph: scipy.sparse.csr_array, path: Path) -> None:
    """Write a graph as ``scipy.sparse.save_npz`` does; the file appears complete or not at all."""
    with replacing(path) as part, part.open("wb") as file:
        scipy.sparse.save_npz(file, graph, compressed=False)
