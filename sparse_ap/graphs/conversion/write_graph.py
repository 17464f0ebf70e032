"""`write_graph`: graphs from any source to disk, without holding them in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import available, bytes_of, progress_bar
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs.conversion.edge_lists import Ids, holds_edges, read_edges, require_no_compressed_binary
from sparse_ap.graphs.conversion.inputs import from_file, from_object
from sparse_ap.graphs.conversion.names import checked_names
from sparse_ap.graphs.conversion.row_blocks import RowBlocks, checked_canonical, converted, narrowed
from sparse_ap.graphs.conversion.transforms import (
    Scratch,
    TransformOptions,
    reshaped,
    sorted_graph,
    transposed,
    triplets,
)
from sparse_ap.graphs.distances import Similarity
from sparse_ap.graphs.foreign import parquet_of, table_kind
from sparse_ap.graphs.narrowing import Narrowing
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.kernels.block import Block
from sparse_ap.storage.atomic_files import replacing_folder
from sparse_ap.storage.zarr_writer import write_csr

__all__ = ["WrittenGraph", "write_graph"]


@dataclass(frozen=True, slots=True)
class WrittenGraph:
    """The location, size and range of a written graph.

    Attributes
    ----------
    path : Path
    n_points, n_edges : int
    smallest, largest : float or None
        Extremes of the similarities; None without edges.
    longest_row : int
        Largest number of edges of a point.
    n_without_edges : int
        Number of points without edges.
    recall : Recall or None
        Of the search for neighbours that the graph comes from.
    """

    path: Path
    n_points: int
    n_edges: int
    smallest: float | None
    largest: float | None
    longest_row: int
    n_without_edges: int
    recall: Recall | None = None


def write_graph(
    source: Any,
    target: str | Path,
    *,
    similarity: Similarity | None = None,
    key: str | None = None,
    column: str | int | None = None,
    ids: Ids = "auto",
    n_points: int | None = None,
    names: Sequence[str] | NDArray[Any] | None = None,
    min_similarity: float | None = None,
    symmetrise: bool = False,
    top_k: int | None = None,
    order: Any = None,
    dtype: Any = np.float32,
    memory_limit: int | str | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> WrittenGraph:
    """Write a graph to disk by rows, with checksums, without holding it in memory.

    The result is a zarr group in AnnData's CSR layout, which appears under its name when complete.

    Parameters
    ----------
    source : path, sparse matrix, pair or iterable
        A file: ``.npz`` (a scipy sparse matrix, or neighbour lists), ``.mtx``, ``.h5ad``; a folder: a zarr
        group by rows or columns, or an AnnData store; an edge list: ``.parquet``, ``.tsv``, ``.csv``,
        ``.txt``, ``.m8`` (BLAST, MMseqs2), ``.abc`` (MCL), also ``.gz``, ``.bz2``, ``.xz``, ``.zst``; or a
        folder of parquet files that are one table.
        A scipy sparse matrix; what is known of a `KNNGraph` is stored with it. A pair (indices, distances) of
        tables of shape (n_points, k), memory-mapped or not, as for `from_knn`. A table of edges of pandas,
        polars or pyarrow, which is read as a parquet file is. An iterable of row blocks: scipy sparse
        matrices of shape (rows, n_points), or (degrees, indices, data).
    target : path
        A folder that does not exist, usually ``something.zarr``.
    similarity : {"-d", "-d**2", "1-d"} or callable, optional
        Conversion of a distance to a similarity; the source then holds distances. None: the source holds
        similarities; but neighbour lists, and AnnData graphs whose name ends in "distances", are converted
        by "-d". A callable receives some distances at a time, in float64, and must treat each by itself.
    key : str, optional
        Name of the graph in an AnnData file, such as "obsp/distances"; required if there are several.
    column : str or int, optional
        Column of the similarity in an edge list: a heading, or a number from 3. None: the bit score of
        ``.m8``; else the column headed weight, similarity or score; else the third. The points are in the
        columns headed source and target, from and to, query and subject or the like; else in the first two.
    ids : {"auto", "integer", "string"}
        Whether the points of an edge list are numbers from 0, or names. Names are numbered in the order of
        their bytes, or as numbers if they are whole numbers and this is "auto"; they are stored beside the
        graph. "auto": numbers if the first edges have numbers, and at least half of the numbers from 0 to the
        largest occur; otherwise names, of which zeros before a number are part. A warning says what was
        assumed, and how many points have no edge. ``.m8`` and ``.abc`` have names.
    n_points : int, optional
        Number of points of an edge list with numbers, by default the largest plus one; or of row blocks.
    names : sequence of str, shape (n_points,), optional
        Names of the points, for a source in which they are numbers; stored beside the graph.
    min_similarity : float, optional
        Leave out edges with this similarity or less. (With the parameter of this name of
        `affinity_propagation`, edges of just this similarity stay.) The bound is stored with the graph, which
        is then refused at preferences below it.
    symmetrise : bool
        Whether to store every edge in both directions, with the larger of the two similarities.
    top_k : int, optional
        Number of edges kept in each row, those with the largest similarities; among equals those to smaller
        numbers. Applied after ``symmetrise``.
    order : "rcm" or array of int, shape (n_points,), optional
        Order in which to store the rows: row j is point ``order[j]``. "rcm": reverse Cuthill-McKee, which
        places neighbours near each other; it needs 4 bytes of memory per edge. Labels are in the user's
        order in any case.
    dtype : float32 or float64
        Dtype of the stored similarities. Distances are converted in float64; a warning says if different
        similarities become equal in float32.
    memory_limit : int or str, optional
        Bytes that the whole process may hold, such as "2GB". Edges that do not fit are sorted on disk,
        beside the target. None: most of the free memory.
    overwrite : bool
        Whether to replace a graph at ``target``, once the new one is complete.
    verbose : bool
        Whether to show progress on a terminal.

    Returns
    -------
    WrittenGraph

    Raises
    ------
    InvalidInputError
        The source is invalid, an option is wrong, or ``target`` exists.
    MemoryLimitError
        The conversion does not fit into ``memory_limit``.
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
        if names is not None and n_points is None and _is_table(source):
            n_points = len(names)
        graph = _opened(source, scratch, similarity, key, column, ids, n_points)
        if names is not None:
            graph = replace(graph, ids=[checked_names(names, graph.n_points, graph.ids is not None)])
        graph = reshaped(graph, options, scratch)
        written = write_csr(
            workspace.result,
            _watched(graph, verbose),
            scratch.dtype,
            graph.origin,
            ids=graph.ids,
            recall=None if graph.recall is None else astuple(graph.recall),
            missing=graph.missing,
            n_edges=graph.n_edges,
        )
    return WrittenGraph(Path(target), **asdict(written), recall=graph.recall)


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
    """Return the source as canonical row blocks, with similarities of the wanted dtype."""
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        require_no_compressed_binary(path)
    table = path if path is not None and holds_edges(path) else parquet_of(source, scratch.scratch)
    _require_for_edges(path, table is not None, key, column, ids, n_points)
    if table is not None:
        distances = similarity is not None
        graph = read_edges(
            table,
            scratch.database(),
            column=column,
            ids=ids,
            n_points=n_points,
            dtype=np.dtype(np.float64) if distances else scratch.dtype,
            distances=distances,
            named=None if path else Path("The table of edges"),
        )
        if similarity is not None:
            graph = replace(graph, blocks=map(partial(converted, similarity), graph.blocks))
    elif path is not None:
        graph = from_file(path, key, similarity, scratch.held)
    else:
        graph = from_object(source, similarity, n_points)
    # Lazily, block by block: nothing is read before the writer asks for it.
    narrowing = Narrowing(scratch.dtype, "Ask for dtype='float64' (--float64).")
    blocks = map(partial(narrowed, narrowing), graph.blocks)
    graph = replace(graph, blocks=map(checked_canonical, blocks))
    if graph.missing is not None:
        # A copy, which is raised while edges are dropped.
        graph = replace(graph, missing=graph.missing.astype(scratch.dtype))
    if graph.by_columns:
        return sorted_graph(graph, transposed(triplets(graph.blocks)), graph.n_edges, scratch)
    return graph


def _is_table(source: Any) -> bool:
    """Return whether a source is a table of edges, which does not say how many points there are."""
    return holds_edges(Path(source)) if isinstance(source, str | Path) else table_kind(source) is not None


def _require_for_edges(
    path: Path | None, edges: bool, key: str | None, column: str | int | None, ids: Ids, n_points: int | None
) -> None:
    """Refuse options for a kind of source that is not given."""
    if edges and key is not None:
        raise InvalidInputError(f"key={key!r} is for .h5ad files and zarr stores; {path} is neither.")
    of_edges = {"column": column, "ids": None if ids == "auto" else ids}
    if path is not None:
        of_edges["n_points"] = n_points
    for name, value in of_edges.items():
        if value is not None and not edges:
            raise InvalidInputError(f"{name}={value!r} is for edge lists; {path or 'the source'} is none.")


def _watched(graph: RowBlocks, verbose: bool) -> Iterator[Block]:
    """Yield the blocks, and show a progress bar on a terminal."""
    with progress_bar(verbose, graph.n_points, "points written", unit_scale=True) as bar:
        for block in graph.blocks:
            yield block
            bar.update(block.rows.stop - block.rows.start)
