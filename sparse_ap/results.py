"""Clusterings and hierarchies to files: tables, arrays, and the ``obs`` of AnnData stores."""

from __future__ import annotations

import csv
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from sparse_ap.durable import require_folder
from sparse_ap.errors import InvalidInputError, MissingDependencyError
from sparse_ap.model import Clustering
from sparse_ap.tree import Cut, Hierarchy

__all__ = [
    "level_columns",
    "require_columns",
    "require_writable",
    "write_clustering",
    "write_column",
    "write_hierarchy",
    "write_levels",
]

_ROWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True, slots=True)
class _Result:
    """What is written, in every form.

    Attributes
    ----------
    n_points : int
        Rows of the table.
    columns : mapping of str to callable
        Of the table, as functions of the rows wanted.
    save : callable
        Writes everything to an ``.npz`` file.
    attributes : mapping
        What a table in zarr's format says of the whole.
    """

    n_points: int
    columns: Mapping[str, Callable[[slice], NDArray[Any]]]
    save: Callable[[Path], object]
    attributes: Mapping[str, Any]


def require_writable(path: Path) -> None:
    """Refuse an output that cannot be written, before the work that would be lost.

    Raises
    ------
    InvalidInputError
        The ending is not known, the folder does not exist, or a ``.zarr`` folder does already.
    MissingDependencyError
        The format needs a package that is not installed.
    """
    if path.suffix not in _WRITERS:
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; one of {', '.join(_WRITERS)} is needed.")
    require_folder(path)
    if path.suffix == ".zarr" and path.exists():
        raise InvalidInputError(
            f"{path} exists, and folders are not replaced. Choose another name, or remove it."
        )
    if path.suffix == ".parquet":
        _parquet()


def write_clustering(clustering: Clustering, path: Path, ids: NDArray[Any] | None = None) -> None:
    """Write the clustering in the format that the ending names; it appears whole or not at all.

    ``.npz`` holds everything (`Clustering.save`). ``.parquet``, ``.csv`` and ``.zarr`` are tables with a row
    a point: ``point``, ``label``, ``exemplar`` (the exemplar's point), ``similarity`` (to it; 0 for the
    exemplars). ``ids`` are names of the points, which then stand for their numbers.
    """
    named = partial(_named, ids)
    columns = {
        "point": lambda rows: named(np.arange(rows.start, rows.stop)),
        "label": lambda rows: clustering.labels[rows],
        "exemplar": lambda rows: named(clustering.exemplars[clustering.labels[rows]]),
        "similarity": lambda rows: clustering.similarities[rows],
    }
    attributes = {"net_similarity": clustering.net_similarity, "outcome": clustering.outcome.name}
    _write(_Result(len(clustering.labels), columns, clustering.save, attributes), path)


def write_hierarchy(tree: Hierarchy, path: Path, ids: NDArray[Any] | None = None) -> None:
    """Write a hierarchy in the format that the ending names; it appears whole or not at all.

    ``.npz`` holds everything (`Hierarchy.save`). ``.parquet``, ``.csv`` and ``.zarr`` are tables with a row
    a point: ``point``, and its exemplars ``level_0``, ``level_1`` and so on. ``ids`` are names of the points,
    which then stand for their numbers.
    """
    named = partial(_named, ids)
    columns = {"point": lambda rows: named(np.arange(rows.start, rows.stop))}
    for level in range(tree.n_levels):
        columns[f"level_{level}"] = partial(_exemplars_in, tree.level(level), named)
    attributes = {"n_clusters": tree.n_clusters.tolist()}
    _write(_Result(len(tree.clusterings[0].labels), columns, tree.save, attributes), path)


def _named(ids: NDArray[Any] | None, points: NDArray[Any]) -> NDArray[Any]:
    return points if ids is None else ids[points]


def _exemplars_in(cut: Cut, named: Callable[[NDArray[Any]], NDArray[Any]], rows: slice) -> NDArray[Any]:
    return named(cut.exemplars[cut.labels[rows]])


def _write(result: _Result, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _WRITERS[path.suffix](result, part)
        part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)


def level_columns(column: str, n_levels: int) -> list[str]:
    """Return the names of the columns for the levels of a hierarchy."""
    return [f"{column}_{level}" for level in range(n_levels)]


def require_columns(store: Path, *columns: str) -> None:
    """Refuse an AnnData store to whose ``obs`` columns cannot be added.

    Raises
    ------
    InvalidInputError
        It is no such store, or it has one of the columns already.
    """
    listed: Any = _obs_of(store).attrs["column-order"]
    for name in columns:
        if name in listed:
            raise InvalidInputError(f"{store} has a column {name!r} in obs already; choose another name.")


def write_column(clustering: Clustering, store: Path, column: str) -> None:
    """Add the exemplars to the ``obs`` of an AnnData zarr store, as a categorical of their names.

    Beside it the column ``<column>_similarity`` is written, the similarity of each point to its exemplar.
    The columns are listed last, so that a store half written is what it was before.

    Parameters
    ----------
    clustering : Clustering
    store : Path
    column : str

    Raises
    ------
    InvalidInputError
        It is no AnnData zarr store, it has other points, or it has the column already.
    """
    cut = Cut(clustering.labels, clustering.exemplars)
    _write_columns(store, {column: cut}, {f"{column}_similarity": clustering.similarities})


def write_levels(tree: Hierarchy, store: Path, column: str) -> None:
    """Add the exemplars of each level to the ``obs`` of an AnnData zarr store: ``<column>_0`` and so on.

    Raises
    ------
    InvalidInputError
        As by `write_column`.
    """
    names = level_columns(column, tree.n_levels)
    _write_columns(store, {name: tree.level(level) for level, name in enumerate(names)}, {})


def _write_columns(store: Path, cuts: Mapping[str, Cut], numbers: Mapping[str, NDArray[Any]]) -> None:
    """Add categoricals of exemplars' names, and numbers; they are listed when all are written."""
    require_columns(store, *cuts, *numbers)
    obs = _obs_of(store)
    names: Any = obs[str(obs.attrs["_index"])]
    for column, cut in cuts.items():
        if names.shape[0] != len(cut.labels):
            raise InvalidInputError(
                f"{store} has {names.shape[0]} rows in obs, and the clustering {len(cut.labels)} points; "
                "the store whose points were clustered is needed."
            )
        _put_exemplars(store, obs, names, column, cut)
    for column, values in numbers.items():
        _put(obs, column, values, {"encoding-type": "array", "encoding-version": "0.2.0"})
    listed: Any = obs.attrs["column-order"]
    obs.attrs["column-order"] = [*listed, *cuts, *numbers]
    if _is_consolidated(store):
        with warnings.catch_warnings():
            # That it is no part of zarr's specification is for whoever consolidated it first.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(store)


def _put_exemplars(store: Path, obs: zarr.Group, names: Any, column: str, cut: Cut) -> None:
    exemplars = names.get_orthogonal_selection(cut.exemplars)
    if len(set(exemplars)) < len(exemplars):
        raise InvalidInputError(
            f"The names of the rows of {store} are not unique, so exemplars cannot be named by them. Make "
            "them so (AnnData.obs_names_make_unique), and write the store again."
        )
    # What is not listed has been left by a run that was interrupted while it wrote.
    group = obs.create_group(column, overwrite=True)
    codes = cut.labels.astype(np.min_scalar_type(-max(1, cut.n_clusters)))
    _put(group, "codes", codes, {"encoding-type": "array", "encoding-version": "0.2.0"})
    _put(group, "categories", exemplars, {"encoding-type": "string-array", "encoding-version": "0.2.0"})
    group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})


def _put(group: zarr.Group, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
    text = values.dtype.kind in "OUT"
    array = group.create_array(name, shape=values.shape, dtype=str if text else values.dtype, overwrite=True)
    array[:] = values
    array.attrs.update(attributes)


def _is_consolidated(store: Path) -> bool:
    return zarr.open_group(store, mode="r").metadata.consolidated_metadata is not None


def _obs_of(store: Path) -> zarr.Group:
    try:
        obs = zarr.open_group(store, mode="r+", use_consolidated=False)["obs"]
    except (FileNotFoundError, KeyError) as error:
        raise InvalidInputError(
            f"{store} is no AnnData store: there is no group 'obs' in it. Give the .zarr folder that "
            "AnnData.write_zarr has written."
        ) from error
    if not isinstance(obs, zarr.Group) or "_index" not in obs.attrs:
        raise InvalidInputError(f"{store}/obs is no table as AnnData writes it. Write the store again.")
    return obs


def _pieces(result: _Result) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the table some rows at a time: at least one piece."""
    for start in range(0, max(1, result.n_points), _ROWS_AT_A_TIME):
        rows = slice(start, min(start + _ROWS_AT_A_TIME, result.n_points))
        yield {name: column(rows) for name, column in result.columns.items()}


def _write_csv(result: _Result, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(result.columns)
        for piece in _pieces(result):
            writer.writerows(zip(*(values.tolist() for values in piece.values()), strict=True))


def _write_parquet(result: _Result, path: Path) -> None:
    arrow, parquet = _parquet()
    tables = (arrow.table(piece) for piece in _pieces(result))
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _write_npz(result: _Result, path: Path) -> None:
    result.save(path)


def _write_zarr(result: _Result, path: Path) -> None:
    group = zarr.create_group(path)
    n = result.n_points
    start = 0
    for piece in _pieces(result):
        for name, values in piece.items():
            array: Any = group.get(name) or group.create_array(
                name,
                shape=(n,),
                chunks=(max(1, min(_ROWS_AT_A_TIME, n)),),
                dtype=str if values.dtype.kind in "OUT" else values.dtype,
            )
            array[start : start + len(values)] = values
        start += _ROWS_AT_A_TIME
    group.attrs.update(result.attributes)


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError.of("Writing .parquet", "pyarrow", "parquet") from error
    return pyarrow, pyarrow.parquet


_WRITERS: dict[str, Callable[[_Result, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npz": _write_npz,
    ".zarr": _write_zarr,
}
