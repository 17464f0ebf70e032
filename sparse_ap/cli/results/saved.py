"""Clusterings that `sparse-ap cluster` has written, read again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.arguments import is_finite, require
from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.conversion.parquet_parts import parquet_table
from sparse_ap.propagation.outcome import Outcome
from sparse_ap.propagation.result import Clustering

__all__ = ["SavedClusters", "read_clusters"]

_COLUMNS, _SIMILARITY = ("point", "label", "exemplar"), "similarity"


@dataclass(frozen=True, slots=True, eq=False)
class SavedClusters:
    """What a result says.

    Attributes
    ----------
    clustering : Clustering
        Of a table labels, exemplars and similarities (NaN if they are not there); no more is known.
    names : ndarray of str objects, shape (n_points,), or None
        Of all points.
    """

    clustering: Clustering
    names: NDArray[Any] | None

    @property
    def exemplars(self) -> NDArray[np.int64]:
        """Numbers of the exemplars, by label."""
        return self.clustering.exemplars

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.clustering.labels)

    def numbers(self) -> dict[str, int]:
        """Return the number of each point by what other files call it: its name, or the number itself."""
        known = map(str, range(self.n_points)) if self.names is None else self.names
        return {name: number for number, name in enumerate(known)}

    @property
    def called_by(self) -> str:
        """What other files call the points by, for errors."""
        return "numbers from 0" if self.names is None else "the names there"

    def names_beside(self, names: NDArray[Any] | None) -> NDArray[Any] | None:
        """Return the names of the points of the result's own graph, from those that the graph has; or None.

        Raises
        ------
        InvalidInputError
            The graph has other points, or has them in another order.
        """
        if names is None or self.names is None:
            return self.names if names is None else names
        texts = [str(name) for name in names]
        if texts != self.names.tolist():
            pairs = zip(texts, self.names, strict=False)
            first = next((i for i, (one, other) in enumerate(pairs) if one != other), None)
            where = (
                f"{len(texts):,} points and {self.n_points:,}" if first is None
                else f"point {first} is {texts[first]!r} in one and {self.names[first]!r} in the other"
            )  # fmt: skip
            raise InvalidInputError(
                f"The graph and the result have other points, or in another order: {where}. Give the graph "
                "that was clustered."
            )
        return names


def read_clusters(path: Path, min_similarity: float | None = None) -> SavedClusters:
    """Read a result: ``.npz``, or a table ``.csv``, ``.parquet`` or ``.zarr``, which has names.

    Parameters
    ----------
    path : Path
    min_similarity : float, optional
        What the run allowed; None: what the result says of it, which a table does not.

    Raises
    ------
    InvalidInputError
        The file is no result of `sparse-ap cluster`, or ``min_similarity`` is no number.
    """
    right = min_similarity is None or is_finite(min_similarity)
    require("min_similarity", min_similarity, right, "a finite number")
    of_all = path.suffix == ".npz"
    clusters = SavedClusters(Clustering.load(path), None) if of_all else _from_table(path)
    if min_similarity is None:
        return clusters
    return replace(clusters, clustering=replace(clusters.clustering, min_similarity=min_similarity))


def _from_table(path: Path) -> SavedClusters:
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
            f"columns {', '.join(_COLUMNS)} and {_SIMILARITY}."
        )
    return _clusters_of(path, columns)


def _from_csv(path: Path) -> dict[str, NDArray[Any]]:
    arrow, reader = optional_modules("Reading .csv", "parquet", "pyarrow", "pyarrow.csv")
    texts = {name: arrow.string() for name in ("point", "exemplar")}
    try:
        options = reader.ConvertOptions(
            column_types={**texts, "label": arrow.int64(), _SIMILARITY: arrow.float64()}
        )
        table = reader.read_csv(path, convert_options=options)
    except arrow.ArrowInvalid as error:
        raise InvalidInputError(
            f"{path} is no result of sparse-ap cluster: {str(error).splitlines()[0]}"
        ) from error
    return _arrays_of(table)


def _from_parquet(path: Path) -> dict[str, NDArray[Any]]:
    return _arrays_of(parquet_table(path))


def _arrays_of(table: Any) -> dict[str, NDArray[Any]]:
    return {name: table[name].to_numpy() for name in table.column_names if name in (*_COLUMNS, _SIMILARITY)}


def _from_zarr(path: Path) -> dict[str, NDArray[Any]]:
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"{path} is no zarr group; the result of sparse-ap cluster is needed."
        ) from error
    return {name: np.asarray(group[name]) for name in (*_COLUMNS, _SIMILARITY) if name in group}


def _clusters_of(path: Path, columns: dict[str, NDArray[Any]]) -> SavedClusters:
    """Return the exemplar of each label; each is a point of the table."""
    points, labels, exemplars = (columns[name] for name in _COLUMNS)
    similarities = columns.get(_SIMILARITY, np.full(len(points), np.nan))
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
        "a similarity is no number": similarities.dtype.kind not in "fiu",
    }
    for fault in (fault for fault, there in faults.items() if there):
        raise InvalidInputError(f"{path}: {fault}; the whole result of sparse-ap cluster is needed.")
    counted = names.tolist() == [str(number) for number in range(len(names))]
    clustering = Clustering(
        labels=labels.astype(np.int64), exemplars=np.array(found, np.int64), similarities=similarities,
        net_similarity=np.nan, data_similarity=np.nan, exemplar_preference=np.nan, n_iter=0,
        converged=True, outcome=Outcome.CONVERGED, n_unsettled=0, n_promoted=0, history=(),
    )  # fmt: skip
    return SavedClusters(clustering, None if counted else names)
