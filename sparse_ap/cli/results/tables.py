"""Clusterings and hierarchies written to files, as tables or arrays."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.cli.streams import STDOUT
from sparse_ap.clustering.level_columns import cut_columns
from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.propagation.prediction import Prediction
from sparse_ap.propagation.representation.ranking import Ranking
from sparse_ap.propagation.representation.shares import RunnerUp
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.atomic_files import replacing, require_folder

__all__ = [
    "require_writable",
    "write_clustering",
    "write_columns",
    "write_hierarchy",
    "write_memberships",
    "write_outliers",
    "write_prediction",
    "write_ranking",
]

# Rows converted at a time: this bounds the memory for the columns of the table.
_ROWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True, slots=True)
class _Result:
    """The content of an output file, in a form for all formats.

    Attributes
    ----------
    n_points : int
        Number of rows of the table.
    columns : mapping of str to callable
        Functions from a range of rows to the values of a column, by name.
    save : callable
        Function that writes everything to an ``.npz`` file.
    attributes : mapping
        Attributes of the whole table, written in zarr's format only.
    """

    n_points: int
    columns: Mapping[str, Callable[[slice], NDArray[Any]]]
    save: Callable[[Path], object]
    attributes: Mapping[str, Any]


def require_writable(path: Path) -> None:
    """Refuse a path to which no result can be written, before the work starts.

    Raises
    ------
    InvalidInputError
        The ending is unknown, the folder does not exist, or a ``.zarr`` folder exists already.
    MissingDependencyError
        The format needs a package that is not installed.
    """
    if path == STDOUT:
        return
    if path.suffix not in _WRITERS:
        raise InvalidInputError(f"{path} ends in {path.suffix!r}; one of {', '.join(_WRITERS)} is needed.")
    if path.suffix == ".zarr" and path.exists():
        raise InvalidInputError(
            f"{path} exists, and folders are not replaced. Choose another name, or remove it."
        )
    require_folder(path)
    if path.suffix == ".parquet":
        _arrow()


def write_clustering(
    clustering: Clustering, path: Path, ids: NDArray[Any] | None = None, runner_up: RunnerUp | None = None
) -> None:
    """Write a clustering in the format that the ending names; the file appears complete or not at all.

    ``.npz`` holds everything (`Clustering.save`). ``.parquet``, ``.csv`` and ``.zarr`` are tables with a row
    per point: ``point``, ``label``, ``exemplar`` (its point), and ``similarity`` to the exemplar, 0 for
    exemplars; with ``runner_up`` also ``runner_up``, the exemplar that comes next, and ``margin``. ``ids``
    are names of the points, written in place of their numbers. Of points that nobody represents, the label is
    -1, the similarity NaN, and the exemplar -1, or without a name; so are runner-up and margin without one.
    """
    named = partial(_named, ids)
    columns: dict[str, Callable[[slice], NDArray[Any]]] = {
        "point": lambda rows: named(np.arange(rows.start, rows.stop)),
        "label": lambda rows: clustering.labels[rows],
        "exemplar": partial(_exemplars_in, Cut(clustering.labels, clustering.exemplars), named),
        "similarity": lambda rows: clustering.similarities[rows],
    }
    if runner_up is not None:
        second = Cut(runner_up.labels, clustering.exemplars)
        columns["runner_up"] = partial(_exemplars_in, second, named)
        columns["margin"] = lambda rows: runner_up.margins[rows]
    attributes = {"net_similarity": clustering.net_similarity, "outcome": clustering.outcome.name}
    _write(_Result(len(clustering.labels), columns, clustering.save, attributes), path)


def write_columns(columns: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays of the same length as the columns of a table; the file appears complete or not at all."""
    n_rows = len(next(iter(columns.values())))
    parts = {name: values.__getitem__ for name, values in columns.items()}
    _write(_Result(n_rows, parts, _archive(**columns), {}), path)


def write_ranking(ranking: Ranking, path: Path, ids: NDArray[Any] | None = None) -> None:
    """Write a ranking, a row an exemplar in its order: rank from 1, exemplar, net similarity, coverage."""
    columns = {
        "rank": lambda rows: np.arange(rows.start, rows.stop) + 1,
        "exemplar": lambda rows: _named(ids, ranking.exemplars[rows]),
        "net_similarity": lambda rows: ranking.net_similarities[rows],
        "coverage": lambda rows: ranking.coverage[rows],
    }
    save = _archive(
        exemplars=ranking.exemplars, net_similarities=ranking.net_similarities, coverage=ranking.coverage
    )
    _write(_Result(len(ranking.exemplars), columns, save, {}), path)


def write_memberships(
    shares: Any, exemplars: NDArray[Any], path: Path, ids: NDArray[Any] | None = None
) -> None:
    """Write shares of exemplars in points, a row a share, or a matrix as scipy.sparse.save_npz writes it."""
    place = shares.tocoo()
    columns = {
        "point": lambda rows: _named(ids, place.row[rows]),
        "exemplar": lambda rows: _named(ids, exemplars[place.col[rows]]),
        "share": lambda rows: place.data[rows],
    }

    def save(part: Path) -> None:
        # Imported here: it takes a tenth of a second.
        import scipy.sparse

        with part.open("wb") as file:
            scipy.sparse.save_npz(file, shares)

    _write(_Result(shares.nnz, columns, save, {}), path)


def write_outliers(
    outlier: NDArray[Any], labels: NDArray[Any], path: Path, ids: NDArray[Any] | None = None
) -> None:
    """Write which points are outliers, a row a point: point, outlier, and label, which is then -1."""
    labels = np.where(outlier, -1, labels)
    columns = {
        "point": lambda rows: _named(ids, np.arange(rows.start, rows.stop)),
        "outlier": lambda rows: outlier[rows],
        "label": lambda rows: labels[rows],
    }
    _write(_Result(len(labels), columns, _archive(outlier=outlier, labels=labels), {}), path)


def write_prediction(
    found: Prediction, path: Path, new_ids: NDArray[Any] | None, ids: NDArray[Any] | None
) -> None:
    """Write the exemplars of new points; the file appears complete or not at all.

    As `write_clustering`, with a row per new point, ``new_ids`` their names. Where the label is -1, the
    exemplar is -1 too, or no name, and the similarity NaN. ``.npz`` holds the arrays of the `Prediction`.
    """
    labelled = found.labels >= 0
    exemplars = found.exemplars if ids is None else np.where(labelled, ids[found.exemplars], "")
    columns = {
        "point": lambda rows: _named(new_ids, np.arange(rows.start, rows.stop)),
        "label": lambda rows: found.labels[rows],
        "exemplar": lambda rows: exemplars[rows],
        "similarity": lambda rows: found.similarities[rows],
    }
    save = _archive(labels=found.labels, exemplars=found.exemplars, similarities=found.similarities)
    _write(_Result(len(found.labels), columns, save, {}), path)


def write_hierarchy(
    tree: Hierarchy, path: Path, ids: NDArray[Any] | None = None, exact: Sequence[Cut] = ()
) -> None:
    """Write a hierarchy in the format that the ending names; the file appears complete or not at all.

    ``.npz`` holds the hierarchy (`Hierarchy.save`), without the cuts in ``exact``, which follow from it.
    ``.parquet``, ``.csv`` and ``.zarr`` are tables with a row per point: ``point``, its exemplars
    ``level_0``, ``level_1`` and so on, and its exemplar in each cut, such as ``clusters_20``. ``ids`` are
    names of the points, written in place of their numbers.
    """
    named = partial(_named, ids)
    columns = {"point": lambda rows: named(np.arange(rows.start, rows.stop))}
    for name, cut in cut_columns(tree, "level", "clusters", exact).items():
        columns[name] = partial(_exemplars_in, cut, named)
    attributes = {"n_clusters": tree.n_clusters.tolist()}
    _write(_Result(len(tree.clusterings[0].labels), columns, tree.save, attributes), path)


def _named(ids: NDArray[Any] | None, points: NDArray[Any]) -> NDArray[Any]:
    return points if ids is None else ids[points]


def _exemplars_in(cut: Cut, named: Callable[[NDArray[Any]], NDArray[Any]], rows: slice) -> NDArray[Any]:
    labels = cut.labels[rows]
    lost = labels < 0
    if not lost.any():
        return named(cut.exemplars[labels])
    names = named(cut.exemplars[np.where(lost, 0, labels)])
    return np.where(lost, -1 if names.dtype.kind == "i" else "", names)


def _archive(**arrays: Any) -> Callable[[Path], None]:
    """Return the function that writes arrays to an ``.npz`` file, whatever its name ends in."""

    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)

    return save


def _write(result: _Result, path: Path) -> None:
    if path == STDOUT:
        # As Unix ends its lines, for the programs that read on.
        _write_rows(result, csv.writer(sys.stdout, lineterminator="\n"))
        return
    with replacing(path) as part:
        _WRITERS[path.suffix](result, part)


def _pieces(result: _Result) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the columns of the table some rows at a time; at least one piece, even without rows."""
    for start in range(0, max(1, result.n_points), _ROWS_AT_A_TIME):
        rows = slice(start, min(start + _ROWS_AT_A_TIME, result.n_points))
        yield {name: column(rows) for name, column in result.columns.items()}


def _write_csv(result: _Result, path: Path) -> None:
    with path.open("w", newline="") as file:
        _write_rows(result, csv.writer(file))


def _write_rows(result: _Result, writer: Any) -> None:
    writer.writerow(result.columns)
    for piece in _pieces(result):
        writer.writerows(zip(*map(_written, piece.values()), strict=True))


def _written(values: NDArray[Any]) -> list[Any]:
    """Return the values of a column for a table of text: of float32 as few digits as tell it: 298.8."""
    written: list[Any] = (values.astype(str) if values.dtype == np.float32 else values).tolist()
    return written


def _write_parquet(result: _Result, path: Path) -> None:
    arrow, parquet = _arrow()
    tables = (arrow.table(piece) for piece in _pieces(result))
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _write_npz(result: _Result, path: Path) -> None:
    result.save(path)


def _write_zarr(result: _Result, path: Path) -> None:
    import zarr

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


def _arrow() -> list[Any]:
    return optional_modules("Writing .parquet", "parquet", "pyarrow", "pyarrow.parquet")


_WRITERS: dict[str, Callable[[_Result, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npz": _write_npz,
    ".zarr": _write_zarr,
}
