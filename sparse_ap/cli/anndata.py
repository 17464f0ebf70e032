"""Columns in the ``obs`` (the table of the cells) of AnnData zarr stores."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from sparse_ap.clustering.tree import Cut, Hierarchy, column_names, cut_columns
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.result import Clustering

__all__ = ["level_columns", "require_columns", "write_column", "write_levels"]


def level_columns(column: str, n_levels: int, numbers: Iterable[int]) -> list[str]:
    """Return the names of the columns that `write_levels` adds."""
    return column_names(column, _clusters(column), n_levels, numbers)


def require_columns(store: Path, *columns: str) -> None:
    """Refuse a store to whose ``obs`` these columns cannot be added.

    Raises
    ------
    InvalidInputError
        There is no AnnData zarr store, or one of the columns exists already.
    """
    listed: Any = _obs_of(store).attrs["column-order"]
    for name in columns:
        if name in listed:
            raise InvalidInputError(f"{store} has a column {name!r} in obs already; choose another name.")


def write_column(clustering: Clustering, store: Path, column: str) -> None:
    """Add the exemplars to the ``obs`` of an AnnData zarr store, as a categorical of their names.

    The column ``<column>_similarity`` gets the similarity of each point to its exemplar. Columns are listed
    in the store's attributes last of all, so an interrupted write leaves the store as it was.

    Parameters
    ----------
    clustering : Clustering
    store : Path
    column : str
        Name of the column.

    Raises
    ------
    InvalidInputError
        There is no AnnData zarr store, it has other points, or the column exists already.
    """
    cut = Cut(clustering.labels, clustering.exemplars)
    _write_columns(store, {column: cut}, {f"{column}_similarity": clustering.similarities})


def write_levels(tree: Hierarchy, store: Path, column: str, exact: Sequence[Cut] = ()) -> None:
    """Add the exemplars of each level to the ``obs`` of an AnnData zarr store, as ``<column>_0`` and so on.

    The exemplars of a cut in ``exact`` with 20 clusters, say, become ``<column>_clusters_20``.

    Raises
    ------
    InvalidInputError
        As in `write_column`.
    """
    _write_columns(store, cut_columns(tree, column, _clusters(column), exact), {})


def _clusters(column: str) -> str:
    return f"{column}_clusters"


def _write_columns(store: Path, cuts: Mapping[str, Cut], numbers: Mapping[str, NDArray[Any]]) -> None:
    """Write categoricals of exemplars' names, and numbers; list the columns when all are written."""
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
            # zarr warns that consolidated metadata are not standardised; this store has them already.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(store)


def _put_exemplars(store: Path, obs: zarr.Group, names: Any, column: str, cut: Cut) -> None:
    exemplars = names.get_orthogonal_selection(cut.exemplars)
    if len(set(exemplars)) < len(exemplars):
        raise InvalidInputError(
            f"The names of the rows of {store} are not unique, so exemplars cannot be named by them. Make "
            "them so (AnnData.obs_names_make_unique), and write the store again."
        )
    # An unlisted group is the remainder of an interrupted write.
    group = obs.create_group(column, overwrite=True)
    # The narrowest signed type, as pandas uses for the codes of a categorical.
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
