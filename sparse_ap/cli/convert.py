"""The command ``convert``: a graph from files to disk in zarr's format."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sparse_ap.cli.inputs import Reading, require_writable_graph, save_graph
from sparse_ap.cli.options import NUMBER, names_options, reading_options
from sparse_ap.cli.output import printed_warnings, require_other
from sparse_ap.cli.streams import InputPath, regular_file
from sparse_ap.errors import InvalidInputError
from sparse_ap.graphs import open_graph, read_graph
from sparse_ap.graphs.conversion.write_graph import WrittenGraph, write_graph

__all__ = ["convert"]

# Endings of files: a folder with such a name would be taken for a file.
_OTHER_FILES = {
    ".npy",
    ".mtx",
    ".csv",
    ".tsv",
    ".txt",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".parquet",
    ".pq",
    ".h5ad",
    ".h5",
    ".m8",
    ".abc",
}


@click.command(
    help="""Write a graph to disk, to be clustered from there, however large it is.

\b
INPUT is one of:
  .m8                        BLAST's or MMseqs2's table of hits (12 columns)
  .abc                       MCL's: two labels and a similarity
  .tsv .csv .txt .parquet    two points and a similarity: by headings, as source, target, weight, or else
                             in the first three columns; or a folder of .parquet files
  .npz                       a scipy sparse matrix, or neighbour lists (indices, distances)
  .mtx                       Matrix Market
  .h5ad, AnnData zarr        a graph of its obsp
  zarr group                 a sparse matrix by rows or columns
  -                          one of these from standard input
Text may be compressed (.gz .bz2 .xz .zst). Points are numbers from 0, or names, which are kept beside
the graph.

\b
Edges are first dropped (--min-similarity), then stored both ways (--symmetrise), then counted (--top-k),
then moved (--order). What does not fit into memory is sorted on disk, beside the output.

\b
Examples:
  sparse-ap convert hits.m8 -o proteins.zarr --symmetrise
  sparse-ap convert hits.m8 -o proteins.zarr --column evalue --similarity=-d
  sparse-ap convert edges.tsv.gz -o graph.zarr --memory-limit 2GB
  sparse-ap convert cells.h5ad -o cells.zarr --key obsp/distances
  sparse-ap convert graph.npz -o graph.zarr --order rcm
""",
)
@click.argument("source", metavar="INPUT", type=InputPath())
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="The folder to write, as graph.zarr; or an .npz file, if the graph fits into memory.",
)  # fmt: skip
@reading_options
@names_options
@click.option(
    "--min-similarity",
    type=NUMBER,
    help="Leave out edges with this similarity or a smaller one (for `cluster` one of just this is enough).",
)
@click.option(
    "--symmetrise", is_flag=True, help="Store edges in both directions, with the larger similarity."
)
@click.option("--top-k", type=int, help="Keep this many edges a point.")
@click.option("--order", type=click.Choice(["rcm"]), help="Put neighbours near each other: faster sweeps.")
@click.option("--memory-limit", help="For the whole process, as 2GB.  [default: what there is]")
@click.option("--force", is_flag=True, help="Replace a graph that is there, once the new one is complete.")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def convert(source: Path, output: Path, reading: Reading, force: bool, quiet: bool, **options: Any) -> None:
    """Write a graph to disk."""
    start = time.perf_counter()
    require_other(output, source)
    options |= {**reading.options(), "verbose": not quiet}
    if output == Path("-"):
        raise InvalidInputError("-o - is for tables; a graph is written to a folder, or to an .npz file.")
    if output.suffix in _OTHER_FILES:
        raise InvalidInputError(
            f"{output} ends in {output.suffix!r}, and graphs are written to a folder, such as graph.zarr, or "
            "to an .npz file."
        )
    source = regular_file(source)
    with printed_warnings(quiet):
        if output.suffix == ".npz":
            written = _archived(source, output, force, options)
        else:
            written = write_graph(source, output, overwrite=force, **options)
    if not quiet:
        for line in _lines(written, time.perf_counter() - start):
            click.echo(line)


def _archived(source: Path, output: Path, force: bool, options: dict[str, Any]) -> WrittenGraph:
    """Write a graph to an ``.npz`` file, as a scipy sparse matrix."""
    require_writable_graph(output)
    if output.exists() and not force:
        raise InvalidInputError(
            f"{output} exists. Give another name, or --force to replace it once the new graph is complete."
        )
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.absolute().parent) as folder:
        written = write_graph(source, Path(folder) / "graph.zarr", **options)
        save_graph(read_graph(written.path), output, open_graph(written.path).names())
    return replace(written, path=output)


def _lines(written: WrittenGraph, seconds: float) -> list[str]:
    similarities = "none" if written.smallest is None else f"{written.smallest:g} to {written.largest:g}"
    return [
        f"points          {written.n_points:,}",
        f"edges           {written.n_edges:,}",
        f"a point         at most {written.longest_row:,}; none: {written.n_without_edges:,} points",
        f"similarities    {similarities}",
        f"time            {seconds:.1f} s",
        f"written to      {written.path}",
    ]
