"""Columns in the ``obs`` (the table of the cells) of AnnData's zarr stores and ``.h5ad`` files."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ContainsArrayError

from sparse_ap.cli.results.h5ad import (
    changed_obs,
    create_array,
    create_group,
    list_columns,
    opened_obs,
    values_of,
)
from sparse_ap.clustering.level_columns import column_names, cut_columns, result_columns
from sparse_ap.clustering.tree import Cut, Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.propagation.representation.shares import RunnerUp
from sparse_ap.propagation.result import Clustering
from sparse_ap.storage.atomic_files import named_in_errors

__all__ = ["level_columns", "require_columns", "write_column", "write_levels"]

# The folder of columns that are being replaced.
_REPLACED = "sparse_ap-replaced"


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
        There is no AnnData store, a name cannot be a column's, or something has that name already.
    """
    with opened_obs(store) if store.is_file() else nullcontext(_obs_of(store)) as obs:
        _require_names(store, obs, columns, force)


def _require_names(store: Path, obs: Any, columns: Sequence[str], force: bool) -> None:
    for name in columns:
        if not name or "/" in name or name in (".", "..") or name.startswith("__"):
            raise InvalidInputError(
                f"--obs {name!r} is no name of a column; give one that is not empty, has no '/' and does not "
                "begin with '__'."
            )
        if name in ("_index", _index_name(obs)):
            raise InvalidInputError(
                f"--obs {name!r} is the index of {store}/obs, the names of its rows, which are not replaced. "
                "Choose another name."
            )
        if name in obs and not force:
            raise InvalidInputError(
                f"{store} has a column {name!r} in obs already; choose another name, or give --force to "
                "replace it."
            )


def write_column(
    clustering: Clustering, store: Path, column: str, force: bool = False, runner_up: RunnerUp | None = None
) -> None:
    """Add the exemplars to the ``obs`` of an AnnData store, as a categorical of their names.

    The column ``<column>_similarity`` gets the similarity of each point to its exemplar; with ``runner_up``,
    ``<column>_runner_up`` the exemplars that come next, and ``<column>_margin`` the margins. After an error,
    or Ctrl-C, the store is as it was before.

    Parameters
    ----------
    clustering : Clustering
    store : Path
    column : str
        Name of the column.
    force : bool
        Whether existing columns may be replaced.
    runner_up : RunnerUp, optional

    Raises
    ------
    InvalidInputError
        There is no AnnData store, it has other points, or the column exists already.
    """
    exemplar, similarity, second, margin = result_columns(column)
    cuts = {exemplar: Cut(clustering.labels, clustering.exemplars)}
    numbers: dict[str, NDArray[Any]] = {similarity: clustering.similarities}
    if runner_up is not None:
        cuts[second] = Cut(runner_up.labels, clustering.exemplars)
        numbers[margin] = runner_up.margins
    _write_columns(store, cuts, numbers, force)


def write_levels(
    tree: Hierarchy, store: Path, column: str, exact: Sequence[Cut] = (), force: bool = False
) -> None:
    """Add the exemplars of each level to the ``obs`` of an AnnData store, as ``<column>_0`` and so on.

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
    if store.is_file():
        with changed_obs(store) as obs:
            _put_columns(store, obs, cuts, numbers, str)
            listed = list(map(_as_text, obs.attrs["column-order"]))
            new = [column for column in (*cuts, *numbers) if column not in listed]
            list_columns(obs, [*listed, *new])
        return
    with named_in_errors(store / "obs"):
        with _put_in_place(store, [*cuts, *numbers]):
            _put_columns(store, _obs_of(store), cuts, numbers, _unfinished)
        _forget_replaced(store)


def _put_columns(
    store: Path,
    obs: Any,
    cuts: Mapping[str, Cut],
    numbers: Mapping[str, NDArray[Any]],
    named: Callable[[str], str],
) -> None:
    """Write columns under the names that ``named`` makes of theirs."""
    names = _index_of(obs, store)
    for column, cut in cuts.items():
        if names.shape[0] != len(cut.labels):
            raise InvalidInputError(
                f"{store} has {names.shape[0]} rows in obs, and the clustering {len(cut.labels)} points; "
                "the store whose points were clustered is needed."
            )
        _put_exemplars(store, obs, names, named(column), cut)
    for column, values in numbers.items():
        _put(obs, named(column), values, {"encoding-type": "array", "encoding-version": "0.2.0"})


def _unfinished(name: str) -> str:
    return f"sparse_ap-unfinished-{name}"


@contextmanager
def _put_in_place(store: Path, columns: Sequence[str]) -> Iterator[None]:
    """Let columns be written under their `_unfinished` names; then rename and list them.

    All replaced columns are kept in one folder until the new ones are in place and listed. One renaming of
    that folder then makes this final: before it, an error or a kill restores all.
    """
    obs, folder = _obs_of(store), store / "obs"
    replaced = folder / _REPLACED
    listed: Any = obs.attrs["column-order"]
    new = [column for column in columns if not (folder / column).exists()]
    try:
        yield
        replaced.mkdir()
        for column in columns:
            if column not in new:
                (folder / column).rename(replaced / column)
            (folder / _unfinished(column)).rename(folder / column)
        obs.attrs["column-order"] = [*listed, *(column for column in columns if column not in listed)]
        replaced.rename(folder / _unfinished(_REPLACED))
    except BaseException:
        if replaced.exists():
            for column in new:
                shutil.rmtree(folder / column, ignore_errors=True)
            obs.attrs["column-order"] = listed
            _restore_replaced(store)
        raise
    finally:
        for column in columns:
            shutil.rmtree(folder / _unfinished(column), ignore_errors=True)


def _restore_replaced(store: Path) -> None:
    """Restore the columns that were being replaced when an error or a kill came; or make the rest final."""
    folder = store / "obs"
    if (folder / _REPLACED).exists():
        for path in (folder / _REPLACED).iterdir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
            path.rename(folder / path.name)
        (folder / _REPLACED).rmdir()
    elif (folder / _unfinished(_REPLACED)).exists():
        _forget_replaced(store)


def _forget_replaced(store: Path) -> None:
    """Bring consolidated metadata up to date, if the store has some; then remove replaced columns."""
    if zarr.open_group(store, mode="r").metadata.consolidated_metadata is not None:
        with warnings.catch_warnings():
            # zarr warns that consolidated metadata are not standardised, which this store has already; and
            # that the folder of replaced columns is no group.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(store)
    shutil.rmtree(store / "obs" / _unfinished(_REPLACED), ignore_errors=True)


def _put_exemplars(store: Path, obs: Any, names: NDArray[Any], name: str, cut: Cut) -> None:
    exemplars = names[cut.exemplars]
    if len(set(exemplars)) < len(exemplars):
        raise InvalidInputError(
            f"The names of the rows of {store} are not unique, so exemplars cannot be named by them. Make "
            "them so (AnnData.obs_names_make_unique), and write the store again."
        )
    # A run that was killed while it wrote may have left something under this name.
    is_zarr = isinstance(obs, zarr.Group)
    group = obs.create_group(name, overwrite=True) if is_zarr else create_group(obs, name)
    # The narrowest signed type, as pandas uses for the codes of a categorical.
    codes = cut.labels.astype(np.min_scalar_type(-max(1, cut.n_clusters)))
    _put(group, "codes", codes, {"encoding-type": "array", "encoding-version": "0.2.0"})
    _put(group, "categories", exemplars, {"encoding-type": "string-array", "encoding-version": "0.2.0"})
    group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})


def _index_name(obs: Any) -> str:
    return _as_text(obs.attrs["_index"])


def _as_text(attribute: Any) -> str:
    """Return an attribute as text; older writers of HDF5 stored bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def _index_of(obs: Any, store: Path) -> NDArray[Any]:
    """Return the names of the rows as texts, in whichever of AnnData's forms they are stored."""
    index: Any = obs.get(_index_name(obs))
    kind = None if index is None else _as_text(index.attrs.get("encoding-type", "array"))
    names = None
    if getattr(index, "ndim", None) == 1:
        names = values_of(index)
    elif kind == "categorical" and np.all(index["codes"][:] >= 0):
        names = values_of(index["categories"])[index["codes"][:]]
    elif kind in ("nullable-string-array", "nullable-integer") and not np.any(index["mask"][:]):
        names = values_of(index["values"])
    if names is None:
        raise InvalidInputError(
            f"The names of the rows of {store} are {'missing' if kind is None else f'of the kind {kind!r}'}, "
            "or some are missing; texts are needed, one a row. Make them so (adata.obs_names = "
            "adata.obs_names.astype(str)), and write the store again."
        )
    return names if names.dtype.kind in "OUT" else names.astype(str)


def _put(group: Any, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
    if isinstance(group, zarr.Group):
        kind = str if values.dtype.kind in "OUT" else values.dtype
        array: Any = group.create_array(name, shape=values.shape, dtype=kind, overwrite=True)
        array[:] = values
    else:
        array = create_array(group, name, values)
    array.attrs.update(attributes)


def _obs_of(store: Path) -> zarr.Group:
    if not store.is_dir():
        raise InvalidInputError(
            f"{store} does not exist; --obs adds columns to what AnnData has written, a .zarr folder or an "
            ".h5ad file."
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
    _restore_replaced(store)
    return obs
