"""Pack GeoNames places into the file the demonstration ships.

Usage: ``python tools/pack_places.py cities.parquet sparse_ap/cli/demo/places.npz``

The input is a Parquet table with one row a place and the columns ``name``, ``lat``, ``lng`` and
``country``.  The output is read with NumPy alone, and the same input gives the same bytes.  Needs pyarrow.
"""

from __future__ import annotations

import argparse
import io
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

DEGREE = 100_000
"""Units in one degree: coordinates are kept as whole 1e-5 degrees, about a metre, as GeoNames gives them."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Pack GeoNames places into the file the demonstration ships."
    )
    parser.add_argument("table", type=Path, help="Parquet file with the columns name, lat, lng, country")
    parser.add_argument("output", type=Path, help="the .npz file to write")
    return parser.parse_args()


def byte_array(data: bytes) -> NDArray[np.uint8]:
    """Bytes as an array an ``.npz`` file can hold."""
    return np.frombuffer(data, dtype=np.uint8)


def text_blob(texts: list[str]) -> NDArray[np.uint8]:
    """Names one a line, compressed: LZMA packs them tighter than the zip around them would."""
    if any("\n" in text for text in texts):
        raise ValueError("a name has a line break in it, which is what separates names in the packed file")
    return byte_array(lzma.compress("\n".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME))


def whole_units(degrees: NDArray[np.float64]) -> NDArray[np.int32]:
    """Degrees in whole units of 1e-5 degree."""
    return np.rint(degrees * DEGREE).astype(np.int32)


def packed(table: pa.Table) -> dict[str, NDArray[Any]]:
    """Arrays of the packed file."""
    countries, codes = np.unique(
        table["country"].to_numpy(zero_copy_only=False).astype("U2"), return_inverse=True
    )
    return {
        "names": text_blob(table["name"].to_pylist()),
        "country_codes": countries.astype("S2"),
        "country": codes.astype(np.uint8),
        "latitude": whole_units(table["lat"].to_numpy()),
        "longitude": whole_units(table["lng"].to_numpy()),
    }


def main() -> None:
    """Pack the table named on the command line."""
    given = arguments()
    arrays = packed(pq.read_table(given.table, columns=["name", "lat", "lng", "country"]))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    given.output.write_bytes(buffer.getvalue())
    print(f"{len(arrays['country']):,} places, {given.output.stat().st_size:,} bytes: {given.output}")


if __name__ == "__main__":
    main()
