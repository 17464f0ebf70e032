"""The promise of memory while tables of edges are read: the whole process stays under the limit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

N_EDGES = 20_000_000
N_POINTS = N_EDGES // 20
ROWS_AT_A_TIME = 2**20

PROGRAM = """
import json, re, sys
from sparse_ap.graphs import write_graph

path, target, limit, then = sys.argv[1:]
written = write_graph(path, target, memory_limit=limit, symmetrise=then == "symmetrise")
print(json.dumps({
    # Not getrusage, whose peak a process inherits from the one that started it.
    "peak": 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]),
    "n_points": written.n_points,
    "n_edges": written.n_edges,
}))
"""


def batches(named: bool) -> Any:
    """Yield edges in random order: of named points, or of numbers."""
    rng = np.random.default_rng(0)
    for start in range(0, N_EDGES, ROWS_AT_A_TIME):
        n = min(ROWS_AT_A_TIME, N_EDGES - start)
        ends = [pa.array(rng.integers(0, N_POINTS, n)) for _ in range(2)]
        if named:
            prefix = pa.scalar("UPI00000")
            ends = [pa.compute.binary_join_element_wise(prefix, end.cast(pa.string()), "") for end in ends]
        similarity = pa.array(rng.integers(20, 2000, n) / 4)
        yield pa.record_batch([*ends, similarity], names=["source", "target", "weight"])


def write_table(path: Path, named: bool) -> None:
    schema = next(iter(batches(named))).schema
    if path.suffix == ".parquet":
        with pa.parquet.ParquetWriter(path, schema) as file:
            for batch in batches(named):
                file.write_batch(batch)
        return
    with pa.csv.CSVWriter(path, schema) as writer:
        for batch in batches(named):
            writer.write_batch(batch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "named", "then"),
    [("csv", True, "no more"), ("csv", False, "symmetrise"), ("parquet", True, "no more")],
)
@pytest.mark.parametrize("limit", ["1GB"])
def test_the_peak_of_reading_a_table_stays_under_the_limit(
    kind: str, named: bool, then: str, limit: str, tmp_path: Path
) -> None:
    table = tmp_path / f"edges.{kind}"
    write_table(table, named)
    command = [sys.executable, "-c", PROGRAM, str(table), str(tmp_path / "g.zarr"), limit, then]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    print(f"\n{kind}, {named=}, {then}: {result['peak'] / 1e6:.0f} MB of {limit}")
    # Of 20 million places in a million million some are taken twice, and some are on the diagonal.
    assert result["n_points"] == N_POINTS
    assert result["n_edges"] > N_EDGES * (1.99 if then == "symmetrise" else 0.99)
    assert result["peak"] <= 1e6 * int(limit.replace("GB", "000"))
