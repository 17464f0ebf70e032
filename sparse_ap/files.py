"""Graphs from files, clusterings to files: what the command line reads and writes."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.errors import InvalidInputError, MissingDependencyError
from sparse_ap.graphs import from_knn
from sparse_ap.model import Clustering

__all__ = ["read_graph", "require_writable", "write_clustering"]


def read_graph(path: Path, similarity: str | None) -> Any:
    """Read a similarity graph.

    Parameters
    ----------
    path : Path
        An ``.npz`` file: a sparse matrix as ``scipy.sparse.save_npz`` writes it, or neighbour lists,
        the arrays ``indices`` and ``distances`` of shape (n_points, k).
    similarity : {"-d", "-d**2", "1-d"} or None
        How the distances of neighbour lists become similarities; None is "-d".

    Raises
    ------
    InvalidInputError
        The file is neither, or ``similarity`` is given for a matrix of similarities.
    """
    if path.suffix != ".npz":
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; graphs are read from .npz files.")
    try:
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
            if {"indices", "distances"} <= names:
                return from_knn(file["indices"], file["distances"], similarity=similarity or "-d")
        if {"format", "shape", "data"} <= names and similarity is None:
            return scipy.sparse.load_npz(path)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise InvalidInputError(
            f"{path} is no .npz file, or a damaged one ({error}). Write it again."
        ) from error
    if similarity is not None:
        raise InvalidInputError(
            f"{path} holds no distances, but how to turn them into similarities was given: {similarity!r}. "
            "That is for neighbour lists, the arrays 'indices' and 'distances'; leave it out."
        )
    raise InvalidInputError(
        f"{path} holds the arrays {', '.join(sorted(names)) or '(none)'}; needed is a sparse matrix as "
        "scipy.sparse.save_npz writes it, or neighbour lists: the arrays 'indices' and 'distances'."
    )


def require_writable(path: Path) -> None:
    """Refuse an output that cannot be written, before the work that would be lost.

    Raises
    ------
    InvalidInputError
        The ending is not known, or the folder does not exist.
    MissingDependencyError
        The format needs a package that is not installed.
    """
    if path.suffix not in _WRITERS:
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; one of {', '.join(_WRITERS)} is needed.")
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"The folder {path.absolute().parent} does not exist; make it first.")
    if path.suffix == ".parquet":
        _parquet()


def write_clustering(clustering: Clustering, path: Path) -> None:
    """Write the clustering in the format that the ending names; the file appears whole or not at all.

    ``.npz`` holds everything (`Clustering.save`); ``.parquet`` and ``.csv`` are tables with a row a
    point: ``point``, ``label``, ``exemplar`` (the exemplar's point).
    """
    part = path.with_name(f".{path.name}.part")
    try:
        _WRITERS[path.suffix](clustering, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _columns(clustering: Clustering) -> dict[str, Any]:
    return {
        "point": np.arange(len(clustering.labels)),
        "label": clustering.labels,
        "exemplar": clustering.exemplars[clustering.labels],
    }


def _write_csv(clustering: Clustering, path: Path) -> None:
    columns = _columns(clustering)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))


def _write_parquet(clustering: Clustering, path: Path) -> None:
    arrow, parquet = _parquet()
    parquet.write_table(arrow.table(_columns(clustering)), path)


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError.of("Writing .parquet", "pyarrow", "parquet") from error
    return pyarrow, pyarrow.parquet


_WRITERS: dict[str, Callable[[Clustering, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npz": Clustering.save,
}
