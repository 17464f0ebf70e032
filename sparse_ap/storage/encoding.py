"""How AnnData notes in a group, on disk, that its arrays are a sparse matrix by rows or by columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparse_ap.errors import InvalidInputError

__all__ = ["is_by_columns", "noted_shape"]

_BY_COLUMNS = {"csr": False, "csc": True}


def is_by_columns(attributes: Mapping[str, Any], place: str) -> bool:
    """Return whether a group holds its matrix by columns (CSC), and not by rows (CSR).

    Raises
    ------
    InvalidInputError
        The group does not say so: read the wrong way round, the graph would be another one.
    """
    # AnnData wrote "h5sparse_format" before version 0.7, and reads it still.
    names = ("encoding-type", "h5sparse_format")
    noted = next((_text(attributes[name]) for name in names if name in attributes), None)
    by_columns = _BY_COLUMNS.get(str(noted).removesuffix("_matrix"))
    if by_columns is None:
        given = "does not say" if noted is None else f"is {noted!r}, which does not say"
        raise InvalidInputError(
            f"{place} {given} whether its arrays are a sparse matrix by rows or by columns; its attribute "
            "'encoding-type' must be 'csr_matrix' or 'csc_matrix'. Set it, if you know; or write the matrix "
            "again, with anndata or with sparse_ap.graphs.write_graph."
        )
    return by_columns


def noted_shape(attributes: Mapping[str, Any], n_rows: int) -> tuple[int, ...]:
    """Return the noted shape of a matrix; square if none is noted."""
    for name in ("shape", "h5sparse_shape"):
        if name in attributes:
            return tuple(int(size) for size in attributes[name])
    return n_rows, n_rows


def _text(value: Any) -> str:
    """Return an attribute as text: other languages write bytes, or an array of one text."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
