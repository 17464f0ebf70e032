"""Writing graphs to disk from anything, without holding them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sparse_ap.arguments import available, bytes_of, progress_bar
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.edge_lists import ENDINGS, Ids, read_edges
from sparse_ap.graphs.conversion.inputs import from_file, from_object
from sparse_ap.graphs.conversion.row_blocks import RowBlocks, checked_canonical, converted, narrowed
from sparse_ap.graphs.conversion.text_layout import kind_of
from sparse_ap.graphs.conversion.transforms import (
    Scratch,
    TransformOptions,
    reshaped,
    sorted_graph,
    transposed,
    triplets,
)
from sparse_ap.graphs.distances import Similarity
from sparse_ap.kernels.block import Block
from sparse_ap.storage.atomic_files import replacing_folder
from sparse_ap.storage.zarr_writer import write_csr

__all__ = ["WrittenGraph", "write_graph"]


@dataclass(frozen=True, slots=True)
class WrittenGraph:
    """What was written.

    Attributes
    ----------
    path : Path
    n_points, n_edges : int
    smallest, largest : float or None
        The similarities; None without edges.
    longest_row : int
        The most edges of a point.
    n_without_edges : int
        Points that have none.
    """

    path: Path
    n_points: int
    n_edges: int
    smallest: float | None
    largest: float | None
    longest_row: int
    n_without_edges: int


def write_graph(
    source: Any,
    target: str | Path,
    *,
    similarity: Similarity | None = None,
    key: str | None = None,
    column: str | int | None = None,
    ids: Ids = "auto",
    n_points: int | None = None,
    min_similarity: float | None = None,
    symmetrise: bool = False,
    top_k: int | None = None,
    order: Any = None,
    dtype: Any = np.float32,
    memory_limit: int | str | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> WrittenGraph:
    """Write a graph to disk, in rows, with checksums, without holding it in memory.

    The result is a zarr group in AnnData's CSR layout. It appears under its name when it is complete.

    Parameters
    ----------
    source : path, sparse matrix, pair or iterable
        A file: ``.npz`` (a scipy sparse matrix, or neighbour lists), ``.mtx``, ``.h5ad``; a folder: a zarr
        group by rows or columns, or an AnnData store; an edge list: ``.parquet``, ``.tsv``, ``.csv``,
        ``.txt``, ``.m8`` (BLAST, MMseqs2), ``.abc`` (MCL), also ``.gz``. A scipy sparse matrix. A pair
        (indices, distances) of tables of shape (n_points, k), memory-mapped or not, as for `from_knn`. An
        iterable of row blocks: scipy sparse matrices of shape (rows, n_points), or (degrees, indices, data).
    target : path
        A folder that does not exist, usually ``something.zarr``.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        The source holds distances, and how one becomes a similarity. None: similarities, but of neighbour
        lists, and of AnnData graphs whose name ends in "distances", "-d". A callable is given some distances
        at a time, and must treat each by itself.
    key : str, optional
        Where in an AnnData file the graph is, such as "obsp/distances"; needed where there are several.
    column : str or int, optional
        Where in an edge list the similarity is: a heading, or a number from 3. None: the bit score of
        ``.m8``, else the third. The points are in the first two columns.
    ids : {"auto", "integer", "string"}
        Whether the points of an edge list are numbers from 0, or names. Names are numbered in the order of
        their bytes, and kept beside the graph. "auto": numbers where the first edge has such, but names in
        ``.m8`` and ``.abc``.
    n_points : int, optional
        Of an edge list with numbers, the largest of which plus one is taken otherwise; of row blocks.
    min_similarity : float, optional
        Edges with this similarity or a smaller one are left out, and that is noted with the graph: it is no
        longer the graph to cluster at a lower preference.
    symmetrise : bool
        Whether to store every edge in both directions, with the larger of the two similarities.
    top_k : int, optional
        How many edges of a row are kept, those with the largest similarities; of equal ones those to smaller
        numbers. After ``symmetrise``.
    order : "rcm" or array of int, shape (n_points,), optional
        The order to store the rows in: row j is point ``order[j]``. "rcm": reverse Cuthill-McKee, which puts
        neighbours near each other; needs 4 bytes an edge of memory. Labels are in the user's order anyway.
    dtype : float32 or float64
        How similarities are stored.
    memory_limit : int or str, optional
        Bytes for the whole process, such as "2GB". What does not fit is sorted on disk, beside the target.
        None: what there is.
    overwrite : bool
        Whether a graph at ``target`` is replaced, once the new one is complete.
    verbose : bool
        Whether a terminal is shown the progress.

    Returns
    -------
    WrittenGraph

    Raises
    ------
    InvalidInputError
        The source cannot be used, an option is wrong, or ``target`` exists.
    MemoryLimitError
        What was asked for does not fit into ``memory_limit``.
    MissingDependencyError
        The format needs a package that is not installed.
    OSError
        The disk is full; nothing is left behind.

    Examples
    --------
    >>> import scipy.sparse, sparse_ap.graphs
    >>> graph = scipy.sparse.csr_array([[0, 0.5], [0.25, 0]])
    >>> written = sparse_ap.graphs.write_graph(graph, "two.zarr", symmetrise=True)
    >>> written.n_edges, written.smallest
    (2, 0.5)
    """
    options = TransformOptions(min_similarity, symmetrise, top_k, order)
    scratch = Scratch(bytes_of(memory_limit) if memory_limit is not None else available(), _float(dtype))
    with replacing_folder(Path(target), overwrite) as workspace, ExitStack() as held:
        scratch.use(workspace.scratch, held)
        graph = _opened(source, scratch, similarity, key, column, ids, n_points)
        graph = reshaped(graph, options, scratch)
        extent = write_csr(
            workspace.result,
            _watched(graph, verbose),
            scratch.dtype,
            graph.origin,
            ids=graph.ids,
            n_edges=graph.n_edges,
        )
    return WrittenGraph(Path(target), **asdict(extent))


def _float(dtype: Any) -> np.dtype[Any]:
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        if dtype in (known, known.name):
            return known
    raise InvalidInputError(f"dtype={dtype!r}; it must be float32 or float64.")


def _opened(
    source: Any,
    scratch: Scratch,
    similarity: Similarity | None,
    key: str | None,
    column: str | int | None,
    ids: Ids,
    n_points: int | None,
) -> RowBlocks:
    """Return the source as canonical row blocks with similarities of the type wanted."""
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and path.is_file() and kind_of(path) in ENDINGS:
        distances = similarity is not None
        graph = read_edges(
            path,
            scratch.database(),
            column=column,
            ids=ids,
            n_points=n_points,
            dtype=scratch.dtype,
            distances=distances,
        )
        if similarity is not None:
            graph = replace(graph, blocks=map(partial(converted, similarity), graph.blocks))
    elif column is not None:
        raise InvalidInputError(f"column={column!r} is for edge lists; the source is none.")
    elif path is not None:
        graph = from_file(path, key, similarity, scratch.held)
    else:
        graph = from_object(source, similarity, n_points)
    blocks = map(partial(narrowed, scratch.dtype), graph.blocks)
    graph = replace(graph, blocks=map(checked_canonical, blocks))
    if graph.by_columns:
        return sorted_graph(graph, transposed(triplets(graph.blocks)), graph.n_edges, scratch)
    return graph


def _watched(graph: RowBlocks, verbose: bool) -> Iterator[Block]:
    """Show a bar on a terminal while the rows go by."""
    with progress_bar(verbose, graph.n_points, "points written", unit_scale=True) as bar:
        for block in graph.blocks:
            yield block
            bar.update(block.rows.stop - block.rows.start)
