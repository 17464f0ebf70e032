"""The search for the neighbours of points, for commands that are given points in place of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap.cli.points import Points, array_in, holds_array, read_points
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.text_file import kind_of
from sparse_ap.graphs.distances import Similarity
from sparse_ap.graphs.npz import damage_told

__all__ = ["Search", "points_in", "refuse_array"]

_K = "-k/--n-neighbors"


@dataclass(frozen=True, slots=True)
class Search:
    """How neighbours are searched: options that all commands share which take points.

    Attributes
    ----------
    n_neighbors : int or None
        Neighbours of each point; None: the input is a graph.
    metric : str or None
        The distance; None: "euclidean".
    recall : float or None
        Share of the neighbours that an approximate search must find; None: .95.
    """

    n_neighbors: int | None
    metric: str | None
    recall: float | None

    def require_unused(self) -> None:
        """Refuse options of a search, for a graph.

        Raises
        ------
        InvalidInputError
        """
        for option, value in (("--metric", self.metric), ("--recall", self.recall)):
            if value is not None:
                raise InvalidInputError(
                    f"{option} is for points, whose neighbours are searched: give {_K} too, such as -k 15; "
                    f"or leave {option} out for a graph."
                )

    def graph_of(
        self,
        points: Points,
        similarity: Similarity | None,
        seed: int,
        n_jobs: int | None,
        verbose: bool,
        **where: Any,
    ) -> Any:
        """Return the graph from each point to its neighbours, by `knn_graph`.

        Parameters
        ----------
        points : Points
        similarity : str or callable, optional
        seed, n_jobs : int
        verbose : bool
        **where : Any
            Where it is to be written, if it is not to be in memory.
        """
        from sparse_ap.graphs.knn import knn_graph

        k, metric, recall = self._chosen()
        return knn_graph(
            points.table,
            k,
            metric=metric,
            similarity=similarity,
            recall=recall,
            n_jobs=n_jobs,
            random_state=seed,
            verbose=verbose,
            **where,
        )

    def name_for(self, points: Points) -> str:
        """Return the name of the search among these points, and of the distance."""
        from sparse_ap.graphs.neighbours.search import search_for

        k, metric, recall = self._chosen()
        return f"{search_for(points.table, k, metric, recall)}, {metric}"

    def _chosen(self) -> tuple[int, str, float]:
        """Return the number of neighbours, the distance and the recall."""
        return self.n_neighbors or 0, self.metric or "euclidean", self.recall or 0.95


def points_in(path: Path) -> Points:
    """Read the points of a file, as `read_points` does, and refuse a graph.

    Raises
    ------
    InvalidInputError
        The file holds a graph, or no points.

    Notes
    -----
    A zarr array is taken for points, since a dense matrix needs no search.
    """
    if path.is_dir() and not holds_array(path):
        raise InvalidInputError(
            f"{path} is a folder, which holds a graph; {_K} is for points, which are read from .npy, .npz, "
            ".csv, .tsv, .txt or .parquet files, and from zarr arrays. For a graph leave it out."
        )
    if kind_of(path) == "npz":
        _require_no_graph(path)
    return read_points(path)


def _require_no_graph(path: Path) -> None:
    names = _arrays_in(path)
    found = None
    if names >= {"format", "shape", "data"}:
        found = "a sparse matrix, which is a graph"
    elif names >= {"indices", "distances"}:
        found = "neighbour lists, which are a graph"
    if found is not None:
        raise InvalidInputError(
            f"{path} holds {found}; {_K} is for points, whose neighbours are still to be searched. For a "
            "graph leave it out."
        )


def refuse_array(path: Path) -> None:
    """Refuse a file with one array, as which points come, and say how it can be taken.

    Raises
    ------
    InvalidInputError
        The file is an ``.npy`` file, or an ``.npz`` file with one array.
    """
    if kind_of(path) != "npy" and len(_arrays_in(path)) != 1:
        return
    shape = array_in(path).shape
    size = " × ".join(f"{n:,}" for n in shape)
    if len(shape) != 2:
        raise InvalidInputError(
            f"{path} holds an array of shape {shape}; a table of points has two dimensions, one row a point."
        )
    if shape[0] != shape[1]:
        raise InvalidInputError(
            f"{path} holds an array of {size} numbers, which are points, one a row: add -k 15 "
            "(--n-neighbors), and each is linked with its 15 nearest neighbours first."
        )
    raise InvalidInputError(
        f"{path} holds an array of {size} numbers, which are points or similarities. As points: add -k 15 "
        "(--n-neighbors). As similarities: make a zarr array of it, which commands take for a dense matrix: "
        f"zarr.save_array('matrix.zarr', numpy.load({str(path)!r}))."
    )


def _arrays_in(path: Path) -> set[str]:
    with damage_told(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return set(arrays.files)
