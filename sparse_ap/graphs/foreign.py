"""Graphs of other libraries: taken where their meaning is plain, else refused with what to write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.conversion.columns import names_points
from sparse_ap.storage.validation import require_ids_fit

__all__ = ["graph_of", "parquet_of", "table_kind"]

_NAMED = ("source", "target", "weight")

# What to write for an object, by its library and class.
_LINES = {
    ("networkx", "Graph"): "networkx.to_scipy_sparse_array(graph, weight='weight'), its points in the order "
    "of list(graph)",
    ("igraph", "Graph"): "graph.get_adjacency_sparse('weight'), its points in the order of graph.vs",
    ("anndata", "AnnData"): "sparse_ap.graphs.from_anndata(adata), for the graph of scanpy.pp.neighbors",
}


# The classes of tables, by their libraries.
_TABLES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}


def table_kind(given: Any) -> str | None:
    """Return the library of a table in memory; None for anything else."""
    return next((library for library, name in _kinds(given) if _TABLES.get(library) == name), None)


def _kinds(given: Any) -> set[tuple[str, str]]:
    return {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(given).__mro__}


def graph_of(given: Any, n_points: int | None = None) -> Any:
    """Return a graph of another library as a matrix; anything else as it is.

    Parameters
    ----------
    given : object
        Taken are a table of edges of pandas, polars or pyarrow, an xarray DataArray in memory, matrices of
        pydata/sparse, and AnnData's sparse datasets on disk.
    n_points : int, optional
        Number of points of a table of edges; None: the largest number plus one.

    Raises
    ------
    InvalidInputError
        The object can be read in several ways; the message says what to write.
    """
    kinds = _kinds(given)
    line = next((_LINES[kind] for kind in kinds if kind in _LINES), None)
    if line is not None:
        raise InvalidInputError(
            f"A {type(given).__name__} of {type(given).__module__.partition('.')[0]} was given; a matrix of "
            f"similarities is needed. Give {line}."
        )
    library = table_kind(given)
    if library is not None:
        return _matrix_of_edges(given if library == "pandas" else given.to_pandas(), n_points)
    if ("anndata", "BaseCompressedSparseDataset") in kinds:
        return given.to_memory()
    if ("xarray", "DataArray") in kinds and given.chunks is None:
        return given.values
    return given.to_scipy_sparse() if ("sparse", "SparseArray") in kinds else given


def _matrix_of_edges(table: Any, n_points: int | None) -> scipy.sparse.coo_array:
    names = _columns_of_edges(table)
    ids = [_points_of(table[name]) for name in names[:2]]
    largest = max((int(points.max(initial=-1)) for points in ids), default=-1)
    n = largest + 1 if n_points is None else n_points
    if n_points is None:
        _require_few_gaps(ids, n)
    require_ids_fit(n)
    if largest >= n:
        raise InvalidInputError(f"The table of edges names point {largest}, but n_points={n} was given.")
    values = table[names[2]]
    if values.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"The column {names[2]!r} of the table of edges has dtype {values.dtype}; real numbers are "
            "needed."
        )
    # Nullable columns become floats, with NaN for what is missing.
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan) if values.hasnans else values.to_numpy()
    return scipy.sparse.coo_array((numbers, tuple(ids)), shape=(n, n))


def _columns_of_edges(table: Any) -> list[Any]:
    """Return the names of the columns of source, target and similarity."""
    names = list(table.columns)
    if set(_NAMED) <= set(names):
        return list(_NAMED)
    # A square table may be a matrix of similarities.
    edges = len(names) >= 3 and len(names) != len(table) and all(k.kind in "iu" for k in table.dtypes[:2])
    if not edges or len(set(names)) < len(names):
        raise _refused_table(names)
    return names[:3]


def _refused_table(names: Sequence[Any]) -> InvalidInputError:
    """Return the error for a table that may be a matrix or a list of edges."""
    return InvalidInputError(
        f"A DataFrame with the columns {', '.join(map(repr, names[:5]))}{', ...' * (len(names) > 5)} was "
        "given, which may be a matrix or a table of edges. Give a matrix of similarities as "
        "table.to_numpy(); edges between points numbered from 0 as table.set_axis(['source', 'target', "
        "'weight'], axis=1). Named points: numbers, names = pandas.factorize(...) of both columns "
        "together; or write them to a file, for sparse-ap convert."
    )


def _require_few_gaps(ids: Sequence[NDArray[Any]], n_points: int) -> None:
    """Refuse whole numbers of which fewer than half occur: they are names, which a matrix cannot hold."""
    n_used = len(np.unique(np.concatenate(ids)))
    if 2 * n_used < n_points:
        raise InvalidInputError(
            f"Of the numbers from 0 to {n_points - 1:,} only {n_used:,} occur in the table of edges: they "
            "are names. Write a graph with names, sparse_ap.graphs.write_graph(table, 'graph.zarr'), and "
            "give its path. If they number the points: scipy.sparse.coo_array((weight, (source, target)), "
            "shape=(n, n))."
        )


def _points_of(column: Any) -> NDArray[Any]:
    if column.dtype.kind not in "iu" or column.hasnans or (len(column) and column.min() < 0):
        raise InvalidInputError(
            f"The column {column.name!r} of the table of edges, of dtype {column.dtype}, has to number the "
            "points from 0. Named points: numbers, names = pandas.factorize(...) of both columns together; "
            "or sparse_ap.graphs.write_graph(table, 'graph.zarr'), "
            "which takes names."
        )
    points: NDArray[Any] = column.to_numpy(dtype=np.int64)
    return points


def parquet_of(given: Any, folder: Path) -> Path | None:
    """Write a table of edges to a parquet file in a folder; None if something else was given.

    Raises
    ------
    InvalidInputError
        The table may be a matrix, or has columns that parquet cannot hold.
    """
    kind = table_kind(given)
    if kind is None:
        return None
    arrow, parquet = optional_modules("Reading tables of edges", "edges", "pyarrow", "pyarrow.parquet")
    try:
        if kind == "pandas":
            table = arrow.Table.from_pandas(given, preserve_index=False)
        else:
            table = given.to_arrow() if kind == "polars" else given
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, ValueError) as error:
        raise InvalidInputError(
            f"The table of edges cannot be read: {error}. Its columns need one type each, such as text or "
            "numbers."
        ) from error
    if not names_points(table.column_names) and not _are_edges(arrow, table):
        raise _refused_table(table.column_names)
    parquet.write_table(table, folder / "table.parquet")
    return folder / "table.parquet"


def _are_edges(arrow: Any, table: Any) -> bool:
    """Return whether the first two of three or more columns can only be points."""
    types = [table.schema.field(i).type for i in range(table.num_columns)]
    if len(types) < 3:
        return False
    if any(arrow.types.is_floating(kind) for kind in types[:2]):
        return False
    # A square table of whole numbers may be a matrix of similarities.
    return table.num_columns != table.num_rows or not all(map(arrow.types.is_integer, types))
