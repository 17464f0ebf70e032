"""Graphs on disk for tests, written with nothing but zarr, as other programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr


def write(folder: Path, graph: Any, encoding: str = "csr_matrix", **options: Any) -> Path:
    """Write a graph in AnnData's layout; options as for `write_arrays`."""
    arrays = {"data": graph.data, "indices": graph.indices, "indptr": graph.indptr}
    return write_arrays(folder, arrays, graph.shape, encoding, **options)


def write_arrays(
    folder: Path,
    arrays: dict[str, Any],
    shape: Any,
    encoding: str = "csr_matrix",
    zarr_format: Any = 3,
    chunks: int = 4096,
    shards: int | None = None,
    compressors: Any = None,
    empty_chunks: bool = True,
) -> Path:
    group = zarr.open_group(folder, mode="w", zarr_format=zarr_format)
    group.attrs.update({"encoding-type": encoding, "encoding-version": "0.1.0", "shape": list(shape)})
    for name, values in arrays.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(chunks,),
            shards=None if shards is None else (shards,),
            compressors=compressors,
            config={"write_empty_chunks": empty_chunks},
        )
        array[:] = values
    return folder
