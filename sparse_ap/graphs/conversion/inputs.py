"""Row blocks from matrices in memory, tables of neighbours, and files of several formats."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.conversion.matrix_market import read_matrix_market
from sparse_ap.graphs.conversion.row_blocks import RowBlocks, converted, cuts, from_arrays, from_pieces
from sparse_ap.graphs.conversion.text_file import kind_of
from sparse_ap.graphs.distances import Similarity, similarities_of
from sparse_ap.graphs.foreign import graph_of
from sparse_ap.graphs.missing_edges import KNNGraph
from sparse_ap.graphs.neighbour_lists import checked_lists, edges_by_rows, look_at_some_rows
from sparse_ap.graphs.neighbours.recall import Recall
from sparse_ap.graphs.npz import names_in_npz, read_npz
from sparse_ap.kernels.block import Block
from sparse_ap.storage.encoding import is_by_columns, noted_shape
from sparse_ap.storage.memory import MemoryStore
from sparse_ap.storage.validation import n_points_of, require_indptr
from sparse_ap.storage.zarr_groups import open_sparse, paths_of_graphs
from sparse_ap.storage.zarr_reader import read_all

__all__ = ["from_file", "from_object"]


def from_object(given: Any, similarity: Similarity | None, n_points: int | None) -> RowBlocks:
    """Return the row blocks of a sparse matrix, a pair of neighbour tables, a table of edges, or blocks."""
    given = graph_of(given, n_points)
    if scipy.sparse.issparse(given):
        return _from_matrix(given, similarity)
    if isinstance(given, tuple) and len(given) == 2:
        return _from_tables(given[0], given[1], "-d" if similarity is None else similarity)
    # An array is iterable, but its rows are no row blocks.
    if isinstance(given, np.ndarray) or not isinstance(given, Iterable):
        raise InvalidInputError(
            f"A {type(given).__name__} was given; needed is a path, a scipy sparse matrix, a pair (indices, "
            "distances), or an iterable of row blocks. A dense matrix is clustered as it is."
        )
    return _as_asked(from_pieces(given, n_points), similarity)


def _from_matrix(matrix: Any, similarity: Similarity | None) -> RowBlocks:
    """Return the row blocks of a scipy sparse matrix."""
    store = MemoryStore.from_sparse(matrix)
    n = len(store.indptr) - 1
    blocks = from_arrays(store.indptr, store.indices, store.data, n)
    source = RowBlocks(n, blocks, len(store.data))
    if isinstance(matrix, KNNGraph):
        source = replace(source, recall=matrix.recall, missing=matrix.missing_at_most)
    return _as_asked(source, similarity)


def from_file(path: Path, key: str | None, similarity: Similarity | None, open_files: ExitStack) -> RowBlocks:
    """Return the row blocks of a file or folder other than an edge list."""
    if not path.exists():
        raise InvalidInputError(f"{path} does not exist.")
    if kind_of(path) == "h5ad":
        return _from_h5ad(path, key, similarity, open_files)
    if path.is_dir():
        return _from_zarr(path, key, similarity)
    if key is not None:
        raise InvalidInputError(f"key={key!r} is for .h5ad files and zarr stores; {path} is neither.")
    if kind_of(path) == "npz":
        source = from_object(read_npz(path), similarity, None)
        names = names_in_npz(path, source.n_points)
        return source if names is None else replace(source, ids=[names])
    if kind_of(path) == "mtx":
        return _from_matrix(read_matrix_market(path), similarity)
    raise InvalidInputError(
        f"{path} ends in {path.suffix!r}; graphs are read from .npz, .mtx, .h5ad, zarr folders, and edge "
        "lists (.parquet, .tsv, .csv, .txt, .m8, .abc, also .gz)."
    )


def _as_asked(source: RowBlocks, similarity: Similarity | None) -> RowBlocks:
    """Convert the entries from distances to similarities if a conversion is given."""
    if similarity is None:
        return source
    # What was known of other numbers is not known of these.
    blocks = map(partial(converted, similarity), source.blocks)
    return replace(source, blocks=blocks, recall=None, missing=None)


def _from_zarr(path: Path, key: str | None, similarity: Similarity | None) -> RowBlocks:
    if key is None:
        keys = paths_of_graphs(path)
        key = None if keys is None else _only(path, keys)
    group = open_sparse(path, _under_obsp(key))
    store = group.store
    n = len(store.indptr) - 1
    source = RowBlocks(
        n, store.read(cuts(store.indptr)), int(store.indptr[-1]), group.by_columns, store.origin
    )
    source = replace(source, ids=group.names())
    if not group.by_columns and store.recall is not None:
        missing = None if store.missing is None else read_all(store.missing)
        source = replace(source, recall=Recall(*store.recall), missing=missing)
    return _as_asked(source, _similarity_of(key or path.name, similarity))


def _from_h5ad(
    path: Path, key: str | None, similarity: Similarity | None, open_files: ExitStack
) -> RowBlocks:
    (h5py,) = optional_modules("Reading .h5ad", "h5ad", "h5py")
    try:
        file = open_files.enter_context(h5py.File(path, "r"))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read as HDF5: {error}") from error
    key = _under_obsp(key) or _only(path, _graphs_in(file))
    group = file.get(key)
    if not isinstance(group, h5py.Group) or not {"data", "indices", "indptr"} <= set(group):
        raise InvalidInputError(
            f"{path} has no sparse matrix {key!r}; in its obsp: "
            f"{', '.join(file.get('obsp', ())) or 'nothing'}."
        )
    source = _of_h5_group(group, is_by_columns(group.attrs, f"{path}/{key}"))
    return _as_asked(source, _similarity_of(key, similarity))


def _graphs_in(file: Any) -> list[str]:
    """Return the keys of the graphs in a .h5ad file; before version 0.7 AnnData kept scanpy's in 'uns'."""
    found = [f"obsp/{name}" for name in file.get("obsp", ())]
    old = file.get("uns/neighbors", ())
    return found or [f"uns/neighbors/{name}" for name in ("connectivities", "distances") if name in old]


def _of_h5_group(group: Any, by_columns: bool) -> RowBlocks:
    indptr = np.asarray(group["indptr"][:], np.int64)
    n_points = n_points_of(noted_shape(group.attrs, len(indptr) - 1))
    require_indptr(indptr, n_points, len(group["indices"]), len(group["data"]))
    blocks = from_arrays(indptr, group["indices"], group["data"], n_points)
    return RowBlocks(n_points, blocks, int(indptr[-1]), by_columns)


def _under_obsp(key: str | None) -> str | None:
    return key if key is None or "/" in key else f"obsp/{key}"


def _only(path: Path, keys: list[str]) -> str:
    if len(keys) == 1:
        return keys[0]
    raise InvalidInputError(
        f"{path} holds {len(keys)} graphs{': ' if keys else ''}{', '.join(keys)}. "
        + (f"Say which with key (--key), such as {keys[-1]}." if keys else "scanpy.pp.neighbors makes them.")
    )


def _similarity_of(name: str, similarity: Similarity | None) -> Similarity | None:
    """Return the conversion of a graph's entries: "-d" for a name ending in "distances", as scanpy's."""
    return "-d" if similarity is None and name.endswith("distances") else similarity


def _from_tables(indices: Any, distances: Any, similarity: Similarity) -> RowBlocks:
    """Return the row blocks of neighbour lists, read some rows at a time, as `from_knn` converts them.

    Raises
    ------
    InvalidInputError
        As in `from_knn`.
    """
    ids, d = checked_lists(indices, distances, similarity)
    # A callable may convert inner products, for which falling rows are right.
    if not callable(similarity):
        look_at_some_rows(ids, d)

    def blocks() -> Iterator[Block]:
        for rows, indptr, columns, values in edges_by_rows(ids, d):
            yield Block(rows, len(ids), indptr, columns, similarities_of(values, similarity))
            for mapped in (indices, distances):
                _forget(mapped)

    return RowBlocks(len(ids), blocks(), n_edges=ids.size)


def _forget(table: Any) -> None:
    """Release the pages of a memory-mapped file, which would count as memory of this process."""
    if isinstance(table, np.memmap) and table.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        table._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
