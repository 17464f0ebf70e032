"""The command ``outliers``: which points of a result one may call outliers."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from sparse_ap.cli.options import NUMBER, result_argument, table_option
from sparse_ap.cli.output import require_result, summarise
from sparse_ap.cli.results.saved import read_clusters
from sparse_ap.cli.results.tables import write_outliers
from sparse_ap.cli.streams import said

__all__ = ["outliers"]


@click.command(
    help="""Say which points of a result are outliers, by a measure of yours.

A clustering itself calls no point noise. RESULT is what `sparse-ap cluster` has written. At least one of
--min-size and --min-similarity is needed; with both, what one of them says is enough. Points that nobody
represents are always among them.

\b
Examples:
  sparse-ap outliers labels.npz --min-size 5 -o outliers.csv
  sparse-ap outliers labels.csv --min-size 5 --min-similarity -0.3 -o outliers.csv

The output has a row for each point: point, outlier (True or False), and label, -1 for outliers.
"""
)
@result_argument
@table_option
@click.option("--min-size", type=int, help="Points in clusters of fewer are outliers, the exemplar counted.")
@click.option("--min-similarity", type=NUMBER, help="So are points less similar to their exemplar.")
@click.option("--quiet", is_flag=True, help="No summary.")
def outliers(
    result: Path, output: Path, min_size: int | None, min_similarity: float | None, quiet: bool
) -> None:
    """Say which points of a result are outliers."""
    require_result(output, result)
    clusters = read_clusters(result)
    outlier = clusters.clustering.outliers(min_size=min_size, min_similarity=min_similarity)
    write_outliers(outlier, clusters.clustering.labels, output, clusters.names)
    if not quiet:
        lines = [
            f"points      {len(outlier):,}",
            f"outliers    {np.count_nonzero(outlier):,}",
            f"written to  {said(output)}",
        ]
        summarise(lines, output)
