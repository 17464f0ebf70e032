"""Clusterings that `sparse-ap cluster` has written, read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.conversion.parquet_parts import parquet_table
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.result import Clustering

__all__ = ["SavedClusters", "read_clusters"]

_COLUMNS = ("point", "label", "exemplar")


@dataclass(frozen=True, slots=True, eq=False)
class SavedClusters:
    """What a result says about the exemplars.

    Attributes
    ----------
    labels : ndarray of int64, shape (n_points,)
    exemplars : ndarray of int64, shape (n_clusters,)
        Their numbers, by label.
    names : ndarray of str objects, shape (n_points,), or None
        Of all points.
    preference : float or None
        That all points share; None if it differs, or is not known, as from tables.
    """

    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]
    names: NDArray[Any] | None
    preference: float | None = None

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.labels)

    def numbers(self) -> dict[str, int]:
        """Return the number of each point by what other files call it: its name, or the number itself."""
        known = map(str, range(self.n_points)) if self.names is None else self.names
        return {name: number for number, name in enumerate(known)}

    @property
    def called_by(self) -> str:
        """What other files call the points by, for errors."""
        return "numbers from 0" if self.names is None else "the names there"

    def clustering(self) -> Clustering:
        """Return them as a clustering, of which no more is known."""
        return Clustering(
            labels=self.labels, exemplars=self.exemplars, similarities=np.full(self.n_points, np.nan),
            net_similarity=np.nan, data_similarity=np.nan, exemplar_preference=np.nan, n_iter=0,
            converged=True, outcome=Outcome.CONVERGED, n_unsettled=0, n_promoted=0, history=(),
            preference=self.preference,
        )  # fmt: skip


def read_clusters(path: Path) -> SavedClusters:
    """Read a result: ``.npz``, or a table ``.csv``, ``.parquet`` or ``.zarr``, which has names.

    Raises
    ------
    InvalidInputError
        The file is no result of `sparse-ap cluster`.
    """
    if path.suffix == ".npz":
        clustering = Clustering.load(path)
        return SavedClusters(clustering.labels, clustering.exemplars, None, clustering.preference)
    readers = {".csv": _from_csv, ".parquet": _from_parquet, ".zarr": _from_zarr}
    if path.suffix not in readers:
        raise InvalidInputError(
            f"{path} ends in {path.suffix!r}; the result of sparse-ap cluster is needed, as .npz, .csv, "
            ".parquet or .zarr."
        )
    columns = readers[path.suffix](path)
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise InvalidInputError(
            f"{path} has no column {missing[0]!r}; the result of sparse-ap cluster is needed, with the "
            f"columns {', '.join(_COLUMNS)} and similarity."
        )
    return _clusters_of(path, *(columns[name] for name in _COLUMNS))


def _from_csv(path: Path) -> dict[str, NDArray[Any]]:
    arrow, reader = optional_modules("Reading .csv", "parquet", "pyarrow", "pyarrow.csv")
    texts = {name: arrow.string() for name in ("point", "exemplar")}
    try:
        options = reader.ConvertOptions(column_types={**texts, "label": arrow.int64()})
        table = reader.read_csv(path, convert_options=options)
    except arrow.ArrowInvalid as error:
        raise InvalidInputError(
            f"{path} is no result of sparse-ap cluster: {str(error).splitlines()[0]}"
        ) from error
    return _arrays_of(table)


def _from_parquet(path: Path) -> dict[str, NDArray[Any]]:
    return _arrays_of(parquet_table(path))


def _arrays_of(table: Any) -> dict[str, NDArray[Any]]:
    return {name: table[name].to_numpy() for name in table.column_names if name in _COLUMNS}


def _from_zarr(path: Path) -> dict[str, NDArray[Any]]:
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"{path} is no zarr group; the result of sparse-ap cluster is needed."
        ) from error
    return {name: np.asarray(group[name]) for name in _COLUMNS if name in group}


def _clusters_of(
    path: Path, points: NDArray[Any], labels: NDArray[Any], exemplars: NDArray[Any]
) -> SavedClusters:
    """Return the exemplar of each label; each is a point of the table."""
    names = np.array([str(point) for point in points], object)
    number_of = {name: number for number, name in enumerate(names)}
    # A label of -1: nobody represents the point.
    represented = np.flatnonzero(labels >= 0) if labels.dtype.kind in "iu" else np.empty(0, np.int64)
    known, first = np.unique(labels[represented], return_index=True)
    found = [number_of.get(str(exemplar), -1) for exemplar in exemplars[represented][first]]
    faults = {
        "a point is there twice": len(number_of) < len(names),
        "the labels are not the whole numbers from 0": not len(known) or known[-1] != len(known) - 1,
        "an exemplar is no point of the table": -1 in found,
    }
    for fault in (fault for fault, there in faults.items() if there):
        raise InvalidInputError(f"{path}: {fault}; the whole result of sparse-ap cluster is needed.")
    counted = names.tolist() == [str(number) for number in range(len(names))]
    return SavedClusters(labels.astype(np.int64), np.array(found, np.int64), None if counted else names)
