"""Columns of an AnnData's ``obs``: metacells level by level, and what is most frequent in each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparse_ap.clustering.tree import Cut
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array

__all__ = ["commonest", "levels_of", "missing_column", "require_free", "require_keys", "with_columns"]


def require_free(obs: pd.DataFrame, key: str, overwrite: bool) -> list[Any]:
    """Return the columns that an earlier call has added under this name; refuse them without ``overwrite``.

    Raises
    ------
    InvalidInputError
        ``key`` is no name, or there are such columns and ``overwrite`` is False.
    """
    if not isinstance(key, str) or not key:
        raise InvalidInputError(f"key_added={key!r}; it must be a name of a column, not empty.")
    ours = re.compile(re.escape(key) + r"(_\d+)?(_is_exemplar)?")
    there = [name for name in obs.columns if isinstance(name, str) and ours.fullmatch(name)]
    if there and not overwrite:
        raise InvalidInputError(
            f"obs has the column {there[0]!r} already; give another key_added, or overwrite=True to replace "
            f"{', '.join(map(repr, there))}."
        )
    return there


def require_keys(obs: pd.DataFrame, keys: Sequence[str], replaced: Sequence[Any]) -> None:
    """Refuse names of columns that are not there, are replaced, or would hide another one in the result."""
    if isinstance(keys, str):
        raise InvalidInputError(f"obs_keys={keys!r} is one name; a list is needed: [{keys!r}].")
    for name in keys:
        if name not in obs:
            raise missing_column(obs, name)
        if name in replaced:
            raise InvalidInputError(f"obs_keys has {name!r}, a column that this call replaces. Leave it out.")
        if name == "n_cells" or name in [f"{other}_purity" for other in keys]:
            raise InvalidInputError(
                f"obs_keys has {name!r}, but the result has a column of its own of this name. Rename that in "
                "obs."
            )


def with_columns(obs: pd.DataFrame, levels: Sequence[Cut], key: str, replaced: Sequence[Any]) -> pd.DataFrame:
    """Return the table of cells with two columns for each level: the exemplar, and whether a cell is one."""
    new: dict[str, Any] = {}
    for number, cut in enumerate(levels):
        name = f"{key}_{number}" if number else key
        new[name] = pd.Categorical.from_codes(cut.labels, categories=obs.index[cut.exemplars])
        new[f"{name}_is_exemplar"] = np.isin(np.arange(len(obs)), cut.exemplars)
    return pd.concat([obs.drop(columns=list(replaced)), pd.DataFrame(new, index=obs.index)], axis=1)


def levels_of(obs: pd.DataFrame, levels: Sequence[Cut], key: str) -> pd.DataFrame:
    """Return the table of metacells: their size, and the columns of coarser levels."""
    columns = [f"{key}_{number}{end}" for number in range(1, len(levels)) for end in ("", "_is_exemplar")]
    found = obs[columns].iloc[levels[0].exemplars].copy()
    found.insert(0, "n_cells", levels[0].sizes)
    return found


def commonest(values: pd.Series, labels: Int64Array, n_groups: int) -> tuple[pd.Categorical, Any]:
    """Return the most frequent value of each group, of several the first, and the share that has it.

    Missing values count for the share, and are never the most frequent but where there is nothing else.
    """
    kinds = pd.Categorical(values)
    code = kinds.codes.astype(np.int64)
    counts = np.zeros((n_groups, len(kinds.categories) + 1), np.int64)
    np.add.at(counts, (labels, code), 1)  # missing values are -1, the last column
    known, sizes = counts[:, :-1], counts.sum(axis=1)
    if not known.shape[1]:
        return pd.Categorical.from_codes(np.full(n_groups, -1), dtype=kinds.dtype), np.zeros(n_groups)
    most = known.argmax(axis=1)
    number = known[np.arange(n_groups), most]
    return pd.Categorical.from_codes(np.where(number > 0, most, -1), dtype=kinds.dtype), number / sizes


def missing_column(obs: pd.DataFrame, name: object) -> InvalidInputError:
    """Return the error for a column that ``obs`` lacks."""
    there = ", ".join(map(repr, obs.columns[:10])) or "nothing"
    return InvalidInputError(f"obs has no column {name!r}; it has {there}.")
