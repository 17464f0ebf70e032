"""The user's table: what the points of a cluster have in common, and what each point on the page has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_ap.clustering.tree import Hierarchy
from sparse_ap.errors import InvalidInputError
from sparse_ap.kernels.block import Int64Array
from sparse_ap.plotting.explorer.facts import frequent_values, means
from sparse_ap.plotting.explorer.held import HeldClusters

__all__ = ["checked_table", "packed_columns"]


def checked_table(table: Any, n_points: int) -> dict[str, NDArray[Any]]:
    """Return the columns of a data frame, a mapping or a structured array, each with a value a point.

    Raises
    ------
    InvalidInputError
        It is none of these, or a column has more or fewer values.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, values in _columns_of(table):
        found[str(name)] = column = np.asarray(values)
        if column.shape != (n_points,):
            raise InvalidInputError(
                f"The table's column {name!r} has the shape {column.shape}, and there are {n_points:,} "
                "points; one value a point is needed, in the same order."
            )
    return found


def _columns_of(table: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(table, Mapping):
        yield from table.items()
        return
    names = getattr(getattr(table, "dtype", None), "names", None)
    for attribute in ("column_names", "columns"):  # of pyarrow; of pandas and polars
        listed = getattr(table, attribute, None)
        names = listed if names is None and hasattr(table, "__getitem__") else names
    if names is None:
        raise InvalidInputError(
            f"The table is a {type(table).__name__}; a data frame is needed, or a mapping of "
            "names to columns."
        )
    for name in names:
        yield name, table[name]


def packed_columns(
    table: Mapping[str, NDArray[Any]], tree: Hierarchy, held: HeldClusters, points: Int64Array
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return the heading of each column, with its vocabulary, and arrays over nodes and points.

    Of numbers a cluster has the mean; of everything else the most frequent values, as text.
    """
    heads: list[dict[str, Any]] = []
    parts: dict[str, NDArray[Any]] = {}
    for place, (name, values) in enumerate(table.items()):
        head: dict[str, Any] = {"name": name}
        if values.dtype.kind in "iuf":
            parts[f"mean{place}"] = means(tree, held, values)
            parts[f"value{place}"] = values[points].astype(np.float32)
        else:
            words, codes = np.unique(values.astype(str), return_inverse=True)
            often, share = frequent_values(tree, held, codes)
            used = np.unique(np.concatenate([often.ravel(), codes[points]]))
            used = used[used >= 0]
            head["words"] = words[used].tolist()
            parts[f"often{place}"] = np.where(often < 0, -1, np.searchsorted(used, often)).astype(np.int32)
            parts[f"share{place}"] = share.astype(np.uint8)
            parts[f"value{place}"] = np.searchsorted(used, codes[points]).astype(np.uint32)
        heads.append(head)
    return heads, parts
