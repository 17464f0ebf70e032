"""Columns in the ``obs`` (the table of the cells) of AnnData zarr stores."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ContainsArrayError

from sparse_ap.clustering.tree import Cut, Hierarchy, column_names, cut_columns
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.atomic_files import named_in_errors

__all__ = ["level_columns", "require_columns", "write_column", "write_levels"]


def level_columns(column: str, n_levels: int, numbers: Iterable[int]) -> list[str]:
    """Return the names of the columns that `write_levels` adds."""
    return column_names(column, _clusters(column), n_levels, numbers)


def require_columns(store: Path, *columns: str, force: bool = False) -> None:
    """Refuse a store to whose ``obs`` these columns cannot be added.

    Parameters
    ----------
    store : Path
    *columns : str
    force : bool
        Whether existing columns may be replaced; the index never is.

    Raises
    ------
    InvalidInputError
        There is no AnnData zarr store, a name cannot be a column's, or something has that name already.
    """
    obs = _obs_of(store)
    for name in columns:
        if not name or "/" in name or name in (".", "..") or name.startswith("__"):
            raise InvalidInputError(
                f"--obs {name!r} is no name of a column; give one that is not empty, has no '/' and does not "
                "begin with '__'."
            )
        if name in ("_index", obs.attrs["_index"]):
            raise InvalidInputError(
                f"--obs {name!r} is the index of {store}/obs, the names of its rows, which are not replaced. "
                "Choose another name."
            )
        if name in obs and not force:
            raise InvalidInputError(
                f"{store} has a column {name!r} in obs already; choose another name, or give --force to "
                "replace it."
            )


def write_column(clustering: Clustering, store: Path, column: str, force: bool = False) -> None:
    """Add the exemplars to the ``obs`` of an AnnData zarr store, as a categorical of their names.

    The column ``<column>_similarity`` gets the similarity of each point to its exemplar. After an error, or
    Ctrl-C, the store is as it was before.

    Parameters
    ----------
    clustering : Clustering
    store : Path
    column : str
        Name of the column.
    force : bool
        Whether existing columns may be replaced.

    Raises
    ------
    InvalidInputError
        There is no AnnData zarr store, it has other points, or the column exists already.
    """
    cut = Cut(clustering.labels, clustering.exemplars)
    numbers = {f"{column}_similarity": clustering.similarities}
    _write_columns(store, {column: cut}, numbers, force)


def write_levels(
    tree: Hierarchy, store: Path, column: str, exact: Sequence[Cut] = (), force: bool = False
) -> None:
    """Add the exemplars of each level to the ``obs`` of an AnnData zarr store, as ``<column>_0`` and so on.

    The exemplars of a cut in ``exact`` with 20 clusters, say, become ``<column>_clusters_20``.

    Raises
    ------
    InvalidInputError
        As in `write_column`.
    """
    _write_columns(store, cut_columns(tree, column, _clusters(column), exact), {}, force)


def _clusters(column: str) -> str:
    return f"{column}_clusters"


def _write_columns(
    store: Path, cuts: Mapping[str, Cut], numbers: Mapping[str, NDArray[Any]], force: bool
) -> None:
    """Write categoricals of exemplars' names, and numbers; rename them to their columns at the end."""
    require_columns(store, *cuts, *numbers, force=force)
    obs = _obs_of(store)
    names = _index_of(obs, store)
    with named_in_errors(store / "obs"), _put_in_place(store, [*cuts, *numbers]):
        for column, cut in cuts.items():
            if names.shape[0] != len(cut.labels):
                raise InvalidInputError(
                    f"{store} has {names.shape[0]} rows in obs, and the clustering {len(cut.labels)} points; "
                    "the store whose points were clustered is needed."
                )
            _put_exemplars(store, obs, names, _unfinished(column), cut)
        for column, values in numbers.items():
            _put(obs, _unfinished(column), values, {"encoding-type": "array", "encoding-version": "0.2.0"})
    if _is_consolidated(store):
        with warnings.catch_warnings():
            # zarr warns that consolidated metadata are not standardised; this store has them already.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(store)


def _unfinished(column: str) -> str:
    return f"sparse_ap-unfinished-{column}"


def _replaced(column: str) -> str:
    return f"sparse_ap-replaced-{column}"


@contextmanager
def _put_in_place(store: Path, columns: Sequence[str]) -> Iterator[None]:
    """Let columns be written under their `_unfinished` names; then rename and list them.

    A replaced column is kept until the new one is listed, and is restored after an error.
    """
    obs, folder = _obs_of(store), store / "obs"
    listed: Any = obs.attrs["column-order"]
    new = [column for column in columns if not (folder / column).exists()]
    try:
        yield
        for column in columns:
            if column not in new:
                (folder / column).rename(folder / _replaced(column))
            (folder / _unfinished(column)).rename(folder / column)
        obs.attrs["column-order"] = [*listed, *(column for column in columns if column not in listed)]
    except BaseException:
        for column in columns:
            if column in new or (folder / _replaced(column)).exists():
                shutil.rmtree(folder / column, ignore_errors=True)
        _restore_replaced(folder)
        raise
    finally:
        for column in columns:
            shutil.rmtree(folder / _unfinished(column), ignore_errors=True)
            shutil.rmtree(folder / _replaced(column), ignore_errors=True)


def _restore_replaced(folder: Path) -> None:
    """Restore replaced columns whose successors are missing after an error or a kill."""
    for path in folder.glob(_replaced("*")):
        column = folder / path.name.removeprefix(_replaced(""))
        if not column.exists():
            path.rename(column)


def _put_exemplars(store: Path, obs: zarr.Group, names: NDArray[Any], name: str, cut: Cut) -> None:
    exemplars = names[cut.exemplars]
    if len(set(exemplars)) < len(exemplars):
        raise InvalidInputError(
            f"The names of the rows of {store} are not unique, so exemplars cannot be named by them. Make "
            "them so (AnnData.obs_names_make_unique), and write the store again."
        )
    # A run that was killed while it wrote may have left something under this name.
    group = obs.create_group(name, overwrite=True)
    # The narrowest signed type, as pandas uses for the codes of a categorical.
    codes = cut.labels.astype(np.min_scalar_type(-max(1, cut.n_clusters)))
    _put(group, "codes", codes, {"encoding-type": "array", "encoding-version": "0.2.0"})
    _put(group, "categories", exemplars, {"encoding-type": "string-array", "encoding-version": "0.2.0"})
    group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})


def _index_of(obs: zarr.Group, store: Path) -> NDArray[Any]:
    """Return the names of the rows as texts, in whichever of AnnData's forms they are stored."""
    index: Any = obs.get(str(obs.attrs["_index"]))
    kind = None if index is None else index.attrs.get("encoding-type")
    names = None
    if isinstance(index, zarr.Array) and index.ndim == 1:
        names = np.asarray(index[:])
    elif kind == "categorical" and np.all(index["codes"][:] >= 0):
        names = np.asarray(index["categories"][:])[index["codes"][:]]
    elif kind in ("nullable-string-array", "nullable-integer") and not np.any(index["mask"][:]):
        names = np.asarray(index["values"][:])
    if names is None:
        raise InvalidInputError(
            f"The names of the rows of {store} are {'missing' if kind is None else f'of the kind {kind!r}'}, "
            "or some are missing; texts are needed, one a row. Make them so (adata.obs_names = "
            "adata.obs_names.astype(str)), and write the store again."
        )
    return names if names.dtype.kind in "OUT" else names.astype(str)


def _put(group: zarr.Group, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
    text = values.dtype.kind in "OUT"
    array = group.create_array(name, shape=values.shape, dtype=str if text else values.dtype, overwrite=True)
    array[:] = values
    array.attrs.update(attributes)


def _is_consolidated(store: Path) -> bool:
    return zarr.open_group(store, mode="r").metadata.consolidated_metadata is not None


def _obs_of(store: Path) -> zarr.Group:
    if not store.is_dir():
        raise InvalidInputError(
            f"{store} is no folder; --obs adds columns to an AnnData store, the .zarr folder that "
            "AnnData.write_zarr has written."
        )
    try:
        obs = zarr.open_group(store, mode="r+", use_consolidated=False)["obs"]
    except (FileNotFoundError, KeyError, ContainsArrayError) as error:
        raise InvalidInputError(
            f"{store} is no AnnData store: there is no group 'obs' in it. Give the .zarr folder that "
            "AnnData.write_zarr has written."
        ) from error
    if not isinstance(obs, zarr.Group) or "_index" not in obs.attrs or "column-order" not in obs.attrs:
        raise InvalidInputError(f"{store}/obs is no table as AnnData writes it. Write the store again.")
    _restore_replaced(store / "obs")
    return obs
