"""Tables of edges in memory, of pandas, polars or pyarrow, as parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparse_ap.errors import InvalidInputError, optional_modules
from sparse_ap.graphs.conversion.columns import names_points
from sparse_ap.graphs.foreign import refuse_table, table_kind

__all__ = ["parquet_of"]


def parquet_of(given: Any, folder: Path) -> Path | None:
    """Write a table of edges to a parquet file in a folder; None if something else was given.

    Raises
    ------
    InvalidInputError
        The table may be a matrix, or has columns that parquet cannot hold.
    """
    kind = table_kind(given)
    if kind is None:
        return None
    arrow, parquet = optional_modules("Reading tables of edges", "edges", "pyarrow", "pyarrow.parquet")
    try:
        if kind == "pandas":
            table = arrow.Table.from_pandas(given, preserve_index=False)
        else:
            table = given.to_arrow() if kind == "polars" else given
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, ValueError) as error:
        raise InvalidInputError(
            f"The table of edges cannot be read: {error}. Its columns need one type each, such as text or "
            "numbers."
        ) from error
    if not names_points(table.column_names) and not _are_edges(arrow, table):
        raise refuse_table(table.column_names)
    parquet.write_table(table, folder / "table.parquet")
    return folder / "table.parquet"


def _are_edges(arrow: Any, table: Any) -> bool:
    """Return whether the first two of three or more columns can only be points."""
    types = [table.schema.field(i).type for i in range(table.num_columns)]
    if len(types) < 3:
        return False
    if any(arrow.types.is_floating(kind) for kind in types[:2]):
        return False
    # A square table of whole numbers may be a matrix of similarities.
    return table.num_columns != table.num_rows or not all(map(arrow.types.is_integer, types))
