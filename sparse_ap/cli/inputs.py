"""Graphs from the files that a command is given, and graphs to files."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.cli.output import printed_warnings
from sparse_ap.cli.search import Search, points_in, refuse_array
from sparse_ap.cli.streams import regular_file, temporary_folder
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import StoredGraph, from_knn, open_graph
from sparse_ap.graphs.conversion.edge_lists import Ids, holds_edges
from sparse_ap.graphs.conversion.names import checked_names
from sparse_ap.graphs.conversion.text_file import kind_of
from sparse_ap.graphs.conversion.write_graph import write_graph
from sparse_ap.graphs.distances import Similarity
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.graphs.npz import names_in_npz, read_npz, write_npz
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = ["GivenGraph", "Reading", "load_graph", "require_writable_graph", "save_graph"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: options that all commands share which read graphs.

    Attributes
    ----------
    similarity : {"-d", "-d**2", "1-d"} or None
        Conversion of distances to similarities.
    key, column, ids, n_points
        As for `write_graph`.
    float64 : bool
        Whether similarities are held in 64 bits.
    """

    similarity: Similarity | None
    key: str | None
    column: str | None
    ids: Ids
    n_points: int | None
    float64: bool

    def options(self) -> dict[str, Any]:
        """Return the parameters of `write_graph`."""
        return {
            "similarity": self.similarity,
            "key": self.key,
            "column": self.column,
            "ids": self.ids,
            "n_points": self.n_points,
            "dtype": "float64" if self.float64 else "float32",
        }

    def require_for_tables(self, path: Path) -> None:
        """Refuse options that say how a table of edges is read, for what is read as it is.

        Raises
        ------
        InvalidInputError
        """
        given = {
            "--key": self.key is not None,
            "--column": self.column is not None,
            "--ids": self.ids != "auto",
            "--n-points": self.n_points is not None,
            "--float64": self.float64,
        }
        for option in (option for option, is_given in given.items() if is_given):
            raise InvalidInputError(
                f"{option} is for tables of edges and AnnData files; {path} is read as it is. Leave it out."
            )


@dataclass(frozen=True, slots=True, eq=False)
class GivenGraph:
    """A graph that a command was given.

    Attributes
    ----------
    graph : csr_array or StoredGraph
    given : ndarray of str objects or None
        Names of the points that do not lie on disk beside the graph.
    """

    graph: scipy.sparse.csr_array | StoredGraph
    given: NDArray[Any] | None = None

    @property
    def recall(self) -> Recall | None:
        """The recall of the search that the graph comes from; None if that is not known."""
        return getattr(self.graph, "recall", None)

    def names(self) -> NDArray[Any] | None:
        """Return the names of the points; None if they have none."""
        if self.given is not None or not isinstance(self.graph, StoredGraph):
            return self.given
        return self.graph.names()

    def with_names(self, names: NDArray[Any] | None) -> GivenGraph:
        """Return the graph with the names of its points given.

        Raises
        ------
        InvalidInputError
            As in `checked_names`.
        """
        if names is None:
            return self
        have_names = self.given is not None or (
            isinstance(self.graph, StoredGraph) and getattr(self.graph.store, "ids", None) is not None
        )
        return replace(self, given=checked_names(names, self.graph.shape[0], have_names))


def load_graph(
    path: Path,
    reading: Reading,
    search: Search,
    *,
    seed: int = 0,
    n_jobs: int | None = None,
    names: NDArray[Any] | None = None,
    quiet: bool = False,
    memory_limit: str | None = None,
    shared: bool = True,
) -> GivenGraph:
    """Read a similarity graph from a file, open a graph on disk, or make the graph of points.

    Parameters
    ----------
    path : Path
        An ``.npz`` file with a sparse matrix as ``scipy.sparse.save_npz`` writes it, or with neighbour
        lists, the arrays ``indices`` and ``distances`` of shape (n_points, k). Or a folder with a graph in
        zarr's format, which is opened but not read. Anything else that `write_graph` takes is converted to
        a graph in a temporary folder, which is removed when the command ends.
    reading : Reading
    search : Search
        With a number of neighbours the file holds points, which are linked with their neighbours.
    seed, n_jobs : int
        Of the search.
    names : ndarray of str objects, optional
        Names of the points, which the input numbers.
    quiet : bool
        Whether to show no progress.
    memory_limit : str, optional
        As for `write_graph` and `knn_graph`.
    shared : bool
        Whether all who read the graph see the folder for temporary files of this machine.

    Raises
    ------
    InvalidInputError
        The file has no such form, or an option is for another form.
    """
    if search.n_neighbors is not None:
        path = regular_file(path, "points are")
        if memory_limit is not None and not shared:
            raise InvalidInputError(
                "--memory-limit was given for points, whose graph is then made in this machine's folder for "
                "temporary files, which the workers of --scheduler need not see. Make it where all see it: "
                f"sparse-ap knn {path} -o graph.zarr"
            )
        given = _from_points(path, reading, search, seed, n_jobs, quiet, memory_limit)
        return given.with_names(names)
    path = regular_file(path)
    search.require_unused()
    if path.is_dir() and reading.key is None and not holds_edges(path):
        _require_no_conversion(path, reading)
        return GivenGraph(replace(open_graph(path), loadable=True)).with_names(names)
    if kind_of(path) == "npz":
        return _from_archive(path, reading).with_names(names)
    if kind_of(path) == "npy":
        refuse_array(path)
    if not shared:
        raise InvalidInputError(
            f"{path} is converted in this machine's folder for temporary files, which the workers of "
            "--scheduler need not see. Convert it to where all see it: sparse-ap convert "
            f"{path} -o graph.zarr"
        )
    folder = temporary_folder()
    if not quiet and sys.stderr.isatty():
        click.echo(f"{path} is converted to a temporary graph; sparse-ap convert keeps one.", err=True)
    with printed_warnings(quiet):
        written = write_graph(
            path,
            folder / "graph.zarr",
            names=names,
            memory_limit=memory_limit,
            verbose=not quiet,
            **reading.options(),
        )
    return GivenGraph(replace(open_graph(written.path), loadable=True))


def _from_points(
    path: Path, reading: Reading, search: Search, seed: int, n_jobs: int | None, quiet: bool,
    memory_limit: str | None,
) -> GivenGraph:  # fmt: skip
    """Link points with their neighbours: within a limit of memory by a temporary graph."""
    reading.require_for_tables(path)
    where: dict[str, Any] = {}
    if memory_limit is not None:
        where = {"output": temporary_folder() / "graph.zarr", "memory_limit": memory_limit}
    with printed_warnings(quiet):
        points = points_in(path)
        graph = search.graph_of(points, reading.similarity, seed, n_jobs, not quiet, **where)
    if where:
        graph = replace(open_graph(graph.path), loadable=True)
    return GivenGraph(graph, points.names)


def _from_archive(path: Path, reading: Reading) -> GivenGraph:
    reading.require_for_tables(path)
    refuse_array(path)
    graph = read_npz(path)
    if isinstance(graph, tuple):
        return GivenGraph(from_knn(*graph, similarity=reading.similarity or "-d"))
    _require_no_conversion(path, reading)
    return GivenGraph(graph, names_in_npz(path, graph.shape[0]))


def _require_no_conversion(path: Path, reading: Reading) -> None:
    reading.require_for_tables(path)
    if reading.similarity is not None:
        raise InvalidInputError(
            f"{path} holds no distances, but how to turn them into similarities was given: "
            f"{reading.similarity!r}. That is for neighbour lists, the arrays 'indices' and 'distances', and "
            "for tables; leave it out."
        )


def require_writable_graph(path: Path) -> None:
    """Refuse a path to which a graph cannot be written, before the work starts.

    Raises
    ------
    InvalidInputError
        The path ends in neither ``.npz`` nor ``.zarr``, its folder does not exist, or is not writable, or a
        ``.zarr`` folder exists already.
    """
    if path.suffix not in (".npz", ".zarr"):
        raise InvalidInputError(
            f"{path} ends in {path.suffix!r}; a graph is written to an .npz file or a .zarr folder."
        )
    if path.suffix == ".zarr" and path.exists():
        raise InvalidInputError(
            f"{path} exists, and folders are not replaced. Choose another name, or remove it."
        )
    require_folder(path)


def save_graph(graph: scipy.sparse.csr_array, path: Path, names: NDArray[Any] | None = None) -> None:
    """Write a graph, the names of its points and what is known of its search to an ``.npz`` or zarr file.

    It appears complete or not at all.
    """
    if path.suffix == ".zarr":
        write_graph(graph, path, names=names)
        return
    with replacing(path) as part:
        write_npz(part, graph, names)
